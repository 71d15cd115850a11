/* Numbers that a user gives with a unit or a word: pure. All return 0, or -EINVAL for what is none. */
#pragma once

#include "base/util.h"

/*
 * A rate as rsync(1) takes it for --bwlimit, in bytes a second: a number, perhaps with a fraction ("1.5"), and a unit:
 * B; K, M, G, T or KiB, MiB, ... for powers of 1024; KB, MB, ... for powers of 1000; in either case; without one KiB
 * are meant. 0 is no limit; what is less than 512 bytes, as with rsync, or more than BUCKET_RATE_MAX, is refused.
 */
int quantity_rate(const char *text, uint64_t *ret);

/*
 * A length of time in seconds: numbers with a unit (s, m, h, d, w; also min, hour(s), day(s), week(s) and the like),
 * largest first or not, added up: "36h", "1d 12h", "90 minutes". 0 is none.
 */
int quantity_duration(const char *text, uint64_t *ret);

/* A whole number without sign of at most @most. */
int quantity_number(const char *text, unsigned most, unsigned *ret);
