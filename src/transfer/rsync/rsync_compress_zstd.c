/* One stream for all of a connection, which never ends. */
#include "transfer/rsync/rsync_chunks.h"
#include "transfer/rsync/rsync_compress.h"

#include <zstd.h>

static void *make(int level)
{
        ZSTD_CCtx *z = ZSTD_createCCtx();

        if (z)
                ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, level); /* 0 is the default there, too */
        return z;
}

static void release(void *state)
{
        ZSTD_freeCCtx(state);
}

static int run(ZSTD_CCtx *z, struct rsync_chunks *to, ZSTD_inBuffer *in, ZSTD_EndDirective how)
{
        size_t left = 1;
        int r = 0;

        while (r == 0 && (in->pos < in->size || (how == ZSTD_e_flush && left > 0))) {
                ZSTD_outBuffer out = { .pos = 0 };

                out.dst = rsync_chunks_room(to, &out.size);
                left = ZSTD_compressStream2(z, &out, in, how);
                if (ZSTD_isError(left))
                        return -ENOMEM; /* which it needs at the beginning; nothing else can fail */
                r = rsync_chunks_filled(to, out.pos);
        }
        return r;
}

static int add(void *state, struct rsync_chunks *to, const void *data, size_t size)
{
        return run(state, to, &(ZSTD_inBuffer){ .src = data, .size = size }, ZSTD_e_continue);
}

static int flush(void *state, struct rsync_chunks *to)
{
        int r = run(state, to, &(ZSTD_inBuffer){ .size = 0 }, ZSTD_e_flush);

        return r == 0 ? rsync_chunks_flush(to, 0) : r;
}

const struct rsync_compressor rsync_compress_zstd = { .make = make, .free = release, .add = add, .flush = flush };
