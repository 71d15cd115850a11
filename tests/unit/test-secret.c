/* Memory for secrets: what the kernel is told about it, what is left of it, and what is done without. */
#include "base/fd.h"
#include "base/secret.h"
#include "scratch.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { SOMEBODY = 12345 };

/* What /proc/self/smaps says of the mapping at @data: its flags ("rd wr mr mw me lo dd ..."), proc(5). */
static void read_flags(const void *data, char ret[256])
{
        FILE *maps = fopen("/proc/self/smaps", "re");
        char line[512];
        bool ours = false;

        ck_assert_ptr_nonnull(maps);
        ret[0] = '\0';
        while (fgets(line, sizeof(line), maps)) {
                char *end;
                uintptr_t from = strtoul(line, &end, 16), to = *end == '-' ? strtoul(end + 1, NULL, 16) : 0;

                if (to > 0)
                        ours = from <= (uintptr_t)data && (uintptr_t)data < to;
                else if (ours && str_starts(line, "VmFlags:"))
                        snprintf(ret, 256, "%.200s", line + strlen("VmFlags:"));
        }
        fclose(maps);
        ck_assert_str_ne(ret, "");
}

/* Sanitizers take mlock() for themselves and do nothing. */
static bool can_lock(void)
{
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        void *data = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        char flags[256];

        ck_assert_ptr_ne(data, MAP_FAILED);
        (void)mlock(data, page);
        read_flags(data, flags);
        ck_assert_int_eq(munmap(data, page), 0);
        return strstr(flags, " lo ") != NULL;
}

START_TEST(it_is_neither_swapped_nor_dumped)
{
        struct secret s;
        char flags[256];

        ck_assert_int_eq(secret_init(&s, 100), 0);
        ck_assert_uint_eq(s.size, 0);
        ck_assert_uint_eq(s.capacity, 100);
        memset(s.data, 'x', s.capacity);
        read_flags(s.data, flags);
        ck_assert_msg(!can_lock() || strstr(flags, " lo "), "not locked:%s", flags);
        ck_assert_msg(strstr(flags, " dd "), "would be dumped:%s", flags);
        secret_deinit(&s);
}
END_TEST

START_TEST(a_child_does_not_inherit_it)
{
        struct secret s;
        int status;
        pid_t child;

        ck_assert_int_eq(secret_init(&s, 6), 0);
        memcpy(s.data, "secret", 6);
        child = fork();
        if (child == 0)
                _exit(memcmp(s.data, "\0\0\0\0\0", 6) == 0 ? 0 : 1);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
        ck_assert_int_eq(memcmp(s.data, "secret", 6), 0);
        secret_deinit(&s);
}
END_TEST

START_TEST(where_nothing_may_be_locked_the_rest_still_holds)
{
        struct rlimit none = { 0, 0 };
        struct secret s;
        char flags[256];

        ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &none), 0);
        if (geteuid() == 0)
                ck_assert_int_eq(seteuid(SOMEBODY), 0);
        ck_assert_int_eq(secret_init(&s, 100), 0);
        if (getuid() == 0)
                ck_assert_int_eq(seteuid(0), 0);
        memset(s.data, 'x', s.capacity);
        read_flags(s.data, flags);
        ck_assert_msg(!strstr(flags, " lo "), "locked in spite of the limit:%s", flags);
        ck_assert_msg(strstr(flags, " dd "), "would be dumped:%s", flags);
        secret_deinit(&s);
}
END_TEST

/* Put pages that can be looked at afterwards in the place of its own. Return how to look. */
static const char *observe(struct secret *s, size_t size)
{
        int fd = memfd_create("observed", MFD_CLOEXEC);
        const char *look;

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
        ck_assert_ptr_eq(mmap(s->data, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0), s->data);
        look = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        ck_assert_ptr_ne(look, MAP_FAILED);
        fd_close(fd);
        return look;
}

static size_t count_left(const char *look, size_t size)
{
        size_t left = 0;

        for (size_t i = 0; i < size; i++)
                left += look[i] != '\0';
        return left;
}

START_TEST(nothing_is_left_when_it_is_given_back)
{
        size_t page = (size_t)sysconf(_SC_PAGESIZE), size = 3 * page;
        unsigned char in_core;
        struct secret s;
        const char *look;
        void *was;

        ck_assert_int_eq(secret_init(&s, 2 * page + 1), 0);
        was = s.data;
        look = observe(&s, size);
        memset(s.data, 'x', s.capacity);
        s.size = 1;
        ck_assert_uint_eq(count_left(look, size), 2 * page + 1);
        secret_deinit(&s);
        ck_assert_uint_eq(count_left(look, size), 0);
        ck_assert_ptr_null(s.data);
        ck_assert_uint_eq(s.size, 0);
        /* All of its pages are gone. */
        for (size_t i = 0; i < 3; i++) {
                ck_assert_int_eq(mincore((char *)was + i * page, page, &in_core), -1);
                ck_assert_int_eq(errno, ENOMEM);
        }
        secret_deinit(&s);
}
END_TEST

START_TEST(what_is_not_kept_is_wiped)
{
        static const char all[] = "+first\0second";
        struct secret s;

        ck_assert_int_eq(secret_init(&s, 64), 0);
        memcpy(s.data, all, sizeof(all));
        s.size = sizeof(all);
        secret_keep(&s, 1, 5);
        ck_assert_uint_eq(s.size, 5);
        ck_assert_int_eq(memcmp(s.data, "first", 5), 0);
        ck_assert_uint_eq(count_left(s.data, s.capacity), 5);
        secret_keep(&s, 0, 0);
        ck_assert_uint_eq(s.size, 0);
        ck_assert_uint_eq(count_left(s.data, s.capacity), 0);
        secret_deinit(&s);
}
END_TEST

START_TEST(any_size_is_given_or_refused)
{
        static const size_t refused[] = { SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2 };
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        const size_t given[] = { 0, 1, page - 1, page, page + 1 };
        struct secret s;

        for (size_t i = 0; i < ARRAY_SIZE(given); i++) {
                ck_assert_int_eq(secret_init(&s, given[i]), 0);
                ck_assert_ptr_nonnull(s.data);
                memset(s.data, 'x', s.capacity);
                secret_deinit(&s);
        }
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
                ck_assert_int_eq(secret_init(&s, refused[i]), -ENOMEM);
}
END_TEST

START_TEST(a_protected_process_can_still_use_its_own_descriptors)
{
        int dir = scratch_directory(), fd;

        scratch_file(dir, "file", "x", 1);
        ck_assert_int_eq(fchmodat(dir, "file", 0644, 0), 0);
        ck_assert_int_eq(fchmod(dir, 0755), 0);
        if (geteuid() == 0)
                ck_assert_int_eq(seteuid(SOMEBODY), 0);
        ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0);
        secret_protect_process();
        ck_assert_int_eq(prctl(PR_GET_DUMPABLE), 0);
        fd = fd_open_file_at(dir, "file");
        ck_assert_int_ge(fd, 0);
        fd_close(fd);
        /* The leak sanitizer has to be allowed to look at its own process at the end. */
        ck_assert_int_eq(prctl(PR_SET_DUMPABLE, 1), 0);
        if (getuid() == 0)
                ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                it_is_neither_swapped_nor_dumped,
                a_child_does_not_inherit_it,
                where_nothing_may_be_locked_the_rest_still_holds,
                nothing_is_left_when_it_is_given_back,
                what_is_not_kept_is_wiped,
                any_size_is_given_or_refused,
                a_protected_process_can_still_use_its_own_descriptors,
        };

        return scratch_run("secret", tests, ARRAY_SIZE(tests));
}
