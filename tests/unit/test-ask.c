/* Questions to password agents: what they find, what is believed of what they say, and that nothing is left behind. */
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/stop.h"
#include "scratch.h"
#include "storage/ask.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

enum { SOMEBODY = 12345 };

/* For answers that come. */
enum { TIMEOUT_S = 60 };

static char directory[400];

static void use_directory(void)
{
        int dir = scratch_directory();

        scratch_path_of(dir, directory, sizeof(directory));
        fd_close(dir);
}

static size_t count_entries(const char *path)
{
        DIR *dir = opendir(path);
        const struct dirent *d;
        size_t count = 0;

        ck_assert_ptr_nonnull(dir);
        while ((d = readdir(dir)))
                count += d->d_name[0] != '.';
        closedir(dir);
        return count;
}

/* ---- an agent: a child that waits for the question, as agents do, and acts on it ---- */

struct asked {
        char path[700], text[2048], socket_path[256];
};

typedef void agent_action(const struct asked *asked);

static pid_t tester;

/* Who asks would wait for ever for an agent that gives up. */
static void expect(bool holds, const char *what)
{
        if (!holds) {
                fprintf(stderr, "agent: %s\n", what);
                kill(tester, SIGKILL);
                _exit(1);
        }
}

static void read_question(struct asked *asked, const char *name)
{
        const char *socket_line;
        ssize_t size;
        int fd;

        snprintf(asked->path, sizeof(asked->path), "%s/%s", directory, name);
        fd = open(asked->path, O_RDONLY);
        size = fd_read_full(fd, asked->text, sizeof(asked->text) - 1);
        expect(size > 0, "the question cannot be read");
        asked->text[size] = '\0';
        socket_line = strstr(asked->text, "\nSocket=");
        expect(socket_line && sscanf(socket_line, "\nSocket=%255[^\n]", asked->socket_path) == 1, "no socket");
}

static void run_agent(int watch, agent_action *act)
{
        union {
                struct inotify_event event;
                char bytes[sizeof(struct inotify_event) + NAME_MAX + 1];
        } e;
        struct asked asked;

        /* One at a time, since there is room for one of any length only. */
        do {
                expect(read(watch, &e, sizeof(e)) > 0, "no event");
        } while (!str_starts(e.event.name, "ask."));
        read_question(&asked, e.event.name);
        act(&asked);
        _exit(0);
}

static pid_t start_agent(agent_action *act)
{
        int watch = inotify_init1(IN_CLOEXEC);
        pid_t child;

        ck_assert_int_ge(inotify_add_watch(watch, directory, IN_MOVED_TO), 0);
        tester = getpid();
        child = fork();
        if (child == 0)
                run_agent(watch, act);
        ck_assert_int_gt(child, 0);
        fd_close(watch);
        return child;
}

static int connect_to(const struct asked *asked)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", asked->socket_path);
        expect(connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0, "cannot connect");
        return fd;
}

static void reply(const struct asked *asked, const void *data, size_t size)
{
        int fd = connect_to(asked);

        expect(send(fd, data, size, 0) == (ssize_t)size, "cannot send");
        fd_close(fd);
}

/* Ask while an agent acts. Return what ask_agents() does. */
static int ask_with(struct secret *ret, unsigned timeout_s, agent_action *act, struct err *err)
{
        const struct ask_config config = {
                .directory = directory,
                .message = "passphrase of 'disk':",
                .id = "rsync-system-backup:disk",
                .timeout_s = timeout_s,
        };
        pid_t agent = start_agent(act);
        int r = ask_agents(ret, &config, err), status;

        ck_assert_int_eq(waitpid(agent, &status, 0), agent);
        ck_assert_int_eq(status, 0);
        return r;
}

/* The answer is @expected, and its memory holds nothing else. */
static void expect_answer(agent_action *act, const char *expected)
{
        size_t length = strlen(expected);
        struct secret s = { .data = NULL };
        ERR_LOCAL(err);
        int r = ask_with(&s, TIMEOUT_S, act, &err);

        ck_assert_msg(r == ASK_ANSWERED, "%d: %s", r, err.text);
        ck_assert_uint_eq(s.size, length);
        ck_assert_int_eq(memcmp(s.data, expected, length), 0);
        for (size_t i = s.size; i < s.capacity; i++)
                ck_assert_int_eq(s.data[i], 0);
        secret_deinit(&s);
}

/* ---- the question ---- */

