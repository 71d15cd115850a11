/* Compressed bytes on their way into a token stream, in chunks of limited size (docs/rsync-protocol.md, section 7). */
#pragma once

#include "base/util.h"

struct buf;

enum { RSYNC_CHUNK_MAX = 16383 };

struct rsync_chunks {
        struct buf *out;
        size_t size;
        unsigned char data[2 * RSYNC_CHUNK_MAX + 4];
};

/* Where at least RSYNC_CHUNK_MAX bytes can be put; then how many they were. Both others return 0 or -ENOMEM. */
void *rsync_chunks_room(struct rsync_chunks *c, size_t *ret_size);
int rsync_chunks_filled(struct rsync_chunks *c, size_t size);
/* All that is left goes out, but for the last @drop bytes, 4 at most, which are forgotten. */
int rsync_chunks_flush(struct rsync_chunks *c, size_t drop);
