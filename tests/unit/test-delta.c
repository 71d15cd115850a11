/* A file becomes another one by what is not in it: all kinds of changes, hostile peers, files that change meanwhile. */
#include "base/fd.h"
#include "base/stop.h"
#include "delta-pump.h"
#include "quick.h"
#include "scratch.h"

#include "base/err.h"
#include "transfer/delta/delta_format.h"
#include "transfer/delta/delta_search.h"

#include <signal.h>
#include <sys/mman.h>

enum { KIB = 1024, MIB = 1024 * KIB, SEED = 4711 };

/* With it linked statically its allocations fail too, at which it ends the program. */
#ifdef LIBRSYNC_STATIC_DEFINE
enum { LIBRSYNC_IS_STATIC = 1 };
#else
enum { LIBRSYNC_IS_STATIC = 0 };
#endif

/* Allocations, those of librsync and libxxhash not among them: number @allocation_to_fail fails. */
static unsigned long allocations, allocation_to_fail;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_malloc(size_t size)
{
        return ++allocations == allocation_to_fail ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
        return ++allocations == allocation_to_fail ? NULL : __real_calloc(count, size);
}

/* Files are in memory. */
static int file_of(const void *data, size_t size)
{
        int fd = memfd_create("delta", MFD_CLOEXEC);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(fd_pwrite_full(fd, data, size, 0), 0);
        return fd;
}

static uint64_t random_state = 1;

static uint64_t random_number(void)
{
        random_state ^= random_state << 13;
        random_state ^= random_state >> 7;
        random_state ^= random_state << 17;
        return random_state;
}

static uint64_t random_below(uint64_t limit)
{
        return limit ? random_number() % limit : 0;
}

static void fill_random(unsigned char *data, size_t size)
{
        for (size_t i = 0; i < size; i++)
                data[i] = (unsigned char)(random_number() >> 32);
}

static unsigned char *random_bytes(size_t size)
{
        unsigned char *data = malloc(size + 1);

        fill_random(data, size);
        return data;
}

static bool has_content(int fd, const void *data, size_t size)
{
        struct stat st;
        char *have = malloc(size + 1);
        bool is_same;

        ck_assert_int_eq(fstat(fd, &st), 0);
        is_same = st.st_size == (off_t)size && fd_pread_full(fd, have, size, 0) == (ssize_t)size &&
                  (size == 0 || memcmp(have, data, size) == 0);
        free(have);
        return is_same;
}

/* Make @new of @old, and check that it is. */
static struct pump become(const void *old, size_t old_size, const void *new, size_t new_size,
                          size_t (*piece)(void *context))
{
        struct pump p = {
                .basis = { .old = file_of(old, old_size), .old_size = old_size, .partial = -1 },
                .from = file_of(new, new_size),
                .to = file_of("", 0),
                .size = new_size,
                .seed = SEED,
                .piece = piece,
        };

        ck_assert_int_eq(pump_run(&p), DELTA_GOOD);
        ck_assert(has_content(p.to, new, new_size));
        close(p.basis.old);
        close(p.from);
        close(p.to);
        ck_assert_uint_eq(p.stats.kept_bytes + p.stats.copied_bytes + p.stats.data_bytes + p.stats.zero_bytes,
                          new_size);
        return p;
}

static size_t one_byte(void *context)
{
        (void)context;
        return 1;
}

static size_t any_piece(void *context)
{
        (void)context;
        return 1 + random_below(random_below(2) ? 100 : PUMP_PIECE_MAX);
}

START_TEST(files_of_all_sizes_become_each_other)
{
        static const size_t sizes[] = { 0,     1,     4095,  4096,   4097,   8192,   8193,
                                        65535, 65536, 65537, 262143, 262144, 262145, 300000 };
        unsigned char *a = random_bytes(sizes[ARRAY_SIZE(sizes) - 1]), *b = random_bytes(sizes[ARRAY_SIZE(sizes) - 1]);

        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                for (size_t j = 0; j < ARRAY_SIZE(sizes); j++) {
                        size_t both = size_min(sizes[i], sizes[j]);
                        struct pump p = become(a, sizes[i], a, sizes[j], i == j ? one_byte : NULL);

                        ck_assert_uint_ge(p.stats.kept_bytes, sizes[i] <= sizes[j] ? both : both - both % 4096);
                        become(a, sizes[i], b, sizes[j], any_piece);
                }
        }
        free(a);
        free(b);
}
END_TEST

START_TEST(an_equal_file_costs_its_sums)
{
        unsigned char *a = random_bytes(8 * MIB);
        struct pump p = become(a, 8 * MIB - 5, a, 8 * MIB - 5, NULL);

        ck_assert_uint_le(p.delta_bytes, 40);
        ck_assert_uint_eq(p.signature_bytes, 32 + 2048 * 5);
        ck_assert(!p.has_searched);
        free(a);
}
END_TEST

/* Blocks: 'z' of zeros, anything else of random data. */
static unsigned char *patterned_bytes(const char *pattern)
{
        unsigned char *data = random_bytes(strlen(pattern) * DELTA_UNIT);

        for (size_t i = 0; pattern[i]; i++) {
                if (pattern[i] == 'z')
                        memset(data + i * DELTA_UNIT, 0, DELTA_UNIT);
        }
        return data;
}

