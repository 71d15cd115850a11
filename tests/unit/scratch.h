/* A directory for the files of one test program, made before its cases and removed behind them. */
#pragma once

#include "base/util.h"
#include "cases.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static char scratch_path[256];

static inline void scratch_set_up(void)
{
        const char *above = getenv("TMPDIR");

        snprintf(scratch_path, sizeof(scratch_path), "%s/rsync-system-backup-unit-XXXXXX", above ? above : "/tmp");
        ck_assert_ptr_nonnull(mkdtemp(scratch_path));
        ck_assert_int_eq(chmod(scratch_path, 0755), 0);
}

/* By rm(1): what the tests make is deeper than any path. */
static inline void scratch_tear_down(void)
{
        char command[300];

        snprintf(command, sizeof(command), "rm -rf '%s'", scratch_path);
        ck_assert_int_eq(system(command), 0);
}

/* A new directory of its own for one case. */
static inline int scratch_directory(void)
{
        char path[300];
        int fd;

        snprintf(path, sizeof(path), "%s/case-XXXXXX", scratch_path);
        ck_assert_ptr_nonnull(mkdtemp(path));
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        return fd;
}

static inline int scratch_subdirectory(int dirfd, const char *name)
{
        int fd;

        ck_assert_int_eq(mkdirat(dirfd, name, 0755), 0);
        fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        return fd;
}

static inline void scratch_file(int dirfd, const char *name, const void *data, size_t size)
{
        int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, data, size), (ssize_t)size);
        ck_assert_int_eq(close(fd), 0);
}

/* Where an open file or directory is, for what takes paths. */
static inline void scratch_path_of(int fd, char *path, size_t size)
{
        char link[64];
        ssize_t n;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, path, size - 1);
        ck_assert_int_gt(n, 0);
        path[n] = '\0';
}

/* All test programs end like this. */
static inline int scratch_run(const char *name, const TTest *const *tests, size_t count)
{
        TCase *cases = tcase_create(name);

        tcase_set_timeout(cases, 300);
        tcase_add_unchecked_fixture(cases, scratch_set_up, scratch_tear_down);
        for (size_t i = 0; i < count; i++)
                tcase_add_test(cases, tests[i]);
        return cases_run(name, cases);
}
