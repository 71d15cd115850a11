/* The sums of the blocks of the receiver's old file, as a request tells them (docs/rsync-protocol.md, section 7). */
#pragma once

#include "base/util.h"

enum { RSYNC_BLOCK_MAX = 128 * 1024, RSYNC_STRONG_MAX = 16 };

struct rsync_sums {
        uint32_t count, block_size, strong_size, remainder; /* block_size and remainder in bytes */
        const unsigned char
                *data; /* count times: 4 bytes of the rolling checksum, strong_size bytes of the strong one */
};

/*
 * May a request have such a head? Everything that a later computation relies on. Negative numbers of the wire are too
 * large here. The count is below 2^31 and nothing more is promised of it: who receives the sums takes memory for what
 * has come, not for what was announced.
 */
bool rsync_sums_are_sane(const struct rsync_sums *s);
/* Bytes at `data`. */
uint64_t rsync_sums_size(const struct rsync_sums *s);
/* Bytes that a block has. */
uint32_t rsync_sums_block(const struct rsync_sums *s, uint32_t index);

static inline const unsigned char *rsync_sums_record(const struct rsync_sums *s, uint32_t index)
{
        return s->data + (size_t)index * (4 + s->strong_size);
}

static inline const unsigned char *rsync_sums_strong(const struct rsync_sums *s, uint32_t index)
{
        return rsync_sums_record(s, index) + 4;
}

static inline uint32_t rsync_sums_weak(const struct rsync_sums *s, uint32_t index)
{
        const unsigned char *b = rsync_sums_record(s, index);

        return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
