/*
 * Token streams are decoded here by what docs/rsync-protocol.md says of them, as a receiver does it that knows nothing
 * of the writer, and must give the same content.
 */
#include "base/buf.h"
#include "quick.h"
#include "scratch.h"
#include "transfer/rsync/rsync_number.h"
#include "transfer/rsync/rsync_token.h"

#include <lz4.h>
#include <zlib.h>
#include <zstd.h>

enum { KIB = 1024, MIB = 1024 * KIB, BLOCK = 700, BLOCKS = 200000, LITERAL_MAX = 32 * KIB, CHUNK_MAX = 16383 };

static const enum rsync_compression compressions[] = { RSYNC_COMPRESSION_NONE, RSYNC_COMPRESSION_ZLIB,
                                                       RSYNC_COMPRESSION_ZLIBX, RSYNC_COMPRESSION_LZ4,
                                                       RSYNC_COMPRESSION_ZSTD };

/* ---- the receiver ---- */

struct decoder {
        enum rsync_compression compression;
        z_stream zlib;
        ZSTD_DCtx *zstd;
        uint32_t last;
        struct buf content; /* of one file */
        size_t chunks, tokens;
};

/* In place: zlib remembers where it is. */
static void decoder_init(struct decoder *d, enum rsync_compression compression)
{
        *d = (struct decoder){ .compression = compression, .zstd = ZSTD_createDCtx() };
        ck_assert_int_eq(inflateInit2(&d->zlib, -15), Z_OK);
}

static void decoder_release(struct decoder *d)
{
        inflateEnd(&d->zlib);
        ZSTD_freeDCtx(d->zstd);
        buf_deinit(&d->content);
}

/* What is in block @index of the old file: nothing that compresses, and different in each. */
static void fill_block(uint32_t index, unsigned char block[BLOCK])
{
        uint32_t state = index * 2654435761u + 1;

        for (size_t i = 0; i < BLOCK; i++) {
                state = state * 1664525 + 1013904223;
                block[i] = (unsigned char)(state >> 24);
        }
}

static void inflate_all(struct decoder *d, const void *data, size_t size)
{
        unsigned char out[4 * KIB];

        d->zlib.next_in = (Bytef *)data;
        d->zlib.avail_in = (uInt)size;
        do {
                int r;

                d->zlib.next_out = out;
                d->zlib.avail_out = sizeof(out);
                r = inflate(&d->zlib, Z_SYNC_FLUSH);
                quick_assert(r == Z_OK || r == Z_BUF_ERROR);
                quick_assert(buf_append(&d->content, out, sizeof(out) - d->zlib.avail_out) == 0);
        } while (d->zlib.avail_out == 0 || d->zlib.avail_in > 0);
}

static void unzstd(struct decoder *d, const void *data, size_t size)
{
        ZSTD_inBuffer in = { .src = data, .size = size };
        char out[4 * KIB];
        ZSTD_outBuffer to;

        do {
                to = (ZSTD_outBuffer){ .dst = out, .size = sizeof(out) };
                quick_assert(!ZSTD_isError(ZSTD_decompressStream(d->zstd, &to, &in)));
                quick_assert(buf_append(&d->content, out, to.pos) == 0);
        } while (in.pos < in.size || to.pos == to.size);
}

static void decode_chunk(struct decoder *d, const void *data, size_t size)
{
        char out[32 * KIB];
        int n;

        quick_assert(size > 0);
        d->chunks++;
        switch (d->compression) {
        case RSYNC_COMPRESSION_ZLIB:
        case RSYNC_COMPRESSION_ZLIBX:
                inflate_all(d, data, size);
                break;
        case RSYNC_COMPRESSION_LZ4:
                n = LZ4_decompress_safe(data, out, (int)size, sizeof(out));
                quick_assert(n > 0 && buf_append(&d->content, out, (size_t)n) == 0);
                break;
        default:
                unzstd(d, data, size);
        }
}

/* The receiver's window of "zlib" has the blocks that were copied in it, as if they had come in a stored block. */
static void put_into_window(struct decoder *d, const unsigned char *block)
{
        const unsigned char head[] = { 0, BLOCK & 0xff, BLOCK >> 8, ~BLOCK & 0xff, (~BLOCK >> 8) & 0xff };
        size_t before = d->content.size;

        inflate_all(d, head, sizeof(head));
        inflate_all(d, block, BLOCK);
        quick_assert(d->content.size == before + BLOCK);
        buf_truncate(&d->content, before);
}

