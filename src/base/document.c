/* Indented by two; what separates two members is written before the second one. */
#include "base/document.h"

#include "base/buf.h"

#include <assert.h>
#include <inttypes.h>

static void put(struct document *d, const char *text)
{
        if (d->r == 0)
                d->r = buf_puts(d->to, text);
}

/* In quotes: what must not stand there as it is becomes \uXXXX. */
static void put_quoted(struct document *d, const char *text)
{
        put(d, "\"");
        for (const unsigned char *p = (const unsigned char *)text; *p && d->r == 0; p++) {
                if (*p < 0x20 || *p == 0x7f)
                        d->r = buf_printf(d->to, "\\u%04x", *p);
                else if (*p == '"' || *p == '\\')
                        d->r = buf_printf(d->to, "\\%c", *p);
                else
                        d->r = buf_putc(d->to, (char)*p);
        }
        put(d, "\"");
}

static void begin_line(struct document *d)
{
        put(d, "\n");
        for (unsigned i = 0; i < d->depth; i++)
                put(d, "  ");
}

/* What stands before a value. */
static void begin_member(struct document *d, const char *key)
{
        assert(d->depth > 0);
        assert((key != NULL) == (d->closing[d->depth - 1] == '}'));
        if (d->has_members)
                put(d, ",");
        begin_line(d);
        d->has_members = true;
        if (!key)
                return;
        put_quoted(d, key);
        put(d, ": ");
}

static void begin(struct document *d, const char *opening, char closing)
{
        assert(d->depth < DOCUMENT_DEPTH_MAX);
        put(d, opening);
        d->closing[d->depth++] = closing;
        d->has_members = false;
}

void document_begin(struct document *d, struct buf *to)
{
        *d = (struct document){ .to = to };
        begin(d, "{", '}');
}

void document_begin_object(struct document *d, const char *key)
{
        begin_member(d, key);
        begin(d, "{", '}');
}

void document_begin_array(struct document *d, const char *key)
{
        begin_member(d, key);
        begin(d, "[", ']');
}

void document_end(struct document *d)
{
        const char closing[] = { d->closing[--d->depth], '\0' };

        if (d->has_members)
                begin_line(d);
        put(d, closing);
        d->has_members = true;
}

int document_finish(struct document *d)
{
        assert(d->depth == 1);
        document_end(d);
        put(d, "\n");
        return d->r;
}

void document_text(struct document *d, const char *key, const char *text)
{
        begin_member(d, key);
        if (text)
                put_quoted(d, text);
        else
                put(d, "null");
}

void document_number(struct document *d, const char *key, int64_t n)
{
        begin_member(d, key);
        if (d->r == 0)
                d->r = buf_printf(d->to, "%" PRId64, n);
}

void document_count(struct document *d, const char *key, uint64_t n)
{
        begin_member(d, key);
        if (d->r == 0)
                d->r = buf_printf(d->to, "%" PRIu64, n);
}

void document_seconds(struct document *d, const char *key, double seconds)
{
        begin_member(d, key);
        if (d->r == 0)
                d->r = buf_printf(d->to, "%.3f", seconds);
}

void document_flag(struct document *d, const char *key, bool yes)
{
        begin_member(d, key);
        put(d, yes ? "true" : "false");
}

void document_time(struct document *d, const char *key, time_t time)
{
        char text[64];
        struct tm tm;

        if (!gmtime_r(&time, &tm) || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
                text[0] = '\0';
        document_text(d, key, text[0] ? text : NULL);
}
