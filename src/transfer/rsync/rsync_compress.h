/* The compressors of token streams, each of which turns literal bytes into chunks in its way. */
#pragma once

#include "base/util.h"

struct rsync_chunks;

struct rsync_compressor {
        void *(*make)(int level); /* 0: its default. NULL when memory is short. May be missing: there is no state */
        void (*free)(void *state);
        void (*begin)(void *state); /* a file begins; may be NULL */
        /* Both return 0 or -ENOMEM. Behind a flush, all that was added can be decompressed from what is in the chunks.
         */
        int (*add)(void *state, struct rsync_chunks *to, const void *data, size_t size);
        int (*flush)(void *state, struct rsync_chunks *to);
};

extern const struct rsync_compressor rsync_compress_zlib, rsync_compress_zlibx, rsync_compress_lz4, rsync_compress_zstd;
