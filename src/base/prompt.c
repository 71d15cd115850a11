/*
 * The terminal stays in its mode for lines: the kernel edits them, so that what is half typed is in its memory and not
 * in ours, and when echo is off it wipes its own copy of a line that was read (n_tty, from Linux 5.12 on).
 */
#include "base/prompt.h"

#include "base/err.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/stop.h"

#include <stdio.h>
#include <termios.h>

/* The longest line that a terminal gives, termios(3). */
enum { LINE_SIZE_MAX = 4096 };

struct terminal {
        bool is_changed, is_hidden;
        struct termios before;
};

bool prompt_is_possible(void)
{
        return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

static struct termios asking_mode(struct termios mode, bool is_hidden)
{
        if (is_hidden)
                mode.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
        else
                mode.c_lflag |= ECHO;
        mode.c_lflag |= ICANON | ISIG;
        /* Some program may have left it in a mode in which the Enter key ends no line, or bytes are changed. */
        mode.c_iflag &= ~(tcflag_t)(IGNCR | INLCR | ISTRIP | PARMRK);
        mode.c_iflag |= ICRNL;
        /* Nobody would turn the echo on again: the shell finds a terminal that shows nothing of what is typed. */
        mode.c_cc[VQUIT] = mode.c_cc[VSUSP] = _POSIX_VDISABLE;
        return mode;
}

/* No waiting until all output is shown (TCSADRAIN): it may be held by ctrl-S, for ever. */
static int change_mode(struct terminal *t, struct err *err)
{
        struct termios mode;

        if (tcgetattr(STDIN_FILENO, &t->before) < 0)
                return err_run(err, -errno, "ask on the terminal", NULL);
        mode = asking_mode(t->before, t->is_hidden);
        if (tcsetattr(STDIN_FILENO, TCSANOW, &mode) < 0)
                return err_run(err, -errno, "set the terminal's mode", NULL);
        t->is_changed = true;
        (void)tcflush(STDIN_FILENO, TCIFLUSH);
        return 0;
}

static void restore_mode(struct terminal *t)
{
        if (!t->is_changed)
                return;
        /* Half a passphrase, or what was pasted behind it, must not become a shell's command. */
        (void)tcflush(STDIN_FILENO, TCIFLUSH);
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &t->before);
        if (t->is_hidden)
                fputs("\n", stderr);
        fflush(stderr);
}

static void show_question(const char *question)
{
        log_status(NULL);
        fprintf(stderr, "%s ", question);
        fflush(stderr);
}

/* Take the line out of what was read: without its end, which ctrl-D does not leave. */
static int take_line(struct secret *answer, size_t size, struct err *err)
{
        size_t length = answer->data[size - 1] == '\n' ? size - 1 : size;

        if (length > PROMPT_SIZE_MAX)
                return err_runf(err, -EMSGSIZE, "the passphrase is longer than %d bytes", PROMPT_SIZE_MAX);
        secret_keep(answer, 0, length);
        return PROMPT_ANSWERED;
}

static int read_line(struct secret *answer, uint64_t deadline_us, struct err *err)
{
        for (;;) {
                int r = stop_wait(STDIN_FILENO, deadline_us, err);
                ssize_t size;

                if (r != STOP_WAIT_READY)
                        return r == STOP_WAIT_TIMED_OUT ? PROMPT_TIMED_OUT : r;
                size = read(STDIN_FILENO, answer->data, answer->capacity);
                if (size > 0)
                        return take_line(answer, (size_t)size, err);
                if (size == 0)
                        return PROMPT_CANCELLED;
                if (errno != EINTR && errno != EAGAIN)
                        return err_run(err, -errno, "read from the terminal", NULL);
        }
}

static int ask(struct secret *ret, const char *question, bool is_hidden, unsigned timeout_s, struct err *err)
{
        _cleanup_(secret_deinit) struct secret answer = { .data = NULL };
        _cleanup_(restore_mode) struct terminal terminal = { .is_hidden = is_hidden };
        int r;

        if (secret_init(&answer, LINE_SIZE_MAX) < 0)
                return err_oom(err);
        r = change_mode(&terminal, err);
        if (r < 0)
                return r;
        show_question(question);
        r = read_line(&answer, stop_deadline_us(timeout_s), err);
        if (r == PROMPT_ANSWERED) {
                *ret = answer;
                answer = (struct secret){ .data = NULL };
        }
        return r;
}

int prompt_secret(struct secret *ret, const char *question, unsigned timeout_s, struct err *err)
{
        return ask(ret, question, true, timeout_s, err);
}

int prompt_line(struct secret *ret, const char *question, unsigned timeout_s, struct err *err)
{
        return ask(ret, question, false, timeout_s, err);
}
