/*
 * Which blocks of the receiver's old file are in our new one (docs/rsync-protocol.md, section 7): a rolling checksum finds
 * candidates, the strong sums decide. Holds no descriptor: the content is fed from beginning to end.
 */
#pragma once

#include "base/util.h"
#include "transfer/rsync/rsync_session.h"

struct rsync_match;

/* As it stands in a request. */
struct rsync_sums {
        uint32_t count, block_size, strong_size, remainder; /* block_size and remainder in bytes */
        const unsigned char *data; /* count times: 4 bytes of the rolling checksum, strong_size bytes of the strong one */
};

/* May a request have such a head? Everything that a later computation relies on. */
bool rsync_sums_are_sane(const struct rsync_sums *s);
/* Bytes at `data`. */
uint64_t rsync_sums_size(const struct rsync_sums *s);
/* Bytes that a block has. */
uint32_t rsync_sums_block(const struct rsync_sums *s, uint32_t index);

/* What the new file is made of, in its order. Both return 0 or a negative errno, which the matcher returns. */
struct rsync_match_target {
        int (*literal)(void *context, const void *data, size_t size);
        int (*block)(void *context, uint32_t index, const void *data, size_t size); /* @data: what is in it */
        void *context;
};

/* @sums->data is borrowed for as long as it lives; without blocks all is literal. NULL when memory is short. */
struct rsync_match *rsync_match_new(const struct rsync_session *session, const struct rsync_sums *sums,
                                    const struct rsync_match_target *target);
struct rsync_match *rsync_match_free(struct rsync_match *m);
DEFINE_FREEP(struct rsync_match, rsync_match_free)

/* The next piece of the content, of any size. Return 0, -ENOMEM, or what the target returned. */
int rsync_match_feed(struct rsync_match *m, const void *data, size_t size);
/* There is no more. */
int rsync_match_end(struct rsync_match *m);

/* Bytes that were literal, and that were found in blocks, so far. */
uint64_t rsync_match_literal_bytes(const struct rsync_match *m);
uint64_t rsync_match_matched_bytes(const struct rsync_match *m);

/* The rolling checksum of @size bytes. */
uint32_t rsync_match_weak(const void *data, size_t size);