static uint64_t now_us(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void check_question(const struct asked *asked)
{
        char start[512];
        uint64_t not_after, now = now_us();
        const char *line = strstr(asked->text, "\nNotAfter=");
        struct stat st;

        snprintf(start, sizeof(start), "[Ask]\nPID=%d\nSocket=%s/sck.", (int)tester, directory);
        expect(str_starts(asked->text, start), "PID or Socket");
        expect(strstr(asked->text, "\nMessage=passphrase of 'disk':\n"), "Message");
        expect(strstr(asked->text, "\nId=rsync-system-backup:disk\n"), "Id");
        expect(strstr(asked->text, "\nEcho=0\n") && strstr(asked->text, "\nAcceptCached=0\n"), "Echo or AcceptCached");
        expect(line != NULL, "NotAfter");
        not_after = strtoull(line + strlen("\nNotAfter="), NULL, 10);
        expect(not_after > now + 200000000 && not_after <= now + 250000000, "NotAfter is not in 250 seconds");
        expect(stat(asked->path, &st) == 0 && (st.st_mode & 07777) == 0644, "the question's mode");
        expect(stat(asked->socket_path, &st) == 0 && (st.st_mode & 07777) == 0600 && S_ISSOCK(st.st_mode),
               "the socket's mode");
        expect(count_entries(directory) == 2, "there is more than a question and its socket");
        reply(asked, "+open sesame", 12);
}

START_TEST(an_agent_finds_all_that_it_needs)
{
        static const mode_t masks[] = { 0, 022, 077, 0177 };

        use_directory();
        for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
                struct secret s = { .data = NULL };
                ERR_LOCAL(err);

                umask(masks[i]);
                ck_assert_int_eq(ask_with(&s, 250, check_question, &err), ASK_ANSWERED);
                ck_assert_uint_eq(s.size, 11);
                ck_assert_int_eq(memcmp(s.data, "open sesame", 11), 0);
                secret_deinit(&s);
                ck_assert_uint_eq(count_entries(directory), 0);
        }
}
END_TEST

static void check_has_no_end(const struct asked *asked)
{
        expect(strstr(asked->text, "\nNotAfter=0\n"), "it ends");
        reply(asked, "+x", 2);
}

START_TEST(a_question_without_timeout_has_no_end)
{
        struct secret s;
        ERR_LOCAL(err);

        use_directory();
        ck_assert_int_eq(ask_with(&s, 0, check_has_no_end, &err), ASK_ANSWERED);
        secret_deinit(&s);
}
END_TEST

static void check_lines(const struct asked *asked)
{
        size_t lines = 0;

        for (const char *p = asked->text; *p; p++)
                lines += *p == '\n';
        expect(lines == 9, "a value has made a line of its own, or none");
        expect(!strstr(asked->text, "\\\n"), "a line goes on in the next");
        expect(strstr(asked->text, "\nMessage=x?Socket=/evil?\n") && strstr(asked->text, "\nId=a\\b?c\n"), "values");
        reply(asked, "+x", 2);
}

START_TEST(what_is_asked_forges_no_line)
{
        const struct ask_config config = {
                .directory = directory, .message = "x\nSocket=/evil\\", .id = "a\\b\rc", .timeout_s = 0
        };
        struct secret s;
        ERR_LOCAL(err);
        pid_t agent;
        int status;

        use_directory();
        agent = start_agent(check_lines);
        ck_assert_int_eq(ask_agents(&s, &config, &err), ASK_ANSWERED);
        secret_deinit(&s);
        ck_assert_int_eq(waitpid(agent, &status, 0), agent);
        ck_assert_int_eq(status, 0);
}
END_TEST

static void answer_nothing(const struct asked *asked)
{
        reply(asked, "+", 1);
}

START_TEST(what_others_left_is_left_alone)
{
        int dir;

        use_directory();
        dir = open(directory, O_RDONLY | O_DIRECTORY);
        scratch_file(dir, "ask.dead", "[Ask]\nPID=999999999\nSocket=/nowhere\n", 36);
        scratch_file(dir, "sck.dead", "", 0);
        scratch_file(dir, "tmp.dead", "", 0);
        expect_answer(answer_nothing, "");
        ck_assert_uint_eq(count_entries(directory), 3);
        fd_close(dir);
}
END_TEST

/* ---- answers ---- */

static void answer_list(const struct asked *asked)
{
        reply(asked, "+first\0second\0", 14);
}

START_TEST(of_several_passphrases_the_first_is_taken)
{
        use_directory();
        expect_answer(answer_list, "first");
        expect_answer(answer_nothing, "");
}
END_TEST

static void answer_no(const struct asked *asked)
{
        reply(asked, "-", 1);
}

static void say_nothing(const struct asked *asked)
{
        (void)asked;
}

