/* foresee: how long the rotation scheme keeps a snapshot: by rules, and by a model that goes on taking and rotating
 * them. */
#include "cases.h"
#include "rotate/calendar.h"
#include "rotate/expression.h"
#include "rotate/foresee.h"
#include "rotate/names.h"
#include "rotate/scheme.h"

#include <check.h>
#include <stdio.h>

enum { ITEMS_MAX = 4096, MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

static struct scheme_item items[ITEMS_MAX];
static struct foresee seen[ITEMS_MAX];
static size_t count;

static int64_t moment(const char *name)
{
        int64_t seconds;

        ck_assert_msg(names_parse(name, &seconds), "%s", name);
        return seconds;
}

static void add(int64_t time)
{
        if (count == ITEMS_MAX)
                ck_abort_msg("too many");
        items[count] = (struct scheme_item){ .name = "", .time = time, .complete = true };
        count++;
}

static void look(const struct scheme *scheme, int64_t now)
{
        scheme_mark(scheme, now, items, count);
        foresee(scheme, now, items, count, seen);
}

/* What is foreseen of the only snapshot of @name, or of the oldest of several. */
static struct foresee of(const struct scheme *scheme, const char *now, const char *const *list)
{
        count = 0;
        for (; *list; list++)
                add(moment(*list));
        look(scheme, moment(now));
        return seen[0];
}

#define OF(scheme, now, ...) of(&(scheme), now, (const char *const[]){ __VA_ARGS__, NULL })

static void assert_until(struct foresee f, enum scheme_frequency frequency, const char *until)
{
        char shown[NAMES_SIZE];

        ck_assert_int_eq(f.end, FORESEE_MOMENT);
        ck_assert_int_eq((int)f.reason, (int)frequency);
        ck_assert_str_eq(names_format(f.time, shown), until);
}

/* With a snapshot at the beginning of each period it would be one too many there. */
START_TEST(a_rule_ends_where_its_periods_may_be_used_up)
{
        const struct scheme hourly = { .count = { [SCHEME_HOURLY] = 24 } };
        const struct scheme daily = { .count = { [SCHEME_DAILY] = 7 } };
        const struct scheme weekly = { .count = { [SCHEME_WEEKLY] = 4 } };
        const struct scheme monthly = { .count = { [SCHEME_MONTHLY] = 1 } };
        const struct scheme yearly = { .count = { [SCHEME_YEARLY] = 1 } };

        assert_until(OF(hourly, "2026-11-20 17:30", "2026-11-20 17:00:05"), SCHEME_HOURLY, "2026-11-21 17:00:00");
        assert_until(OF(daily, "2026-11-20 23:30", "2026-11-20 23:00"), SCHEME_DAILY, "2026-11-27 00:00:00");
        assert_until(OF(weekly, "2026-11-20 18:00", "2026-11-20 17:00"), SCHEME_WEEKLY, "2026-12-14 00:00:00");
        assert_until(OF(monthly, "2026-01-31 18:00", "2026-01-31 12:00"), SCHEME_MONTHLY, "2026-02-01 00:00:00");
        assert_until(OF(yearly, "2026-03-19 03:00", "2026-03-19 02:16:06"), SCHEME_YEARLY, "2027-01-01 00:00:00");
}
END_TEST

/* Where periods have none, a strict scheme goes by time: what is more than so many periods older than the newest goes.
 */
START_TEST(a_strict_rule_ends_that_many_periods_later_at_the_latest)
{
        const struct scheme hourly = { .count = { [SCHEME_HOURLY] = 24 } };
        const struct scheme daily = { .count = { [SCHEME_DAILY] = 7 } };

        assert_until(OF(hourly, "2026-11-20 22:00", "2026-11-20 17:00:05"), SCHEME_HOURLY, "2026-11-21 17:00:06");
        assert_until(OF(daily, "2026-11-15 18:00", "2026-11-10 12:00", "2026-11-15 12:00"), SCHEME_DAILY,
                     "2026-11-17 12:00:01");
        assert_until(seen[1], SCHEME_DAILY, "2026-11-22 00:00:00");
}
END_TEST

/* One month before 28, 29, 30 and 31 March is 28 February; so what is of that moment counts until March is over. */
START_TEST(days_that_a_month_lacks_end_with_it)
{
        const struct scheme monthly = { .count = { [SCHEME_MONTHLY] = 2 } };
        const struct scheme three = { .count = { [SCHEME_MONTHLY] = 3 } };
        const struct scheme yearly = { .count = { [SCHEME_YEARLY] = 4 } };

        assert_until(OF(three, "2026-02-10", "2025-11-30 17:00"), SCHEME_MONTHLY, "2026-03-01 00:00:00");
        assert_until(OF(monthly, "2026-03-02", "2026-02-28 17:00"), SCHEME_MONTHLY, "2026-04-01 00:00:00");
        assert_until(OF(monthly, "2026-04-02", "2026-02-28 17:00"), SCHEME_MONTHLY, "2026-04-28 17:00:01");
        assert_until(OF(monthly, "2026-04-02", "2026-02-28 23:59:59"), SCHEME_MONTHLY, "2026-05-01 00:00:00");
        assert_until(OF(yearly, "2030-01-01", "2028-02-29 17:00"), SCHEME_YEARLY, "2032-02-29 17:00:01");
        assert_until(OF(yearly, "2031-01-01", "2027-02-28 23:59:59"), SCHEME_YEARLY, "2031-03-01 00:00:00");
}
END_TEST

START_TEST(the_rule_that_keeps_longest_is_told)
{
        struct foresee f = OF(scheme_default, "2026-11-20 18:00", "2026-11-20 17:00", "2026-11-20 17:30");

        ck_assert_int_eq(f.end, FORESEE_NEVER);
        ck_assert_int_eq((int)f.reason, SCHEME_MONTHLY);
        ck_assert_int_eq(seen[1].end, FORESEE_NEXT);
        ck_assert_int_eq(seen[1].reason, SCHEME_NEWEST);
        OF(scheme_default, "2026-11-20 18:00", "2026-11-02 17:00", "2026-11-16 17:00", "2026-11-17 17:00");
        assert_until(seen[1], SCHEME_WEEKLY, "2026-12-14 00:00:00");
        assert_until(seen[2], SCHEME_DAILY, "2026-11-24 17:00:01");
}
END_TEST

START_TEST(what_no_rule_keeps_goes_next)
{
        const struct scheme daily = { .count = { [SCHEME_DAILY] = 7 } };

        ck_assert_int_eq(OF(daily, "2026-11-20 18:00", "2026-11-01", "2026-11-20").end, FORESEE_GONE);
        OF(daily, "2026-11-20 18:00", "2026-11-20 10:00", "2026-11-20 11:00", "2026-11-20 12:00");
        ck_assert_int_eq(seen[1].end, FORESEE_GONE);
}
END_TEST

/* The disk lay in a drawer: what the scheme keeps of it is measured by its newest snapshot, and goes with the next. */
START_TEST(rules_that_are_over_keep_until_the_next_snapshot)
{
        const struct scheme daily = { .count = { [SCHEME_DAILY] = 7 } };
        struct foresee f = OF(daily, "2026-11-20 18:00", "2026-05-01", "2026-05-02");

        ck_assert_int_eq(f.end, FORESEE_NEXT);
        ck_assert_int_eq((int)f.reason, SCHEME_DAILY);
}
END_TEST

START_TEST(relaxed_rules_count_periods_that_are_still_to_come)
{
        const struct scheme daily = { .count = { [SCHEME_DAILY] = 3 }, .relaxed = true };

        /* 1 and 5 May, then 20 and 21 November: with those of both days 1 May is the fourth of three. */
        assert_until(OF(daily, "2026-11-20 18:00", "2026-05-01", "2026-05-05"), SCHEME_DAILY, "2026-11-21 00:00:00");
        assert_until(seen[1], SCHEME_DAILY, "2026-11-22 00:00:00");
        assert_until(OF(daily, "2026-11-20 18:00", "2026-11-20 17:00"), SCHEME_DAILY, "2026-11-23 00:00:00");
}
END_TEST

START_TEST(what_stands_aside_stays_as_it_is)
{
        const struct scheme daily = { .count = { [SCHEME_DAILY] = 7 } };

        count = 0;
        add(moment("2026-11-20"));
        add(moment("2026-11-21"));
        add(moment("2027-01-01"));
        items[0].ignored = true;
        look(&daily, moment("2026-11-21 12:00"));
        ck_assert_int_eq(seen[0].end, FORESEE_OPEN);
        ck_assert_int_eq(seen[0].reason, SCHEME_IGNORED);
        ck_assert_int_eq(seen[2].end, FORESEE_OPEN);
        ck_assert_int_eq(seen[2].reason, SCHEME_FUTURE);
}
END_TEST

START_TEST(an_incomplete_newest_leaves_the_last_complete_one)
{
        const struct scheme hourly = { .count = { [SCHEME_HOURLY] = 1 } };

        count = 0;
        add(moment("2026-11-20"));
        add(moment("2026-11-21"));
        items[1].complete = false;
        look(&hourly, moment("2026-11-21 00:30"));
        ck_assert_int_eq(seen[0].end, FORESEE_NEXT_COMPLETE);
        assert_until(seen[1], SCHEME_HOURLY, "2026-11-21 01:00:00");
}
END_TEST

START_TEST(the_newest_may_be_replaced_where_the_newest_is_preferred)
{
        const struct scheme daily = { .count = { [SCHEME_DAILY] = 7 }, .prefer_recent = true };

        assert_until(OF(daily, "2026-11-20 18:00", "2026-11-20 17:00"), SCHEME_DAILY, "2026-11-27 00:00:00");
        ck_assert(seen[0].may_be_replaced);
        OF(daily, "2026-11-21 18:00", "2026-11-20 17:00", "2026-11-21 17:00");
        ck_assert(!seen[0].may_be_replaced);
}
END_TEST

START_TEST(the_end_of_the_calendar_is_for_ever)
{
        const struct scheme many = { .count = { [SCHEME_DAILY] = EXPRESSION_MAX } };
        const struct scheme years = { .count = { [SCHEME_YEARLY] = EXPRESSION_MAX }, .relaxed = true };
        const struct scheme one = { .count = { [SCHEME_MONTHLY] = 1 } };

        ck_assert_int_eq(OF(many, "2026-11-20 18:00", "2026-11-20").end, FORESEE_NEVER);
        ck_assert_int_eq(OF(years, "2026-11-20 18:00", "2026-11-20").end, FORESEE_NEVER);
        ck_assert_int_eq(OF(one, "9999-12-31 23:59:59", "9999-12-31 23:59:59").end, FORESEE_NEVER);
        assert_until(OF(one, "9999-11-30 23:59:59", "9999-11-30 23:59:59"), SCHEME_MONTHLY, "9999-12-01 00:00:00");
}
END_TEST

/* ---- the model: snapshots come, and each is followed by a rotation ---- */

/* What was said of a snapshot. */
struct told {
        int64_t time;
        int64_t promised; /* that it stays until then: the best that was ever said; */
        int64_t until;    /* what was said last. NO_MOMENT: none */
};

enum arrival {
        REGULAR,    /* one every `interval` */
        BEGINNINGS, /* at the beginning of each period of `unit` */
        ENDS,       /* at the last moment of each */
        RANDOM,     /* around the borders of periods of all kinds, some of which get several, and some none */
};

struct model {
        struct scheme scheme;
        enum arrival arrival;
        int64_t begin, interval;
        enum calendar_unit unit;
        unsigned snapshots;
        bool is_exact; /* each snapshot is removed at its moment, not just no sooner */
};

#define NO_MOMENT INT64_MIN

static struct told told[ITEMS_MAX];
static uint64_t dice;

/* Below @sides; the same in each run. */
static int64_t roll(int64_t sides)
{
        dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407U;
        return (int64_t)((dice >> 33) % (uint64_t)sides);
}

static int64_t border(int64_t time, enum calendar_unit unit, int64_t periods)
{
        return calendar_begin(calendar_period(time, unit) + periods, unit);
}

static int64_t next_random(int64_t last)
{
        enum calendar_unit unit = (enum calendar_unit)(roll(20) == 0 ? CALENDAR_YEAR : roll(CALENDAR_YEAR));
        int64_t at = border(last, unit, 1 + roll(4) * roll(2));

        switch (roll(4)) {
        case 0:
                return at;
        case 1:
                return at - 1 > last ? at - 1 : at;
        default:
                return last + 1 + roll(at - last);
        }
}

static int64_t next_moment(const struct model *m, int64_t last)
{
        switch (m->arrival) {
        case REGULAR:
                return last + m->interval;
        case BEGINNINGS:
                return border(last, m->unit, 1);
        case ENDS:
                return border(last, m->unit, 2) - 1;
        case RANDOM:
                break;
        }
        return next_random(last);
}

static void remove_item(size_t i)
{
        memmove(&items[i], &items[i + 1], (count - i - 1) * sizeof(*items));
        memmove(&told[i], &told[i + 1], (count - i - 1) * sizeof(*told));
        count--;
}

static const char *show(int64_t time, char out[NAMES_SIZE])
{
        return time == NO_MOMENT || time == INT64_MAX ? "no moment" : names_format(time, out);
}

/* An assertion of check(3) costs two system calls even when it holds: here only those that do not are made. */
static void check_removed(const struct told *t, int64_t now)
{
        char a[NAMES_SIZE], b[NAMES_SIZE], c[NAMES_SIZE];

        if (now < t->promised)
                ck_abort_msg("%s went with %s, before %s", show(t->time, a), show(now, b), show(t->promised, c));
}

static void check_kept(const struct model *m, const struct told *t, int64_t now)
{
        char a[NAMES_SIZE], b[NAMES_SIZE], c[NAMES_SIZE];

        if (m->is_exact && t->until != NO_MOMENT && now >= t->until)
                ck_abort_msg("%s stays with %s, although until %s", show(t->time, a), show(now, b), show(t->until, c));
}

static void note(size_t i)
{
        struct told *t = &told[i];

        t->until = NO_MOMENT;
        if (seen[i].end == FORESEE_MOMENT)
                t->until = seen[i].time;
        if (seen[i].end == FORESEE_NEVER)
                t->until = INT64_MAX;
        if (!seen[i].may_be_replaced && t->until > t->promised)
                t->promised = t->until;
}

static void look_and_note(const struct model *m, int64_t now)
{
        look(&m->scheme, now);
        for (size_t i = 0; i < count; i++) {
                /* It is never said after a rotation. */
                if (seen[i].end == FORESEE_GONE || (seen[i].end == FORESEE_MOMENT && seen[i].time <= now))
                        ck_abort_msg("what is kept is said to be gone");
                note(i);
        }
}

static void rotate(const struct model *m, int64_t now)
{
        scheme_mark(&m->scheme, now, items, count);
        for (size_t i = count; i-- > 0;) {
                if (items[i].reasons != 0) {
                        check_kept(m, &told[i], now);
                        continue;
                }
                check_removed(&told[i], now);
                remove_item(i);
        }
}

/*
 * There is a future in which @i goes at the moment that is told: each period from now on has a snapshot at its
 * beginning, and there is one at that moment.
 */
static void check_it_may_go(const struct model *m, size_t i, int64_t now)
{
        static struct scheme_item saved[ITEMS_MAX];
        size_t saved_count = count, at = 0;
        int64_t time = items[i].time, until = seen[i].time;
        char a[NAMES_SIZE], b[NAMES_SIZE];

        memcpy(saved, items, count * sizeof(*items));
        if (items[count - 1].time < now)
                add(now);
        for (size_t f = 0; f < SCHEME_FREQUENCIES; f++) {
                for (int64_t n = 1; m->scheme.count[f] != EXPRESSION_ALWAYS && n <= m->scheme.count[f]; n++) {
                        int64_t begin = border(now, scheme_frequency_unit((enum scheme_frequency)f), n);

                        if (begin <= until)
                                add(begin);
                }
        }
        add(until);
        scheme_mark(&m->scheme, until, items, count);
        while (items[at].time != time)
                at++;
        if (items[at].reasons & ~(1U << SCHEME_NEWEST_COMPLETE))
                ck_abort_msg("%s cannot go at %s", show(time, a), show(until, b));
        count = saved_count;
        memcpy(items, saved, count * sizeof(*items));
}

static void run_model(const struct model *m)
{
        int64_t now = m->begin;

        count = 0;
        for (unsigned n = 0; n < m->snapshots; n++) {
                int64_t next = next_moment(m, now), between = now + roll(next - now);

                told[count] = (struct told){ .time = now, .promised = NO_MOMENT, .until = NO_MOMENT };
                add(now);
                rotate(m, now);
                look_and_note(m, now);
                /* Whoever asks later hears what is true then. */
                look_and_note(m, between);
                if (m->arrival == RANDOM) {
                        size_t i = (size_t)roll((int64_t)count);

                        if (seen[i].end == FORESEE_MOMENT)
                                check_it_may_go(m, i, between);
                }
                now = next;
        }
}

static const struct scheme schemes[] = {
        { .count = { [SCHEME_HOURLY] = 24, [SCHEME_DAILY] = 7, [SCHEME_WEEKLY] = 4, [SCHEME_MONTHLY] = 2 } },
        { .count = { [SCHEME_HOURLY] = 3, [SCHEME_YEARLY] = 1 } },
        { .count = { [SCHEME_HOURLY] = 1, [SCHEME_DAILY] = 2, [SCHEME_MONTHLY] = EXPRESSION_ALWAYS } },
        { .count = { [SCHEME_DAILY] = 1, [SCHEME_WEEKLY] = 1, [SCHEME_MONTHLY] = 1, [SCHEME_YEARLY] = 1 } },
        { .count = { [SCHEME_MINUTELY] = 30,
                     [SCHEME_HOURLY] = 5,
                     [SCHEME_DAILY] = 7,
                     [SCHEME_WEEKLY] = 4,
                     [SCHEME_MONTHLY] = 3,
                     [SCHEME_YEARLY] = 1 } },
        { .count = { [SCHEME_MONTHLY] = 1 } },
};

enum { VARIANTS = 4 };

/* Strict and relaxed, the oldest of a period and the newest. */
static struct model variant(size_t scheme, unsigned number)
{
        struct model m = { .scheme = schemes[scheme] };

