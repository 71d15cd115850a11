/* A growing array of bytes; doubles when it is full. */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int buf_reserve(struct buf *b, size_t more)
{
        size_t need, capacity;
        char *data;

        if (__builtin_add_overflow(b->size, more, &need) || __builtin_add_overflow(need, 1, &need))
                return -ENOMEM;
        if (need <= b->capacity)
                return 0;
        capacity = size_max(b->capacity ? b->capacity * 2 : 64, need);
        data = realloc(b->data, capacity);
        if (!data)
                return -ENOMEM;
        b->data = data;
        b->capacity = capacity;
        b->data[b->size] = '\0';
        return 0;
}

int buf_append(struct buf *b, const void *data, size_t size)
{
        int r = buf_reserve(b, size);

        if (r < 0)
                return r;
        if (size > 0)
                memcpy(b->data + b->size, data, size);
        b->size += size;
        b->data[b->size] = '\0';
        return 0;
}

int buf_puts(struct buf *b, const char *text)
{
        return buf_append(b, text, strlen(text));
}

int buf_putc(struct buf *b, char c)
{
        return buf_append(b, &c, 1);
}

int buf_printf(struct buf *b, const char *format, ...)
{
        va_list arguments;
        int length, r;

        va_start(arguments, format);
        length = vsnprintf(NULL, 0, format, arguments);
        va_end(arguments);
        if (length < 0)
                return -ENOMEM;
        r = buf_reserve(b, (size_t)length);
        if (r < 0)
                return r;
        va_start(arguments, format);
        vsnprintf(b->data + b->size, (size_t)length + 1, format, arguments);
        va_end(arguments);
        b->size += (size_t)length;
        return 0;
}

void buf_truncate(struct buf *b, size_t size)
{
        if (size >= b->size)
                return;
        b->size = size;
        b->data[size] = '\0';
}

void buf_deinit(struct buf *b)
{
        free(b->data);
        *b = (struct buf){ .data = NULL };
}

const char *buf_text(const struct buf *b)
{
        return b->data ? b->data : "";
}

char *buf_take(struct buf *b)
{
        char *data = b->data ? b->data : strdup("");

        *b = (struct buf){ .data = NULL };
        return data;
}