START_TEST(cancelled_and_timed_out_are_told_apart)
{
        struct secret s;
        ERR_LOCAL(err);
        uint64_t before;

        use_directory();
        ck_assert_int_eq(ask_with(&s, 0, answer_no, &err), ASK_CANCELLED);
        ck_assert_uint_eq(count_entries(directory), 0);
        before = now_us();
        ck_assert_int_eq(ask_with(&s, 1, say_nothing, &err), ASK_TIMED_OUT);
        ck_assert_uint_ge(now_us() - before, 1000000);
        ck_assert_uint_eq(count_entries(directory), 0);
}
END_TEST

enum { LONG_SIZE = 5000 };

static void babble(const struct asked *asked)
{
        char text[LONG_SIZE];

        memset(text, 'A', sizeof(text));
        text[0] = '+';
        reply(asked, text, sizeof(text));
        text[0] = 'x';
        reply(asked, text, sizeof(text) / 2);
        reply(asked, "", 0);
        reply(asked, "\0+AAA", 5);
        reply(asked, "+right", 6);
}

/* Until the next call standard error leads to a file. */
static int divert_stderr(void)
{
        int fd = open(scratch_path, O_TMPFILE | O_RDWR, 0600);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
        return fd;
}

START_TEST(what_is_no_answer_is_ignored_and_wiped_and_not_logged)
{
        char said[4096] = "";
        int log = divert_stderr();

        use_directory();
        log_init("test-ask", LOG_LEVEL_DEBUG);
        expect_answer(babble, "right");
        ck_assert_int_gt(fd_pread_full(log, said, sizeof(said) - 1, 0), 0);
        ck_assert_ptr_nonnull(strstr(said, "too long"));
        ck_assert_ptr_nonnull(strstr(said, "not understood"));
        ck_assert_ptr_null(strstr(said, "AA"));
        ck_assert_ptr_null(strstr(said, "right"));
}
END_TEST

/* A socket that root has connected and somebody else uses. */
static void let_somebody_answer(const struct asked *asked, const char *answer)
{
        int fd = connect_to(asked), status;
        pid_t child = fork();

        if (child == 0) {
                expect(setresgid(SOMEBODY, SOMEBODY, SOMEBODY) == 0 && setresuid(SOMEBODY, SOMEBODY, SOMEBODY) == 0,
                       "cannot become somebody else");
                expect(send(fd, answer, strlen(answer), 0) == (ssize_t)strlen(answer), "cannot send as somebody else");
                _exit(0);
        }
        expect(waitpid(child, &status, 0) == child && status == 0, "nobody else has answered");
        fd_close(fd);
}

static void answer_as_somebody_first(const struct asked *asked)
{
        let_somebody_answer(asked, "+foreign");
        let_somebody_answer(asked, "-");
        reply(asked, "+right", 6);
}

static void answer_as_somebody(const struct asked *asked)
{
        expect(seteuid(0) == 0, "cannot become root again");
        let_somebody_answer(asked, "+ours");
}

static void answer_as_root(const struct asked *asked)
{
        expect(seteuid(0) == 0, "cannot become root again");
        reply(asked, "+root's", 7);
}

START_TEST(only_root_and_ourselves_are_believed)
{
        use_directory();
        /* Without root there is nobody else to be. */
        if (geteuid() != 0)
                return;
        expect_answer(answer_as_somebody_first, "right");
        ck_assert_int_eq(chown(directory, SOMEBODY, SOMEBODY), 0);
        ck_assert_int_eq(seteuid(SOMEBODY), 0);
        expect_answer(answer_as_somebody, "ours");
        expect_answer(answer_as_root, "root's");
        ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

static void answer_with_descriptors(const struct asked *asked)
{
        union {
                struct cmsghdr header;
                char bytes[CMSG_SPACE(8 * sizeof(int))];
        } control = { .bytes = "" };
        char text[] = "+x";
        struct iovec place = { .iov_base = text, .iov_len = 2 };
        struct msghdr message = {
                .msg_iov = &place, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
        };
        int fd = connect_to(asked), fds[8] = { fd, fd, fd, fd, fd, fd, fd, fd };

        control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(fds)),
                                           .cmsg_level = SOL_SOCKET,
                                           .cmsg_type = SCM_RIGHTS };
        memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
        expect(sendmsg(fd, &message, 0) == 2, "cannot send descriptors");
        fd_close(fd);
}

START_TEST(no_descriptor_is_taken_or_left_open)
{
        size_t before;

        use_directory();
        before = count_entries("/proc/self/fd");
        expect_answer(answer_with_descriptors, "x");
        ck_assert_uint_eq(count_entries("/proc/self/fd"), before);
}
END_TEST

/* ---- what goes wrong ---- */