        dice = scheme * VARIANTS + number;
        m.scheme.relaxed = number & 1;
        m.scheme.prefer_recent = number & 2;
        return m;
}

/* The unit of the most frequent ones. */
static enum calendar_unit finest(const struct scheme *scheme)
{
        enum scheme_frequency f = (enum scheme_frequency)0;

        while (scheme->count[f] == 0)
                f = (enum scheme_frequency)(f + 1);
        return scheme_frequency_unit(f);
}

/* At the beginning of each period there is one, and the last one goes at the very moment. */
START_TEST(snapshots_go_when_it_was_said_if_each_period_begins_with_one)
{
        for (size_t s = 0; s < ARRAY_SIZE(schemes); s++) {
                for (unsigned v = 0; v < VARIANTS; v++) {
                        struct model m = variant(s, v);

                        m.arrival = BEGINNINGS;
                        m.unit = finest(&m.scheme);
                        m.begin = moment("2024-01-01 00:00:00");
                        m.snapshots = 400;
                        /* Else there are several in a period, and it is the last of them that counts. */
                        m.is_exact = !m.scheme.prefer_recent;
                        run_model(&m);
                }
        }
}
END_TEST

/* The earliest that may be, no sooner and no later: whatever comes. */
START_TEST(no_snapshot_goes_before_it_was_said)
{
        static const char *const begins[] = { "2024-01-31 13:14:15", "2023-12-30 23:59:59", "2025-02-28 23:30:00" };

        for (size_t s = 0; s < ARRAY_SIZE(schemes); s++) {
                for (unsigned v = 0; v < VARIANTS * ARRAY_SIZE(begins); v++) {
                        struct model m = variant(s, v);

                        m.arrival = RANDOM;
                        m.begin = moment(begins[v / VARIANTS]);
                        m.snapshots = 150;
                        run_model(&m);
                }
        }
}
END_TEST

START_TEST(no_snapshot_goes_before_it_was_said_when_they_come_regularly)
{
        static const int64_t intervals[] = { 7 * MINUTE, 20 * MINUTE, HOUR,           5 * HOUR + 3,
                                             DAY,        29 * HOUR,   9 * DAY + HOUR, 33 * DAY };

        for (size_t s = 0; s < ARRAY_SIZE(schemes); s++) {
                for (unsigned v = 0; v < VARIANTS; v++) {
                        struct model m = variant(s, v);

                        m.begin = moment("2024-01-31 23:00:00");
                        m.snapshots = 100;
                        for (size_t i = 0; i < ARRAY_SIZE(intervals); i++) {
                                m.interval = intervals[i];
                                run_model(&m);
                        }
                        m.arrival = ENDS;
                        m.unit = finest(&m.scheme);
                        run_model(&m);
                }
        }
}
END_TEST

int main(void)
{
        TCase *tests = tcase_create("foresee");

        tcase_add_test(tests, a_rule_ends_where_its_periods_may_be_used_up);
        tcase_add_test(tests, a_strict_rule_ends_that_many_periods_later_at_the_latest);
        tcase_add_test(tests, days_that_a_month_lacks_end_with_it);
        tcase_add_test(tests, the_rule_that_keeps_longest_is_told);
        tcase_add_test(tests, what_no_rule_keeps_goes_next);
        tcase_add_test(tests, rules_that_are_over_keep_until_the_next_snapshot);
        tcase_add_test(tests, relaxed_rules_count_periods_that_are_still_to_come);
        tcase_add_test(tests, what_stands_aside_stays_as_it_is);
        tcase_add_test(tests, an_incomplete_newest_leaves_the_last_complete_one);
        tcase_add_test(tests, the_newest_may_be_replaced_where_the_newest_is_preferred);
        tcase_add_test(tests, the_end_of_the_calendar_is_for_ever);
        tcase_add_test(tests, snapshots_go_when_it_was_said_if_each_period_begins_with_one);
        tcase_add_test(tests, no_snapshot_goes_before_it_was_said);
        tcase_add_test(tests, no_snapshot_goes_before_it_was_said_when_they_come_regularly);
        tcase_set_timeout(tests, 120);
        return cases_run("foresee", tests);
}
