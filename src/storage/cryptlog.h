/* What libcryptsetup says while it works: its errors become the reason of ours, the rest goes to our log. */
#pragma once

#include "base/util.h"

struct err;

/* Listen, and forget what was said before. One thread only: the library knows one listener. */
void cryptlog_begin(void);

/*
 * A call of the library failed with @code: fill @err with "cannot OPERATION 'SUBJECT': " and what the library said
 * about it since cryptlog_begin(), or the text of the code if it said nothing. Return @code.
 */
int cryptlog_fail(struct err *err, int code, const char *operation, const char *subject);
