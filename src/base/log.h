/*
 * What the program says while it works: one event, one line, to standard error, and to syslog(3). On a terminal a
 * status line can stand below the messages; it makes room for each of them. There is one log, as there is one standard
 * error; it may be used from any thread.
 */
#pragma once

#include "base/util.h"

struct err;

enum log_level {
        LOG_LEVEL_ERROR,   /* the run failed */
        LOG_LEVEL_WARNING, /* something is missing from this backup */
        LOG_LEVEL_INFO,    /* what an operator wants from a good night */
        LOG_LEVEL_DEBUG,
};

/*
 * Find out where standard error leads (terminal, journal, other) and show what is at most @most. Under systemd lines
 * carry the prefixes of sd-daemon(3) and syslog is left out, since the journal has them already.
 */
void log_init(const char *program, enum log_level most);

/*
 * From now on messages go to @sink instead of standard error, whatever their level is up to @most; it is called from
 * any thread, with one line of escaped text. They go to syslog(3) as well. NULL: to standard error again.
 */
void log_divert(void (*sink)(void *context, enum log_level level, const char *text), void *context,
                enum log_level most);

/* Kinds of messages that machines look for; docs/systemd.md tells what each one means. */
enum log_event {
        LOG_EVENT_NONE,
        LOG_EVENT_STARTED,
        LOG_EVENT_ENDED,
        LOG_EVENT_INCOMPLETE,
        LOG_EVENT_FAILED,
        LOG_EVENT_SKIPPED,
        LOG_EVENT_ERROR,   /* why the run fails */
        LOG_EVENT_LOST,    /* an entry that is missing from the backup, in part at least */
        LOG_EVENT_REMAINS, /* one that could not be removed */
        LOG_EVENT_SNAPSHOT_MADE,
        LOG_EVENT_SNAPSHOT_REMOVED,
        LOG_EVENTS,
};

/* What machines are told beside the text. */
struct log_fields {
        enum log_event event;
        const char *path;        /* as it is shown, or "" or NULL */
        int code;                /* negative errno, or 0 */
        const char *const *more; /* "NAME=value", a NULL behind the last; or NULL */
};

/*
 * From now on messages that would go to the journal by standard error are given to @send first, with what is being
 * done, see log_step(); only when it returns false they are written. Called from any thread, never by two at once.
 */
void log_structured(bool (*send)(enum log_level level, const char *text, const char *step,
                                 const struct log_fields *fields));

/* Do messages go to the journal, and with fields? */
bool log_is_structured(void);

/* What is being done from now on, a static text, or NULL. */
void log_step(const char *step);

void log_line(enum log_level level, const char *format, ...) _printf_(2, 3);
void log_event(enum log_level level, const struct log_fields *fields, const char *format, ...) _printf_(3, 4);
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* Text and hint of @err as one line; empties @err. */
void log_err(enum log_level level, struct err *err);
void log_err_as(enum log_event event, enum log_level level, struct err *err);

/*
 * A line of the program's result on standard output, @text without the newline. It may arrive later, but as a whole and
 * before any message that comes after it. Return 0 or -errno.
 */
int log_print(const char *text);

/*
 * Have all that standard output was given arrive there. Return 0, or -errno for what did not since the last call, which
 * is given up.
 */
int log_print_flush(void);

/* From now on standard output is for something else: what log_print() is given goes to standard error. */
void log_print_aside(void);

/* Show @text as the status line (one line that fits; NULL takes it away). Does nothing off a terminal. */
void log_status(const char *text);
