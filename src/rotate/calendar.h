/*
 * The naive calendar: what a wall clock shows, counted in seconds since its 1970-01-01 00:00:00.
 *
 * No time zones, no summer time, no leap seconds; the Gregorian calendar from year 1 to 9999. All functions are pure
 * but calendar_local() and calendar_moment().
 */
#pragma once

#include "base/util.h"

#include <time.h>

struct calendar_date {
        unsigned year, month, day, hour, minute, second; /* month and day count from 1 */
};

/* Weeks are those of ISO 8601, from Monday to Sunday. */
enum calendar_unit {
        CALENDAR_MINUTE,
        CALENDAR_HOUR,
        CALENDAR_DAY,
        CALENDAR_WEEK,
        CALENDAR_MONTH,
        CALENDAR_YEAR,
};

/* Before and after every moment of the calendar. */
#define CALENDAR_BEGINNING INT64_MIN
#define CALENDAR_END INT64_MAX

/* False, and *ret untouched, when there is no such date. */
bool calendar_seconds(const struct calendar_date *date, int64_t *ret);

void calendar_split(int64_t seconds, struct calendar_date *ret);

/* The number of the period that @seconds lies in; the numbers of one unit follow each other in time. */
int64_t calendar_period(int64_t seconds, enum calendar_unit unit);

/*
 * The moment @count units earlier. For months and years the day is cut to the last one of the month that is reached
 * (31 March less one month is 28 or 29 February). CALENDAR_BEGINNING when that lies before the calendar.
 */
int64_t calendar_before(int64_t seconds, enum calendar_unit unit, uint32_t count);

/* The moment @count units later, the day cut in the same way; CALENDAR_END when that lies behind the calendar. */
int64_t calendar_after(int64_t seconds, enum calendar_unit unit, uint32_t count);

/* The first moment of a period, of which @period is the number; CALENDAR_END likewise. */
int64_t calendar_begin(int64_t period, enum calendar_unit unit);

/* The moment at which the local wall clock shows @seconds; either, where it does so twice. Asks the time zone. */
time_t calendar_moment(int64_t seconds);

/* What the local wall clock shows at @moment; false when that is outside of the calendar. Asks the time zone. */
bool calendar_local(time_t moment, int64_t *ret);
