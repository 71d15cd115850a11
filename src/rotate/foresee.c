/*
 * Two things end what a frequency does for the representative of a period, whichever comes first.
 *
 * Its number: it is the r-th from the newest of the n periods that count, and goes when n - r + 1 new periods have a
 * snapshot. The first new one is that of now, or the one after the newest snapshot's, and each may have one at its very
 * beginning.
 *
 * In a strict scheme, its age: the newest snapshot is more than n periods later than it is.
 */
#include "rotate/foresee.h"

#include "rotate/calendar.h"
#include "rotate/expression.h"

static bool takes_part(const struct scheme_item *item)
{
        return !(item->reasons & (1U << SCHEME_FUTURE | 1U << SCHEME_IGNORED));
}

static bool has(const struct scheme_item *item, enum scheme_reason reason)
{
        return item->reasons & 1U << reason;
}

/* CALENDAR_END when there is none. */
static int64_t next_day(int64_t seconds)
{
        return calendar_begin(calendar_period(seconds, CALENDAR_DAY) + 1, CALENDAR_DAY);
}

/*
 * The first moment at which a newest snapshot no longer preserves one of @time in a strict scheme. Where the day was
 * cut on the way there, the rest of the month leads back to the same day; that ends with the month.
 */
static int64_t first_beyond(int64_t time, enum calendar_unit unit, uint32_t n)
{
        int64_t beyond = calendar_after(time, unit, n);

        if (beyond == CALENDAR_END || next_day(beyond) == CALENDAR_END)
                return CALENDAR_END;
        beyond++;
        while (beyond != CALENDAR_END && calendar_before(beyond, unit, n) <= time)
                beyond = next_day(beyond);
        return beyond;
}

/* ---- one frequency ---- */

struct view {
        const struct scheme *scheme;
        enum scheme_frequency frequency;
        enum calendar_unit unit;
        uint32_t n;
        int64_t now;
        int64_t first_new; /* the number of the first period that has no snapshot yet */
};

/* @rank: how many periods have a snapshot, from the newest to that of @time. */
static struct foresee end_of(const struct view *v, int64_t time, uint32_t rank)
{
        struct foresee f = { .end = FORESEE_NEVER, .reason = (enum scheme_reason)v->frequency };

        if (v->n == EXPRESSION_ALWAYS)
                return f;
        f.time = calendar_begin(v->first_new + v->n - rank, v->unit);
        if (!v->scheme->relaxed) {
                int64_t beyond = first_beyond(time, v->unit, v->n);

                f.time = beyond < f.time ? beyond : f.time;
        }
        if (f.time != CALENDAR_END)
                f.end = f.time <= v->now ? FORESEE_NEXT : FORESEE_MOMENT;
        return f;
}

static bool is_longer(const struct foresee *a, const struct foresee *b)
{
        if (a->end != b->end)
                return a->end > b->end;
        return a->end == FORESEE_MOMENT ? a->time > b->time : a->end == FORESEE_NEVER;
}

static void look_at(const struct view *v, const struct scheme_item *items, size_t count, struct foresee *ret)
{
        uint32_t rank = 0;
        int64_t period = 0;

        for (size_t i = count; i-- > 0;) {
                struct foresee f;

                if (!takes_part(&items[i]))
                        continue;
                if (rank == 0 || calendar_period(items[i].time, v->unit) != period)
                        rank++;
                period = calendar_period(items[i].time, v->unit);
                if (!has(&items[i], (enum scheme_reason)v->frequency))
                        continue;
                f = end_of(v, items[i].time, rank);
                if (is_longer(&f, &ret[i])) {
                        f.may_be_replaced = ret[i].may_be_replaced;
                        ret[i] = f;
                }
        }
}

/* ---- all of them ---- */

/* By what is no frequency. */
static struct foresee begin(const struct scheme *scheme, const struct scheme_item *item)
{
        if (has(item, SCHEME_IGNORED))
                return (struct foresee){ .end = FORESEE_OPEN, .reason = SCHEME_IGNORED };
        if (has(item, SCHEME_FUTURE))
                return (struct foresee){ .end = FORESEE_OPEN, .reason = SCHEME_FUTURE };
        if (has(item, SCHEME_NEWEST))
                return (struct foresee){ .end = FORESEE_NEXT,
                                         .reason = SCHEME_NEWEST,
                                         .may_be_replaced = scheme->prefer_recent };
        if (has(item, SCHEME_NEWEST_COMPLETE))
                return (struct foresee){ .end = FORESEE_NEXT_COMPLETE, .reason = SCHEME_NEWEST_COMPLETE };
        return (struct foresee){ .end = FORESEE_GONE };
}

void foresee(const struct scheme *scheme, int64_t now, const struct scheme_item *items, size_t count,
             struct foresee *ret)
{
        const struct scheme_item *newest = NULL;

        for (size_t i = 0; i < count; i++) {
                ret[i] = begin(scheme, &items[i]);
                if (takes_part(&items[i]))
                        newest = &items[i];
        }
        for (size_t f = 0; newest && f < SCHEME_FREQUENCIES; f++) {
                enum calendar_unit unit = scheme_frequency_unit((enum scheme_frequency)f);
                int64_t after = calendar_period(newest->time, unit) + 1;
                int64_t current = now == CALENDAR_END ? after : calendar_period(now, unit);
                const struct view v = { .scheme = scheme,
                                        .frequency = (enum scheme_frequency)f,
                                        .unit = unit,
                                        .n = scheme->count[f],
                                        .now = now,
                                        .first_new = current > after ? current : after };

                look_at(&v, items, count, ret);
        }
}
