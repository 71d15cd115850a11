/*
 * What is found in a new file are blocks of the old one, all of those that can be found, and with the literal bytes
 * between them they make the new file again; sums that collide cost no time.
 */
#include "base/buf.h"
#include "quick.h"
#include "scratch.h"
#include "transfer/rsync/rsync_match.h"
#include "transfer/rsync/rsync_slide.h"
#include "transfer/rsync/rsync_weak.h"

enum { KIB = 1024, MIB = 1024 * KIB };

/* ---- the receiver's side ---- */

struct basis {
        struct rsync_session session;
        struct rsync_sums sums;
        const unsigned char *content;
        size_t size;
        unsigned char *data; /* of the sums */
};

static void put_little(unsigned char *to, uint32_t n)
{
        for (unsigned i = 0; i < 4; i++)
                to[i] = (unsigned char)(n >> 8 * i);
}

/* The sums of @size bytes. A digest shorter than @strong is followed by zeros. */
static struct basis basis_of(const struct rsync_session *session, const void *content, size_t size, uint32_t block,
                             uint32_t strong)
{
        struct basis b = { .session = *session, .content = content, .size = size };
        unsigned char *at;

        b.sums = (struct rsync_sums){ .count = (uint32_t)((size + block - 1) / block),
                                      .block_size = block,
                                      .strong_size = strong,
                                      .remainder = (uint32_t)(size % block) };
        ck_assert(rsync_sums_are_sane(&b.sums));
        b.sums.data = b.data = at = calloc(1, (size_t)rsync_sums_size(&b.sums) + 1);
        ck_assert_ptr_nonnull(at);
        for (uint32_t i = 0; i < b.sums.count; i++) {
                const unsigned char *bytes = b.content + (size_t)i * block;
                uint8_t digest[RSYNC_DIGEST_MAX];

                put_little(at, rsync_weak_value(rsync_weak_of(bytes, rsync_sums_block(&b.sums, i))));
                rsync_digest_block(session->checksum, session->seed, session->compat & RSYNC_COMPAT_SEED_FIRST, bytes,
                                   rsync_sums_block(&b.sums, i), digest);
                memcpy(at + 4, digest, size_min(strong, rsync_checksum_size(session->checksum)));
                at += 4 + strong;
        }
        return b;
}

/* What the receiver makes of what it is told. */
struct result {
        const struct basis *basis;
        struct buf content;
        size_t blocks, literals;
        uint32_t last;     /* block that was told */
        size_t jumps;      /* blocks that did not follow the one before */
        size_t fail_after; /* calls, if not 0 */
};

static int fail_some_day(struct result *r)
{
        return r->fail_after > 0 && --r->fail_after == 0 ? -EPIPE : 0;
}

static int take_literal(void *context, const void *data, size_t size)
{
        struct result *r = context;

        quick_assert(size > 0 && size <= RSYNC_LITERAL_MAX);
        r->literals++;
        quick_assert(buf_append(&r->content, data, size) == 0);
        return fail_some_day(r);
}

static int take_block(void *context, uint32_t index, const void *data, size_t size)
{
        struct result *r = context;
        const struct basis *b = r->basis;

        quick_assert(index < b->sums.count && size == rsync_sums_block(&b->sums, index));
        quick_assert(memcmp(data, b->content + (size_t)index * b->sums.block_size, size) == 0);
        r->jumps += r->blocks > 0 && index != r->last + 1;
        r->last = index;
        r->blocks++;
        quick_assert(buf_append(&r->content, data, size) == 0);
        return fail_some_day(r);
}

/* Match @size bytes that come in pieces. Return the literal ones. */
static uint64_t match(const struct basis *b, const void *content, size_t size, size_t piece, struct result *ret)
{
        const unsigned char *bytes = content;
        struct rsync_match_target target = { take_literal, take_block, ret };
        struct rsync_match *m = rsync_match_new(&b->session, &b->sums, &target);
        uint64_t literal;

        ck_assert_ptr_nonnull(m);
        *ret = (struct result){ .basis = b };
        for (size_t at = 0; at < size; at += piece)
                quick_assert(rsync_match_feed(m, bytes + at, size_min(piece, size - at)) == 0);
        quick_assert(rsync_match_end(m) == 0);
        literal = rsync_match_literal_bytes(m);
        quick_assert(ret->content.size == size);
        quick_assert(size == 0 || memcmp(ret->content.data, content, size) == 0);
        quick_assert(literal + rsync_match_matched_bytes(m) == size);
        quick_assert(rsync_match_waste_bytes(m) <= RSYNC_WASTE_FREE + (RSYNC_WASTE_EACH + 2) * (uint64_t)size);
        rsync_match_free(m);
        buf_deinit(&ret->content);
        return literal;
}

