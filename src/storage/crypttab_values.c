/*
 * Where the two dialects differ both are understood: escapes are Debian's (systemd leaves backslashes in fields alone,
 * and nobody has \0 in a name), quoted tags and time spans are systemd's.
 */
#include "storage/crypttab_values.h"

#include "base/buf.h"
#include "base/err.h"
#include "storage/crypttab.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

int crypttab_values_refuse(struct err *err, const struct crypttab_place *place, const char *format, ...)
{
        char message[ERR_TEXT_MAX / 2];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(message, sizeof(message), format, arguments);
        va_end(arguments);
        return err_usage(err, "%s:%u: %s", place->file, place->line, message);
}

/* ---- escapes ---- */

static bool is_octal(char c)
{
        return c >= '0' && c <= '7';
}

/* Up to three digits, as long as they make a byte. Returns their number. */
static size_t octal_byte(const char *digits, size_t size, char *ret)
{
        unsigned value = 0;
        size_t n = 0;

        while (n < 3 && n < size && is_octal(digits[n]) && value * 8 + (unsigned)(digits[n] - '0') <= UCHAR_MAX)
                value = value * 8 + (unsigned)(digits[n++] - '0');
        *ret = (char)value;
        return n;
}

int crypttab_values_decode(char **ret, const char *text, size_t size, const char *escapable)
{
        _cleanup_(freep) char *decoded = malloc(size + 1);
        size_t used = 0;

        if (!decoded)
                return -ENOMEM;
        for (size_t i = 0; i < size; i++) {
                char c = text[i], next = '\0';

                if (c == '\\' && i + 1 < size)
                        next = text[i + 1];
                if (next == '0')
                        i += 1 + octal_byte(text + i + 2, size - i - 2, &c);
                else if (next && strchr(escapable, next))
                        c = text[++i];
                if (c == '\0')
                        return -EINVAL;
                decoded[used++] = c;
        }
        decoded[used] = '\0';
        *ret = TAKE(decoded);
        return 0;
}

/* ---- numbers ---- */

int crypttab_values_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
        unsigned long long value;
        char *end;

        if (*text < '0' || *text > '9')
                return -EINVAL;
        errno = 0;
        value = strtoull(text, &end, 0);
        if (*end)
                return -EINVAL;
        if (errno == ERANGE || value < min || value > max)
                return -ERANGE;
        *ret = value;
        return 0;
}

#define SECOND UINT64_C(1000000)
/* So far from the end of 64 bits that one more term cannot reach it. */
#define SPAN_MAX (UINT_MAX * SECOND - SECOND)

static const struct {
        const char *name;
        uint64_t us;
} units[] = {
        { "", SECOND },
        { "usec", 1 },
        { "us", 1 },
        { "\xc2\xb5s", 1 }, /* the micro sign */
        { "\xce\xbcs", 1 }, /* the Greek letter */
        { "msec", 1000 },
        { "ms", 1000 },
        { "seconds", SECOND },
        { "second", SECOND },
        { "sec", SECOND },
        { "s", SECOND },
        { "minutes", 60 * SECOND },
        { "minute", 60 * SECOND },
        { "min", 60 * SECOND },
        { "m", 60 * SECOND },
        { "hours", 3600 * SECOND },
        { "hour", 3600 * SECOND },
        { "hr", 3600 * SECOND },
        { "h", 3600 * SECOND },
        { "days", 86400 * SECOND },
        { "day", 86400 * SECOND },
        { "d", 86400 * SECOND },
        { "weeks", 604800 * SECOND },
        { "week", 604800 * SECOND },
        { "w", 604800 * SECOND },
        { "months", 2629800 * SECOND },
        { "month", 2629800 * SECOND },
        { "M", 2629800 * SECOND },
        { "years", 31557600 * SECOND },
        { "year", 31557600 * SECOND },
        { "y", 31557600 * SECOND },
};

static const char blanks[] = " \t\n\r";
static const char digits[] = "0123456789";

