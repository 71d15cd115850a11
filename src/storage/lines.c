/* A reader that works on a copy, which it takes apart in place. */
#include "storage/lines.h"

#include "base/buf.h"

#include <errno.h>
#include <inttypes.h>

/* ---- writing ---- */

static bool needs_escape(const char *value, size_t i)
{
        unsigned char c = (unsigned char)value[i];

        return c < 0x20 || c == 0x7f || c == '%' || (c == ' ' && (i == 0 || value[i + 1] == '\0'));
}

int lines_put_text(struct buf *b, const char *key, const char *value)
{
        int r;

        /* An empty text is none: the reader takes a key without a value for damage. */
        if (!value || !*value)
                return 0;
        r = buf_printf(b, "%s ", key);
        for (size_t i = 0; value[i] && r == 0; i++) {
                if (needs_escape(value, i))
                        r = buf_printf(b, "%%%02X", (unsigned char)value[i]);
                else
                        r = buf_putc(b, value[i]);
        }
        return r == 0 ? buf_putc(b, '\n') : r;
}

int lines_put_number(struct buf *b, const char *key, int64_t value)
{
        return buf_printf(b, "%s %" PRId64 "\n", key, value);
}

int lines_put_count(struct buf *b, const char *key, uint64_t value)
{
        return buf_printf(b, "%s %" PRIu64 "\n", key, value);
}

int lines_begin(struct buf *b, const char *version)
{
        return lines_put_text(b, "version", version);
}

int lines_end(struct buf *b)
{
        return buf_puts(b, "end\n");
}

/* ---- reading ---- */

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Undo the escapes in place. Return 0 or -EBADMSG. */
static int unescape(char *text)
{
        char *to = text;

        for (const char *from = text; *from; from++) {
                int high, low;

                if (*from != '%') {
                        *to++ = *from;
                        continue;
                }
                high = hex_digit(from[1]);
                low = high < 0 ? -1 : hex_digit(from[2]);
                if (low < 0 || (high == 0 && low == 0))
                        return -EBADMSG;
                *to++ = (char)(high * 16 + low);
                from += 2;
        }
        *to = '\0';
        return 0;
}

int lines_count(uint64_t *ret, const char *value)
{
        char *end;

        if (*value < '0' || *value > '9')
                return -EBADMSG;
        errno = 0;
        *ret = strtoull(value, &end, 10);
        return errno || *end ? -EBADMSG : 0;
}

int lines_number(int64_t *ret, const char *value)
{
        bool is_negative = *value == '-';
        uint64_t n;

        if (lines_count(&n, value + is_negative) < 0 || n > INT64_MAX)
                return -EBADMSG;
        *ret = is_negative ? -(int64_t)n : (int64_t)n;
        return 0;
}

struct reader {
        const char *version;
        lines_visitor visit;
        void *context;
};

/* @line is without its newline. Return 1 for the line that ends the file, 0, or a negative errno. */
static int parse_line(const struct reader *r, char *line, unsigned number)
{
        char *value = strchr(line, ' ');

        if (!value)
                return str_equal(line, "end") ? 1 : -EBADMSG;
        *value++ = '\0';
        if (unescape(value) < 0)
                return -EBADMSG;
        if (number > 1)
                return r->visit(r->context, line, value);
        return str_equal(line, "version") && str_equal(value, r->version) ? 0 : -EBADMSG;
}

static int parse(const struct reader *reader, char *text, size_t size, unsigned *ret_line)
{
        char *line = text, *end;
        int r = 0;

        for (*ret_line = 1; (end = memchr(line, '\n', size - (size_t)(line - text))); (*ret_line)++) {
                *end = '\0';
                if (strlen(line) != (size_t)(end - line))
                        return -EBADMSG;
                r = parse_line(reader, line, *ret_line);
                line = end + 1;
                if (r != 0)
                        break;
        }
        /* Nothing before or behind the "end". */
        return r < 0 ? r : r == 1 && line == text + size && *ret_line > 1 ? 0 : -EBADMSG;
}

int lines_parse(const char *text, size_t size, const char *version, lines_visitor visit, void *context,
                unsigned *ret_line)
{
        const struct reader reader = { .version = version, .visit = visit, .context = context };
        _cleanup_(freep) char *copy = malloc(size + 1);

        *ret_line = 0;
        if (!copy)
                return -ENOMEM;
        if (size > 0)
                memcpy(copy, text, size);
        copy[size] = '\0';
        return parse(&reader, copy, size, ret_line);
}
