/*
 * Days are counted from 1 January of year 1 on the way between dates and seconds: years, months and days become a
 * number of days by adding up what lies before them, and back by looking for the year and then the month.
 */
#include "rotate/calendar.h"

#include <assert.h>

enum {
        YEAR_MAX = 9999,
        DAY_SECONDS = 24 * 60 * 60,
        DAYS_IN_400_YEARS = 146097,
        DAYS_BEFORE_1970 = 719162,
        DAYS_BEFORE_MONDAY = 3, /* from the Monday of the week that holds 1970-01-01, a Thursday */
};

static int64_t floor_divide(int64_t number, int64_t by)
{
        return number / by - (number % by < 0);
}

static bool is_leap_year(unsigned year)
{
        return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
        static const unsigned char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

        return days[month - 1] + (month == 2 && is_leap_year(year));
}

static int64_t days_before_year(unsigned year)
{
        int64_t years = (int64_t)year - 1;

        return years * 365 + years / 4 - years / 100 + years / 400;
}

bool calendar_seconds(const struct calendar_date *date, int64_t *ret)
{
        int64_t days;

        if (date->year < 1 || date->year > YEAR_MAX || date->month < 1 || date->month > 12)
                return false;
        if (date->day < 1 || date->day > days_in_month(date->year, date->month))
                return false;
        if (date->hour > 23 || date->minute > 59 || date->second > 59)
                return false;
        days = days_before_year(date->year) - DAYS_BEFORE_1970 + date->day - 1;
        for (unsigned month = 1; month < date->month; month++)
                days += days_in_month(date->year, month);
        *ret = days * DAY_SECONDS + (int64_t)date->hour * 3600 + (int64_t)date->minute * 60 + date->second;
        return true;
}

void calendar_split(int64_t seconds, struct calendar_date *ret)
{
        int64_t days = floor_divide(seconds, DAY_SECONDS) + DAYS_BEFORE_1970;
        unsigned rest = (unsigned)(seconds - floor_divide(seconds, DAY_SECONDS) * DAY_SECONDS);
        unsigned year, month = 1;

        assert(days >= 0 && days < days_before_year(YEAR_MAX + 1));
        /* By the mean length of a year: at most one off. */
        year = (unsigned)(days * 400 / DAYS_IN_400_YEARS) + 1;
        while (days < days_before_year(year))
                year--;
        while (days >= days_before_year(year + 1))
                year++;
        days -= days_before_year(year);
        for (; days >= days_in_month(year, month); month++)
                days -= days_in_month(year, month);
        *ret = (struct calendar_date){ .year = year,
                                       .month = month,
                                       .day = (unsigned)days + 1,
                                       .hour = rest / 3600,
                                       .minute = rest / 60 % 60,
                                       .second = rest % 60 };
}

static int64_t unit_seconds(enum calendar_unit unit)
{
        switch (unit) {
        case CALENDAR_MINUTE:
                return 60;
        case CALENDAR_HOUR:
                return 3600;
        case CALENDAR_DAY:
                return DAY_SECONDS;
        case CALENDAR_WEEK:
                return INT64_C(7) * DAY_SECONDS;
        case CALENDAR_MONTH:
        case CALENDAR_YEAR:
                break;
        }
        return 0; /* of no fixed length */
}

int64_t calendar_period(int64_t seconds, enum calendar_unit unit)
{
        struct calendar_date date;

        if (unit == CALENDAR_WEEK) /* the ISO year and week of a day are told by the Monday before it */
                seconds += (int64_t)DAYS_BEFORE_MONDAY * DAY_SECONDS;
        if (unit_seconds(unit) > 0)
                return floor_divide(seconds, unit_seconds(unit));
        calendar_split(seconds, &date);
        return unit == CALENDAR_YEAR ? date.year : date.year * 12 + date.month;
}

/* The last moment that there is. */
static int64_t last_moment(void)
{
        return (days_before_year(YEAR_MAX + 1) - DAYS_BEFORE_1970) * DAY_SECONDS - 1;
}

/* @months later, or earlier when that is negative. */
static int64_t move_months(int64_t seconds, int64_t months)
{
        struct calendar_date date;
        int64_t month, result = CALENDAR_BEGINNING;

        calendar_split(seconds, &date);
        month = (int64_t)date.year * 12 + date.month - 1 + months;
        if (month < 12)
                return CALENDAR_BEGINNING;
        if (month >= (int64_t)(YEAR_MAX + 1) * 12)
                return CALENDAR_END;
        date.year = (unsigned)(month / 12);
        date.month = (unsigned)(month % 12) + 1;
        if (date.day > days_in_month(date.year, date.month))
                date.day = days_in_month(date.year, date.month);
        calendar_seconds(&date, &result);
        return result;
}

int64_t calendar_before(int64_t seconds, enum calendar_unit unit, uint32_t count)
{
        if (unit_seconds(unit) > 0)
                return seconds - unit_seconds(unit) * count;
        return move_months(seconds, -(int64_t)count * (unit == CALENDAR_YEAR ? 12 : 1));
}

int64_t calendar_after(int64_t seconds, enum calendar_unit unit, uint32_t count)
{
        int64_t later;

        if (unit_seconds(unit) == 0)
                return move_months(seconds, (int64_t)count * (unit == CALENDAR_YEAR ? 12 : 1));
        later = seconds + unit_seconds(unit) * count;
        return later > last_moment() ? CALENDAR_END : later;
}

int64_t calendar_begin(int64_t period, enum calendar_unit unit)
{
        struct calendar_date date = { .day = 1 };
        int64_t begin = CALENDAR_END;

        if (unit_seconds(unit) > 0) {
                begin = period * unit_seconds(unit);
                if (unit == CALENDAR_WEEK)
                        begin -= (int64_t)DAYS_BEFORE_MONDAY * DAY_SECONDS;
                return begin > last_moment() ? CALENDAR_END : begin;
        }
        /* calendar_period() counts months from 1 within a year. */
        if (period > (int64_t)YEAR_MAX * 12 + 12)
                return CALENDAR_END;
        date.year = (unsigned)(unit == CALENDAR_YEAR ? period : (period - 1) / 12);
        date.month = (unsigned)(unit == CALENDAR_YEAR ? 1 : (period - 1) % 12 + 1);
        (void)calendar_seconds(&date, &begin);
        return begin;
}

time_t calendar_moment(int64_t seconds)
{
        struct calendar_date date;
        struct tm tm = { .tm_isdst = -1 };

        calendar_split(seconds, &date);
        tm.tm_year = (int)date.year - 1900;
        tm.tm_mon = (int)date.month - 1;
        tm.tm_mday = (int)date.day;
        tm.tm_hour = (int)date.hour;
        tm.tm_min = (int)date.minute;
        tm.tm_sec = (int)date.second;
        return mktime(&tm);
}

bool calendar_local(time_t moment, int64_t *ret)
{
        struct tm tm;
        struct calendar_date date;

        if (!localtime_r(&moment, &tm) || tm.tm_year < 1 - 1900 || tm.tm_year > YEAR_MAX - 1900)
                return false;
        date = (struct calendar_date){ .year = (unsigned)(tm.tm_year + 1900),
                                       .month = (unsigned)tm.tm_mon + 1,
                                       .day = (unsigned)tm.tm_mday,
                                       .hour = (unsigned)tm.tm_hour,
                                       .minute = (unsigned)tm.tm_min,
                                       /* 60 in the zones that count leap seconds */
                                       .second = tm.tm_sec > 59 ? 59 : (unsigned)tm.tm_sec };
        return calendar_seconds(&date, ret);
}
