/*
 * The rotation scheme: how many snapshots of each frequency to preserve, and which ones of a given set these are.
 *
 * Pure: no clock, no disk, no time zone. Moments are those of the naive calendar (rotate/calendar.h).
 */
#pragma once

#include "base/util.h"
#include "rotate/calendar.h"

struct err;

enum scheme_frequency {
        SCHEME_MINUTELY,
        SCHEME_HOURLY,
        SCHEME_DAILY,
        SCHEME_WEEKLY,
        SCHEME_MONTHLY,
        SCHEME_YEARLY,
        SCHEME_FREQUENCIES, /* how many there are */
};

struct scheme {
        uint32_t count[SCHEME_FREQUENCIES]; /* 0: not part of the scheme; EXPRESSION_ALWAYS: no limit */
        bool relaxed;                       /* the n newest periods that have a snapshot, however old */
        bool prefer_recent;                 /* a period is represented by its newest snapshot, not by its oldest */
};

/* hourly 24, daily 7, weekly 4, monthly always; strict */
extern const struct scheme scheme_default;

/* Why a snapshot is preserved. The frequencies are the first reasons, with the same numbers. */
enum scheme_reason {
        SCHEME_NEWEST = SCHEME_FREQUENCIES,
        SCHEME_NEWEST_COMPLETE,
        SCHEME_OWN,     /* made by this run */
        SCHEME_FUTURE,  /* dated after "now" */
        SCHEME_IGNORED, /* left out by an include or exclude list */
        SCHEME_REASONS, /* how many there are */
};

struct scheme_item {
        const char *name; /* borrowed */
        int64_t time;     /* from names_parse() */
        bool complete;    /* the run that made it was complete, or left no record */
        bool own;         /* this run made it */
        bool ignored;     /* see schemefile_selects() */
        unsigned reasons; /* set by scheme_mark(): bits 1 << reason; 0: to be removed */
        bool doubted;     /* set by scheme_mark(): the newest, but the windows reach back from the one before */
};

/* "minutely" ... "yearly": the names of options and keys. */
const char *scheme_frequency_name(enum scheme_frequency frequency);
enum calendar_unit scheme_frequency_unit(enum scheme_frequency frequency);

/* No frequency has a count. */
bool scheme_is_empty(const struct scheme *scheme);

/* Refuse an empty scheme, with a usage error. Return 0 or -EINVAL. */
int scheme_check(const struct scheme *scheme, struct err *err);

/*
 * Decide for each of @items, given in any order, whether it is preserved, and why. They are sorted, the oldest first;
 * names of the same moment ('2026-11-21' and '2026-11-21 00:00:00') count in the order of their bytes. @scheme must not
 * be empty.
 *
 * Those that are dated after @now or ignored are preserved and else are as if they were not there: they represent no
 * period, use up no count, and are neither the newest nor the newest complete one.
 */
void scheme_mark(const struct scheme *scheme, int64_t now, struct scheme_item *items, size_t count);

/* In words, for people: "hourly", "newest". @reason is a frequency or an enum scheme_reason. */
const char *scheme_reason_name(unsigned reason);

enum { SCHEME_VERDICT_SIZE = 192 };

/* For the log: "preserved: hourly, daily, newest" or "removed". Returns @out. */
const char *scheme_verdict(unsigned reasons, char out[SCHEME_VERDICT_SIZE]);
