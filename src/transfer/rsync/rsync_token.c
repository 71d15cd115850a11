/*
 * Plain, everything is written as it comes. Compressed, blocks that follow each other are held back as a run for as
 * long as it grows, and literal bytes in the compressor until a run begins or the file ends: never both.
 */
#include "transfer/rsync/rsync_token.h"

#include "base/buf.h"
#include "transfer/rsync/rsync_chunks.h"
#include "transfer/rsync/rsync_compress.h"
#include "transfer/rsync/rsync_number.h"

enum {
        LITERAL_MAX = 32 * 1024,
        RUN_MAX = 65536, /* blocks */
        NEAR_MAX = 0x3f,
        CODE_END = 0x00,
        CODE_BLOCK = 0x20,
        CODE_NEAR = 0x80,
        MANY = 0x01,      /* behind CODE_BLOCK: a run */
        NEAR_MANY = 0x40, /* behind CODE_NEAR, likewise */
};

struct rsync_token {
        const struct rsync_compressor *compressor; /* NULL: plain */
        void *state;
        uint32_t last;             /* block of the run before */
        uint32_t first, run_count; /* the run that is held back */
        bool has_literal;          /* the compressor holds some back */
        struct rsync_chunks chunks;
};

static const struct rsync_compressor *const compressors[] = {
        [RSYNC_COMPRESSION_ZLIB] = &rsync_compress_zlib,
        [RSYNC_COMPRESSION_ZLIBX] = &rsync_compress_zlibx,
        [RSYNC_COMPRESSION_LZ4] = &rsync_compress_lz4,
        [RSYNC_COMPRESSION_ZSTD] = &rsync_compress_zstd,
};

struct rsync_token *rsync_token_new(enum rsync_compression compression, int level)
{
        _cleanup_(rsync_token_freep) struct rsync_token *t = calloc(1, sizeof(*t));

        if (!t || compression == RSYNC_COMPRESSION_NONE)
                return TAKE(t);
        t->compressor = compressors[compression];
        if (!t->compressor->make)
                return TAKE(t);
        t->state = t->compressor->make(level);
        return t->state ? TAKE(t) : NULL;
}

struct rsync_token *rsync_token_free(struct rsync_token *t)
{
        if (t && t->state)
                t->compressor->free(t->state);
        free(t);
        return NULL;
}

void rsync_token_begin(struct rsync_token *t)
{
        t->last = t->run_count = 0;
        t->has_literal = false;
        if (t->compressor && t->compressor->begin)
                t->compressor->begin(t->state);
}

/* ---- plain ---- */

static int put_plain(struct buf *out, const void *data, size_t size)
{
        const char *bytes = data;
        int r = 0;

        while (r == 0 && size > 0) {
                size_t n = size_min(size, LITERAL_MAX);

                r = rsync_put_int(out, (int32_t)n);
                if (r == 0)
                        r = buf_append(out, bytes, n);
                bytes += n;
                size -= n;
        }
        return r;
}

/* ---- compressed ---- */

static int put_run(struct rsync_token *t, struct buf *out)
{
        uint32_t step = t->first - t->last;
        bool is_near = t->first >= t->last && step <= NEAR_MAX, is_many = t->run_count > 1;
        uint8_t code = is_near ? (uint8_t)(CODE_NEAR | (is_many ? NEAR_MANY : 0) | step)
                               : (uint8_t)(CODE_BLOCK | (is_many ? MANY : 0));
        int r;

        if (t->run_count == 0)
                return 0;
        r = rsync_put_byte(out, code);
        if (r == 0 && !is_near)
                r = rsync_put_int(out, (int32_t)t->first);
        if (r == 0 && is_many)
                r = rsync_put_short(out, (uint16_t)(t->run_count - 1));
        t->last = t->first + t->run_count - 1;
        t->run_count = 0;
        return r;
}

/* Literal bytes that are held back. */
static int flush(struct rsync_token *t, struct buf *out)
{
        if (!t->has_literal)
                return 0;
        t->chunks.out = out;
        t->has_literal = false;
        return t->compressor->flush(t->state, &t->chunks);
}

int rsync_token_literal(struct rsync_token *t, struct buf *out, const void *data, size_t size)
{
        int r;

        if (!t->compressor)
                return put_plain(out, data, size);
        if (size == 0)
                return 0;
        r = put_run(t, out);
        if (r < 0)
                return r;
        t->chunks.out = out;
        t->has_literal = true;
        return t->compressor->add(t->state, &t->chunks, data, size);
}

int rsync_token_block(struct rsync_token *t, struct buf *out, uint32_t index)
{
        int r;

        if (!t->compressor)
                return rsync_put_int(out, -1 - (int32_t)index);
        if (t->run_count > 0 && t->run_count < RUN_MAX && index == t->first + t->run_count) {
                t->run_count++;
                return 0;
        }
        r = flush(t, out);
        if (r == 0)
                r = put_run(t, out);
        t->first = index;
        t->run_count = 1;
        return r;
}

int rsync_token_end(struct rsync_token *t, struct buf *out)
{
        int r;

        if (!t->compressor)
                return rsync_put_int(out, 0);
        r = flush(t, out);
        if (r == 0)
                r = put_run(t, out);
        return r == 0 ? rsync_put_byte(out, CODE_END) : r;
}
