/* scheme: which snapshots rotation preserves, and why. */
#include "base/err.h"
#include "cases.h"
#include "rotate/calendar.h"
#include "rotate/expression.h"
#include "rotate/names.h"
#include "rotate/scheme.h"

#include <check.h>
#include <stdio.h>

enum { ITEMS_MAX = 16 };

/* A set under test; names end at the first NULL. */
struct set {
        struct scheme_item items[ITEMS_MAX];
        size_t count;
};

static int64_t moment(const char *name)
{
        int64_t seconds;

        ck_assert_msg(names_parse(name, &seconds), "%s", name);
        return seconds;
}

static struct set set_of(const char *const names[ITEMS_MAX])
{
        struct set set = { .count = 0 };

        for (; set.count < ITEMS_MAX && names[set.count]; set.count++)
                set.items[set.count] = (struct scheme_item){ .name = names[set.count],
                                                             .time = moment(names[set.count]),
                                                             .complete = true };
        return set;
}

#define SET(...) set_of((const char *const[ITEMS_MAX]){ __VA_ARGS__ })

static struct scheme_item *find(struct set *set, const char *name)
{
        for (size_t i = 0; i < set->count; i++) {
                if (str_equal(set->items[i].name, name))
                        return &set->items[i];
        }
        ck_abort_msg("%s", name);
        return NULL;
}

static void mark(struct set *set, struct scheme scheme)
{
        scheme_mark(&scheme, moment("2030-01-01"), set->items, set->count);
}

static void assert_verdict(struct set *set, const char *name, const char *expected)
{
        char out[SCHEME_VERDICT_SIZE];

        scheme_verdict(find(set, name)->reasons, out);
        ck_assert_msg(str_equal(out, expected), "%s is %s, not %s", name, out, expected);
}

START_TEST(the_oldest_represents_its_period)
{
        struct set set = SET("2026-11-21 09:00", "2026-11-20 23:00", "2026-11-21 18:00", "2026-11-20 08:00");

        mark(&set, (struct scheme){ .count = { [SCHEME_DAILY] = 7 } });
        assert_verdict(&set, "2026-11-20 08:00", "preserved: daily");
        assert_verdict(&set, "2026-11-20 23:00", "removed");
        assert_verdict(&set, "2026-11-21 09:00", "preserved: daily");
        assert_verdict(&set, "2026-11-21 18:00", "preserved: newest");
}
END_TEST

START_TEST(the_newest_represents_its_period_with_prefer_recent)
{
        struct set set = SET("2026-11-21 09:00", "2026-11-20 23:00", "2026-11-21 18:00", "2026-11-20 08:00");

        mark(&set, (struct scheme){ .count = { [SCHEME_DAILY] = 7 }, .prefer_recent = true });
        assert_verdict(&set, "2026-11-20 08:00", "removed");
        assert_verdict(&set, "2026-11-20 23:00", "preserved: daily");
        assert_verdict(&set, "2026-11-21 09:00", "removed");
        assert_verdict(&set, "2026-11-21 18:00", "preserved: daily, newest");
}
END_TEST

START_TEST(strict_counts_only_within_the_window)
{
        struct set set = SET("2026-11-21 12:00:00", "2026-11-18 12:00:00", "2026-11-18 11:59:59", "2026-11-10");

        mark(&set, (struct scheme){ .count = { [SCHEME_DAILY] = 3 }, .prefer_recent = true });
        assert_verdict(&set, "2026-11-21 12:00:00", "preserved: daily, newest");
        assert_verdict(&set, "2026-11-18 12:00:00", "preserved: daily"); /* exactly 3 days: not older */
        assert_verdict(&set, "2026-11-18 11:59:59", "removed");
        assert_verdict(&set, "2026-11-10", "removed");
}
END_TEST