/* The unit that @text begins with, and what follows it. Returns 0 for one that nobody knows. */
static uint64_t span_unit(const char *text, const char **ret_end)
{
        size_t length = strcspn(text, " \t\n\r0123456789.");

        *ret_end = text + length;
        for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
                if (strlen(units[i].name) == length && memcmp(units[i].name, text, length) == 0)
                        return units[i].us;
        }
        return 0;
}

/* One number with its unit. @text is moved behind it. */
static int span_term(const char **text, uint64_t *ret_us)
{
        const char *whole = *text;
        size_t length = strspn(whole, digits);
        const char *fraction = whole + length + (whole[length] == '.');
        size_t fraction_length = whole[length] == '.' ? strspn(fraction, digits) : 0;
        uint64_t us = 0, unit;

        if (length + fraction_length == 0)
                return -EINVAL;
        *text = fraction + fraction_length;
        unit = span_unit(*text + strspn(*text, blanks), text);
        if (unit == 0)
                return -EINVAL;
        for (size_t i = 0; i < length; i++) {
                if (__builtin_mul_overflow(us, 10, &us) || __builtin_add_overflow(us, whole[i] - '0', &us))
                        return -ERANGE;
        }
        if (__builtin_mul_overflow(us, unit, &us) || us >= SPAN_MAX)
                return -ERANGE;
        for (size_t i = 0; i < fraction_length; i++) {
                unit /= 10;
                us += unit * (uint64_t)(fraction[i] - '0');
        }
        *ret_us = us;
        return 0;
}

int crypttab_values_span(const char *text, unsigned *ret_s)
{
        uint64_t sum_us = 0, term_us;

        if (str_equal(text, "infinity")) {
                *ret_s = UINT_MAX;
                return 0;
        }
        do {
                text += strspn(text, blanks);
                int r = span_term(&text, &term_us);

                if (r < 0)
                        return r;
                sum_us += term_us;
                if (sum_us >= SPAN_MAX)
                        return -ERANGE;
                text += strspn(text, blanks);
        } while (*text);
        *ret_s = (unsigned)((sum_us + SECOND - 1) / SECOND);
        return 0;
}

/* ---- devices and files ---- */

/* The length of "UUID=" or the like at the start of @text, in any case, or 0. */
static size_t tag_length(const char *text)
{
        static const char *const tags[] = { "UUID=", "PARTUUID=", "LABEL=", "PARTLABEL=", "ID=" };

        for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
                if (strncasecmp(text, tags[i], strlen(tags[i])) == 0)
                        return strlen(tags[i]);
        }
        return 0;
}

int crypttab_values_device(char **ret, const char *text)
{
        size_t tag = tag_length(text), length = strlen(text) - tag;
        const char *value = text + tag;
        char *device;

        if (tag == 0 && *text != '/')
                return -EINVAL;
        if (tag > 0 && (*value == '"' || *value == '\'')) {
                if (length < 2 || value[length - 1] != *value)
                        return -EINVAL;
                value++;
                length -= 2;
        }
        if (length == 0)
                return -EINVAL;
        if (asprintf(&device, "%.*s%.*s", (int)tag, text, (int)length, value) < 0)
                return -ENOMEM;
        *ret = device;
        return 0;
}

/* A path may hold colons; the device begins behind the last one that something like a device follows. */
static const char *find_device(const char *text)
{
        for (const char *c = text + strlen(text); c > text; c--) {
                if (c[-1] == ':' && (tag_length(c) > 0 || str_starts(c, "/dev/")))
                        return c;
        }
        return NULL;
}

int crypttab_values_file(struct crypttab_file *ret, const char *text)
{
        const char *device = find_device(text);
        size_t length = device ? (size_t)(device - text) - 1 : strlen(text);
        struct crypttab_file file = { .path = NULL };
        int r = 0;

        if (*text != '/' || length == 0)
                return -EINVAL;
        if (device)
                r = crypttab_values_device(&file.device, device);
        if (r < 0)
                return r;
        file.path = strndup(text, length);
        if (!file.path) {
                free(file.device);
                return -ENOMEM;
        }
        *ret = file;
        return 0;
}
