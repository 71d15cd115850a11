/* Bytes that grow. What is in it is followed by a NUL that is not counted, so that text can be used as it stands. */
#pragma once

#include "base/util.h"

struct buf {
        char *data; /* NULL or NUL-terminated */
        size_t size;
        size_t capacity;
};

/* All return 0 or -ENOMEM, and change nothing when they fail. */
int buf_append(struct buf *b, const void *data, size_t size);
int buf_puts(struct buf *b, const char *text);
int buf_putc(struct buf *b, char c);
int buf_printf(struct buf *b, const char *format, ...) _printf_(2, 3);
int buf_reserve(struct buf *b, size_t more);

/* Shorten to @size bytes. */
void buf_truncate(struct buf *b, size_t size);

void buf_deinit(struct buf *b);
/* The text, "" when nothing was ever put in. */
const char *buf_text(const struct buf *b);
/* Hand over the text (malloc'd, "" included); NULL when memory is short. */
char *buf_take(struct buf *b);