START_TEST(a_period_cut_by_the_window_gets_no_younger_representative)
{
        struct set set = SET("2026-11-21 12:00", "2026-11-20 08:00", "2026-11-20 13:00");

        mark(&set, (struct scheme){ .count = { [SCHEME_DAILY] = 1 } });
        assert_verdict(&set, "2026-11-20 08:00", "removed");
        assert_verdict(&set, "2026-11-20 13:00", "removed");
}
END_TEST

START_TEST(relaxed_counts_periods_that_have_a_snapshot)
{
        struct set set = SET("2026-11-21", "2026-05-01", "2024-02-29", "2019-01-01");

        mark(&set, (struct scheme){ .count = { [SCHEME_DAILY] = 3 }, .relaxed = true });
        assert_verdict(&set, "2026-11-21", "preserved: daily, newest");
        assert_verdict(&set, "2026-05-01", "preserved: daily");
        assert_verdict(&set, "2024-02-29", "preserved: daily");
        assert_verdict(&set, "2019-01-01", "removed");
}
END_TEST

START_TEST(always_has_no_window)
{
        struct set set = SET("2026-11-21", "2026-11-01", "2019-05-07", "0001-01-01", "2019-05-06");

        mark(&set, (struct scheme){ .count = { [SCHEME_MONTHLY] = EXPRESSION_ALWAYS } });
        assert_verdict(&set, "2026-11-21", "preserved: newest");
        assert_verdict(&set, "2026-11-01", "preserved: monthly");
        assert_verdict(&set, "2019-05-07", "removed");
        assert_verdict(&set, "2019-05-06", "preserved: monthly");
        assert_verdict(&set, "0001-01-01", "preserved: monthly");
}
END_TEST

START_TEST(months_go_by_the_calendar)
{
        struct set set = SET("2026-03-31 10:00", "2026-02-28 10:00", "2026-02-27 10:00");

        mark(&set, (struct scheme){ .count = { [SCHEME_MONTHLY] = 1 }, .prefer_recent = true });
        assert_verdict(&set, "2026-02-28 10:00", "removed"); /* inside the window, but the second newest month */
        mark(&set, (struct scheme){ .count = { [SCHEME_DAILY] = 1, [SCHEME_MONTHLY] = 2 }, .prefer_recent = true });
        assert_verdict(&set, "2026-02-28 10:00", "preserved: monthly");
        assert_verdict(&set, "2026-02-27 10:00", "removed");
}
END_TEST

START_TEST(a_week_across_new_year_is_one_week)
{
        struct set set = SET("2020-12-28", "2021-01-03", "2021-01-04");

        mark(&set, (struct scheme){ .count = { [SCHEME_WEEKLY] = 2 } });
        assert_verdict(&set, "2020-12-28", "preserved: weekly");
        assert_verdict(&set, "2021-01-03", "removed");
        assert_verdict(&set, "2021-01-04", "preserved: weekly, newest");
}
END_TEST

START_TEST(the_newest_complete_one_outlives_incomplete_ones)
{
        struct set set =
                SET("2026-11-21 18:00", "2026-11-21 17:00", "2026-11-21 16:00", "2026-11-21 15:00", "2026-11-21 14:00");

        set.items[0].complete = set.items[1].complete = false;
        mark(&set, (struct scheme){ .count = { [SCHEME_DAILY] = 1 } });
        assert_verdict(&set, "2026-11-21 18:00", "preserved: newest");
        assert_verdict(&set, "2026-11-21 17:00", "removed");
        assert_verdict(&set, "2026-11-21 16:00", "preserved: newest complete");
        assert_verdict(&set, "2026-11-21 15:00", "removed");
        assert_verdict(&set, "2026-11-21 14:00", "preserved: daily");
}
END_TEST

START_TEST(future_ones_are_preserved_and_push_nothing_out)
{
        struct set set = SET("2026-11-21", "2026-11-20", "2099-01-01", "2099-01-02", "2030-01-01 00:00:01");

        set.items[0].complete = set.items[1].complete = false;
        mark(&set, (struct scheme){ .count = { [SCHEME_DAILY] = 2 }, .relaxed = true, .prefer_recent = true });
        assert_verdict(&set, "2099-01-02", "preserved: dated in the future");
        assert_verdict(&set, "2099-01-01", "preserved: dated in the future");
        assert_verdict(&set, "2030-01-01 00:00:01", "preserved: dated in the future");
        assert_verdict(&set, "2026-11-21", "preserved: daily, newest");
        assert_verdict(&set, "2026-11-20", "preserved: daily");
}
END_TEST