static void decode_block(struct decoder *d, uint32_t index)
{
        unsigned char block[BLOCK];

        quick_assert(index < BLOCKS);
        fill_block(index, block);
        if (d->compression == RSYNC_COMPRESSION_ZLIB)
                put_into_window(d, block);
        quick_assert(buf_append(&d->content, block, BLOCK) == 0);
}

static void decode_run(struct decoder *d, uint32_t first, uint32_t more)
{
        for (uint32_t i = 0; i <= more; i++)
                decode_block(d, first + i);
        d->last = first + more;
        d->tokens++;
}

/* The end of what was flushed, which is not sent. */
static void end_chunks(struct decoder *d, bool *has_chunks)
{
        if (*has_chunks && (d->compression == RSYNC_COMPRESSION_ZLIB || d->compression == RSYNC_COMPRESSION_ZLIBX))
                inflate_all(d, "\0\0\xff\xff", 4);
        *has_chunks = false;
}

static void decode_compressed(struct decoder *d, struct rsync_reader *r)
{
        bool has_chunks = false;

        for (;;) {
                unsigned code = rsync_get_byte(r);
                uint32_t index;

                quick_assert(rsync_read_is_good(r));
                if ((code & 0xc0) == 0x40) {
                        size_t size = (code & 0x3f) << 8 | rsync_get_byte(r);

                        quick_assert(size <= CHUNK_MAX);
                        decode_chunk(d, rsync_get_bytes(r, size), size);
                        has_chunks = true;
                        continue;
                }
                end_chunks(d, &has_chunks);
                if (code == 0)
                        return;
                quick_assert(code >= 0x80 || code == 0x20 || code == 0x21);
                index = code >= 0x80 ? d->last + (code & 0x3f) : (uint32_t)rsync_get_int(r);
                decode_run(d, index, (code >= 0x80 ? code & 0x40 : code & 1) ? rsync_get_short(r) : 0);
        }
}

static void decode_plain(struct decoder *d, struct rsync_reader *r)
{
        for (;;) {
                int32_t n = rsync_get_int(r);

                quick_assert(rsync_read_is_good(r) && n <= LITERAL_MAX);
                if (n == 0)
                        return;
                if (n < 0)
                        decode_run(d, (uint32_t)(-1 - n), 0);
                else
                        quick_assert(buf_append(&d->content, rsync_get_bytes(r, (size_t)n), (size_t)n) == 0);
        }
}

/* All of one file. */
static void decode(struct decoder *d, const struct buf *stream)
{
        struct rsync_reader r = rsync_read_begin(stream->data, stream->size);

        buf_truncate(&d->content, 0);
        inflateReset(&d->zlib);
        d->last = 0;
        d->chunks = d->tokens = 0;
        if (d->compression == RSYNC_COMPRESSION_NONE)
                decode_plain(d, &r);
        else
                decode_compressed(d, &r);
        ck_assert(rsync_read_is_good(&r) && r.at == r.end);
}

/* ---- the cases ---- */

struct file {
        struct rsync_token *token;
        struct buf stream, content;
};

static void begin(struct file *f)
{
        buf_truncate(&f->stream, 0);
        buf_truncate(&f->content, 0);
        rsync_token_begin(f->token);
}

static void literal(struct file *f, const void *data, size_t size)
{
        quick_assert(rsync_token_literal(f->token, &f->stream, data, size) == 0);
        quick_assert(buf_append(&f->content, data, size) == 0);
}

static void blocks(struct file *f, uint32_t first, uint32_t count)
{
        unsigned char block[BLOCK];

        for (uint32_t i = 0; i < count; i++) {
                quick_assert(rsync_token_block(f->token, &f->stream, first + i) == 0);
                fill_block(first + i, block);
                quick_assert(buf_append(&f->content, block, BLOCK) == 0);
        }
}

static void end(struct file *f, struct decoder *d)
{
        ck_assert_int_eq(rsync_token_end(f->token, &f->stream), 0);
        decode(d, &f->stream);
        ck_assert_uint_eq(d->content.size, f->content.size);
        ck_assert(f->content.size == 0 || memcmp(d->content.data, f->content.data, f->content.size) == 0);
}

