/*
 * Sorted by time, the snapshots of one period are neighbours. For each frequency one pass goes from the newest to the
 * oldest, takes a period at a time, and ends when the count is used up or a representative lies before the window:
 *
 *      oldest                                                        newest
 *      a     b  c     |  d  e        f     g  h  i        j     k  l
 *            `--´        `--´              `-----´              `--´        periods of one frequency
 *      too old: skipped  d           f     g              j     k           representatives (l, not k: prefer_recent)
 *                     limit = reference - count periods; the reference is the newest
 *
 * The representative is chosen first and compared with the limit then: where the limit cuts a period in two, its oldest
 * snapshot is too old and no younger one steps in.
 */
#include "rotate/scheme.h"

#include "base/err.h"
#include "rotate/calendar.h"
#include "rotate/expression.h"

#include <assert.h>
#include <stdio.h>

/* Preserved without taking part. */
#define ASIDE (1U << SCHEME_FUTURE | 1U << SCHEME_IGNORED)

const struct scheme scheme_default = {
        .count = { [SCHEME_HOURLY] = 24,
                   [SCHEME_DAILY] = 7,
                   [SCHEME_WEEKLY] = 4,
                   [SCHEME_MONTHLY] = EXPRESSION_ALWAYS },
};

static const struct {
        const char *name;
        enum calendar_unit unit;
} frequencies[SCHEME_FREQUENCIES] = {
        [SCHEME_MINUTELY] = { "minutely", CALENDAR_MINUTE }, [SCHEME_HOURLY] = { "hourly", CALENDAR_HOUR },
        [SCHEME_DAILY] = { "daily", CALENDAR_DAY },          [SCHEME_WEEKLY] = { "weekly", CALENDAR_WEEK },
        [SCHEME_MONTHLY] = { "monthly", CALENDAR_MONTH },    [SCHEME_YEARLY] = { "yearly", CALENDAR_YEAR },
};

const char *scheme_frequency_name(enum scheme_frequency frequency)
{
        return frequencies[frequency].name;
}

enum calendar_unit scheme_frequency_unit(enum scheme_frequency frequency)
{
        return frequencies[frequency].unit;
}

bool scheme_is_empty(const struct scheme *scheme)
{
        for (size_t f = 0; f < SCHEME_FREQUENCIES; f++) {
                if (scheme->count[f] > 0)
                        return false;
        }
        return true;
}

int scheme_check(const struct scheme *scheme, struct err *err)
{
        if (!scheme_is_empty(scheme))
                return 0;
        err_usage(err, "the rotation scheme is empty: it would remove all snapshots but the newest");
        return err_hint(err, "give a count for at least one of minutely, hourly, daily, weekly, monthly, yearly");
}

static int compare_items(const void *left, const void *right)
{
        const struct scheme_item *a = left, *b = right;

        if (a->time != b->time)
                return a->time < b->time ? -1 : 1;
        return strcmp(a->name, b->name);
}

/* The newest of the first *@end items that takes part; *@end becomes its index. NULL, and 0, when there is none. */
static struct scheme_item *take_newest(struct scheme_item *items, size_t *end)
{
        while (*end > 0) {
                struct scheme_item *item = &items[--*end];

                if (!(item->reasons & ASIDE))
                        return item;
        }
        return NULL;
}

/* Takes all of the newest period among the first *@end items off that end, and returns its representative. */
static struct scheme_item *take_period(struct scheme_item *items, size_t *end, enum calendar_unit unit,
                                       bool prefer_recent)
{
        struct scheme_item *newest = take_newest(items, end), *oldest = newest, *next;
        size_t rest = *end;

        if (!newest)
                return NULL;
        while ((next = take_newest(items, &rest))) {
                if (calendar_period(next->time, unit) != calendar_period(newest->time, unit))
                        break;
                oldest = next;
                *end = rest;
        }
        return prefer_recent ? newest : oldest;
}