static uint64_t literal_bytes(const struct basis *b, const void *content, size_t size)
{
        struct result r;

        return match(b, content, size, 64 * KIB, &r);
}

static const struct rsync_session session = { .checksum = RSYNC_XXH128, .seed = -77 };

static uint32_t next_random(uint32_t *state)
{
        *state = *state * 1664525 + 1013904223;
        return *state >> 8;
}

static unsigned char *noise_of(size_t size, uint32_t seed)
{
        unsigned char *bytes = malloc(size + 1);

        ck_assert_ptr_nonnull(bytes);
        for (size_t i = 0; i < size; i++)
                bytes[i] = (unsigned char)(next_random(&seed) >> 8);
        return bytes;
}

/* ---- rolling checksums ---- */

static uint32_t plain_weak(const unsigned char *data, size_t size)
{
        uint32_t plain = 0, weighted = 0;

        for (size_t i = 0; i < size; i++) {
                plain += (uint32_t)(signed char)data[i];
                weighted += (uint32_t)(size - i) * (uint32_t)(signed char)data[i];
        }
        return (plain & 0xffff) | weighted << 16;
}

START_TEST(rolling_checksums_are_as_documented)
{
        unsigned char bytes[1400];

        for (unsigned i = 0; i < sizeof(bytes); i++)
                bytes[i] = (unsigned char)(7 * i % 251);
        ck_assert_uint_eq(rsync_weak_value(rsync_weak_of(bytes, 700)), 0x01090331);
        ck_assert_uint_eq(rsync_weak_value(rsync_weak_of(bytes + 700, 700)), 0xe462fa5e);
        ck_assert_uint_eq(rsync_weak_value(rsync_weak_of(bytes, 0)), 0);
}
END_TEST

START_TEST(rolling_checksums_of_all_sizes_are_right)
{
        unsigned char *bytes = noise_of(3 * RSYNC_BLOCK_MAX, 1);

        for (size_t size = 0; size < 600; size++)
                quick_assert(rsync_weak_value(rsync_weak_of(bytes + size, size)) == plain_weak(bytes + size, size));
        memset(bytes, 0x80, RSYNC_BLOCK_MAX);
        memset(bytes + RSYNC_BLOCK_MAX, 0x7f, RSYNC_BLOCK_MAX);
        for (size_t at = 0; at < 2 * RSYNC_BLOCK_MAX; at += RSYNC_BLOCK_MAX / 3)
                quick_assert(rsync_weak_value(rsync_weak_of(bytes + at, RSYNC_BLOCK_MAX)) ==
                             plain_weak(bytes + at, RSYNC_BLOCK_MAX));
        free(bytes);
}
END_TEST

START_TEST(rolling_checksums_roll)
{
        static const uint32_t sizes[] = { 1, 2, 17, 700, 65536, RSYNC_BLOCK_MAX };
        unsigned char *bytes = noise_of(MIB, 2);

        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                uint32_t size = sizes[i];
                struct rsync_weak w = rsync_weak_of(bytes, size);

                for (size_t at = 0; at < 2000; at++) {
                        quick_assert(rsync_weak_value(w) == rsync_weak_value(rsync_weak_of(bytes + at, size)));
                        w = rsync_weak_roll(w, size, (signed char)bytes[at], (signed char)bytes[at + size]);
                }
        }
        free(bytes);
}
END_TEST

