/*
 * One lock keeps lines whole and the status line below them. sd-daemon(3) defines the "<N>" prefixes, systemd.exec(5)
 * $JOURNAL_STREAM, https://no-color.org NO_COLOR.
 */
#include "base/log.h"

#include "base/err.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <sys/stat.h>
#include <syslog.h>

static struct {
        pthread_mutex_t lock; /* guards standard error, standard output and status_shown */
        const char *program;
        enum log_level most;
        bool terminal, journal, colour;
        bool status_shown;
        int lost;   /* -errno of the first line that did not arrive on standard output */
        FILE *list; /* NULL: standard output */
        void (*sink)(void *context, enum log_level level, const char *text); /* instead of standard error */
        void *sink_context;
        bool (*send)(enum log_level level, const char *text, const char *step, const struct log_fields *fields);
        const char *step;
} the_log = { .lock = PTHREAD_MUTEX_INITIALIZER, .program = "rsync-system-backup", .most = LOG_LEVEL_INFO };

static bool leads_to_journal(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        char ours[64];
        struct stat st;

        if (!stream || fstat(STDERR_FILENO, &st) < 0)
                return false;
        snprintf(ours, sizeof(ours), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
        return str_equal(stream, ours);
}

void log_init(const char *program, enum log_level most)
{
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

        the_log.program = program;
        the_log.most = most;
        the_log.terminal = isatty(STDERR_FILENO) && !(term && str_equal(term, "dumb"));
        the_log.journal = leads_to_journal();
        the_log.colour = the_log.terminal && !(no_color && *no_color);
        setvbuf(stderr, NULL, _IOLBF, 0);
        openlog(program, LOG_PID, LOG_DAEMON);
}

void log_divert(void (*sink)(void *context, enum log_level level, const char *text), void *context, enum log_level most)
{
        pthread_mutex_lock(&the_log.lock);
        the_log.sink = sink;
        the_log.sink_context = context;
        the_log.most = most;
        pthread_mutex_unlock(&the_log.lock);
}

void log_structured(bool (*send)(enum log_level level, const char *text, const char *step,
                                 const struct log_fields *fields))
{
        pthread_mutex_lock(&the_log.lock);
        the_log.send = send;
        pthread_mutex_unlock(&the_log.lock);
}

bool log_is_structured(void)
{
        return the_log.journal && the_log.send;
}

void log_step(const char *step)
{
        pthread_mutex_lock(&the_log.lock);
        the_log.step = step;
        pthread_mutex_unlock(&the_log.lock);
}

static const int priorities[] = {
        [LOG_LEVEL_ERROR] = LOG_ERR,
        [LOG_LEVEL_WARNING] = LOG_WARNING,
        [LOG_LEVEL_INFO] = LOG_INFO,
        [LOG_LEVEL_DEBUG] = LOG_DEBUG,
};

static void erase_status(void)
{
        if (the_log.status_shown)
                fputs("\r\033[K", stderr);
        the_log.status_shown = false;
}

/* Which error it is can be told only at once. */
static int keep_loss(FILE *file, bool is_lost)
{
        int r = !is_lost ? 0 : errno ? -errno : -EIO;

        if (file == stdout && the_log.lost == 0)
                the_log.lost = r;
        return r;
}

static void write_stderr(enum log_level level, const char *text)
{
        static const char *const labels[] = { [LOG_LEVEL_ERROR] = "error: ", [LOG_LEVEL_WARNING] = "warning: " };
        static const char *const colours[] = { [LOG_LEVEL_ERROR] = "\033[1;31m", [LOG_LEVEL_WARNING] = "\033[1;33m" };
        bool labelled = level <= LOG_LEVEL_WARNING;

        if (the_log.journal)
                fprintf(stderr, "<%d>%s\n", priorities[level], text);
        else if (labelled && the_log.colour)
                fprintf(stderr, "%s%s\033[0m%s\n", colours[level], labels[level], text);
        else
                fprintf(stderr, "%s%s\n", labelled ? labels[level] : "", text);
}

/* Names are escaped where they are put into messages; whatever slipped through must not reach a terminal or a log. */
static void defuse(char *text)
{
        for (unsigned char *p = (unsigned char *)text; *p; p++) {
                bool is_c1 = *p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;

                if (*p < 0x20 || *p == 0x7f || is_c1)
                        *p = '?';
        }
}

static void _printf_(3, 0)
        say(enum log_level level, const struct log_fields *fields, const char *format, va_list arguments)
{
        char text[ERR_TEXT_MAX + ERR_HINT_MAX + 64];

        if (level > the_log.most)
                return;
        vsnprintf(text, sizeof(text), format, arguments);
        defuse(text);
        pthread_mutex_lock(&the_log.lock);
        if (the_log.sink) {
                the_log.sink(the_log.sink_context, level, text);
        } else {
                /* Both may lead to one file. */
                (void)keep_loss(stdout, fflush(stdout) != 0);
                erase_status();
                if (!the_log.journal || !the_log.send || !the_log.send(level, text, the_log.step, fields))
                        write_stderr(level, text);
        }
        pthread_mutex_unlock(&the_log.lock);
        if (!the_log.journal)
                syslog(priorities[level], "%s", text);
}

void log_line(enum log_level level, const char *format, ...)
{
        static const struct log_fields none = { .event = LOG_EVENT_NONE };
        va_list arguments;

        va_start(arguments, format);
        say(level, &none, format, arguments);
        va_end(arguments);
}

void log_event(enum log_level level, const struct log_fields *fields, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        say(level, fields, format, arguments);
        va_end(arguments);
}

void log_err_as(enum log_event event, enum log_level level, struct err *err)
{
        char path[ERR_PATH_MAX];
        const struct log_fields fields = { .event = event, .path = err_path(err, path), .code = err->code };

        log_event(level, &fields, "%s%s%s", err->text, err->hint[0] ? "; " : "", err->hint);
        err_clear(err);
}

void log_err(enum log_level level, struct err *err)
{
        log_err_as(LOG_EVENT_NONE, level, err);
}

/* Whoever reads the list, or writes to the same file, finds whole lines only. */
static int make_room(FILE *list, size_t size)
{
        return __fpending(list) + size > __fbufsize(list) ? fflush(list) : 0;
}

void log_print_aside(void)
{
        the_log.list = stderr;
}

int log_print(const char *text)
{
        FILE *list = the_log.list ? the_log.list : stdout;
        int r;

        pthread_mutex_lock(&the_log.lock);
        if (the_log.status_shown) {
                erase_status();
                fflush(stderr);
        }
        r = keep_loss(list, make_room(list, strlen(text) + 1) != 0 || fprintf(list, "%s\n", text) < 0);
        pthread_mutex_unlock(&the_log.lock);
        return r;
}

int log_print_flush(void)
{
        int r;

        pthread_mutex_lock(&the_log.lock);
        (void)keep_loss(stdout, fflush(stdout) != 0);
        r = the_log.lost < 0 ? the_log.lost : ferror(stdout) ? -EIO : 0;
        the_log.lost = 0;
        if (r < 0) {
                __fpurge(stdout);
                clearerr(stdout);
        }
        pthread_mutex_unlock(&the_log.lock);
        return r;
}

void log_status(const char *text)
{
        if (!the_log.terminal || the_log.journal)
                return;
        pthread_mutex_lock(&the_log.lock);
        erase_status();
        if (text) {
                fprintf(stderr, "\r%s", text);
                the_log.status_shown = true;
        }
        fflush(stderr);
        pthread_mutex_unlock(&the_log.lock);
}
