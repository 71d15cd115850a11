/*
 * Small files of lines "key value": what is remembered here and there. The first line is "version N", the last one
 * "end", so that a file cut short is recognised; bytes below 0x21 at the ends of a value, control characters and '%'
 * are written as %XX.
 */
#pragma once

#include "base/util.h"

struct buf;

/* All return 0 or -ENOMEM. What is NULL or empty is not written. */
int lines_begin(struct buf *b, const char *version);
int lines_put_text(struct buf *b, const char *key, const char *value);
int lines_put_number(struct buf *b, const char *key, int64_t value);
int lines_put_count(struct buf *b, const char *key, uint64_t value);
int lines_end(struct buf *b);

/* Called for each line; the strings are borrowed for the call. Return 0, or a negative errno to end the reading. */
typedef int (*lines_visitor)(void *context, const char *key, const char *value);

/*
 * Read @text of @size bytes, which is of @version. Return 0, -EBADMSG for what is damaged, -ENOMEM, or what @visit
 * returned; then *ret_line is the line, from 1 on.
 */
int lines_parse(const char *text, size_t size, const char *version, lines_visitor visit, void *context,
                unsigned *ret_line);

/* A value that is all digits, or digits behind a '-'. Return 0 or -EBADMSG. */
int lines_count(uint64_t *ret, const char *value);
int lines_number(int64_t *ret, const char *value);