/* By eight or one by one, a window stops at the same places, with the same sums. */
START_TEST(windows_slide_to_where_a_block_may_be)
{
        enum { SIZE = 100000 };
        static const uint32_t blocks[] = { 1, 7, 700, 1000, 65536 };
        unsigned char *bytes = noise_of(SIZE, 12);
        size_t stops = 0;

        for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
                struct basis b = basis_of(&session, bytes + 50, SIZE - 50, blocks[i], 2);
                const unsigned char *at = bytes, *last = bytes + SIZE - blocks[i];
                struct rsync_weak w = rsync_weak_of(bytes, blocks[i]);
                struct rsync_table t;

                ck_assert_int_eq(rsync_table_init(&t, &b.sums), 0);
                for (; at < last; stops++) {
                        const unsigned char *end = at + size_min((size_t)(last - at), 1 + stops % 100), *before = at;

                        at = rsync_slide(&t, &w, blocks[i], at, end);
                        quick_assert(at > before && at <= end);
                        quick_assert(rsync_weak_value(w) == rsync_weak_value(rsync_weak_of(at, blocks[i])));
                        quick_assert(at == end || rsync_table_may_have(&t, rsync_weak_value(w)));
                        while (++before < at)
                                quick_assert(
                                        !rsync_table_may_have(&t, rsync_weak_value(rsync_weak_of(before, blocks[i]))));
                }
                rsync_table_deinit(&t);
                free(b.data);
        }
        ck_assert_uint_gt(stops, 1000);
        free(bytes);
}
END_TEST

