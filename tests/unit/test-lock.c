/* Locks: one holder, named to others; what a dead one leaves means nothing; files that are not ours are refused. */
#include "base/err.h"
#include "base/fd.h"
#include "scratch.h"
#include "storage/lock.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

static int take(int dir, const char *name, bool create, struct err *err)
{
        *err = (struct err){ .kind = ERR_NONE };
        return lock_take(dir, name, create, err);
}

START_TEST(a_second_process_is_refused_and_told_by_whom)
{
        int dir = scratch_directory(), ready[2];
        char expected[64], byte;
        struct err err;
        pid_t child;
        int fd;

        ck_assert_int_eq(pipe(ready), 0);
        child = fork();
        if (child == 0) {
                fd = take(dir, "lock", true, &err);
                if (fd < 0 || write(ready[1], "x", 1) != 1)
                        _exit(1);
                pause();
                _exit(0);
        }
        ck_assert_int_eq(read(ready[0], &byte, 1), 1);
        snprintf(expected, sizeof(expected), "(process %d)", (int)child);
        for (int i = 0; i < 2; i++) {
                ck_assert_int_eq(take(dir, "lock", i == 0, &err), -EWOULDBLOCK);
                ck_assert_int_eq(err.kind, ERR_RUN);
                ck_assert_ptr_nonnull(strstr(err.text, expected));
        }
        /* Another lock is another lock. */
        fd = take(dir, "other", true, &err);
        ck_assert_int_ge(fd, 0);
        close(fd);
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);
        fd = take(dir, "lock", true, &err);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(take(dir, "lock", true, &err), -EWOULDBLOCK);
        close(fd);
        fd = take(dir, "lock", true, &err);
        ck_assert_int_ge(fd, 0);
        close(fd);
}
END_TEST

START_TEST(who_asks_takes_nothing)
{
        int dir = scratch_directory(), fd, other;
        struct err err;

        ck_assert(!lock_is_held(dir, "lock"));
        fd = take(dir, "lock", true, &err);
        ck_assert_int_ge(fd, 0);
        ck_assert(lock_is_held(dir, "lock"));
        ck_assert(!lock_is_held(dir, "other"));
        close(fd);
        ck_assert(!lock_is_held(dir, "lock"));
        /* Asking is no lock for a moment, either: one that is free can be taken whoever has just asked. */
        other = take(dir, "lock", true, &err);
        ck_assert_int_ge(other, 0);
        close(other);
}
END_TEST

START_TEST(what_is_in_the_file_means_nothing)
{
        static const char *const texts[] = { "", "1\n", "99999999999999999999\n", "-5\n", "hello\n", "12" };
        struct err err;
        int dir = scratch_directory(), fd;

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                int holder;

                scratch_file(dir, "lock", texts[i], strlen(texts[i]));
                holder = take(dir, "lock", false, &err);
                ck_assert_int_ge(holder, 0);
                ck_assert_int_eq(take(dir, "lock", true, &err), -EWOULDBLOCK);
                ck_assert(i == 1 || !strstr(err.text, "process"));
                close(holder);
        }
        /* Only who creates writes his number; a shorter one leaves nothing of a longer. */
        scratch_file(dir, "lock", "1234567890123\n", 14);
        fd = take(dir, "lock", true, &err);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(take(dir, "lock", true, &err), -EWOULDBLOCK);
        ck_assert_ptr_nonnull(strstr(err.text, "process"));
        close(fd);
}
END_TEST

START_TEST(a_missing_file_is_made_only_when_asked)
{
        int dir = scratch_directory();
        struct err err;

        ck_assert_int_eq(take(dir, "lock", false, &err), -ENOENT);
        ck_assert_int_eq(err.kind, ERR_NONE);
        ck_assert_int_eq(faccessat(dir, "lock", F_OK, 0), -1);
}
END_TEST

START_TEST(what_is_no_plain_file_of_ours_is_refused)
{
        static const char *const names[] = { "symlink", "fifo", "hardlink", "directory", "foreign" };
        int dir = scratch_directory();
        char text[16] = "";
        struct err err;

        scratch_file(dir, "victim", "precious", 8);
        scratch_file(dir, "foreign", "", 0);
        ck_assert_int_eq(symlinkat("victim", dir, "symlink"), 0);
        ck_assert_int_eq(linkat(dir, "victim", dir, "hardlink", 0), 0);
        ck_assert_int_eq(mkfifoat(dir, "fifo", 0600), 0);
        ck_assert_int_eq(mkdirat(dir, "directory", 0700), 0);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (str_equal(names[i], "foreign") && fchownat(dir, "foreign", 12345, 0, 0) < 0)
                        continue;
                for (int create = 0; create < 2; create++) {
                        ck_assert_msg(take(dir, names[i], create, &err) < 0, "%s", names[i]);
                        ck_assert_int_eq(err.kind, ERR_RUN);
                }
        }
        int fd = openat(dir, "victim", O_RDONLY);
        ck_assert_int_eq(fd_read_full(fd, text, sizeof(text) - 1), 8);
        ck_assert_str_eq(text, "precious");
}
END_TEST

START_TEST(this_machine_knows_a_destination_by_its_key)
{
        struct err err = { .kind = ERR_NONE };
        char key[300];
        int a, b;

        snprintf(key, sizeof(key), "%s/latest", scratch_path);
        if (geteuid() != 0)
                ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", scratch_path, 1), 0);
        a = lock_take_machine(key, &err);
        if (a == -1 && err.kind == ERR_NONE)
                return; /* no place of our own */
        ck_assert_int_ge(a, 0);
        ck_assert_int_eq(lock_take_machine(key, &err), -EWOULDBLOCK);
        err_clear(&err);
        strcat(key, "2");
        b = lock_take_machine(key, &err);
        ck_assert_int_ge(b, 0);
        close(a);
        close(b);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                a_second_process_is_refused_and_told_by_whom,
                who_asks_takes_nothing,
                what_is_in_the_file_means_nothing,
                a_missing_file_is_made_only_when_asked,
                what_is_no_plain_file_of_ours_is_refused,
                this_machine_knows_a_destination_by_its_key,
        };

        return scratch_run("lock", tests, ARRAY_SIZE(tests));
}
