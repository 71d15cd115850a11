/*
 * INI files, read by libinih (https://github.com/benhoyt/inih), with what it leaves out: the number of the line in
 * every error, and lines that it would silently cut in two are refused.
 *
 * The dialect: [section], `key = value` or `key: value`, comments behind `;` or `#` at the start of a line and behind
 * ` ;` in it, and an indented line continues the value above (the handler is called again with the same key).
 */
#pragma once

#include "base/util.h"

struct err;

struct ini_item {
        const char *file; /* the name for messages */
        unsigned line;    /* 1-based */
        const char *section;
        const char *key; /* NULL: the section begins here, or goes on */
        const char *value;
};

/* Called for each section and each value; all strings are borrowed for the call. A negative return with @err filled
 * ends the reading. */
typedef int (*ini_visitor)(void *context, const struct ini_item *item, struct err *err);

/* @file is opened by name. Errors (unreadable, broken line, too long a line) are of kind ERR_USAGE; -ENOENT is passed
 * on as a code with the same kind, so that a caller can tell a missing file. */
int ini_read_file(const char *file, ini_visitor handler, void *context, struct err *err);

/* The same from memory; @name stands in messages. */
int ini_read_text(const char *name, const char *text, ini_visitor handler, void *context, struct err *err);

/* Fill @err with "FILE:LINE: KEY: message", kind ERR_USAGE. Returns -EINVAL. */
int ini_error(struct err *err, const struct ini_item *item, const char *format, ...) _printf_(3, 4);

/* Parse yes/no, true/false, on/off, 1/0 in any case. Return 0 or -EINVAL. */
int ini_bool(const char *value, bool *ret);