START_TEST(heads_that_cannot_be_are_refused)
{
        static const struct rsync_sums good[] = {
                { .count = 0 },
                { .count = 0, .block_size = 700 },
                { .count = 1, .block_size = 700, .strong_size = 0, .remainder = 700 },
                { .count = INT32_MAX, .block_size = 131072, .strong_size = 16, .remainder = 1 },
        };
        static const struct rsync_sums bad[] = {
                { .count = 0x80000000, .block_size = 700, .strong_size = 2 },
                { .count = 1, .block_size = 0, .strong_size = 2 },
                { .count = 1, .block_size = 131073, .strong_size = 2 },
                { .count = 0, .block_size = 0xffffffff },
                { .count = 1, .block_size = 700, .strong_size = 17 },
                { .count = 1, .block_size = 700, .strong_size = 2, .remainder = 701 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(good); i++)
                ck_assert(rsync_sums_are_sane(&good[i]));
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                ck_assert(!rsync_sums_are_sane(&bad[i]));
        ck_assert_uint_eq(rsync_sums_size(&good[3]), 20ull * INT32_MAX);
        ck_assert_uint_eq(rsync_sums_block(&good[3], INT32_MAX - 1), 1);
        ck_assert_uint_eq(rsync_sums_block(&good[3], 0), 131072);
}
END_TEST

/* ---- what must be found ---- */

/* What a real conversation had. */
START_TEST(the_documented_example_is_found)
{
        static const unsigned char sums[] = "\x31\x03\x09\x01\xde\xc7\x5e\xfa\x62\xe4\x26\xa8";
        struct rsync_session with_md5 = { .checksum = RSYNC_MD5, .compat = RSYNC_COMPAT_SEED_FIRST, .seed = 1 };
        unsigned char old[1400], new[1402];
        struct basis b;
        struct result r;

        for (unsigned i = 0; i < sizeof(old); i++)
                old[i] = (unsigned char)(7 * i % 251);
        memcpy(new, old, 700);
        memcpy(new + 700, "XY", 2);
        memcpy(new + 702, old + 700, 700);
        b = basis_of(&with_md5, old, sizeof(old), 700, 2);
        ck_assert_mem_eq(b.data, sums, 12);
        ck_assert_uint_eq(match(&b, new, sizeof(new), 100, &r), 2);
        ck_assert_uint_eq(r.blocks, 2);
        ck_assert_uint_eq(r.literals, 1);
        ck_assert_uint_eq(r.jumps, 0);
        free(b.data);
}
END_TEST

enum { OLD = 100 * 1000 + 300, B = 1000 };

/* Replace @gone bytes at @at by @come ones; what must be sent is @literal. */
struct edit {
        size_t at, gone, come, literal;
};

static const struct edit edits[] = {
        { 0, 0, 0, 0 },     /* nothing */
        { 50000, 1, 1, B }, /* a byte, in a block */
        { 50500, 1, 1, B },
        { 50999, 1, 1, B },
        { 50999, 2, 2, 2 * B }, /* over a border */
        { 50000, 0, 7, 7 },     /* inserted at a border */
        { 50300, 0, 7, B + 7 }, /* in a block */
        { 50300, 7, 0, B - 7 }, /* deleted */
        { 50000, 7, 0, B - 7 },
        { 50000, 3 * B, 0, 0 }, /* whole blocks */
        { 50000, 3 * B, 70000, 70000 },
        { 0, 0, 1, 1 }, /* in front of all */
        { 0, 0, 70000, 70000 },
        { 0, 1, 0, B - 1 },
        { 0, B, 0, 0 },
        { OLD, 0, 1, 1 }, /* behind it: the last block is short, and yet found */
        { OLD, 0, 70000, 70000 },
        { OLD - 1, 1, 0, 299 },
        { OLD - 300, 300, 0, 0 },
        { OLD - 300, 0, 5, 5 }, /* in front of the last block, which is found at the end */
        { OLD - 400, 0, 5, B + 5 },
        { 0, OLD - 300, 0, 0 },
        { 0, OLD, 0, 0 }, /* all of it */
        { 0, OLD, 300, 300 },
};

static uint64_t literal_after(const struct basis *b, const struct edit *e, const unsigned char *noise, size_t piece)
{
        size_t size = OLD - e->gone + e->come;
        unsigned char *new = malloc(size + 1);
        struct result r;
        uint64_t literal;

        ck_assert_ptr_nonnull(new);
        memcpy(new, b->content, e->at);
        memcpy(new + e->at, noise, e->come);
        memcpy(new + e->at + e->come, b->content + e->at + e->gone, OLD - e->at - e->gone);
        literal = match(b, new, size, piece, &r);
        free(new);
        return literal;
}

START_TEST(only_what_changed_is_literal)
{
        static const size_t pieces[] = { 1, 999, 1000, 4096, MIB };
        unsigned char *old = noise_of(OLD, 3), *noise = noise_of(70000, 4);
        struct basis b = basis_of(&session, old, OLD, B, 4);

        for (size_t p = 0; p < ARRAY_SIZE(pieces); p++)
                for (size_t i = 0; i < ARRAY_SIZE(edits); i++)
                        ck_assert_uint_eq(literal_after(&b, &edits[i], noise, pieces[p]), edits[i].literal);
        free(b.data);
        free(old);
        free(noise);
}
END_TEST

START_TEST(what_moved_is_found)
{
        unsigned char *old = noise_of(OLD, 5), *new = malloc(3 * OLD);
        struct basis b = basis_of(&session, old, OLD, B, 4);
        struct result r;

        ck_assert_ptr_nonnull(new);
        /* The second half before the first one; the short block is in the middle then, and found as its place is known.
         */
        memcpy(new, old + 50000, OLD - 50000);
        memcpy(new + OLD - 50000, old, 50000);
        ck_assert_uint_eq(literal_bytes(&b, new, OLD), 0);
        /* Three times the same, at any offset. */
        memcpy(new, old, OLD);
        memcpy(new + OLD, old, OLD);
        memcpy(new + 2 * (size_t)OLD, old, OLD);
        ck_assert_uint_eq(match(&b, new, 3 * (size_t)OLD, 10000, &r), 0);
        ck_assert_uint_eq(r.jumps, 2);
        /* Blocks backwards. */
        for (size_t i = 0; i < OLD / B; i++)
                memcpy(new + i *B, old + (OLD / B - 1 - i) * B, B);
        ck_assert_uint_eq(literal_bytes(&b, new, OLD / B * B), 0);
        free(b.data);
        free(old);
        free(new);
}
END_TEST

/* Of the same block many times, that which follows the last one is taken, or else that of the same offset. */
START_TEST(runs_of_the_same_block_are_told_as_runs)
{
        enum { SIZE = 4 * MIB, BLOCK = 2 * KIB };
        unsigned char *old = calloc(1, SIZE), *new = calloc(1, SIZE);
        struct basis b;
        struct result r;

        ck_assert(old && new);
        memset(old + SIZE / 2, 'x', 10 * BLOCK);
        memcpy(new, old, SIZE);
        b = basis_of(&session, old, SIZE, BLOCK, 4);
        ck_assert_uint_eq(match(&b, new, SIZE, 50000, &r), 0);
        ck_assert_uint_eq(r.jumps, 0);
        memset(new + SIZE / 4, 'y', 3 * BLOCK);
        ck_assert_uint_eq(match(&b, new, SIZE, 50000, &r), 3 * BLOCK);
        ck_assert_uint_eq(r.jumps, 1);
        /* What becomes zeros in between, too. */
        memset(new + SIZE / 2 + 3 * BLOCK, 0, 2 * BLOCK);
        ck_assert_uint_eq(match(&b, new, SIZE, 50000, &r), 3 * BLOCK);
        ck_assert_uint_le(r.jumps, 4);
        free(b.data);
        free(old);
        free(new);
}
END_TEST

START_TEST(files_of_all_sizes_become_each_other)
{
        static const size_t sizes[] = { 0, 1, 99, 100, 101, 199, 200, 201, 299, 300, 350 };
        unsigned char *bytes = noise_of(1000, 6);

        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                struct basis b = basis_of(&session, bytes, sizes[i], 100, 3);

                for (size_t j = 0; j < ARRAY_SIZE(sizes); j++) {
                        struct result r;
                        size_t both = size_min(sizes[i], sizes[j]);
                        uint64_t expected = sizes[i] <= sizes[j] ? sizes[j] - both : both % 100;

                        for (size_t piece = 1; piece < 400; piece += 33) {
                                ck_assert_uint_eq(match(&b, bytes, sizes[j], piece, &r), expected);
                                match(&b, bytes + 500, sizes[j], piece, &r);
                        }
                }
                free(b.data);
        }
        free(bytes);
}
END_TEST

