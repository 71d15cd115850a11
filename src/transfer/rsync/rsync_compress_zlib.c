/*
 * Deflate without header or checksum, a stream for each file. A flush ends in an empty stored block, whose last four
 * bytes are always the same and are not sent.
 *
 * The receiver of "zlib" puts the blocks that it copies into its window as well, which a sender can do without: after a
 * full flush nothing refers to what was before it, wherever that is now. That of "zlibx" knows of literal bytes alone.
 */
#include "transfer/rsync/rsync_chunks.h"
#include "transfer/rsync/rsync_compress.h"

#include <assert.h>
#include <zlib.h>

enum { WINDOW_BITS = -15, MEMORY_LEVEL = 8, MARK = 4 };

struct zlib {
        z_stream stream;
        int flush;
        bool is_used; /* for this file */
};

static void *zlib_make(int level, int flush)
{
        struct zlib *z = calloc(1, sizeof(*z));

        if (!z)
                return NULL;
        z->flush = flush;
        if (deflateInit2(&z->stream, level != 0 ? level : Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL,
                         Z_DEFAULT_STRATEGY) == Z_OK)
                return z;
        free(z);
        return NULL;
}

static void *zlib_make_full(int level)
{
        return zlib_make(level, Z_FULL_FLUSH);
}

static void *zlib_make_sync(int level)
{
        return zlib_make(level, Z_SYNC_FLUSH);
}

static void zlib_free(void *state)
{
        struct zlib *z = state;

        deflateEnd(&z->stream);
        free(z);
}

static void zlib_begin(void *state)
{
        struct zlib *z = state;

        /* Clears tables of 128 KiB, which most files have no need for. */
        if (z->is_used)
                deflateReset(&z->stream);
        z->is_used = false;
}

static int zlib_run(struct zlib *z, struct rsync_chunks *to, int flush)
{
        bool is_full = true;
        int r = 0;

        while (r == 0 && is_full) {
                size_t room, size;

                z->stream.next_out = rsync_chunks_room(to, &room);
                z->stream.avail_out = (uInt)room;
                deflate(&z->stream, flush); /* has nothing to complain of but that there is nothing to do */
                size = room - z->stream.avail_out;
                is_full = size == room;
                r = rsync_chunks_filled(to, size);
        }
        return r;
}

static int zlib_add(void *state, struct rsync_chunks *to, const void *data, size_t size)
{
        struct zlib *z = state;

        z->is_used = true;
        z->stream.next_in = (Bytef *)data;
        z->stream.avail_in = (uInt)size;
        return zlib_run(z, to, Z_NO_FLUSH);
}

static int zlib_flush(void *state, struct rsync_chunks *to)
{
        struct zlib *z = state;
        int r = zlib_run(z, to, z->flush);

        return r == 0 ? rsync_chunks_flush(to, MARK) : r;
}

const struct rsync_compressor rsync_compress_zlib = {
        .make = zlib_make_full,
        .free = zlib_free,
        .begin = zlib_begin,
        .add = zlib_add,
        .flush = zlib_flush,
};

const struct rsync_compressor rsync_compress_zlibx = {
        .make = zlib_make_sync,
        .free = zlib_free,
        .begin = zlib_begin,
        .add = zlib_add,
        .flush = zlib_flush,
};
