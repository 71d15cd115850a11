/* foresee: how long the rotation scheme keeps a snapshot, by rules, and by a model that goes on taking them. */
#include "rotate/calendar.h"
#include "rotate/expression.h"
#include "rotate/foresee.h"
#include "rotate/names.h"
#include "rotate/scheme.h"

#include <check.h>
#include <stdio.h>

enum { ITEMS_MAX = 4096, MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

static struct scheme_item items[ITEMS_MAX];
static char names[ITEMS_MAX][NAMES_SIZE];
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
        ck_assert_uint_lt(count, ITEMS_MAX);
        names_format(time, names[count]);
        items[count] = (struct scheme_item){ .name = names[count], .time = time, .complete = true };
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

START_TEST(a_strict_rule_ends_that_many_periods_later)
{
        const struct scheme hourly = { .count = { [SCHEME_HOURLY] = 24 } };
        const struct scheme weekly = { .count = { [SCHEME_WEEKLY] = 4 } };
        const struct scheme monthly = { .count = { [SCHEME_MONTHLY] = 1 } };
        const struct scheme yearly = { .count = { [SCHEME_YEARLY] = 1 } };

        assert_until(OF(hourly, "2026-11-20 18:00", "2026-11-20 17:00:05"), SCHEME_HOURLY, "2026-11-21 17:00:05");
        assert_until(OF(weekly, "2026-11-20 18:00", "2026-11-20 17:00"), SCHEME_WEEKLY, "2026-12-18 17:00:00");
        assert_until(OF(monthly, "2026-11-20 18:00", "2026-11-20 17:00"), SCHEME_MONTHLY, "2026-12-20 17:00:00");
        assert_until(OF(yearly, "2026-11-20 18:00", "2026-11-20 17:00"), SCHEME_YEARLY, "2027-11-20 17:00:00");
}
END_TEST

/* One month before 28, 29, 30 and 31 March is 28 February; so what is of that moment counts until March is over. */
START_TEST(days_that_a_month_lacks_end_with_it)
{
        const struct scheme monthly = { .count = { [SCHEME_MONTHLY] = 1 } };
        const struct scheme yearly = { .count = { [SCHEME_YEARLY] = 1 } };

        assert_until(OF(monthly, "2026-01-31 18:00", "2026-01-31 17:00"), SCHEME_MONTHLY, "2026-02-28 23:59:59");
        assert_until(OF(monthly, "2026-02-28 18:00", "2026-02-28 17:00"), SCHEME_MONTHLY, "2026-03-28 17:00:00");
        assert_until(OF(monthly, "2026-02-28 23:59:59", "2026-02-28 23:59:59"), SCHEME_MONTHLY, "2026-03-31 23:59:59");
        assert_until(OF(yearly, "2028-02-29 18:00", "2028-02-29 17:00"), SCHEME_YEARLY, "2029-02-28 23:59:59");
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
        assert_until(seen[1], SCHEME_WEEKLY, "2026-12-14 17:00:00");
        assert_until(seen[2], SCHEME_DAILY, "2026-11-24 17:00:00");
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

        assert_until(OF(daily, "2026-11-20 18:00", "2026-11-20 17:00"), SCHEME_DAILY, "2026-11-27 17:00:00");
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
        ck_assert_int_eq(OF(one, "9999-11-30 23:59:59", "9999-11-30 23:59:59").end, FORESEE_NEVER);
}
END_TEST

/* ---- the model: a snapshot every so often, and a rotation after each ---- */

/* What was said of a snapshot last. */
struct told {
        int64_t time, until;
};

static struct told told[ITEMS_MAX];

struct model {
        struct scheme scheme;
        int64_t begin, interval;
        unsigned snapshots;
        bool is_exact; /* each snapshot is removed at its moment, not just no later */
};

static void remove_item(size_t i)
{
        memmove(&items[i], &items[i + 1], (count - i - 1) * sizeof(*items));
        memmove(&told[i], &told[i + 1], (count - i - 1) * sizeof(*told));
        count--;
}

static const char *show(int64_t time, char out[NAMES_SIZE])
{
        return time == INT64_MIN || time == INT64_MAX ? "no moment" : names_format(time, out);
}

static void check_removed(const struct model *m, const struct told *t, int64_t now)
{
        char a[NAMES_SIZE], b[NAMES_SIZE], c[NAMES_SIZE];

        ck_assert_msg(!m->is_exact || t->until == INT64_MIN || now >= t->until, "%s went with %s, before %s",
                      show(t->time, a), show(now, b), show(t->until, c));
}

static void check_kept(const struct told *t, int64_t now)
{
        char a[NAMES_SIZE], b[NAMES_SIZE], c[NAMES_SIZE];

        ck_assert_msg(t->until == INT64_MIN || now <= t->until, "%s is still there after %s, although until %s",
                      show(t->time, a), show(now, b), show(t->until, c));
}

static void note(size_t i)
{
        switch (seen[i].end) {
        case FORESEE_MOMENT:
                told[i].until = seen[i].time;
                break;
        case FORESEE_NEVER:
                told[i].until = INT64_MAX;
                break;
        default:
                /* "Until the next one": no moment. */
                told[i].until = INT64_MIN;
        }
}

static void run_model(const struct model *m)
{
        count = 0;
        for (unsigned n = 0; n < m->snapshots; n++) {
                int64_t now = m->begin + m->interval * n;

                told[count] = (struct told){ .time = now, .until = INT64_MIN };
                add(now);
                scheme_mark(&m->scheme, now, items, count);
                for (size_t i = count; i-- > 0;) {
                        if (items[i].reasons != 0) {
                                check_kept(&told[i], now);
                                continue;
                        }
                        /* What was to be kept for ever never goes. */
                        ck_assert(told[i].until != INT64_MAX || m->scheme.prefer_recent);
                        check_removed(m, &told[i], now);
                        remove_item(i);
                }
                /* "Gone next" is never said after a rotation. */
                look(&m->scheme, now);
                for (size_t i = 0; i < count; i++) {
                        ck_assert_int_ne(seen[i].end, FORESEE_GONE);
                        note(i);
                }
        }
}

/* Snapshots that begin with all periods (a Monday, 1 January) have nothing that is cut: what is said is exact. */
START_TEST(regular_snapshots_go_when_it_was_said)
{
        static const struct scheme schemes[] = {
                { .count = { [SCHEME_HOURLY] = 24, [SCHEME_DAILY] = 7, [SCHEME_WEEKLY] = 4, [SCHEME_MONTHLY] = 2 } },
                { .count = { [SCHEME_HOURLY] = 3, [SCHEME_YEARLY] = 1 } },
                { .count = { [SCHEME_MINUTELY] = 90, [SCHEME_DAILY] = 2 } },
                { .count = { [SCHEME_WEEKLY] = 1 } },
        };
        static const int64_t intervals[] = { 20 * MINUTE, HOUR, 6 * HOUR, DAY };

        for (size_t s = 0; s < ARRAY_SIZE(schemes); s++) {
                for (size_t i = 0; i < ARRAY_SIZE(intervals); i++) {
                        struct model m = { .scheme = schemes[s],
                                           .begin = moment("2024-01-01 00:00:00"),
                                           .interval = intervals[i],
                                           .snapshots = 1500,
                                           .is_exact = true };

                        run_model(&m);
                        m.begin += 10 * MINUTE + 7;
                        run_model(&m);
                }
        }
}
END_TEST

/* However they come, none is there any more after the moment that was said. */
START_TEST(no_snapshot_outlives_what_was_said)
{
        static const int64_t intervals[] = {
                7 * MINUTE, 50 * MINUTE, 5 * HOUR + 3, 29 * HOUR, 9 * DAY + HOUR, 33 * DAY
        };
        static const char *const begins[] = { "2024-01-31 13:14:15", "2023-12-30 23:59:59", "2025-02-28 23:30:00" };

        for (size_t i = 0; i < ARRAY_SIZE(intervals) * ARRAY_SIZE(begins) * 2; i++) {
                struct model m = { .scheme = { .count = { [SCHEME_MINUTELY] = 30,
                                                          [SCHEME_HOURLY] = 24,
                                                          [SCHEME_DAILY] = 7,
                                                          [SCHEME_WEEKLY] = 4,
                                                          [SCHEME_MONTHLY] = 3,
                                                          [SCHEME_YEARLY] = 1 },
                                               .prefer_recent = i % 2 },
                                   .interval = intervals[i / 2 % ARRAY_SIZE(intervals)],
                                   .begin = moment(begins[i / 2 / ARRAY_SIZE(intervals)]),
                                   .snapshots = 1000 };

                run_model(&m);
        }
}
END_TEST

/* In a relaxed scheme it takes a snapshot in each period, and then it is exact again. */
START_TEST(relaxed_schemes_keep_their_word_when_each_period_has_one)
{
        static const int64_t intervals[] = { 20 * MINUTE, HOUR };
        static const char *const begins[] = { "2024-01-01 00:00:00", "2024-01-31 13:14:15" };

        for (size_t i = 0; i < ARRAY_SIZE(intervals) * ARRAY_SIZE(begins) * 2; i++) {
                struct model m = {
                        .scheme = { .count = { [SCHEME_HOURLY] = 24, [SCHEME_DAILY] = 7, [SCHEME_WEEKLY] = 2 },
                                    .relaxed = true,
                                    .prefer_recent = i % 2 },
                        .interval = intervals[i / 2 % ARRAY_SIZE(intervals)],
                        .begin = moment(begins[i / 2 / ARRAY_SIZE(intervals)]),
                        .snapshots = 1500,
                        .is_exact = i % 2 == 0
                };

                run_model(&m);
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("foresee");
        TCase *tests = tcase_create("foresee");
        SRunner *runner;
        int failed;

        tcase_add_test(tests, a_strict_rule_ends_that_many_periods_later);
        tcase_add_test(tests, days_that_a_month_lacks_end_with_it);
        tcase_add_test(tests, the_rule_that_keeps_longest_is_told);
        tcase_add_test(tests, what_no_rule_keeps_goes_next);
        tcase_add_test(tests, rules_that_are_over_keep_until_the_next_snapshot);
        tcase_add_test(tests, relaxed_rules_count_periods_that_are_still_to_come);
        tcase_add_test(tests, what_stands_aside_stays_as_it_is);
        tcase_add_test(tests, an_incomplete_newest_leaves_the_last_complete_one);
        tcase_add_test(tests, the_newest_may_be_replaced_where_the_newest_is_preferred);
        tcase_add_test(tests, the_end_of_the_calendar_is_for_ever);
        tcase_add_test(tests, regular_snapshots_go_when_it_was_said);
        tcase_add_test(tests, no_snapshot_outlives_what_was_said);
        tcase_add_test(tests, relaxed_schemes_keep_their_word_when_each_period_has_one);
        tcase_set_timeout(tests, 120);
        suite_add_tcase(suite, tests);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
