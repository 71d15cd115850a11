/*
 * Read from left to right: a field, then perhaps a separator that only counts as one when the next field follows.
 */
#include "rotate/names.h"

#include "rotate/calendar.h"

#include <stdio.h>

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* Reads @width digits at *@p and moves behind them. */
static bool take_field(const char **p, unsigned width, unsigned *ret)
{
        unsigned value = 0;

        for (; width > 0; width--, (*p)++) {
                if (!is_digit(**p))
                        return false;
                value = value * 10 + (unsigned)(**p - '0');
        }
        *ret = value;
        return true;
}

static bool take_next_field(const char **p, unsigned *ret)
{
        if (**p != '\0' && **p != '/' && !is_digit(**p))
                (*p)++;
        return take_field(p, 2, ret);
}

bool names_parse(const char *name, int64_t *ret)
{
        struct calendar_date date = { .hour = 0 };
        const char *p = name;

        if (!take_field(&p, 4, &date.year) || !take_next_field(&p, &date.month) || !take_next_field(&p, &date.day))
                return false;
        if (*p && (!take_next_field(&p, &date.hour) || !take_next_field(&p, &date.minute)))
                return false;
        if (*p && !take_next_field(&p, &date.second))
                return false;
        return *p == '\0' && calendar_seconds(&date, ret);
}

bool names_is_own(const char *name)
{
        return str_starts(name, ".rsync-system-backup");
}

bool names_is_taken(const char *name)
{
        int64_t time;

        return names_is_own(name) || names_parse(name, &time);
}

const char *names_format(int64_t seconds, char out[NAMES_SIZE])
{
        struct calendar_date date;

        calendar_split(seconds, &date);
        snprintf(out, NAMES_SIZE, "%04u-%02u-%02u %02u:%02u:%02u", date.year % 10000, date.month % 100, date.day % 100,
                 date.hour % 100, date.minute % 100, date.second % 100);
        return out;
}
