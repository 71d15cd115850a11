/* Digits are taken one by one: strtod(3) would take hexadecimal, infinity and the decimal comma of the locale. */
#include "options/quantity.h"

#include <errno.h>
#include <strings.h>

/* With less neither a login nor a sign of life would be through in time. */
#define RATE_MIN 512.0
#define RATE_MAX ((double)(UINT64_C(1) << 40)) /* BUCKET_RATE_MAX, transfer/bucket.h */

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* "1", "1.5", ".5". *ret_rest is what follows. Return false when there is no digit. */
static bool take_decimal(const char *text, double *ret, const char **ret_rest)
{
        const char *start = text;
        double value = 0, place = 1;
        size_t digits = 0;

        for (; is_digit(*text); text++, digits++)
                value = value * 10 + (*text - '0');
        if (*text == '.') {
                for (text++; is_digit(*text); text++, digits++) {
                        place /= 10;
                        value += (*text - '0') * place;
                }
        }
        *ret = value;
        *ret_rest = text;
        return digits > 0 && text - start < 30;
}

/* Return how many bytes @unit stands for, 0 for no unit. */
static double unit_bytes(const char *unit)
{
        static const char letters[] = "KMGT";
        const char *letter;
        double base, bytes;
        char upper = (char)(*unit & ~0x20);

        if (!*unit)
                return 1024;
        if (strcasecmp(unit, "B") == 0)
                return 1;
        letter = strchr(letters, upper);
        if (!letter || !upper)
                return 0;
        if (!unit[1] || strcasecmp(unit + 1, "iB") == 0)
                base = 1024;
        else if (strcasecmp(unit + 1, "B") == 0)
                base = 1000;
        else
                return 0;
        bytes = base;
        for (; letter > letters; letter--)
                bytes *= base;
        return bytes;
}

int quantity_rate(const char *text, uint64_t *ret)
{
        const char *unit;
        double value, bytes;

        if (!take_decimal(text, &value, &unit))
                return -EINVAL;
        bytes = unit_bytes(unit);
        if (bytes == 0)
                return -EINVAL;
        value *= bytes;
        if (value > RATE_MAX || (value > 0 && value < RATE_MIN))
                return -EINVAL;
        *ret = (uint64_t)value;
        return 0;
}

static const char *skip_blanks(const char *text)
{
        return text + strspn(text, " \t");
}

/* Return the seconds that the unit at *text stands for and go past it; 0 for none. */
static uint64_t take_unit(const char **text)
{
        static const struct {
                const char *names[5];
                uint64_t seconds;
        } units[] = {
                { { "s", "sec", "second", "seconds" }, 1 }, { { "m", "min", "minute", "minutes" }, 60 },
                { { "h", "hr", "hour", "hours" }, 3600 },   { { "d", "day", "days" }, 86400 },
                { { "w", "week", "weeks" }, 604800 },
        };
        size_t size = 0;

        while ((*text)[size] >= 'a' && (*text)[size] <= 'z')
                size++;
        for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
                for (const char *const *name = units[i].names; *name; name++) {
                        if (strlen(*name) != size || memcmp(*name, *text, size) != 0)
                                continue;
                        *text += size;
                        return units[i].seconds;
                }
        }
        return 0;
}

int quantity_duration(const char *text, uint64_t *ret)
{
        enum { DIGITS_MAX = 9 };
        uint64_t sum = 0;

        do {
                uint64_t value = 0, unit;
                size_t digits = 0;

                for (text = skip_blanks(text); is_digit(*text); text++, digits++)
                        value = value * 10 + (unsigned)(*text - '0');
                text = skip_blanks(text);
                unit = digits > 0 && digits <= DIGITS_MAX ? take_unit(&text) : 0;
                if (unit == 0)
                        return -EINVAL;
                sum += value * unit;
                text = skip_blanks(text);
        } while (*text);
        if (sum == 0)
                return -EINVAL;
        *ret = sum;
        return 0;
}

int quantity_number(const char *text, unsigned most, unsigned *ret)
{
        uint64_t value = 0;

        if (!*text)
                return -EINVAL;
        for (; is_digit(*text) && value <= most; text++)
                value = value * 10 + (unsigned)(*text - '0');
        if (*text || value > most)
                return -EINVAL;
        *ret = (unsigned)value;
        return 0;
}
