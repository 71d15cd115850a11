/* A terminal of the test's own, and a child that asks on it: somebody who types, and sees what is shown. */
#pragma once

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/stop.h"
#include "scratch.h"

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <utmp.h>

enum { TERMINAL_WAIT_MS = 60 * 1000 };

/* What the child reports of its question. */
struct terminal_result {
        int outcome; /* or a negative errno */
        size_t size;
        char data[1024];
        char error[ERR_TEXT_MAX];
};

struct terminal {
        int master, slave;
        struct termios before;
        pid_t child;
        int result, go; /* pipes */
        char shown[8192];
        size_t shown_size;
};

typedef int terminal_question(struct secret *ret, struct err *err);

static inline void terminal_open(struct terminal *t)
{
        *t = (struct terminal){ .child = -1 };
        ck_assert_int_eq(openpty(&t->master, &t->slave, NULL, NULL, NULL), 0);
        ck_assert_int_eq(tcgetattr(t->slave, &t->before), 0);
}

static inline void terminal_set(struct terminal *t, const struct termios *mode)
{
        ck_assert_int_eq(tcsetattr(t->slave, TCSANOW, mode), 0);
        ck_assert_int_eq(tcgetattr(t->slave, &t->before), 0);
}

/* The kernel would not stop it, since nobody in its session could have it go on; so it dies instead. */
static inline void terminal_die(int signal)
{
        (void)signal;
        _exit(1);
}

static inline void terminal_ask_and_report(terminal_question *ask, int result)
{
        struct terminal_result report = { .outcome = 0 };
        struct secret s = { .data = NULL };
        struct err err = { .kind = ERR_NONE };

        log_init("test", LOG_LEVEL_DEBUG);
        if (signal(SIGTSTP, terminal_die) == SIG_ERR || stop_init(&err) < 0)
                _exit(1);
        log_status("status line");
        report.outcome = ask(&s, &err);
        if (s.data) {
                report.size = s.size;
                memcpy(report.data, s.data, size_min(s.size, sizeof(report.data)));
                secret_deinit(&s);
        }
        snprintf(report.error, sizeof(report.error), "%s", err.text);
        if (fd_write_full(result, &report, sizeof(report)) < 0)
                _exit(1);
}

/* The child leads a session with our terminal, and does not end before it may: that would reset the terminal. */
static inline void terminal_start(struct terminal *t, terminal_question *ask)
{
        int result[2], go[2];
        char byte;

        ck_assert_int_eq(pipe2(result, O_CLOEXEC), 0);
        ck_assert_int_eq(pipe2(go, O_CLOEXEC), 0);
        t->child = fork();
        if (t->child == 0) {
                static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

                /* Whoever started the tests, nohup(1) say, may have had them ignored. */
                for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
                        signal(signals[i], SIG_DFL);
                fd_close(t->master);
                fd_close(go[1]);
                if (login_tty(t->slave) < 0)
                        _exit(1);
                terminal_ask_and_report(ask, result[1]);
                (void)!read(go[0], &byte, 1);
                _exit(0);
        }
        fd_close(result[1]);
        fd_close(go[0]);
        t->result = result[0];
        t->go = go[1];
}

static inline void terminal_see_more(struct terminal *t)
{
        size_t room = sizeof(t->shown) - 1 - t->shown_size;
        ssize_t size = read(t->master, t->shown + t->shown_size, room);

        ck_assert_int_gt(size, 0);
        t->shown_size += (size_t)size;
        t->shown[t->shown_size] = '\0';
}

static inline bool terminal_wait(int fd, int timeout_ms)
{
        struct pollfd watched = { .fd = fd, .events = POLLIN };

        return poll(&watched, 1, timeout_ms) == 1;
}

/* Until the terminal shows @text. */
static inline void terminal_expect(struct terminal *t, const char *text)
{
        while (!strstr(t->shown, text)) {
                ck_assert_msg(terminal_wait(t->master, TERMINAL_WAIT_MS), "'%s' is not shown: '%s'", text, t->shown);
                terminal_see_more(t);
        }
}

static inline void terminal_type(struct terminal *t, const char *keys)
{
        ck_assert_int_eq(fd_write_full(t->master, keys, strlen(keys)), 0);
}

static inline bool terminal_has_mode(struct terminal *t, const struct termios *mode)
{
        struct termios now;

        ck_assert_int_eq(tcgetattr(t->slave, &now), 0);
        return now.c_iflag == mode->c_iflag && now.c_oflag == mode->c_oflag && now.c_cflag == mode->c_cflag &&
               now.c_lflag == mode->c_lflag && memcmp(now.c_cc, mode->c_cc, sizeof(now.c_cc)) == 0;
}

static inline bool terminal_echoes(struct terminal *t)
{
        struct termios mode;

        ck_assert_int_eq(tcgetattr(t->slave, &mode), 0);
        return (mode.c_lflag & (ECHO | ECHONL)) != 0;
}

/* The child's question is over: its result, what the terminal shows, and the terminal is as it was. */
static inline void terminal_finish(struct terminal *t, struct terminal_result *ret)
{
        ck_assert_msg(terminal_wait(t->result, TERMINAL_WAIT_MS), "it still asks: '%s'", t->shown);
        ck_assert_int_eq(fd_read_full(t->result, ret, sizeof(*ret)), (ssize_t)sizeof(*ret));
        while (terminal_wait(t->master, 0))
                terminal_see_more(t);
        ck_assert_msg(terminal_has_mode(t, &t->before), "the terminal's mode is another one");
        fd_close(t->result);
}

static inline void terminal_close(struct terminal *t)
{
        int status;

        fd_close(t->go);
        ck_assert_int_eq(waitpid(t->child, &status, 0), t->child);
        ck_assert_int_eq(status, 0);
        fd_close(t->master);
        fd_close(t->slave);
}
