/* Where passphrases come from: credentials, the terminal, and agents where there is none. */
#include "storage/passphrase.h"
#include "terminal.h"

#include <limits.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

/* ---- credentials ---- */

static const size_t largest = (size_t)1024 * 1024;

static int use_credentials(void)
{
        int dir = scratch_directory();
        char path[400];

        scratch_path_of(dir, path, sizeof(path));
        ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", path, 1), 0);
        return dir;
}

START_TEST(a_credential_is_taken_with_all_of_its_bytes)
{
        static const char key[] = "\nkey\0\xff\n";
        int dir = use_credentials();
        struct secret s;
        ERR_LOCAL(err);

        scratch_file(dir, "rsync-system-backup.disk", key, sizeof(key));
        scratch_file(dir, "rsync-system-backup.empty", "", 0);
        ck_assert_int_eq(passphrase_credential(&s, "disk", &err), 0);
        ck_assert_uint_eq(s.size, sizeof(key));
        ck_assert_int_eq(memcmp(s.data, key, sizeof(key)), 0);
        secret_deinit(&s);
        ck_assert_int_eq(passphrase_credential(&s, "empty", &err), 0);
        ck_assert_uint_eq(s.size, 0);
        secret_deinit(&s);
}
END_TEST

START_TEST(without_a_credential_there_is_none)
{
        int dir = use_credentials();
        struct secret s;
        ERR_LOCAL(err);

        scratch_file(dir, "rsync-system-backup.disk", "x", 1);
        ck_assert_int_eq(passphrase_credential(&s, "another", &err), -ENOENT);
        ck_assert_int_eq(fchdir(dir), 0);
        ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", ".", 1), 0);
        ck_assert_int_eq(passphrase_credential(&s, "disk", &err), -ENOENT);
        ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", "", 1), 0);
        ck_assert_int_eq(passphrase_credential(&s, "disk", &err), -ENOENT);
        ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", "/dev/shm/no/such", 1), 0);
        ck_assert_int_eq(passphrase_credential(&s, "disk", &err), -ENOENT);
        ck_assert_int_eq(unsetenv("CREDENTIALS_DIRECTORY"), 0);
        ck_assert_int_eq(passphrase_credential(&s, "disk", &err), -ENOENT);
}
END_TEST

START_TEST(what_is_no_file_there_is_refused)
{
        static const char *const names[] = { "link", "fifo", "directory", "x/../../elsewhere" };
        struct err err = { .kind = ERR_NONE };
        int dir = use_credentials(), elsewhere = scratch_directory();
        char long_name[300];
        struct secret s;

        scratch_file(elsewhere, "key", "x", 1);
        ck_assert_int_eq(symlinkat("/etc/hostname", dir, "rsync-system-backup.link"), 0);
        ck_assert_int_eq(mkfifoat(dir, "rsync-system-backup.fifo", 0600), 0);
        ck_assert_int_eq(mkdirat(dir, "rsync-system-backup.directory", 0700), 0);
        ck_assert_int_eq(mkdirat(dir, "rsync-system-backup.x", 0700), 0);
        scratch_file(dir, "elsewhere", "x", 1);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                int r = passphrase_credential(&s, names[i], &err);

                ck_assert_msg(r < 0 && r != -ENOENT, "%s: %d", names[i], r);
                ck_assert_ptr_nonnull(strstr(err.text, names[i]));
                err_clear(&err);
        }
        snprintf(long_name, sizeof(long_name), "%0250d", 0);
        ck_assert_int_eq(passphrase_credential(&s, long_name, &err), -EINVAL);
        err_clear(&err);
        fd_close(elsewhere);
        fd_close(dir);
}
END_TEST

START_TEST(a_credential_that_is_too_large_is_refused)
{
        int dir = use_credentials(), fd;
        struct secret s;
        ERR_LOCAL(err);

        scratch_file(dir, "rsync-system-backup.disk", "", 0);
        fd = openat(dir, "rsync-system-backup.disk", O_WRONLY);
        ck_assert_int_eq(ftruncate(fd, (off_t)largest), 0);
        ck_assert_int_eq(passphrase_credential(&s, "disk", &err), 0);
        ck_assert_uint_eq(s.size, largest);
        secret_deinit(&s);
        ck_assert_int_eq(ftruncate(fd, (off_t)largest + 1), 0);
        ck_assert_int_eq(passphrase_credential(&s, "disk", &err), -EFBIG);
        ck_assert_ptr_nonnull(strstr(err.text, "rsync-system-backup.disk'"));
        err_clear(&err);
        fd_close(fd);
}
END_TEST

/* ---- the terminal ---- */

static int ask(struct secret *ret, struct err *err)
{
        return passphrase_ask(ret, "my\033disk", 0, err);
}

static int ask_for_a_second(struct secret *ret, struct err *err)
{
        return passphrase_ask(ret, "my\033disk", 1, err);
}

static void answer(terminal_question *question, const char *keys, struct terminal_result *ret)
{
        struct terminal t;

        terminal_open(&t);
        terminal_start(&t, question);
        terminal_expect(&t, "Passphrase of the disk 'my\\033disk': ");
        ck_assert(!terminal_echoes(&t));
        terminal_type(&t, keys);
        terminal_finish(&t, ret);
        ck_assert_ptr_null(strstr(t.shown, "sesame"));
        terminal_close(&t);
}

