/*
 * What went wrong, recorded once at its origin in storage of fixed size.
 *
 * Functions that touch the outside world return 0 or a negative errno and fill a struct err, always their last
 * parameter. An error ends in exactly one of three ways: it is returned, given to the report, or dropped with
 * err_drop(). A local that owns one is declared with ERR_LOCAL(); debug builds abort when it is still filled at the
 * end of its scope.
 */
#pragma once

#include "base/util.h"

#include <errno.h>

enum err_kind {
        ERR_NONE,
        ERR_ITEM,  /* this entry is lost or incomplete, the run goes on */
        ERR_RUN,   /* going on is pointless or unsafe */
        ERR_USAGE, /* wrong usage or configuration, nothing was touched: exit status ERR_USAGE_STATUS */
};

enum { ERR_TEXT_MAX = 1024, ERR_HINT_MAX = 320, ERR_USAGE_STATUS = 2 };

struct err {
        enum err_kind kind;
        int code;                /* negative errno */
        char text[ERR_TEXT_MAX]; /* one line: what was attempted, on what, why it failed */
        char hint[ERR_HINT_MAX]; /* what can be done about it, or empty */
        /* Where in the text the path stands that it is about, as it is shown; size 0: about none. */
        unsigned short path_at, path_size;
};

/* Fill with "cannot OPERATION 'PATH': reason". @path may be NULL. Return @code, which is a negative errno. */
int err_item(struct err *err, int code, const char *operation, const char *path);
int err_run(struct err *err, int code, const char *operation, const char *path);

/* The same for an operation on DIRECTORY/NAME. */
int err_item_at(struct err *err, int code, const char *operation, const char *directory, const char *name);
int err_run_at(struct err *err, int code, const char *operation, const char *directory, const char *name);

/* Fill with a sentence of one's own; the code is not translated to text. */
int err_runf(struct err *err, int code, const char *format, ...) _printf_(3, 4);

/*
 * An operation that changes the destination failed. What will fail for the next entry as well (disk full, read-only,
 * broken or gone) is an error of the run, what may be peculiar to this one (immutable, not permitted) of the item.
 */
int err_destination_at(struct err *err, int code, const char *operation, const char *directory, const char *name);

/* Wrong usage: always returns -EINVAL. */
int err_usage(struct err *err, const char *format, ...) _printf_(2, 3);

/* Out of memory is an error of the run. */
int err_oom(struct err *err);

/* Add what can be done about it. Returns the code, so that it can end a return statement. */
int err_hint(struct err *err, const char *format, ...) _printf_(2, 3);

/* Put "CONTEXT: " before the text, where the user would otherwise ask "during what?". Returns the code. */
int err_context(struct err *err, const char *context);

/* Move @from into @to, which must be empty; @from is emptied. Returns the code. */
int err_move(struct err *to, struct err *from);

/* Something better is known than what @err, a filled one, says: of kind ERR_RUN. Returns the code. */
int err_replace(struct err *err, int code, const char *text);

/* Does this code say that a disk or a quota is full? */
static inline bool err_is_full(int code)
{
        return code == -ENOSPC || code == -EDQUOT;
}

/*
 * What these return is negative, which compilers and analysers cannot see from here: without being told they follow
 * paths on which a function has failed and its caller goes on.
 */
static inline int err_negative(int code)
{
        if (code >= 0)
                __builtin_unreachable();
        return code;
}

#ifndef ERR_IMPLEMENTATION
#define err_item(...) err_negative(err_item(__VA_ARGS__))
#define err_run(...) err_negative(err_run(__VA_ARGS__))
#define err_item_at(...) err_negative(err_item_at(__VA_ARGS__))
#define err_run_at(...) err_negative(err_run_at(__VA_ARGS__))
#define err_runf(...) err_negative(err_runf(__VA_ARGS__))
#define err_destination_at(...) err_negative(err_destination_at(__VA_ARGS__))
#define err_usage(...) err_negative(err_usage(__VA_ARGS__))
#define err_oom(...) err_negative(err_oom(__VA_ARGS__))
#define err_hint(...) err_negative(err_hint(__VA_ARGS__))
#define err_context(...) err_negative(err_context(__VA_ARGS__))
#define err_move(...) err_negative(err_move(__VA_ARGS__))
#define err_replace(...) err_negative(err_replace(__VA_ARGS__))
#endif

/* The error is of no consequence; @why is for the reader of the code. */
void err_drop(struct err *err, const char *why);

void err_clear(struct err *err);

enum { ERR_PATH_MAX = 641 };

/* The path that @err is about, as it is shown, or "". Returns @out. */
const char *err_path(const struct err *err, char out[ERR_PATH_MAX]);

/* Aborts in debug builds when @err is filled: an error was lost. */
void err_check(struct err *err);

#define ERR_LOCAL(name) _cleanup_(err_check) struct err name = { .kind = ERR_NONE }
