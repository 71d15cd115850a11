/* The bytes of files: copied with their holes, compared, shared; files that shrink, large files and stop requests. */
#include "base/content.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/stop.h"
#include "scratch.h"

#include <errno.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/vfs.h>

enum { MIB = 1024 * 1024 };

static int create(int dir, const char *name)
{
        int fd = openat(dir, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        ck_assert_int_ge(fd, 0);
        return fd;
}

/* @size bytes of a pattern that differs from block to block. */
static void fill(int fd, off_t at, size_t size)
{
        char *data = malloc(size);

        for (size_t i = 0; i < size; i++)
                data[i] = (char)((at + (off_t)i) * 7 + (at + (off_t)i) / 4096 + 1);
        ck_assert_int_eq(fd_pwrite_full(fd, data, size, at), 0);
        free(data);
}

static int copy(int from, int to, uint64_t size, bool has_holes)
{
        enum content_side side;

        return content_copy(&(struct content_config){ .from = from, .to = to, .size = size, .has_holes = has_holes },
                            &side);
}

static int compare(int from, int to, uint64_t size, bool has_holes, bool from_disk)
{
        enum content_side side;

        return content_compare(
                &(struct content_config){
                        .from = from, .to = to, .size = size, .has_holes = has_holes, .from_disk = from_disk },
                &side);
}

static struct stat stat_of(int fd)
{
        struct stat st;

        ck_assert_int_eq(fstat(fd, &st), 0);
        return st;
}

static void check_equal(int a, int b)
{
        size_t size = (size_t)stat_of(a).st_size;
        void *x = mmap(NULL, size, PROT_READ, MAP_SHARED, a, 0), *y = mmap(NULL, size, PROT_READ, MAP_SHARED, b, 0);

        ck_assert_int_eq(stat_of(b).st_size, (off_t)size);
        ck_assert(x != MAP_FAILED && y != MAP_FAILED);
        ck_assert_int_eq(memcmp(x, y, size), 0);
        munmap(x, size);
        munmap(y, size);
}

static void add(void *context, uint64_t bytes)
{
        *(uint64_t *)context += bytes;
}

START_TEST(files_of_all_sizes_are_copied)
{
        static const size_t sizes[] = { 1, 4096, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 3 * MIB };
        int dir = scratch_directory();

        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                int from = create(dir, "from"), to = create(dir, "to");
                enum content_side side;
                uint64_t seen = 0;

                fill(from, 0, sizes[i]);
                ck_assert_int_eq(
                        content_copy(
                                &(struct content_config){
                                        .from = from, .to = to, .size = sizes[i], .progress = add, .context = &seen },
                                &side),
                        0);
                ck_assert_uint_eq(seen, sizes[i]);
                check_equal(from, to);
                ck_assert_int_eq(compare(from, to, sizes[i], false, false), 0);
                ck_assert_int_eq(compare(from, to, sizes[i], true, true), 0);
                ck_assert_int_eq(fd_pwrite_full(to, "", 1, (off_t)sizes[i] - 1), 0);
                ck_assert_int_eq(fd_pwrite_full(from, "!", 1, (off_t)sizes[i] - 1), 0);
                ck_assert_int_eq(compare(from, to, sizes[i], false, true), CONTENT_DIFFERS);
                ck_assert_int_eq(compare(from, to, sizes[i], true, false), CONTENT_DIFFERS);
                close(from);
                close(to);
        }
        ck_assert_int_eq(copy(-1, -1, 0, false), 0);
        ck_assert_int_eq(compare(-1, -1, 0, false, false), 0);
}
END_TEST

START_TEST(holes_stay_holes)
{
        static const struct {
                off_t data[3]; /* where a MiB of data is, -1 for none */
                off_t size;
        } files[] = {
                { { 0, -1, -1 }, 64 * (off_t)MIB },               /* hole at the end */
                { { 63 * (off_t)MIB, -1, -1 }, 64 * (off_t)MIB }, /* at the beginning */
                { { 5 * MIB, 20 * MIB, 40 * MIB }, 41 * MIB },
                { { -1, -1, -1 }, (off_t)1 << 40 }, /* nothing but a hole */
        };
        int dir = scratch_directory();

        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                int from = create(dir, "from"), to = create(dir, "to");
                blkcnt_t blocks = 0;

                ck_assert_int_eq(ftruncate(from, files[i].size), 0);
                for (size_t j = 0; j < 3 && files[i].data[j] >= 0; j++) {
                        fill(from, files[i].data[j], MIB);
                        blocks += MIB / 512;
                }
                ck_assert_int_eq(copy(from, to, (uint64_t)files[i].size, true), 0);
                ck_assert_int_eq(stat_of(to).st_size, files[i].size);
                ck_assert_int_le(stat_of(to).st_blocks, blocks + 64);
                ck_assert_int_eq(compare(from, to, (uint64_t)files[i].size, true, false), 0);
                if (files[i].size < 100 * MIB)
                        check_equal(from, to);
                close(from);
                close(to);
        }
}
END_TEST