START_TEST(on_a_terminal_it_is_asked_there)
{
        struct terminal_result result;

        answer(ask, "sesame\n", &result);
        ck_assert_int_eq(result.outcome, PASSPHRASE_GOT);
        ck_assert_uint_eq(result.size, 6);
        ck_assert_int_eq(memcmp(result.data, "sesame", 6), 0);
        answer(ask, "\x04", &result);
        ck_assert_int_eq(result.outcome, PASSPHRASE_REFUSED);
        answer(ask_for_a_second, "sesame", &result);
        ck_assert_int_eq(result.outcome, PASSPHRASE_REFUSED);
        answer(ask, "sesame\x03", &result);
        ck_assert_int_eq(result.outcome, -ECANCELED);
        ck_assert_str_eq(result.error, "stopped by signal INT");
}
END_TEST

/* ---- agents ---- */

static bool write_text(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        bool written = fd >= 0 && fd_write_full(fd, text, strlen(text)) == 0;

        fd_close(fd);
        return written;
}

/* Into a namespace in which an ordinary user may mount, as who he is; user_namespaces(7). */
static bool may_mount(void)
{
        char users[64], groups[64];

        if (geteuid() == 0)
                return unshare(CLONE_NEWNS) == 0;
        snprintf(users, sizeof(users), "%u %u 1", geteuid(), geteuid());
        snprintf(groups, sizeof(groups), "%u %u 1", getegid(), getegid());
        return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_text("/proc/self/uid_map", users) &&
               write_text("/proc/self/setgroups", "deny") && write_text("/proc/self/gid_map", groups);
}

/* A /run of our own, seen by nobody else. Return whether that is permitted. */
static bool use_run(void)
{
        return may_mount() && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
               mount("run", "/run", "tmpfs", 0, NULL) == 0;
}

static void leave_terminal(void)
{
        int null = open("/dev/null", O_RDONLY);

        ck_assert_int_eq(dup2(null, STDIN_FILENO), STDIN_FILENO);
        fd_close(null);
}

START_TEST(without_terminal_and_agents_nobody_is_asked)
{
        struct secret s;
        ERR_LOCAL(err);

        if (!use_run())
                return;
        leave_terminal();
        ck_assert_int_eq(passphrase_ask(&s, "disk", 0, &err), PASSPHRASE_NOBODY);
}
END_TEST

/* Wait for the question, see that it names the disk, and answer. */
static void run_agent(int watch, const char *reply)
{
        char event[sizeof(struct inotify_event) + NAME_MAX + 1], text[1024] = "";
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int dir = open("/run/systemd/ask-password", O_RDONLY | O_DIRECTORY), fd, sender;
        const char *line;

        if (read(watch, event, sizeof(event)) <= 0)
                _exit(1);
        fd = openat(dir, event + offsetof(struct inotify_event, name), O_RDONLY);
        if (fd_read_full(fd, text, sizeof(text) - 1) <= 0 ||
            !strstr(text, "\nMessage=Passphrase of the disk 'my\\033disk' (rsync-system-backup):\n") ||
            !strstr(text, "\nId=rsync-system-backup:my\\033disk\n"))
                _exit(2);
        line = strstr(text, "\nSocket=");
        if (!line || sscanf(line, "\nSocket=%107[^\n]", address.sun_path) != 1)
                _exit(3);
        sender = socket(AF_UNIX, SOCK_DGRAM, 0);
        if (sendto(sender, reply, strlen(reply), 0, (const struct sockaddr *)&address, sizeof(address)) < 0)
                _exit(4);
        _exit(0);
}

static int ask_agent(struct secret *ret, const char *reply, struct err *err)
{
        int watch = inotify_init1(IN_CLOEXEC), status, r;
        pid_t agent;

        ck_assert_int_ge(inotify_add_watch(watch, "/run/systemd/ask-password", IN_MOVED_TO), 0);
        agent = fork();
        if (agent == 0)
                run_agent(watch, reply);
        r = passphrase_ask(ret, "my\033disk", 60, err);
        ck_assert_int_eq(waitpid(agent, &status, 0), agent);
        ck_assert_int_eq(status, 0);
        fd_close(watch);
        return r;
}

START_TEST(without_terminal_agents_are_asked)
{
        struct secret s;
        ERR_LOCAL(err);

        if (!use_run())
                return;
        leave_terminal();
        ck_assert_int_eq(mkdir("/run/systemd", 0755), 0);
        ck_assert_int_eq(mkdir("/run/systemd/ask-password", 0755), 0);
        ck_assert_int_eq(ask_agent(&s, "+sesame", &err), PASSPHRASE_GOT);
        ck_assert_uint_eq(s.size, 6);
        ck_assert_int_eq(memcmp(s.data, "sesame", 6), 0);
        secret_deinit(&s);
        ck_assert_int_eq(ask_agent(&s, "-", &err), PASSPHRASE_REFUSED);
        ck_assert_int_eq(passphrase_ask(&s, "disk", 1, &err), PASSPHRASE_REFUSED);
        ck_assert_int_eq(rmdir("/run/systemd/ask-password"), 0);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                a_credential_is_taken_with_all_of_its_bytes,
                without_a_credential_there_is_none,
                what_is_no_file_there_is_refused,
                a_credential_that_is_too_large_is_refused,
                on_a_terminal_it_is_asked_there,
                without_terminal_and_agents_nobody_is_asked,
                without_terminal_agents_are_asked,
        };

        return scratch_run("passphrase", tests, ARRAY_SIZE(tests));
}
