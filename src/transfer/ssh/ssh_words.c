#include "transfer/ssh/ssh_words.h"

#include "base/buf.h"

#include <ctype.h>
#include <limits.h>

static bool is_blank(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static const char *skip_blanks(const char *text)
{
        while (is_blank(*text))
                text++;
        return text;
}

int ssh_words_keyword(const char *line, struct buf *ret, const char **ret_rest)
{
        const char *start = skip_blanks(line), *end = start;

        while (*end && !is_blank(*end) && *end != '=')
                end++;
        buf_truncate(ret, 0);
        if (buf_append(ret, start, (size_t)(end - start)) < 0)
                return -ENOMEM;
        end = skip_blanks(end);
        if (*end == '=')
                end = skip_blanks(end + 1);
        *ret_rest = end;
        return 0;
}

/* A backslash is only special before what would otherwise be, outside of quotes before a blank as well. */
static bool is_escape(const char *p, char quote)
{
        return p[0] == '\\' && (p[1] == '"' || p[1] == '\'' || p[1] == '\\' || (p[1] == ' ' && !quote));
}

int ssh_words_next(const char **rest, struct buf *ret)
{
        const char *p = skip_blanks(*rest);
        char quote = '\0';

        buf_truncate(ret, 0);
        *rest = p;
        if (!*p || *p == '#')
                return SSH_WORDS_END;
        for (; *p && (quote || !is_blank(*p)); p++) {
                if (quote ? *p == quote : (*p == '"' || *p == '\'')) {
                        if (quote)
                                quote = '\0';
                        else
                                quote = *p;
                        continue;
                }
                if (is_escape(p, quote))
                        p++;
                if (buf_putc(ret, *p) < 0)
                        return -ENOMEM;
        }
        *rest = p;
        return quote ? -EINVAL : 0;
}

/* The digits at *text, which moves behind them. Return 0 or -EINVAL. */
static int take_number(const char **text, uint64_t most, uint64_t *ret)
{
        uint64_t value = 0;

        if (!isdigit((unsigned char)**text))
                return -EINVAL;
        for (; isdigit((unsigned char)**text); ++*text) {
                unsigned digit = (unsigned)(**text - '0');

                if (value > (most - digit) / 10)
                        return -EINVAL;
                value = value * 10 + digit;
        }
        *ret = value;
        return 0;
}

int ssh_words_number(const char *text, unsigned least, unsigned most, unsigned *ret)
{
        uint64_t value;

        if (take_number(&text, most, &value) < 0 || *text || value < least)
                return -EINVAL;
        *ret = (unsigned)value;
        return 0;
}

static unsigned seconds_in(char unit)
{
        switch (unit) {
        case '\0':
        case 's':
        case 'S':
                return 1;
        case 'm':
        case 'M':
                return 60;
        case 'h':
        case 'H':
                return 60 * 60;
        case 'd':
        case 'D':
                return 24 * 60 * 60;
        case 'w':
        case 'W':
                return 7 * 24 * 60 * 60;
        default:
                return 0;
        }
}

int ssh_words_time(const char *text, unsigned *ret)
{
        uint64_t sum = 0;

        do {
                uint64_t value;
                unsigned unit;

                if (take_number(&text, INT_MAX, &value) < 0)
                        return -EINVAL;
                unit = seconds_in(*text);
                sum += value * unit;
                if (unit == 0 || sum > INT_MAX)
                        return -EINVAL;
                text += *text != '\0';
        } while (*text);
        *ret = (unsigned)sum;
        return 0;
}

int ssh_words_size(const char *text, uint64_t *ret)
{
        static const char units[] = "KMG";
        const char *unit;
        uint64_t value;

        if (take_number(&text, UINT64_MAX >> 31, &value) < 0)
                return -EINVAL;
        if (!*text) {
                *ret = value;
                return 0;
        }
        unit = strchr(units, toupper((unsigned char)*text));
        if (!unit || text[1])
                return -EINVAL;
        *ret = value << 10 * (unit - units + 1);
        return 0;
}

int ssh_words_bool(const char *text, bool *ret)
{
        static const char *const yes[] = { "yes", "true", "on" }, *const no[] = { "no", "false", "off" };

        for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
                if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
                        *ret = strcasecmp(text, yes[i]) == 0;
                        return 0;
                }
        }
        return -EINVAL;
}
