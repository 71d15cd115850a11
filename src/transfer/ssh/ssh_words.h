/* A line of ssh_config(5) taken apart: KEYWORD [=] ARGUMENT... with quotes, escapes and comments. Internal. */
#pragma once

#include "base/util.h"

struct buf;

/* Put the keyword into @ret; *ret_rest is where the arguments begin. Return 0 or -ENOMEM. */
int ssh_words_keyword(const char *line, struct buf *ret, const char **ret_rest);

enum { SSH_WORDS_END = 1 };

/*
 * The next argument into @ret; *rest moves behind it. Return 0; SSH_WORDS_END when there is none (or a comment);
 * -EINVAL for a quote without end; or -ENOMEM.
 */
int ssh_words_next(const char **rest, struct buf *ret);

/* A number of seconds as in sshd_config(5), TIME FORMATS: 90, 90s, 1m30s, 2h, 1d, 1w. Return 0 or -EINVAL. */
int ssh_words_time(const char *text, unsigned *ret);

/* A number of bytes, with K, M or G behind it. Return 0 or -EINVAL. */
int ssh_words_size(const char *text, uint64_t *ret);

/* A decimal number between @least and @most. Return 0 or -EINVAL. */
int ssh_words_number(const char *text, unsigned least, unsigned most, unsigned *ret);

/* One of yes, no, true, false, on, off. Return 0 or -EINVAL. */
int ssh_words_bool(const char *text, bool *ret);
