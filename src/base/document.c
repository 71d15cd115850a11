/* Where we are in the document is a stack: of what is open, the innermost takes what comes. */
#include "base/document.h"

#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>

enum { DEPTH_MAX = 8 };

struct document {
        json_object *open[DEPTH_MAX]; /* open[0] is all of it, and owned */
        size_t depth;
        bool failed;
};

struct document *document_new(void)
{
        struct document *d = calloc(1, sizeof(*d));

        if (!d)
                return NULL;
        d->open[0] = json_object_new_object();
        d->failed = !d->open[0];
        return d;
}

struct document *document_free(struct document *d)
{
        if (d)
                json_object_put(d->open[0]);
        free(d);
        return NULL;
}

/* Put @value in, which json-c stands for null with NULL. It is owned by the document then, or gone. */
static void put(struct document *d, const char *key, json_object *value)
{
        json_object *to = d->open[d->depth];
        int r;

        assert((key != NULL) == json_object_is_type(to, json_type_object));
        r = key ? json_object_object_add(to, key, value) : json_object_array_add(to, value);
        if (r == 0)
                return;
        json_object_put(value);
        d->failed = true;
}

static bool works(const struct document *d)
{
        return d && !d->failed;
}

/* Of what json-c has made of memory, if there was any. */
static void put_new(struct document *d, const char *key, json_object *value)
{
        if (value)
                put(d, key, value);
        else
                d->failed = true;
}

static void begin(struct document *d, const char *key, json_object *value)
{
        put_new(d, key, value);
        if (d->failed)
                return;
        assert(d->depth + 1 < DEPTH_MAX);
        d->open[++d->depth] = value;
}

void document_begin_object(struct document *d, const char *key)
{
        if (works(d))
                begin(d, key, json_object_new_object());
}

void document_begin_array(struct document *d, const char *key)
{
        if (works(d))
                begin(d, key, json_object_new_array());
}

void document_end(struct document *d)
{
        if (!works(d))
                return;
        assert(d->depth > 0);
        d->depth--;
}

void document_text(struct document *d, const char *key, const char *text)
{
        if (!works(d))
                return;
        if (text)
                put_new(d, key, json_object_new_string(text));
        else
                put(d, key, NULL);
}

void document_number(struct document *d, const char *key, int64_t n)
{
        if (works(d))
                put_new(d, key, json_object_new_int64(n));
}

void document_count(struct document *d, const char *key, uint64_t n)
{
        document_number(d, key, n > INT64_MAX ? INT64_MAX : (int64_t)n);
}

void document_seconds(struct document *d, const char *key, double seconds)
{
        char text[64];

        if (!works(d))
                return;
        snprintf(text, sizeof(text), "%.3f", seconds);
        put_new(d, key, json_object_new_double_s(seconds, text));
}

void document_flag(struct document *d, const char *key, bool yes)
{
        if (works(d))
                put_new(d, key, json_object_new_boolean(yes));
}

void document_time(struct document *d, const char *key, time_t time)
{
        char text[64];
        struct tm tm;

        if (!gmtime_r(&time, &tm) || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
                text[0] = '\0';
        document_text(d, key, text[0] ? text : NULL);
}

int document_write(const struct document *d, struct buf *ret)
{
        const char *text;

        if (!works(d))
                return -ENOMEM;
        assert(d->depth == 0);
        text = json_object_to_json_string_ext(d->open[0], JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                                  JSON_C_TO_STRING_NOSLASHESCAPE);
        return text ? buf_printf(ret, "%s\n", text) : -ENOMEM;
}