static struct file file_make(enum rsync_compression compression)
{
        struct file f = { .token = rsync_token_new(compression, 0) };

        ck_assert_ptr_nonnull(f.token);
        return f;
}

static void file_release(struct file *f)
{
        rsync_token_free(f->token);
        buf_deinit(&f->stream);
        buf_deinit(&f->content);
}

static uint32_t next_random(uint32_t *state)
{
        *state = *state * 1664525 + 1013904223;
        return *state >> 8;
}

/* Half of it compresses well. */
static unsigned char *some_bytes(size_t size)
{
        unsigned char *bytes = malloc(size);
        uint32_t state = 4711;

        ck_assert_ptr_nonnull(bytes);
        for (size_t i = 0; i < size; i++)
                bytes[i] = (unsigned char)(i / 5000 % 2 ? next_random(&state) : i % 7);
        return bytes;
}

START_TEST(plain_tokens_are_as_documented)
{
        struct file f = file_make(RSYNC_COMPRESSION_NONE);

        begin(&f);
        blocks(&f, 0, 1);
        literal(&f, "XY", 2);
        blocks(&f, 1, 1);
        ck_assert_int_eq(rsync_token_end(f.token, &f.stream), 0);
        ck_assert_uint_eq(f.stream.size, 18);
        ck_assert_mem_eq(f.stream.data, "\xff\xff\xff\xff\2\0\0\0XY\xfe\xff\xff\xff\0\0\0\0", 18);
        file_release(&f);
}
END_TEST

START_TEST(runs_of_blocks_are_as_documented)
{
        static const char expected[] = "\xc0\2\0"         /* 0 to 2 */
                                       "\xc1\6\0"         /* 3 would have belonged to it: literal bytes were between */
                                       "\xbf"             /* 72 */
                                       "\x20\x88\0\0\0"   /* 136 is too far for a byte */
                                       "\x21\5\0\0\0\1\0" /* backwards, 5 and 6 */
                                       "\x80";            /* 6 again */
        struct file f = file_make(RSYNC_COMPRESSION_LZ4);
        struct decoder d;
        size_t chunk;

        decoder_init(&d, RSYNC_COMPRESSION_LZ4);
        begin(&f);
        blocks(&f, 0, 3);
        literal(&f, "x", 1);
        chunk = f.stream.size - 3;
        blocks(&f, 3, 7);
        blocks(&f, 72, 1);
        blocks(&f, 136, 1);
        blocks(&f, 5, 2);
        blocks(&f, 6, 1);
        end(&f, &d);
        ck_assert_uint_eq(f.stream.size, chunk + sizeof(expected));
        ck_assert_mem_eq(f.stream.data, expected, 3);
        ck_assert_mem_eq(f.stream.data + 3 + chunk, expected + 3, sizeof(expected) - 3);
        ck_assert_uint_eq(d.tokens, 6);
        decoder_release(&d);
        file_release(&f);
}
END_TEST

/* One is 65536 blocks at most; both halves of a longer one are near enough to each other. */
START_TEST(long_runs_are_cut)
{
        struct file f = file_make(RSYNC_COMPRESSION_ZSTD);
        struct decoder d;

        decoder_init(&d, RSYNC_COMPRESSION_ZSTD);
        begin(&f);
        blocks(&f, 100, 65536 + 3);
        end(&f, &d);
        ck_assert_uint_eq(f.stream.size, 7 + 3 + 1);
        ck_assert_mem_eq(f.stream.data, "\x21\x64\0\0\0\xff\xff\xc1\2\0\0", 11);
        begin(&f);
        blocks(&f, 100, 65536 + 1);
        end(&f, &d);
        ck_assert_uint_eq(f.stream.size, 7 + 1 + 1);
        decoder_release(&d);
        file_release(&f);
}
END_TEST

