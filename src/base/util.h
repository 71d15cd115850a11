/* Ownership helpers that every file uses; nothing here knows about backups. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(release) __attribute__((cleanup(release)))
#define _printf_(text, first) __attribute__((format(printf, text, first)))

/* Hand over what a local owns: its value is returned, the local is left empty. */
#define TAKE(pointer)                                   \
        __extension__({                                 \
                __typeof__(pointer) taken_ = (pointer); \
                (pointer) = NULL;                       \
                taken_;                                 \
        })
#define TAKE_FD(fd)                \
        __extension__({            \
                int taken_ = (fd); \
                (fd) = -1;         \
                taken_;            \
        })

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Make type_freep() for use with _cleanup_() out of type_free(), which accepts NULL and returns NULL. */
#define DEFINE_FREEP(type, release)                   \
        static inline void release##p(type **pointer) \
        {                                             \
                if (*pointer)                         \
                        *pointer = release(*pointer); \
        }

/* For _cleanup_(freep) on anything from malloc(). */
static inline void freep(void *pointer)
{
        void *owned;

        memcpy(&owned, pointer, sizeof(owned));
        free(owned);
}

/* What a call that has failed left in errno, as a negative number; analysers do not know that it is one. */
static inline int errno_negative(void)
{
        int code = -errno;

        if (code >= 0)
                __builtin_unreachable();
        return code;
}

static inline bool str_equal(const char *a, const char *b)
{
        return strcmp(a, b) == 0;
}

static inline bool str_starts(const char *text, const char *prefix)
{
        return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* isspace() of the C locale, but for the newline. */
static inline bool char_is_blank(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* The bytes as text, malloc'd; NULL when memory is short. For memory that need not end in NUL, unlike strndup()'s. */
static inline char *str_copy(const void *data, size_t size)
{
        char *text = malloc(size + 1);

        if (text) {
                memcpy(text, data, size);
                text[size] = '\0';
        }
        return text;
}

static inline size_t size_min(size_t a, size_t b)
{
        return a < b ? a : b;
}

static inline size_t size_max(size_t a, size_t b)
{
        return a > b ? a : b;
}