/* ---- all kinds of changes ---- */

static size_t edit(unsigned char *bytes, size_t size, size_t room, uint32_t *random)
{
        size_t at = next_random(random) % (size + 1), n = (size_t)next_random(random) % 3000;
        size_t from = next_random(random) % (size + 1);

        n = size_min(n, size_min(size - at, size - from));
        switch (next_random(random) % 6) {
        case 0:
                memset(bytes + at, 0, n);
                return size;
        case 1: /* deleted */
                memmove(bytes + at, bytes + at + n, size - at - n);
                return size - n;
        case 2: /* inserted: a copy of what is elsewhere */
                if (size + n > room)
                        return size;
                memmove(bytes + at + n, bytes + at, size - at);
                memmove(bytes + at, bytes + from, n);
                return size + n;
        case 3: /* moved over something else */
                memmove(bytes + at, bytes + from, n);
                return size;
        case 4:
                for (size_t i = 0; i < n; i += 50)
                        bytes[at + i] ^= (unsigned char)next_random(random);
                return size;
        default:
                for (size_t i = 1; i < n; i++) /* repeated */
                        bytes[at + i] = bytes[at + i % 7];
                return size;
        }
}

static void random_versions(const struct rsync_session *s, uint32_t random, uint32_t strong)
{
        enum { ROOM = 60000 };
        static const size_t pieces[] = { 1, 7, 1000, 65536, MIB };
        uint32_t block = 1 + next_random(&random) % (next_random(&random) % 2 ? 50 : 2000);
        unsigned char *old = noise_of(ROOM, random), *new = malloc(ROOM);
        size_t size = next_random(&random) % 40000, new_size = size;
        struct basis b;
        struct result r;

        ck_assert_ptr_nonnull(new);
        for (int i = 0; i < 5; i++)
                new_size = size = edit(old, size, ROOM, &random);
        memcpy(new, old, size);
        b = basis_of(s, old, size, block, strong);
        for (int i = 0; i < 12; i++) {
                new_size = edit(new, new_size, ROOM, &random);
                match(&b, new, new_size, pieces[next_random(&random) % ARRAY_SIZE(pieces)], &r);
        }
        free(b.data);
        free(old);
        free(new);
}

START_TEST(random_versions_become_each_other)
{
        static const int32_t seeds[] = { 0, 1, -1, -77, INT32_MIN, INT32_MAX };
        uint32_t random = 4711;

        for (int checksum = 0; checksum < RSYNC_CHECKSUMS; checksum++) {
                for (size_t i = 0; i < ARRAY_SIZE(seeds); i++) {
                        struct rsync_session s = { .checksum = (enum rsync_checksum)checksum, .seed = seeds[i] };

                        for (uint32_t strong = 6; strong <= 16; strong += 5) {
                                s.compat = strong == 11 ? RSYNC_COMPAT_SEED_FIRST : 0;
                                random_versions(&s, next_random(&random), strong);
                        }
                }
        }
}
END_TEST