START_TEST(now_itself_is_not_the_future)
{
        struct set set = SET("2030-01-01", "2029-12-31 23:59");

        mark(&set, (struct scheme){ .count = { [SCHEME_YEARLY] = 1 } });
        assert_verdict(&set, "2030-01-01", "preserved: yearly, newest");
        assert_verdict(&set, "2029-12-31 23:59", "removed");
}
END_TEST

START_TEST(the_snapshot_of_this_run_is_preserved)
{
        struct set set = SET("2026-11-21 18:00", "2026-11-21 17:00", "2026-11-21 16:00");

        set.items[1].own = true;
        mark(&set, (struct scheme){ .count = { [SCHEME_DAILY] = 1 } });
        assert_verdict(&set, "2026-11-21 17:00", "preserved: made by this run");
}
END_TEST

START_TEST(one_that_this_run_made_after_more_than_a_year_is_doubted)
{
        const struct scheme strict = { .count = { [SCHEME_DAILY] = 2 } };
        const struct scheme relaxed = { .count = { [SCHEME_DAILY] = 2 }, .relaxed = true };
        struct set year = SET("2028-02-29", "2027-02-28"), more = SET("2028-02-29", "2027-02-27 23:59:59");

        year.items[0].own = more.items[0].own = true;
        mark(&year, strict);
        assert_verdict(&year, "2027-02-28", "removed");
        ck_assert(!find(&year, "2028-02-29")->doubted);
        mark(&more, strict);
        assert_verdict(&more, "2027-02-27 23:59:59", "preserved: daily");
        ck_assert(find(&more, "2028-02-29")->doubted);
        mark(&more, relaxed);
        ck_assert(!find(&more, "2028-02-29")->doubted);
        find(&more, "2028-02-29")->own = false;
        mark(&more, strict);
        assert_verdict(&more, "2027-02-27 23:59:59", "removed");
        ck_assert(!find(&more, "2028-02-29")->doubted);
}
END_TEST

START_TEST(ignored_ones_are_preserved_and_take_no_part)
{
        struct set set = SET("2026-11-21 18:00", "2026-11-21 17:00", "2026-11-21 16:00", "2026-11-21 15:00");

        find(&set, "2026-11-21 18:00")->ignored = find(&set, "2026-11-21 15:00")->ignored = true;
        mark(&set, (struct scheme){ .count = { [SCHEME_DAILY] = 1 } });
        assert_verdict(&set, "2026-11-21 18:00", "preserved: left out by the include or exclude list");
        assert_verdict(&set, "2026-11-21 17:00", "preserved: newest");
        assert_verdict(&set, "2026-11-21 16:00", "preserved: daily");
        assert_verdict(&set, "2026-11-21 15:00", "preserved: left out by the include or exclude list");
}
END_TEST

START_TEST(two_names_of_one_moment_are_told_apart_by_name)
{
        struct set set = SET("20261121", "2026-11-21 00:00", "2026-11-21");

        mark(&set, (struct scheme){ .count = { [SCHEME_MINUTELY] = 1 } });
        assert_verdict(&set, "2026-11-21", "preserved: minutely");
        assert_verdict(&set, "2026-11-21 00:00", "removed");
        assert_verdict(&set, "20261121", "preserved: newest");
        ck_assert_str_eq(set.items[0].name, "2026-11-21");
        ck_assert_str_eq(set.items[2].name, "20261121");
}
END_TEST