START_TEST(every_size_of_literals_arrives)
{
        static const size_t sizes[] = { 1,
                                        2,
                                        100,
                                        CHUNK_MAX - 20,
                                        CHUNK_MAX - 1,
                                        CHUNK_MAX,
                                        CHUNK_MAX + 1,
                                        CHUNK_MAX + 5,
                                        LITERAL_MAX - 1,
                                        LITERAL_MAX,
                                        LITERAL_MAX + 1,
                                        100000,
                                        MIB };
        unsigned char *noise = some_bytes(MIB);

        for (size_t c = 0; c < ARRAY_SIZE(compressions); c++) {
                struct file f = file_make(compressions[c]);
                struct decoder d;

                decoder_init(&d, compressions[c]);
                for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                        begin(&f);
                        literal(&f, noise, sizes[i]);
                        blocks(&f, 7, 2);
                        literal(&f, noise + 5000, sizes[i] / 2);
                        end(&f, &d);
                        begin(&f);
                        literal(&f, noise, sizes[i]);
                        end(&f, &d);
                }
                decoder_release(&d);
                file_release(&f);
        }
        free(noise);
}
END_TEST

START_TEST(files_without_literals_have_no_chunks)
{
        for (size_t c = 0; c < ARRAY_SIZE(compressions); c++) {
                struct file f = file_make(compressions[c]);
                struct decoder d;

                decoder_init(&d, compressions[c]);
                for (size_t i = 0; i < 3; i++) {
                        begin(&f);
                        literal(&f, "", 0);
                        end(&f, &d);
                        ck_assert_uint_eq(f.stream.size, compressions[c] == RSYNC_COMPRESSION_NONE ? 4 : 1);
                        begin(&f);
                        blocks(&f, 0, 10);
                        end(&f, &d);
                        ck_assert_uint_eq(d.chunks, 0);
                        begin(&f);
                        literal(&f, "abc", 3);
                        end(&f, &d);
                }
                decoder_release(&d);
                file_release(&f);
        }
}
END_TEST

/* Literal bytes that are the same as what a block before them is, which a window could be misled by. */
START_TEST(matched_data_does_not_disturb_windows)
{
        unsigned char block[BLOCK];

        for (size_t c = 0; c < ARRAY_SIZE(compressions); c++) {
                struct file f = file_make(compressions[c]);
                struct decoder d;

                decoder_init(&d, compressions[c]);
                for (uint32_t i = 0; i < 50; i++) {
                        begin(&f);
                        for (uint32_t b = 0; b < 5; b++) {
                                fill_block(i + b, block);
                                literal(&f, block, BLOCK);
                                blocks(&f, i, b + 1);
                                literal(&f, block, BLOCK);
                                fill_block(i, block);
                                literal(&f, block + 3, BLOCK - 3);
                                blocks(&f, 60 * b, 100);
                        }
                        end(&f, &d);
                }
                decoder_release(&d);
                file_release(&f);
        }
}
END_TEST

START_TEST(random_files_arrive)
{
        unsigned char *bytes = some_bytes(MIB);

        for (size_t c = 0; c < ARRAY_SIZE(compressions); c++) {
                struct file f = file_make(compressions[c]);
                struct decoder d;
                uint32_t state = 1;

                decoder_init(&d, compressions[c]);
                for (int i = 0; i < 60; i++) {
                        begin(&f);
                        for (uint32_t n = next_random(&state) % 20; n > 0; n--) {
                                if (next_random(&state) % 2)
                                        blocks(&f, next_random(&state) % 300, next_random(&state) % 100);
                                else
                                        literal(&f, bytes + next_random(&state) % 500000,
                                                (size_t)1 << next_random(&state) % 18);
                        }
                        end(&f, &d);
                }
                decoder_release(&d);
                file_release(&f);
        }
        free(bytes);
}
END_TEST

START_TEST(what_compresses_becomes_small)
{
        unsigned char *zeros = calloc(1, MIB);

        ck_assert_ptr_nonnull(zeros);
        for (size_t c = 1; c < ARRAY_SIZE(compressions); c++) {
                struct file f = file_make(compressions[c]);
                struct decoder d;

                decoder_init(&d, compressions[c]);
                begin(&f);
                for (size_t at = 0; at < MIB; at += LITERAL_MAX)
                        literal(&f, zeros + at, LITERAL_MAX);
                end(&f, &d);
                ck_assert_uint_lt(f.stream.size, MIB / 200);
                decoder_release(&d);
                file_release(&f);
        }
        free(zeros);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                plain_tokens_are_as_documented,
                runs_of_blocks_are_as_documented,
                long_runs_are_cut,
                every_size_of_literals_arrives,
                files_without_literals_have_no_chunks,
                matched_data_does_not_disturb_windows,
                random_files_arrive,
                what_compresses_becomes_small,
        };

        return scratch_run("rsync-token", tests, ARRAY_SIZE(tests));
}