/* A seed that is not the one of the sums, or in another place: nothing is found. */
START_TEST(sums_depend_on_the_seed)
{
        unsigned char *old = noise_of(50000, 7);
        struct rsync_session s = { .checksum = RSYNC_MD5, .seed = 5 };
        struct basis b = basis_of(&s, old, 50000, 700, 4);

        ck_assert_uint_eq(literal_bytes(&b, old, 50000), 0);
        b.session.compat = RSYNC_COMPAT_SEED_FIRST;
        ck_assert_uint_eq(literal_bytes(&b, old, 50000), 50000);
        b.session.compat = 0;
        b.session.seed = 6;
        ck_assert_uint_eq(literal_bytes(&b, old, 50000), 50000);
        free(b.data);
        free(old);
}
END_TEST

/* ---- sums that nobody's file has ---- */

START_TEST(without_strong_sums_nothing_is_found)
{
        unsigned char *old = noise_of(50000, 8);
        struct basis b = basis_of(&session, old, 50000, 700, 0);

        ck_assert_uint_eq(literal_bytes(&b, old, 50000), 50000);
        free(b.data);
        b = basis_of(&session, old, 0, 700, 2);
        ck_assert_uint_eq(literal_bytes(&b, old, 50000), 50000);
        free(b.data);
        free(old);
}
END_TEST

/* Every window has the rolling checksum of every block, and none is one. match() looks at what was spent. */
START_TEST(equal_weak_sums_cost_no_time)
{
        enum { COUNT = 200000, SIZE = 300000 };
        static const uint32_t blocks[] = { 1, 1024, RSYNC_BLOCK_MAX };
        unsigned char *zeros = calloc(1, SIZE), *sums = noise_of((size_t)COUNT * 8, 9);
        struct basis b = { .session = session };
        struct result r;

        ck_assert_ptr_nonnull(zeros);
        for (size_t i = 0; i < COUNT; i++)
                put_little(sums + 8 * i, 0);
        for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
                b.sums = (struct rsync_sums){ .count = COUNT, .block_size = blocks[i], .strong_size = 4, .data = sums };
                ck_assert_uint_eq(match(&b, zeros, SIZE, 10000, &r), SIZE);
        }
        free(zeros);
        free(sums);
}
END_TEST

/* Nor when they are found, where blocks are as small as can be. */
START_TEST(tiny_blocks_are_found)
{
        unsigned char *old = noise_of(100000, 10);
        struct basis b = basis_of(&session, old, 100000, 1, 2);

        ck_assert_uint_eq(literal_bytes(&b, old, 100000), 0);
        ck_assert_uint_eq(literal_bytes(&b, old + 1, 99999), 0);
        free(b.data);
        free(old);
}
END_TEST

START_TEST(errors_of_the_target_stay)
{
        unsigned char *old = noise_of(100000, 11);
        struct basis b = basis_of(&session, old + 150, 90000, 1000, 4);

        for (size_t after = 1; after <= 93; after++) {
                struct result r = { .basis = &b, .fail_after = after };
                struct rsync_match_target target = { take_literal, take_block, &r };
                struct rsync_match *m = rsync_match_new(&b.session, &b.sums, &target);
                int error = rsync_match_feed(m, old, 100000);

                ck_assert(error == -EPIPE || (error == 0 && after > 91));
                ck_assert_int_eq(rsync_match_end(m), after <= 92 ? -EPIPE : 0);
                ck_assert_int_eq(rsync_match_feed(m, old, after <= 92 ? 1 : 0), after <= 92 ? -EPIPE : 0);
                ck_assert_uint_eq(r.blocks + r.literals, size_min(after, 92));
                rsync_match_free(m);
                buf_deinit(&r.content);
        }
        free(b.data);
        free(old);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                rolling_checksums_are_as_documented,
                rolling_checksums_of_all_sizes_are_right,
                rolling_checksums_roll,
                windows_slide_to_where_a_block_may_be,
                heads_that_cannot_be_are_refused,
                the_documented_example_is_found,
                only_what_changed_is_literal,
                what_moved_is_found,
                runs_of_the_same_block_are_told_as_runs,
                files_of_all_sizes_become_each_other,
                random_versions_become_each_other,
                sums_depend_on_the_seed,
                without_strong_sums_nothing_is_found,
                equal_weak_sums_cost_no_time,
                tiny_blocks_are_found,
                errors_of_the_target_stay,
        };

        return scratch_run("rsync-match", tests, ARRAY_SIZE(tests));
}