static void mark_frequency(const struct scheme *scheme, enum scheme_frequency frequency, struct scheme_item *items,
                           size_t count, int64_t reference)
{
        enum calendar_unit unit = frequencies[frequency].unit;
        uint32_t left = scheme->count[frequency];
        bool always = left == EXPRESSION_ALWAYS;
        int64_t limit = always || scheme->relaxed ? CALENDAR_BEGINNING : calendar_before(reference, unit, left);

        while (always || left-- > 0) {
                struct scheme_item *item = take_period(items, &count, unit, scheme->prefer_recent);

                if (!item || item->time < limit)
                        return;
                item->reasons |= 1U << frequency;
        }
}

/*
 * The moment from which the windows reach back: that of the newest one, which is @items[@end]. One that this run made
 * more than a year after the one before says that the machine rested for so long, or that its clock is wrong now; the
 * next run knows which.
 */
static int64_t find_reference(const struct scheme *scheme, struct scheme_item *items, size_t end)
{
        struct scheme_item *newest = &items[end];
        const struct scheme_item *before = take_newest(items, &end);

        newest->doubted = newest->own && !scheme->relaxed && before &&
                          before->time < calendar_before(newest->time, CALENDAR_YEAR, 1);
        return newest->doubted ? before->time : newest->time;
}

static void mark_newest_complete(struct scheme_item *items, size_t count)
{
        struct scheme_item *item;

        while ((item = take_newest(items, &count))) {
                if (item->complete) {
                        item->reasons |= 1U << SCHEME_NEWEST_COMPLETE;
                        return;
                }
        }
}

void scheme_mark(const struct scheme *scheme, int64_t now, struct scheme_item *items, size_t count)
{
        size_t end = count;
        struct scheme_item *newest;
        int64_t reference;

        assert(!scheme_is_empty(scheme));
        if (count == 0)
                return;
        qsort(items, count, sizeof(*items), compare_items);
        for (size_t i = 0; i < count; i++) {
                items[i].reasons = (unsigned)items[i].own << SCHEME_OWN |
                                   (unsigned)(items[i].time > now) << SCHEME_FUTURE |
                                   (unsigned)items[i].ignored << SCHEME_IGNORED;
                items[i].doubted = false;
        }
        newest = take_newest(items, &end);
        if (!newest)
                return;
        newest->reasons |= 1U << SCHEME_NEWEST;
        mark_newest_complete(items, count);
        reference = find_reference(scheme, items, end);
        for (size_t f = 0; f < SCHEME_FREQUENCIES; f++)
                mark_frequency(scheme, (enum scheme_frequency)f, items, count, reference);
}

const char *scheme_reason_name(unsigned reason)
{
        switch (reason) {
        case SCHEME_NEWEST:
                return "newest";
        case SCHEME_NEWEST_COMPLETE:
                return "newest complete";
        case SCHEME_OWN:
                return "made by this run";
        case SCHEME_FUTURE:
                return "dated in the future";
        case SCHEME_IGNORED:
                return "left out by the include or exclude list";
        default:
                return frequencies[reason].name;
        }
}

const char *scheme_verdict(unsigned reasons, char out[SCHEME_VERDICT_SIZE])
{
        size_t used = 0;

        snprintf(out, SCHEME_VERDICT_SIZE, "removed");
        /* The newest one is complete as a rule, so that this goes without saying. */
        if (reasons & 1U << SCHEME_NEWEST)
                reasons &= ~(1U << SCHEME_NEWEST_COMPLETE);
        for (unsigned reason = 0; reason < SCHEME_REASONS; reason++) {
                if (reasons & 1U << reason)
                        used += (size_t)snprintf(out + used, SCHEME_VERDICT_SIZE - used, "%s %s",
                                                 used == 0 ? "preserved:" : ",", scheme_reason_name(reason));
        }
        assert(used < SCHEME_VERDICT_SIZE);
        return out;
}