START_TEST(data_against_a_hole_is_compared)
{
        int dir = scratch_directory(), from = create(dir, "from"), to = create(dir, "to");

        ck_assert_int_eq(ftruncate(from, 10 * MIB), 0);
        ck_assert_int_eq(ftruncate(to, 10 * MIB), 0);
        ck_assert_int_eq(fd_pwrite_full(to, "\0\0", 2, 5 * MIB), 0);
        ck_assert_int_eq(compare(from, to, 10 * MIB, true, false), 0);
        ck_assert_int_eq(fd_pwrite_full(to, "x", 1, 9 * MIB), 0);
        ck_assert_int_eq(compare(from, to, 10 * MIB, true, false), CONTENT_DIFFERS);
        ck_assert_int_eq(compare(to, from, 10 * MIB, true, false), CONTENT_DIFFERS);
}
END_TEST

START_TEST(a_file_that_shrank_is_told_or_seen_by_its_size)
{
        int dir = scratch_directory(), from = create(dir, "from"), to = create(dir, "to");

        fill(from, 0, 300 * 1024);
        ck_assert_int_eq(copy(from, to, MIB, false), CONTENT_SHORT);
        ck_assert_int_eq(stat_of(to).st_size, 300 * 1024);
        ck_assert_int_eq(compare(from, to, MIB, false, false), CONTENT_DIFFERS);
}
END_TEST

START_TEST(errors_name_their_side)
{
        int dir = scratch_directory(), file = create(dir, "file"), read_only;
        enum content_side side;

        fill(file, 0, 10);
        read_only = openat(dir, "file", O_RDONLY);
        ck_assert_int_eq(content_copy(&(struct content_config){ .from = file, .to = read_only, .size = 10 }, &side),
                         -EBADF);
        ck_assert_int_eq(side, CONTENT_SIDE_TO);
        ck_assert_int_eq(content_copy(&(struct content_config){ .from = dir, .to = file, .size = 10 }, &side), -EISDIR);
        ck_assert_int_eq(side, CONTENT_SIDE_FROM);
        ck_assert_int_eq(content_compare(&(struct content_config){ .from = file, .to = dir, .size = 10 }, &side),
                         -EISDIR);
        ck_assert_int_eq(side, CONTENT_SIDE_TO);
}
END_TEST

START_TEST(large_files_do_not_stay_in_memory)
{
        enum { SIZE = 40 * MIB, PAGE = 4096 };
        int dir = scratch_directory(), from = create(dir, "from"), to = create(dir, "to");
        static unsigned char resident[SIZE / PAGE];
        struct statfs fs;
        size_t pages = 0;
        void *map;

        for (off_t at = 0; at < SIZE; at += MIB)
                fill(from, at, MIB);
        ck_assert_int_eq(fsync(from), 0);
        ck_assert_int_eq(copy(from, to, SIZE, false), 0);
        ck_assert_int_eq(compare(from, to, SIZE, false, false), 0);
        close(to);
        to = create(dir, "to");
        ck_assert_int_eq(copy(from, to, SIZE, true), 0);
        map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, to, 0);
        ck_assert_int_eq(mincore(map, SIZE, resident), 0);
        for (size_t i = 0; i < ARRAY_SIZE(resident); i++)
                pages += resident[i] & 1;
        /* A tmpfs has nowhere else to keep it. */
        ck_assert_int_eq(fstatfs(to, &fs), 0);
        if (fs.f_type != TMPFS_MAGIC)
                ck_assert_uint_lt(pages, ARRAY_SIZE(resident) / 4);
        check_equal(from, to);
}
END_TEST

START_TEST(blocks_are_shared_or_the_answer_says_that_they_cannot)
{
        int dir = scratch_directory(), from = create(dir, "from"), to = create(dir, "to"), r;

        fill(from, 0, MIB);
        r = content_reflink(from, to);
        if (r == 0)
                check_equal(from, to);
        else
                ck_assert(r == -EOPNOTSUPP || r == -EXDEV);
}
END_TEST

START_TEST(a_stop_request_ends_a_copy)
{
        int dir = scratch_directory(), from = create(dir, "from"), to = create(dir, "to");
        struct err err = { .kind = ERR_NONE };

        fill(from, 0, MIB);
        ck_assert_int_eq(stop_init(&err), 0);
        ck_assert_int_eq(copy(from, to, MIB, false), 0);
        kill(getpid(), SIGINT);
        stop_poll();
        ck_assert(stop_requested());
        ck_assert_int_eq(copy(from, to, MIB, false), -ECANCELED);
        ck_assert_int_eq(compare(from, to, MIB, false, false), -ECANCELED);
        ck_assert_int_eq(stop_check(&err), -ECANCELED);
        ck_assert_str_eq(err.text, "stopped by signal INT");
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                files_of_all_sizes_are_copied,
                holes_stay_holes,
                data_against_a_hole_is_compared,
                a_file_that_shrank_is_told_or_seen_by_its_size,
                errors_name_their_side,
                large_files_do_not_stay_in_memory,
                blocks_are_shared_or_the_answer_says_that_they_cannot,
                a_stop_request_ends_a_copy,
        };

        return scratch_run("content", tests, ARRAY_SIZE(tests));
}