START_TEST(no_and_one_snapshot_are_fine)
{
        struct set none = { .count = 0 }, one = SET("2026-11-21"), future = SET("2031-01-01");

        mark(&none, scheme_default);
        mark(&one, scheme_default);
        mark(&future, scheme_default);
        assert_verdict(&one, "2026-11-21", "preserved: hourly, daily, weekly, monthly, newest");
        assert_verdict(&future, "2031-01-01", "preserved: dated in the future");
}
END_TEST

START_TEST(an_empty_scheme_is_refused)
{
        struct err err = { .kind = ERR_NONE };

        ck_assert_int_eq(scheme_check(&scheme_default, &err), 0);
        ck_assert_int_lt(scheme_check(&(struct scheme){ .relaxed = true }, &err), 0);
        ck_assert_int_eq(err.kind, ERR_USAGE);
        ck_assert_ptr_nonnull(strstr(err.text, "empty"));
}
END_TEST

START_TEST(every_reason_fits_into_a_verdict)
{
        char out[SCHEME_VERDICT_SIZE];

        scheme_verdict((1U << SCHEME_REASONS) - 1 - (1U << SCHEME_NEWEST), out);
        ck_assert_ptr_nonnull(strstr(out, "minutely, hourly, daily, weekly, monthly, yearly, newest complete, made"));
}
END_TEST

/* A quadratic way to do it would run into the test's time limit. */
START_TEST(many_snapshots_are_marked_fast)
{
        enum { COUNT = 20000 };
        struct scheme_item *items = calloc(COUNT, sizeof(*items));
        char(*names)[NAMES_SIZE] = calloc(COUNT, NAMES_SIZE);
        struct scheme scheme = { .relaxed = true };
        size_t preserved = 0;

        ck_assert(items && names);
        for (size_t f = 0; f < SCHEME_FREQUENCIES; f++)
                scheme.count[f] = 5000;
        for (size_t i = 0; i < COUNT; i++) {
                items[i].time = moment("2029-01-01") - (int64_t)(i * 7919 % COUNT) * 30;
                items[i].name = names_format(items[i].time, names[i]);
                items[i].ignored = i % 3 == 0;
        }
        for (int round = 0; round < 20; round++)
                scheme_mark(&scheme, moment("2030-01-01"), items, COUNT);
        for (size_t i = 0; i < COUNT; i++)
                preserved += items[i].reasons != 0;
        ck_assert_uint_gt(preserved, 5000);
        ck_assert_uint_lt(preserved, COUNT);
        free(items);
        free(names);
}
END_TEST

int main(void)
{
        TCase *cases = tcase_create("scheme");

        tcase_set_timeout(cases, 30);
        tcase_add_test(cases, the_oldest_represents_its_period);
        tcase_add_test(cases, the_newest_represents_its_period_with_prefer_recent);
        tcase_add_test(cases, strict_counts_only_within_the_window);
        tcase_add_test(cases, a_period_cut_by_the_window_gets_no_younger_representative);
        tcase_add_test(cases, relaxed_counts_periods_that_have_a_snapshot);
        tcase_add_test(cases, always_has_no_window);
        tcase_add_test(cases, months_go_by_the_calendar);
        tcase_add_test(cases, a_week_across_new_year_is_one_week);
        tcase_add_test(cases, the_newest_complete_one_outlives_incomplete_ones);
        tcase_add_test(cases, future_ones_are_preserved_and_push_nothing_out);
        tcase_add_test(cases, now_itself_is_not_the_future);
        tcase_add_test(cases, the_snapshot_of_this_run_is_preserved);
        tcase_add_test(cases, one_that_this_run_made_after_more_than_a_year_is_doubted);
        tcase_add_test(cases, ignored_ones_are_preserved_and_take_no_part);
        tcase_add_test(cases, two_names_of_one_moment_are_told_apart_by_name);
        tcase_add_test(cases, no_and_one_snapshot_are_fine);
        tcase_add_test(cases, an_empty_scheme_is_refused);
        tcase_add_test(cases, every_reason_fits_into_a_verdict);
        tcase_add_test(cases, many_snapshots_are_marked_fast);
        return cases_run("scheme", cases);
}