START_TEST(blocks_of_zeros_are_counted_in_a_signature)
{
        static const struct {
                const char *pattern;
                size_t numbers;
        } cases[] = {
                { "xxxxxxxxxxxxxxxx", 16 }, { "zzzzzzzzzzzzzzzz", 2 },  { "zxxxxxxxxxxxxxxx", 17 },
                { "xxxxxxxxxxxxxxxz", 17 }, { "xzxzxzxzxzxzxzxz", 24 }, { "xxxxzzzzzzzzxxxx", 10 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                size_t size = strlen(cases[i].pattern) * DELTA_UNIT;
                unsigned char *a = patterned_bytes(cases[i].pattern), *b = random_bytes(size);
                struct pump p = become(a, size, a, size, i % 2 ? one_byte : NULL);

                ck_assert_uint_eq(p.signature_bytes, DELTA_HEADER_SIZE + cases[i].numbers * DELTA_SUM_SIZE);
                ck_assert_uint_eq(p.stats.kept_bytes, size);
                become(a, size, b, size, any_piece);
                become(b, size, a, size, any_piece);
                for (size_t j = 0; j < ARRAY_SIZE(cases); j++) {
                        unsigned char *c = patterned_bytes(cases[j].pattern);

                        become(a, size - random_below(DELTA_UNIT), c, size - random_below(DELTA_UNIT), any_piece);
                        free(c);
                }
                free(a);
                free(b);
        }
}
END_TEST

/* Of the size of a disk, with some data here and there, and some more in the new version. */
START_TEST(a_hole_costs_nothing_however_large_it_is)
{
        const uint64_t size = UINT64_C(2) << 40;
        struct pump p = { .basis = { .old = file_of("", 0), .old_size = size, .partial = -1 },
                          .from = file_of("", 0),
                          .to = file_of("", 0),
                          .size = size,
                          .seed = SEED,
                          .has_holes = true };
        unsigned char *a = random_bytes(MIB), *b = malloc(MIB);

        for (uint64_t i = 0; i < 5; i++) {
                ck_assert_int_eq(fd_pwrite_full(p.basis.old, a, MIB, (off_t)(i * (size / 5))), 0);
                ck_assert_int_eq(fd_pwrite_full(p.from, a, MIB, (off_t)(i * (size / 5))), 0);
        }
        ck_assert_int_eq(fd_pwrite_full(p.from, a, 100 * KIB, (off_t)(size / 2 + 12345)), 0);
        ck_assert_int_eq(ftruncate(p.basis.old, (off_t)size), 0);
        ck_assert_int_eq(ftruncate(p.from, (off_t)size), 0);
        ck_assert_int_eq(pump_run(&p), DELTA_GOOD);
        ck_assert_uint_le(p.signature_bytes, 2000);
        ck_assert_uint_le(p.delta_bytes, MIB);
        for (uint64_t i = 0; i < 5; i++) {
                ck_assert_int_eq(fd_pread_full(p.to, b, MIB, (off_t)(i * (size / 5))), MIB);
                ck_assert_mem_eq(a, b, MIB);
        }
        ck_assert_int_eq(fd_pread_full(p.to, b, 100 * KIB, (off_t)(size / 2 + 12345)), 100 * KIB);
        ck_assert_mem_eq(a, b, 100 * KIB);
        free(a);
        free(b);
        close(p.basis.old);
        close(p.from);
        close(p.to);
}
END_TEST

START_TEST(scattered_changes_cost_their_blocks)
{
        unsigned char *a = random_bytes(16 * MIB), *b = malloc(16 * MIB);
        struct pump p;

        memcpy(b, a, 16 * MIB);
        for (size_t i = 0; i < 40; i++)
                b[i * 100 * 4096 + 17 * i] ^= 1;
        p = become(a, 16 * MIB, b, 16 * MIB, any_piece);
        ck_assert_uint_eq(p.stats.data_bytes, 40 * 4096);
        ck_assert_uint_le(p.delta_bytes, 40 * (4096 + 8) + 40);
        ck_assert(!p.has_searched);
        free(a);
        free(b);
}
END_TEST

START_TEST(what_is_appended_is_all_that_is_sent)
{
        unsigned char *a = random_bytes(5 * MIB);
        struct pump p = become(a, 3 * MIB + 123, a, 5 * MIB, NULL);

        ck_assert_uint_eq(p.stats.kept_bytes, 3 * MIB + 123);
        ck_assert(!p.has_searched);
        p = become(a, 5 * MIB, a, 3 * MIB + 123, NULL);
        ck_assert_uint_eq(p.stats.data_bytes, 123);
        free(a);
}
END_TEST

START_TEST(what_moved_is_found)
{
        static const size_t inserts[] = { 1, 15, 4096, 100000 };
        unsigned char *a = random_bytes(9 * MIB), *b = malloc(9 * MIB);

        for (size_t i = 0; i < ARRAY_SIZE(inserts); i++) {
                size_t n = inserts[i];
                struct pump p;

                /* In front, in the middle, and gone from the front. */
                fill_random(b, n);
                memcpy(b + n, a, 8 * MIB);
                p = become(a, 8 * MIB, b, 8 * MIB + n, any_piece);
                ck_assert(p.has_searched);
                ck_assert_uint_le(p.stats.data_bytes, n + 8192);
                ck_assert_uint_ge(p.stats.copied_bytes, 8 * MIB - 8192);
                p = become(b, 8 * MIB + n, a, 8 * MIB, any_piece);
                ck_assert_uint_le(p.stats.data_bytes, 8192);
                memcpy(b, a, 6 * MIB);
                fill_random(b + 6 * MIB, n);
                memcpy(b + 6 * MIB + n, a + 6 * MIB, 2 * MIB);
                p = become(a, 8 * MIB, b, 8 * MIB + n, NULL);
                ck_assert_uint_ge(p.stats.kept_bytes, 6 * MIB);
                ck_assert_uint_le(p.stats.data_bytes, n + 8192);
                /* The part that is the same needs no second signature. */
                ck_assert_uint_le(p.search_bytes, 2 * MIB / 4096 * 16 + 12);
        }
        /* What goes on behind something that was kept, in another part that was put off. */
        memcpy(b, a + 4 * MIB, MIB);
        memcpy(b + MIB, a + MIB, 4096);
        memcpy(b + MIB + 4096, a + 5 * MIB, 3 * MIB);
        ck_assert_uint_eq(become(a, 8 * MIB, b, 4 * MIB + 4096, NULL).stats.data_bytes, 0);
        /* Both halves have changed places. */
        memcpy(b, a + 4 * MIB, 4 * MIB);
        memcpy(b + 4 * MIB, a, 4 * MIB);
        ck_assert_uint_eq(become(a, 8 * MIB, b, 8 * MIB, NULL).stats.data_bytes, 0);
        free(a);
        free(b);
}
END_TEST

START_TEST(a_search_goes_on_as_long_as_it_finds_something)
{
        enum { SIZE = 40 * MIB };
        unsigned char *a = random_bytes(SIZE);

        ck_assert_uint_le(become(a, SIZE, a + 15, SIZE - 15, NULL).stats.data_bytes, 8192);
        free(a);
}
END_TEST

START_TEST(a_search_without_success_is_given_up_but_for_samples)
{
        enum { NEW = 20 * MIB, OLD = 48 * MIB };
        unsigned char *a = random_bytes(OLD), *b = malloc(NEW + OLD);
        struct pump p;

        fill_random(b, NEW);
        memcpy(b + NEW, a, OLD);
        p = become(a, OLD, b, NEW + OLD, NULL);
        /* Eight MiB of patience, a pause of sixteen, and then a sample succeeds. */
        ck_assert_uint_ge(p.stats.data_bytes, 24 * MIB);
        ck_assert_uint_le(p.stats.data_bytes, 25 * MIB);
        ck_assert_uint_ge(p.stats.copied_bytes, 43 * MIB);
        free(a);
        free(b);
}
END_TEST

START_TEST(zeros_cost_nothing)
{
        unsigned char *a = random_bytes(MIB), *zeros = calloc(1, 20 * MIB);
        struct pump p = become(zeros, 20 * MIB, zeros, 20 * MIB, NULL);

        ck_assert_uint_le(p.delta_bytes, 40);
        p = become(zeros, 10 * MIB, zeros, 20 * MIB, NULL);
        ck_assert_uint_le(p.delta_bytes, 4000);
        p = become(a, MIB, zeros, 20 * MIB, NULL);
        ck_assert_uint_le(p.delta_bytes, 4000);
        memcpy(zeros + 5 * MIB + 7, a, 100);
        p = become(a, MIB, zeros, 20 * MIB, NULL);
        ck_assert_uint_le(p.delta_bytes, 12000);
        free(a);
        free(zeros);
}
END_TEST

/* Random versions. */

enum { VERSION_MAX = 400 * KIB };

struct version {
        unsigned char *data;
        size_t size;
};

static void replace(struct version *v, size_t at, size_t remove, const void *data, size_t size)
{
        remove = size_min(remove, v->size - at);
        size = size_min(size, VERSION_MAX - (v->size - remove));
        memmove(v->data + at + size, v->data + at + remove, v->size - at - remove);
        if (size > 0)
                memcpy(v->data + at, data, size);
        v->size = v->size - remove + size;
}

static size_t random_size(void)
{
        static const size_t limits[] = { 10, 5000, 70000, 200000 };
        size_t n = random_below(limits[random_below(ARRAY_SIZE(limits))]);

        return random_below(3) ? n : n - n % 4096;
}

static void mutate(struct version *v)
{
        static unsigned char noise[200000], zeros[200000];
        size_t at = random_below(v->size + 1), n = random_size(), other = random_below(v->size + 1);
        unsigned char *copy = malloc(v->size + 1);

        if (random_below(2))
                at -= at % 4096;
        fill_random(noise, n);
        memcpy(copy, v->data, v->size);
        switch (random_below(7)) {
        case 0: /* overwrite */
                replace(v, at, n, noise, n);
                break;
        case 1: /* insert */
                replace(v, at, 0, noise, n);
                break;
        case 2: /* remove */
                replace(v, at, n, "", 0);
                break;
        case 3: /* repeat */
                replace(v, at, 0, copy + other, size_min(n, v->size - other));
                break;
        case 4: /* copy over */
                replace(v, at, n, copy + other, size_min(n, v->size - other));
                break;
        case 5: /* zeros */
                replace(v, at, n, zeros, n);
                break;
        default: /* cut off */
                v->size = at;
        }
        free(copy);
}

static struct version random_version(void)
{
        struct version v = { .data = calloc(1, VERSION_MAX), .size = random_below(2) ? random_below(VERSION_MAX) : 0 };

        if (random_below(4))
                fill_random(v.data, v.size);
        return v;
}

/* With holes where there are whole units of zeros. */
static int sparse_file_of(const struct version *v)
{
        int fd = file_of("", 0);

        ck_assert_int_eq(ftruncate(fd, (off_t)v->size), 0);
        for (size_t at = 0; at < v->size; at += 4096) {
                size_t n = size_min(4096, v->size - at);

                if (!delta_is_zero(v->data + at, n))
                        quick_assert(fd_pwrite_full(fd, v->data + at, n, (off_t)at) == 0);
        }
        return fd;
}

START_TEST(random_versions_become_each_other)
{
        for (unsigned i = 0; i < 3000; i++) {
                struct version old = random_version(), new = { .data = malloc(VERSION_MAX), .size = old.size };
                bool has_partial = random_below(3) == 0;
                size_t partial = random_below(VERSION_MAX);
                struct pump p;
                int r;

                memcpy(new.data, old.data, old.size);
                for (uint64_t n = random_below(6); n > 0; n--)
                        mutate(&new);
                p = (struct pump){
                        .basis = { .old = sparse_file_of(&old),
                                   .old_size = old.size,
                                   .partial = has_partial ? file_of(new.data, size_min(partial, new.size)) : -1,
                                   .partial_size = has_partial ? size_min(partial, new.size) : 0 },
                        .from = sparse_file_of(&new),
                        .to = file_of("", 0),
                        .size = new.size,
                        .seed = i,
                        .has_holes = random_below(2),
                        .piece = any_piece,
                };
                r = pump_run(&p);
                ck_assert_msg(r == DELTA_GOOD, "pair %u: %s %d", i, p.failed, r);
                ck_assert_msg(has_content(p.to, new.data, new.size), "pair %u", i);
                close(p.basis.old);
                if (has_partial)
                        close(p.basis.partial);
                close(p.from);
                close(p.to);
                free(old.data);
                free(new.data);
        }
}
END_TEST

START_TEST(what_an_interrupted_transfer_left_is_not_sent_again)
{
        unsigned char *a = random_bytes(4 * MIB), *b = random_bytes(4 * MIB);
        struct pump p = {
                .basis = { .old = file_of(a, 4 * MIB),
                           .old_size = 4 * MIB,
                           .partial = file_of(b, 3 * MIB + 5),
                           .partial_size = 3 * MIB + 5 },
                .from = file_of(b, 4 * MIB),
                .to = file_of("", 0),
                .size = 4 * MIB,
        };

        ck_assert_int_eq(pump_run(&p), DELTA_GOOD);
        ck_assert(has_content(p.to, b, 4 * MIB));
        ck_assert_uint_eq(p.stats.kept_bytes, 3 * MIB);
        /* Without an old version; and what lies behind it is the old one's. */
        p.basis.old = -1;
        p.basis.old_size = 0;
        p.to = file_of("", 0);
        ck_assert_int_eq(pump_run(&p), DELTA_GOOD);
        ck_assert(has_content(p.to, b, 4 * MIB));
        ck_assert_uint_eq(p.stats.kept_bytes, 3 * MIB);
        memcpy(b + 3 * MIB, a + 3 * MIB, MIB);
        p.from = file_of(b, 4 * MIB);
        p.basis.old = file_of(a, 4 * MIB);
        p.basis.old_size = 4 * MIB;
        p.to = file_of("", 0);
        ck_assert_int_eq(pump_run(&p), DELTA_GOOD);
        ck_assert(has_content(p.to, b, 4 * MIB));
        ck_assert_uint_eq(p.stats.data_bytes, 0);
        free(a);
        free(b);
}
END_TEST

/* The disk's own files, for holes and sharing. */
static int disk_file(int dir, const char *name)
{
        int fd = openat(dir, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        ck_assert_int_ge(fd, 0);
        return fd;
}

static blkcnt_t blocks_of(int fd)
{
        struct stat st;

        ck_assert_int_eq(fsync(fd), 0);
        ck_assert_int_eq(fstat(fd, &st), 0);
        return st.st_blocks;
}

START_TEST(holes_stay_holes)
{
        const off_t large = (off_t)300 * 1024 * MIB;
        unsigned char *a = random_bytes(MIB);
        int dir = scratch_directory();
        struct pump p = {
                .basis = { .old = disk_file(dir, "old"), .old_size = (uint64_t)large, .partial = -1 },
                .from = disk_file(dir, "new"),
                .to = disk_file(dir, "to"),
                .size = (uint64_t)large,
                .has_holes = true,
        };

        ck_assert_int_eq(ftruncate(p.basis.old, large), 0);
        ck_assert_int_eq(ftruncate(p.from, large), 0);
        for (off_t at = MIB; at < large; at += 60 * (off_t)1024 * MIB) {
                ck_assert_int_eq(fd_pwrite_full(p.basis.old, a, MIB, at), 0);
                ck_assert_int_eq(fd_pwrite_full(p.from, a, MIB / 2, at + MIB / 4), 0);
        }
        ck_assert_int_eq(pump_run(&p), DELTA_GOOD);
        ck_assert_int_le(blocks_of(p.to), blocks_of(p.from) + 256);
        ck_assert_uint_ge(p.stats.zero_bytes, (uint64_t)large - 6 * MIB);
        free(a);
}
END_TEST

START_TEST(zeros_become_holes_only_where_the_source_has_some)
{
        unsigned char *a = calloc(1, 4 * MIB);
        int dir = scratch_directory();
        struct pump p = {
                .basis = { .old = disk_file(dir, "old"), .old_size = 4 * MIB, .partial = -1 },
                .from = disk_file(dir, "new"),
                .to = disk_file(dir, "to"),
                .size = 6 * MIB,
                .has_holes = true,
        };

        fill_random(a, 4096);
        ck_assert_int_eq(fd_pwrite_full(p.basis.old, a, 4 * MIB, 0), 0);
        ck_assert_int_eq(fd_pwrite_full(p.from, a, 4 * MIB, 0), 0);
        ck_assert_int_eq(fd_pwrite_full(p.from, a, 2 * MIB, 4 * MIB), 0);
        ck_assert_int_eq(pump_run(&p), DELTA_GOOD);
        ck_assert_int_le(blocks_of(p.to), 2 * MIB / 512);
        p.to = disk_file(dir, "other");
        p.has_holes = false;
        ck_assert_int_eq(pump_run(&p), DELTA_GOOD);
        ck_assert_int_ge(blocks_of(p.to), 6 * MIB / 512);
        /* Also where a run of them is too short to be shared. */
        p.from = disk_file(dir, "scattered");
        p.to = disk_file(dir, "another");
        p.size = MIB;
        for (off_t at = 0; at < MIB; at += 4096)
                ck_assert_int_eq(fd_pwrite_full(p.from, at % 3 ? a + 8192 : a, 4096, at), 0);
        ck_assert_int_eq(pump_run(&p), DELTA_GOOD);
        ck_assert_int_ge(blocks_of(p.to), MIB / 512);
        free(a);
}
END_TEST

/* Files that change. */

struct change {
        int fd;
        off_t at, size; /* @size: cut off there, if not 0 */
        bool in_second, is_done;
};

static void change_file(void *context, bool is_second)
{
        struct change *c = context;

        if (c->is_done || is_second != c->in_second)
                return;
        if (c->size)
                ck_assert_int_eq(ftruncate(c->fd, c->size), 0);
        else
                ck_assert_int_eq(fd_pwrite_full(c->fd, "changed", 7, c->at), 0);
        c->is_done = true;
}

START_TEST(a_basis_that_changes_meanwhile_is_noticed)
{
        unsigned char *a = random_bytes(2 * MIB), *b = malloc(2 * MIB);
        int dir = scratch_directory();
        struct change changes[] = {
                { .at = 0 },
                { .at = 2 * MIB - 7 },
                { .at = MIB },
                { .size = MIB },
                { .size = 1 },
                { .at = MIB, .in_second = true },
                { .size = MIB, .in_second = true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
                struct change *c = &changes[i];
                size_t shift = c->in_second ? 20 : 0;
                struct pump p = {
                        .basis = { .old = disk_file(dir, "old"), .old_size = 2 * MIB, .partial = -1 },
                        .from = disk_file(dir, "new"),
                        .to = disk_file(dir, "to"),
                        .size = 2 * MIB,
                        .meanwhile = change_file,
                        .context = c,
                };

                c->fd = p.basis.old;
                memcpy(b, a + shift, 2 * MIB - shift);
                ck_assert_int_eq(fd_pwrite_full(p.basis.old, a, 2 * MIB, 0), 0);
                ck_assert_int_eq(fd_pwrite_full(p.from, b, 2 * MIB, 0), 0);
                if (c->in_second && c->size) {
                        /* Already while it is signed. */
                        ck_assert_int_eq(ftruncate(c->fd, c->size), 0);
                        ck_assert_int_eq(pump_run(&p), DELTA_SHORT);
                        ck_assert_str_eq(p.failed, "sign");
                } else {
                        ck_assert_msg(pump_run(&p) == DELTA_MISMATCH, "change %zu", i);
                        ck_assert(c->is_done);
                }
                close(p.basis.old);
                close(p.from);
                close(p.to);
        }
        free(a);
        free(b);
}
END_TEST

START_TEST(a_source_that_changes_meanwhile_is_sent_as_it_was_read)
{
        unsigned char *a = random_bytes(2 * MIB), *b = malloc(2 * MIB);
        struct change change = { .at = MIB, .in_second = true };
        struct pump p = {
                .basis = { .old = file_of(a, 2 * MIB), .old_size = 2 * MIB, .partial = -1 },
                .to = file_of("", 0),
                .size = 2 * MIB,
                .meanwhile = change_file,
                .context = &change,
                .piece = one_byte,
        };

        memcpy(b + 15, a, 2 * MIB - 15);
        memcpy(b, a, 15);
        p.from = change.fd = file_of(b, 2 * MIB);
        ck_assert_int_eq(pump_run(&p), DELTA_GOOD);
        ck_assert(change.is_done);
        memcpy(b + MIB, "changed", 7);
        ck_assert(has_content(p.to, b, 2 * MIB));
        free(a);
        free(b);
}
END_TEST

START_TEST(a_source_that_becomes_shorter_is_told)
{
        static const size_t sizes[] = { MIB - 1, MIB - 4096, 4096, 0 };
        unsigned char *a = random_bytes(MIB);
        struct pump p = { .basis = { .old = file_of(a, MIB), .old_size = MIB, .partial = -1 }, .size = MIB };

        for (size_t i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
                p.from = file_of(a, sizes[i / 2]);
                p.to = file_of("", 0);
                p.has_holes = i % 2;
                ck_assert_int_eq(pump_run(&p), DELTA_SHORT);
                ck_assert_str_eq(p.failed, "make");
        }
        free(a);
}
END_TEST

START_TEST(errors_of_files_are_told)
{
        unsigned char *a = random_bytes(MIB);
        int dir = scratch_directory();
        struct pump p = { .basis = { .old = file_of(a, MIB), .old_size = MIB, .partial = -1 },
                          .from = dir,
                          .size = MIB };

        p.to = file_of("", 0);
        ck_assert_int_eq(pump_run(&p), -EISDIR);
        ck_assert_str_eq(p.failed, "make");
        p.from = p.basis.old;
        p.basis.old = dir;
        ck_assert_int_eq(pump_run(&p), -EISDIR);
        ck_assert_str_eq(p.failed, "sign");
        p.basis.old = p.from;
        p.to = dir;
        ck_assert_int_eq(pump_run(&p), -EBADF);
        ck_assert_str_eq(p.failed, "apply");
        free(a);
}
END_TEST

/* Hostile peers. */

enum { BASIS = 3 * 4096 };

static int apply_bytes(const void *data, size_t size, uint64_t new_size, enum delta_side *ret_side)
{
        static unsigned char basis[BASIS];
        struct delta_apply_config config = {
                .basis = { .old = file_of(basis, BASIS), .old_size = BASIS, .partial = -1 },
                .to = file_of("", 0),
                .size = new_size,
                .seed = SEED,
        };
        struct delta_apply *a;
        struct stat st;
        size_t used = 0, n;
        int r = delta_apply_new(&a, &config);

        ck_assert_int_eq(r, 0);
        while ((r == 0 || r == DELTA_SEARCH) && used < size) {
                r = delta_apply_feed(a, (const char *)data + used, size - used, &n);
                used += n;
        }
        ck_assert_int_eq(fstat(config.to, &st), 0);
        ck_assert_uint_le((uint64_t)st.st_size, new_size);
        *ret_side = delta_apply_failed(a);
        delta_apply_free(a);
        close(config.basis.old);
        close(config.to);
        return r;
}

#define BYTES(text) text, sizeof(text) - 1

START_TEST(deltas_that_cannot_be_are_refused)
{
        static const struct {
                const char *bytes;
                size_t size;
                int result;
        } deltas[] = {
                { BYTES("\x01\x80\x60"), 0 }, /* all of the basis */
                { BYTES("\x01\x80\x60\x06\x10\x07"), 0 },
                { BYTES("\x01\x80\x60\x06\x10\x08\x00\x01"), DELTA_SEARCH },
                { BYTES("\x09"), -EPROTO }, /* no such operation */
                { BYTES("\xff"), -EPROTO },
                { BYTES("\x01\x00\x01"), -EPROTO }, /* nothing */
                { BYTES("\x03\x00"), -EPROTO },
                { BYTES("\x01\x81\x60"), -EPROTO }, /* beyond the basis */
                { BYTES("\x02\x81\x60\x01"), -EPROTO },
                { BYTES("\x02\x80\x60\x01"), -EPROTO },
                { BYTES("\x02\x00\x81\x60"), -EPROTO },
                { BYTES("\x02\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x01"), -EPROTO },
                { BYTES("\x02\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), -EPROTO },
                { BYTES("\x02\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), -EPROTO }, /* a number of 70 bits */
                { BYTES("\x01\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00"), -EPROTO },     /* a number of ten bytes */
                { BYTES("\x01\x80\x60\x02\x00\x11"), -EPROTO },                         /* more than announced */
                { BYTES("\x03\x91\x60"), -EPROTO },
                { BYTES("\x04\x91\x60"), -EPROTO },
                { BYTES("\x05\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), -EPROTO },
                { BYTES("\x06\x91\x60"), -EPROTO },
                { BYTES("\x07"), -EPROTO }, /* nothing was put off */
                { BYTES("\x01\x80\x60\x04\x10\x07"), -EPROTO },
                { BYTES("\x06\x10\x07"), -EPROTO },         /* too early */
                { BYTES("\x06\x90\x60\x07\x07"), -EPROTO }, /* twice */
                { BYTES("\x06\x90\x60\x07\x05\x90\x60\x07"), -EPROTO },
                { BYTES("\x06\x90\x60\x07\x06\x01"), -EPROTO },         /* put off for ever */
                { BYTES("\x06\x10\x01\x80\x60\x07\x03\x11"), -EPROTO }, /* beyond what was put off */
                { BYTES("\x06\x90\x60\x08\x00\x00"), -EPROTO },         /* a search in nothing */
                { BYTES("\x06\x90\x60\x08\x00\x81\x60"), -EPROTO },     /* beyond the old version */
                { BYTES("\x06\x90\x60\x08\x81\x60\x01"), -EPROTO },
                { BYTES("\x06\x90\x60\x08\x01\x80\x60"), -EPROTO },
                { BYTES("\x00"
                        "\x10\x30\0\0\0\0\0\0"
                        "0123456789abcdef"),
                  -EPROTO }, /* nothing was made */
                { BYTES("\x06\x90\x60\x00"
                        "\x10\x30\0\0\0\0\0\0"
                        "0123456789abcdef"),
                  -EPROTO },
                { BYTES("\x06\x90\x60\x07\x00"
                        "\x10\x30\0\0\0\0\0\0"
                        "0123456789abcdef"),
                  -EPROTO },
                { BYTES("\x05\x90\x60\x00"
                        "\x11\x30\0\0\0\0\0\0"
                        "0123456789abcdef"),
                  -EPROTO }, /* wrong size */
                { BYTES("\x05\x90\x60\x00"
                        "\x10\x30\0\0\0\0\0\0"
                        "0123456789abcdef"),
                  DELTA_MISMATCH },
        };
        unsigned char many[2 * 4097];
        enum delta_side side;

        for (size_t i = 0; i < ARRAY_SIZE(deltas); i++) {
                int r = apply_bytes(deltas[i].bytes, deltas[i].size, BASIS + 16, &side);

                ck_assert_msg(r == deltas[i].result, "delta %zu: %d", i, r);
        }
        for (size_t i = 0; i < sizeof(many); i++)
                many[i] = "\x06\x01"[i % 2];
        ck_assert_int_eq(apply_bytes(many, 2 * 4096, BASIS, &side), 0);
        ck_assert_int_eq(apply_bytes(many, 2 * 4097, BASIS, &side), -EPROTO);
}
END_TEST

/* @first bytes of @data are the first signature, the rest the one for a search. */
static int make_from(int fd, size_t size, const void *data, size_t first, size_t data_size)
{
        struct delta_make_config config = { .fd = fd, .size = size };
        struct delta_make *m;
        size_t used = 0, n;
        char out[1000];
        int r = delta_make_new(&m, &config);

        ck_assert_int_eq(r, 0);
        while (r == 0) {
                enum delta_want want = delta_make_want(m);

                if (want == DELTA_WANT_NOTHING || (want == DELTA_WANT_FEED && used == data_size))
                        break;
                if (want == DELTA_WANT_READ) {
                        r = delta_make_read(m, out, sizeof(out), &n);
                } else {
                        r = delta_make_feed(m, (const char *)data + used, (used < first ? first : data_size) - used,
                                            &n);
                        used += n;
                }
        }
        if (r == 0 && used < data_size)
                r = delta_make_feed(m, (const char *)data + used, data_size - used, &n);
        delta_make_free(m);
        return r;
}

START_TEST(signatures_that_cannot_be_are_refused)
{
        static const struct {
                struct delta_header header;
                size_t sums; /* bytes */
                int result;
        } signatures[] = {
                { { 4096, 0, 0, 0 }, 0, 0 },
                { { 4096, 8192, 8192, 0 }, 10, 0 },
                { { 4096, 8192, 0, 0 }, 10, 0 },
                { { 4096, 8192, 0, 0 }, 11, -EPROTO }, /* more than there are */
                { { 4096, 0, 0, 0 }, 1, -EPROTO },
                { { 4096, DELTA_SIZE_MAX, 0, 0 }, 10, 0 }, /* no more are waited for */
                { { 4096, DELTA_SIZE_MAX, 0, 0 }, 11, -EPROTO },
                { { 4096, DELTA_SIZE_MAX + 1, 0, 0 }, 0, -EPROTO },
                { { 4096, 8192, 8193, 0 }, 0, -EPROTO },
                { { 0, 8192, 8192, 0 }, 0, -EPROTO },
                { { 4095, 8192, 8192, 0 }, 0, -EPROTO },
                { { 2048, 8192, 8192, 0 }, 0, -EPROTO },
                { { 69632, 8192, 8192, 0 }, 0, -EPROTO },
                { { UINT32_MAX, 8192, 8192, 0 }, 0, -EPROTO },
        };
        unsigned char bytes[100] = { 0 };
        int fd = file_of("", 0);

        ck_assert_int_eq(ftruncate(fd, 8192), 0);
        for (size_t i = 0; i < ARRAY_SIZE(signatures); i++) {
                size_t size = DELTA_HEADER_SIZE + signatures[i].sums;

                delta_header_put(&signatures[i].header, bytes);
                ck_assert_msg(make_from(fd, 8192, bytes, size, size) == signatures[i].result, "signature %zu", i);
        }
        ck_assert_int_eq(ftruncate(fd, 12288), 0);
        /* Behind a sum of zeros stands how many more there are, and not more than there are. */
        for (uint64_t more = 0; more < 4; more++) {
                struct delta_header header = { .block = 4096, .basis_size = 12288 };
                unsigned char zeros[4096], number[8];

                delta_header_put(&header, bytes);
                delta_put64(number, delta_zero_sum(&header, zeros));
                memcpy(bytes + DELTA_HEADER_SIZE, number, 5);
                delta_put64(number, more);
                memcpy(bytes + DELTA_HEADER_SIZE + 5, number, 5);
                ck_assert_int_eq(make_from(fd, 12288, bytes, DELTA_HEADER_SIZE + 10, DELTA_HEADER_SIZE + 10),
                                 more > 2 ? -EPROTO : 0);
        }
        memcpy(bytes, "dsg2", 4);
        ck_assert_int_eq(make_from(fd, 8192, bytes, DELTA_HEADER_SIZE, DELTA_HEADER_SIZE), -EPROTO);
        close(fd);
}
END_TEST

static void put_big(unsigned char *data, uint32_t value)
{
        for (unsigned i = 0; i < 4; i++)
                data[i] = (unsigned char)(value >> (24 - 8 * i));
}

/* A file that has nothing in common with its basis, and a signature for a search in it. */
struct search_case {
        int fd;
        size_t size;
        unsigned char *bytes;
        size_t first, all; /* the size of the first signature, of both */
};

static struct search_case search_case(uint64_t basis_size)
{
        struct delta_header header = { .block = delta_block_size(MIB),
                                       .basis_size = basis_size,
                                       .old_size = basis_size };
        struct search_case c = { .size = MIB };
        unsigned char *a = random_bytes(MIB);

        c.fd = file_of(a, MIB);
        c.first = DELTA_HEADER_SIZE + (size_t)delta_sum_count(&header, MIB) * DELTA_SUM_SIZE;
        c.all = c.first + (size_t)delta_search_signature_size(basis_size);
        c.bytes = calloc(1, c.all + 1);
        delta_header_put(&header, c.bytes);
        put_big(c.bytes + c.first, 0x72730147);
        put_big(c.bytes + c.first + 4, (uint32_t)delta_search_block(basis_size));
        put_big(c.bytes + c.first + 8, 12);
        for (size_t at = c.first + 12; at < c.all; at += 16)
                fill_random(c.bytes + at, 16);
        free(a);
        return c;
}

START_TEST(signatures_for_a_search_that_cannot_be_are_refused)
{
        struct search_case c = search_case(2 * MIB);

        ck_assert_int_eq(make_from(c.fd, c.size, c.bytes, c.first, c.all), 0);
        ck_assert_int_eq(make_from(c.fd, c.size, c.bytes, c.first, c.all + 1), -EPROTO);
        for (size_t i = 0; i < 12; i++) {
                c.bytes[c.first + i] ^= 1;
                ck_assert_int_eq(make_from(c.fd, c.size, c.bytes, c.first, c.all), -EPROTO);
                c.bytes[c.first + i] ^= 1;
        }
        free(c.bytes);
}
END_TEST

START_TEST(equal_weak_sums_cost_no_time)
{
        /* 256 Ki of them would take librsync ten minutes. */
        struct search_case c = search_case(8 * MIB);
        struct timespec began, ended;

        ck_assert_uint_le(delta_search_signature_size(DELTA_SEARCH_MAX), (uint64_t)4 * MIB + 12);
        for (unsigned distinct = 0; distinct < 2; distinct++) {
                struct delta_range range = { .size = DELTA_SEARCH_MAX };
                size_t size = (size_t)delta_search_signature_size(range.size), used;
                unsigned char *bytes = calloc(1, size);
                struct delta_search *s;

                put_big(bytes, 0x72730147);
                put_big(bytes + 4, (uint32_t)delta_search_block(range.size));
                put_big(bytes + 8, 12);
                for (size_t at = 12; distinct && at < size; at += 16)
                        fill_random(bytes + at + 4, 12);
                ck_assert_int_eq(delta_search_new(&s, &range), 0);
                clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &began);
                ck_assert_int_eq(delta_search_load(s, bytes, size, &used), 0);
                clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
                ck_assert(delta_search_is_loaded(s));
                /* Equal blocks, as a file of zeros has them, are no burden. */
                ck_assert_int_eq(delta_search_is_hopeless(s), distinct == 1);
                ck_assert_int_le(ended.tv_sec - began.tv_sec, 20);
                delta_search_free(s);
                free(bytes);
        }
        for (size_t at = c.first + 12; at < c.all; at += 16)
                memset(c.bytes + at, 7, 4);
        ck_assert_int_eq(make_from(c.fd, c.size, c.bytes, c.first, c.all), 0);
        free(c.bytes);
}
END_TEST

START_TEST(damaged_streams_never_make_a_wrong_file)
{
        unsigned char *a = random_bytes(300 * KIB), *b = malloc(300 * KIB), *bytes = malloc(400 * KIB);
        unsigned good = 0;
        size_t size = 0, n = 1;
        struct delta_sign *s;
        struct delta_make *m;
        struct delta_basis basis;
        int from;

        memcpy(b, a, 300 * KIB);
        fill_random(b + 5000, 9000);
        memset(b + 100000, 0, 20000);
        basis = (struct delta_basis){ .old = file_of(a, 300 * KIB), .old_size = 300 * KIB, .partial = -1 };
        from = file_of(b, 300 * KIB);
        ck_assert_int_eq(delta_sign_new(&s, &(struct delta_sign_config){ basis, 300 * KIB, SEED }), 0);
        ck_assert_int_eq(delta_make_new(&m, &(struct delta_make_config){ .fd = from, .size = 300 * KIB }), 0);
        ck_assert_int_eq(delta_sign_read(s, bytes, 400 * KIB, &size), 0);
        ck_assert_int_eq(delta_make_feed(m, bytes, size, &n), 0);
        ck_assert_int_eq(delta_make_read(m, bytes, 400 * KIB, &size), 0);
        ck_assert_int_eq(delta_make_want(m), DELTA_WANT_NOTHING);
        for (unsigned i = 0; i < 3000; i++) {
                struct delta_apply_config config = {
                        .basis = basis, .to = file_of("", 0), .size = 300 * KIB, .seed = SEED
                };
                struct delta_apply *apply;
                size_t at = random_below(size), used = 0;
                unsigned char was = bytes[at];
                int r = delta_apply_new(&apply, &config);

                bytes[at] ^= (unsigned char)(i % 8 == 0 ? 0 : random_number());
                while (r == 0 && used < size) {
                        r = delta_apply_feed(apply, bytes + used, size - used, &n);
                        used += n;
                }
                ck_assert(r != DELTA_GOOD || has_content(config.to, b, 300 * KIB));
                ck_assert(r == DELTA_GOOD || bytes[at] != was);
                good += r == DELTA_GOOD;
                bytes[at] = was;
                delta_apply_free(apply);
                close(config.to);
        }
        ck_assert_uint_ge(good, 3000 / 8);
        ck_assert_uint_le(good, 3000 / 4);
        delta_sign_free(s);
        delta_make_free(m);
        free(a);
        free(b);
        free(bytes);
}
END_TEST

START_TEST(memory_that_runs_out_is_told)
{
        unsigned char *a = random_bytes(MIB), *b = malloc(MIB);
        int old = file_of(a, MIB), from;
        unsigned failures = 0;

        memcpy(b + 10, a, MIB - 10);
        memcpy(b, a, 10);
        from = file_of(b, MIB);
        for (unsigned long i = 1; !LIBRSYNC_IS_STATIC; i++) {
                struct pump p = {
                        .basis = { .old = old, .old_size = MIB, .partial = -1 },
                        .from = from,
                        .to = file_of("", 0),
                        .size = MIB,
                };
                int r;

                allocations = 0;
                allocation_to_fail = i;
                r = pump_run(&p);
                allocation_to_fail = 0;
                close(p.to);
                if (r == DELTA_GOOD)
                        break;
                ck_assert_int_eq(r, -ENOMEM);
                failures++;
        }
        /* Two of them are the test's own. */
        ck_assert_uint_ge(failures, LIBRSYNC_IS_STATIC ? 0 : 2 + 4 + 6 + 4 + 4);
        free(a);
        free(b);
}
END_TEST

START_TEST(a_stop_request_ends_all_sides)
{
        unsigned char *a = random_bytes(MIB);
        struct delta_basis basis = { .old = file_of(a, MIB), .old_size = MIB, .partial = -1 };
        unsigned char bytes[10000], head[DELTA_HEADER_SIZE];
        struct err err = { .kind = ERR_NONE };
        struct delta_sign *s;
        struct delta_make *m;
        struct delta_apply *apply;
        size_t n;

        ck_assert_int_eq(stop_init(&err), 0);
        ck_assert_int_eq(delta_sign_new(&s, &(struct delta_sign_config){ basis, MIB, SEED }), 0);
        ck_assert_int_eq(delta_make_new(&m, &(struct delta_make_config){ .fd = basis.old, .size = MIB }), 0);
        ck_assert_int_eq(delta_apply_new(&apply, &(struct delta_apply_config){ .basis = basis, .size = MIB }), 0);
        delta_header_put(&(struct delta_header){ .block = 4096 }, head);
        ck_assert_int_eq(delta_make_feed(m, head, sizeof(head), &n), 0);
        kill(getpid(), SIGINT);
        stop_poll();
        ck_assert_int_eq(delta_sign_read(s, bytes, sizeof(bytes), &n), -ECANCELED);
        ck_assert_int_eq(delta_make_read(m, bytes, sizeof(bytes), &n), -ECANCELED);
        ck_assert_int_eq(delta_make_read(m, bytes, sizeof(bytes), &n), -ECANCELED);
        ck_assert_int_eq(delta_apply_feed(apply, "\x01", 1, &n), -ECANCELED);
        delta_sign_free(s);
        delta_make_free(m);
        delta_apply_free(apply);
        free(a);
}
END_TEST

START_TEST(blocks_are_as_large_as_the_file_demands)
{
        static const struct {
                uint64_t size;
                uint32_t block;
        } sizes[] = {
                { 0, 4096 },
                { (uint64_t)16 << 30, 4096 },
                { ((uint64_t)16 << 30) + 1, 8192 },
                { (uint64_t)64 << 30, 8192 },
                { (uint64_t)1 << 40, 32768 },
                { DELTA_SIZE_MAX, 65536 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
                ck_assert_uint_eq(delta_block_size(sizes[i].size), sizes[i].block);
        ck_assert_uint_eq(delta_search_block(1), 4096);
        ck_assert_uint_eq(delta_search_block((uint64_t)1 << 30), 32768);
        ck_assert_uint_eq(delta_search_block(((uint64_t)1 << 30) + 1), 32768 + 4096);
        ck_assert_uint_eq(delta_search_block(DELTA_SEARCH_MAX), 4 * MIB);
        ck_assert(!delta_pays(&(struct delta_basis){ .old_size = 65535 }, MIB));
        ck_assert(!delta_pays(&(struct delta_basis){ .old_size = MIB }, 65535));
        ck_assert(!delta_pays(&(struct delta_basis){ .old_size = MIB }, 65 * MIB));
        ck_assert(delta_pays(&(struct delta_basis){ .old_size = 65536 }, 65536));
        ck_assert(delta_pays(&(struct delta_basis){ .partial_size = 65536 }, 65536));
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                files_of_all_sizes_become_each_other,
                an_equal_file_costs_its_sums,
                blocks_of_zeros_are_counted_in_a_signature,
                a_hole_costs_nothing_however_large_it_is,
                scattered_changes_cost_their_blocks,
                what_is_appended_is_all_that_is_sent,
                what_moved_is_found,
                a_search_goes_on_as_long_as_it_finds_something,
                a_search_without_success_is_given_up_but_for_samples,
                zeros_cost_nothing,
                random_versions_become_each_other,
                what_an_interrupted_transfer_left_is_not_sent_again,
                holes_stay_holes,
                zeros_become_holes_only_where_the_source_has_some,
                a_basis_that_changes_meanwhile_is_noticed,
                a_source_that_changes_meanwhile_is_sent_as_it_was_read,
                a_source_that_becomes_shorter_is_told,
                errors_of_files_are_told,
                deltas_that_cannot_be_are_refused,
                signatures_that_cannot_be_are_refused,
                signatures_for_a_search_that_cannot_be_are_refused,
                equal_weak_sums_cost_no_time,
                damaged_streams_never_make_a_wrong_file,
                memory_that_runs_out_is_told,
                a_stop_request_ends_all_sides,
                blocks_are_as_large_as_the_file_demands,
        };

        return scratch_run("delta", tests, ARRAY_SIZE(tests));
}
