/*
 * A snapshot's name is a moment of the naive calendar (rotate/calendar.h), and whatever has such a name is a snapshot.
 *
 * The program writes YYYY-MM-DD HH:MM:SS. It also reads what people have from older tools: the fields year (4 digits),
 * month, day, hour, minute, second (2 digits each), of which the second, or all three of the time, may be missing, with
 * at most one byte that is neither a digit nor '/' between two fields. The whole name must be that, and the date must
 * exist: '20261121', '2026-11-21T17:00' and '2026_11_21_17_00_00' are names; '2026-11-21.old', '2026-11-21 17' and
 * '2026-02-30' are not. Since the fields have fixed widths, a name can be read in one way only; what is missing is 0.
 */
#pragma once

#include "base/util.h"

enum { NAMES_SIZE = sizeof("YYYY-MM-DD HH:MM:SS") };

/* Is @name, one path component, a snapshot's name? If so, *ret is its moment; else *ret is untouched. */
bool names_parse(const char *name, int64_t *ret);

/* Does @name begin as all names do that the program keeps for itself: the state, what is made or removed, temporaries?
 */
bool names_is_own(const char *name);

/* One or the other: nothing else may be called so beside a destination. */
bool names_is_taken(const char *name);

/* Write the name that the program gives to a snapshot of this moment. Returns @out. */
const char *names_format(int64_t seconds, char out[NAMES_SIZE]);
