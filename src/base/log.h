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

void log_line(enum log_level level, const char *format, ...) _printf_(2, 3);
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* Text and hint of @err as one line; empties @err. */
void log_err(enum log_level level, struct err *err);

/*
 * A line of the program's result on standard output, @text without the newline. It may arrive later, but as a whole and
 * before any message that comes after it. Return 0 or -errno.
 */
int log_print(const char *text);

/* From now on standard output is for something else: what log_print() is given goes to standard error. */
void log_print_aside(void);

/* Show @text as the status line (one line that fits; NULL takes it away). Does nothing off a terminal. */
void log_status(const char *text);
