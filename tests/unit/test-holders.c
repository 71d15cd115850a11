/* Who is found to use a filesystem or a device: children of the test, which wait with something in use. */
#include "base/buf.h"
#include "base/fd.h"
#include "scratch.h"
#include "storage/holders.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum way { WORKING_DIRECTORY, OPEN_FILE, MAPPING, ROOT, MOUNT_NAMESPACE, NOTHING };

/* A tmpfs that only we see and have open, and its device number. */
static int dir = -1;
static dev_t device;

/* False where that cannot be had. */
static bool make_filesystem(void)
{
        char path[400];
        struct stat st;

        if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return false;
        scratch_path_of(scratch_directory(), path, sizeof(path));
        if (mount("none", path, "tmpfs", 0, NULL) < 0)
                return false;
        dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ck_assert_int_eq(fstat(dir, &st), 0);
        device = st.st_dev;
        return true;
}

/* In the child. */
static void use(enum way way)
{
        int fd = openat(dir, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        int above = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 || above < 0 || ftruncate(fd, 4096) < 0)
                _exit(1);
        if (way == WORKING_DIRECTORY && fchdir(dir) < 0)
                _exit(1);
        if (way == MAPPING && mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
                _exit(1);
        if (way == ROOT && (fchdir(dir) < 0 || chroot(".") < 0 || fchdir(above) < 0))
                _exit(1);
        if (way == MOUNT_NAMESPACE && unshare(CLONE_NEWNS) < 0)
                _exit(1);
        if (way != OPEN_FILE)
                (void)fd_close(fd);
        dir = fd_close(dir);
}

/* Start a child called @name that uses the filesystem; it lives until it is ended. */
static pid_t start(enum way way, const char *name)
{
        int ready[2];
        char byte;
        pid_t pid;

        ck_assert_int_eq(pipe2(ready, O_CLOEXEC), 0);
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                prctl(PR_SET_NAME, name);
                use(way);
                (void)!write(ready[1], "", 1);
                for (;;)
                        pause();
        }
        close(ready[1]);
        ck_assert_int_eq(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        return pid;
}

static void end(pid_t pid)
{
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
}

static char *describe(dev_t filesystem, dev_t of_device)
{
        struct buf out = { .data = NULL };

        ck_assert_int_eq(holders_describe(&out, filesystem, of_device), 0);
        return buf_take(&out);
}

static void expect(const char *wanted)
{
        _cleanup_(freep) char *text = describe(device, 0);

        ck_assert_str_eq(text, wanted);
}

static void expect_only(enum way way, const char *name, const char *shown)
{
        pid_t pid = start(way, name);
        char wanted[80];

        snprintf(wanted, sizeof(wanted), "%s (%d)", shown, (int)pid);
        expect(wanted);
        end(pid);
}

START_TEST(nobody_is_named_who_does_not_use_it)
{
        _cleanup_(freep) char *nothing = NULL;

        nothing = describe(0, 0);
        ck_assert_str_eq(nothing, "");
        if (!make_filesystem())
                return;
        /* We have it open ourselves. */
        expect("");
        end(start(NOTHING, "idle"));
        expect("");
}
END_TEST

START_TEST(each_way_to_use_a_filesystem_is_found)
{
        static const enum way ways[] = { WORKING_DIRECTORY, OPEN_FILE, MAPPING, ROOT };

        if (!make_filesystem())
                return;
        for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
                expect_only(ways[i], "user", "user");
        expect("");
}
END_TEST

START_TEST(a_name_cannot_upset_a_terminal)
{
        if (!make_filesystem())
                return;
        expect_only(OPEN_FILE, "\033[2J\n'x", "\\033[2J\\n\\'x");
        expect_only(OPEN_FILE, "a) (1), b", "a) (1), b");
}
END_TEST

START_TEST(another_mount_namespace_counts_when_nobody_else_uses_it)
{
        pid_t inhabitant, user;
        char wanted[40];

        if (!make_filesystem())
                return;
        inhabitant = start(MOUNT_NAMESPACE, "service");
        snprintf(wanted, sizeof(wanted), "service (%d)", (int)inhabitant);
        expect(wanted);
        user = start(WORKING_DIRECTORY, "shell");
        snprintf(wanted, sizeof(wanted), "shell (%d)", (int)user);
        expect(wanted);
        end(user);
        end(inhabitant);
}
END_TEST

START_TEST(of_many_eight_are_named)
{
        _cleanup_(freep) char *text = NULL;
        pid_t pids[11];
        int commas = 0;

        if (!make_filesystem())
                return;
        for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
                pids[i] = start(OPEN_FILE, "user");
        text = describe(device, 0);
        for (const char *c = text; *c; c++)
                commas += *c == ',';
        ck_assert_int_eq(commas, 7);
        ck_assert_str_eq(strstr(text, ") and") + 1, " and 3 more");
        for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
                end(pids[i]);
}
END_TEST

START_TEST(a_mount_below_is_named)
{
        char path[64];

        if (!make_filesystem())
                return;
        ck_assert_int_eq(mkdirat(dir, "x y", 0700), 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d/x y", dir);
        ck_assert_int_eq(mount("none", path, "tmpfs", 0, NULL), 0);
        {
                _cleanup_(freep) char *text = describe(device, 0);

                ck_assert_msg(str_starts(text, "the mount '/"), "%s", text);
                ck_assert_str_eq(text + strlen(text) - 5, "/x y'");
        }
}
END_TEST

/* Unprivileged too: a process of one's own. */
START_TEST(a_process_of_ones_own_is_found_among_others)
{
        _cleanup_(freep) char *text = NULL;
        char wanted[40];
        struct stat st;
        pid_t pid;

        dir = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ck_assert_int_eq(fstat(dir, &st), 0);
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        text = describe(st.st_dev, 0);
        snprintf(wanted, sizeof(wanted), "(%d)", (int)pid);
        ck_assert_msg(strstr(text, wanted) || strstr(text, " more"), "%s", text);
        snprintf(wanted, sizeof(wanted), "(%d)", (int)getpid());
        ck_assert_ptr_null(strstr(text, wanted));
        end(pid);
        dir = fd_close(dir);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                nobody_is_named_who_does_not_use_it,
                each_way_to_use_a_filesystem_is_found,
                a_name_cannot_upset_a_terminal,
                another_mount_namespace_counts_when_nobody_else_uses_it,
                of_many_eight_are_named,
                a_mount_below_is_named,
                a_process_of_ones_own_is_found_among_others,
        };

        return scratch_run("holders", tests, ARRAY_SIZE(tests));
}