static void stop_asking(const struct asked *asked)
{
        (void)asked;
        expect(kill(tester, SIGTERM) == 0, "cannot stop it");
}

START_TEST(a_stop_withdraws_the_question)
{
        struct secret s;
        ERR_LOCAL(err);

        use_directory();
        ck_assert_int_eq(stop_init(&err), 0);
        ck_assert_int_eq(ask_with(&s, 0, stop_asking, &err), -ECANCELED);
        ck_assert_str_eq(err.text, "stopped by signal TERM");
        ck_assert_uint_eq(count_entries(directory), 0);
        err_clear(&err);
        stop_deinit();
}
END_TEST

static int ask_nobody(const char *where, struct err *err)
{
        const struct ask_config config = { .directory = where, .message = "", .id = "", .timeout_s = 1 };
        struct secret s;

        return ask_agents(&s, &config, err);
}

START_TEST(without_the_directory_nobody_can_be_asked)
{
        char missing[500];
        ERR_LOCAL(err);

        use_directory();
        snprintf(missing, sizeof(missing), "%s/missing", directory);
        ck_assert_int_eq(ask_nobody(missing, &err), ASK_NO_AGENTS);
        ck_assert_int_eq(ask_nobody("/dev/null", &err), -ENOTDIR);
        ck_assert_ptr_nonnull(strstr(err.text, "'/dev/null'"));
        err_clear(&err);
}
END_TEST

START_TEST(a_question_that_cannot_be_put_leaves_nothing)
{
        const struct rlimit little = { 20, RLIM_INFINITY }, enough = { RLIM_INFINITY, RLIM_INFINITY };
        char deep[600];
        ERR_LOCAL(err);
        int r;

        use_directory();
        /* A path that does not fit into a socket's address. */
        snprintf(deep, sizeof(deep), "%s/%0100d", directory, 0);
        ck_assert_int_eq(mkdir(deep, 0700), 0);
        ck_assert_int_eq(ask_nobody(deep, &err), -ENAMETOOLONG);
        err_clear(&err);
        ck_assert_uint_eq(count_entries(deep), 0);
        ck_assert_int_eq(rmdir(deep), 0);
        /* A question that cannot be written to its end. */
        signal(SIGXFSZ, SIG_IGN);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
        r = ask_nobody(directory, &err);
        ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &enough), 0);
        ck_assert_int_eq(r, -EFBIG);
        ck_assert_ptr_nonnull(strstr(err.text, directory));
        err_clear(&err);
        ck_assert_uint_eq(count_entries(directory), 0);
}
END_TEST

START_TEST(replies_are_understood_as_the_protocol_says)
{
        static const struct {
                const char *data;
                size_t size;
                int outcome;
                const char *passphrase;
        } cases[] = {
                { "+a", 2, ASK_ANSWERED, "a" },      { "+a\0", 3, ASK_ANSWERED, "a" },
                { "+a\0b\0", 5, ASK_ANSWERED, "a" }, { "+", 1, ASK_ANSWERED, "" },
                { "+\0b", 3, ASK_ANSWERED, "" },     { "+\n\xff+-", 5, ASK_ANSWERED, "\n\xff+-" },
                { "-", 1, ASK_CANCELLED, NULL },     { "-+a", 3, ASK_CANCELLED, NULL },
                { "", 0, -EBADMSG, NULL },           { "a", 1, -EBADMSG, NULL },
                { "\0+a", 3, -EBADMSG, NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const char *passphrase = NULL;
                size_t size = 0;

                ck_assert_int_eq(ask_parse_reply(cases[i].data, cases[i].size, &passphrase, &size), cases[i].outcome);
                if (!cases[i].passphrase) {
                        ck_assert_ptr_null(passphrase);
                        continue;
                }
                ck_assert_uint_eq(size, strlen(cases[i].passphrase));
                ck_assert_int_eq(memcmp(passphrase, cases[i].passphrase, size), 0);
        }
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                an_agent_finds_all_that_it_needs,
                a_question_without_timeout_has_no_end,
                what_is_asked_forges_no_line,
                what_others_left_is_left_alone,
                of_several_passphrases_the_first_is_taken,
                cancelled_and_timed_out_are_told_apart,
                what_is_no_answer_is_ignored_and_wiped_and_not_logged,
                only_root_and_ourselves_are_believed,
                no_descriptor_is_taken_or_left_open,
                a_stop_withdraws_the_question,
                without_the_directory_nobody_can_be_asked,
                a_question_that_cannot_be_put_leaves_nothing,
                replies_are_understood_as_the_protocol_says,
        };

        return scratch_run("ask", tests, ARRAY_SIZE(tests));
}
