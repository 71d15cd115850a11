/* names and calendar: what is a snapshot, and which moment it stands for. */
#include "cases.h"
#include "quick.h"
#include "rotate/calendar.h"
#include "rotate/names.h"

#include <stdio.h>

static int64_t moment(const char *name)
{
        int64_t seconds;

        ck_assert_msg(names_parse(name, &seconds), "%s", name);
        return seconds;
}

static void assert_reads_as(const char *name, const char *canonical)
{
        char out[NAMES_SIZE];

        ck_assert_str_eq(names_format(moment(name), out), canonical);
}

START_TEST(all_forms_of_older_tools_are_names)
{
        static const char *const full[] = { "2026-11-21 17:05:09", "20261121170509",     "2026_11_21_17_05_09",
                                            "2026-11-21T17:05:09", "20261121-170509",    "2026.11.21@17h05m09",
                                            "2026\3771121 170509", "2026-1121\n17:05-09" };
        static const char *const to_minute[] = { "2026-11-21 17:05", "202611211705", "2026-11-21T1705" };
        static const char *const to_day[] = { "2026-11-21", "20261121", "2026-1121", "202611-21" };

        for (size_t i = 0; i < ARRAY_SIZE(full); i++)
                assert_reads_as(full[i], "2026-11-21 17:05:09");
        for (size_t i = 0; i < ARRAY_SIZE(to_minute); i++)
                assert_reads_as(to_minute[i], "2026-11-21 17:05:00");
        for (size_t i = 0; i < ARRAY_SIZE(to_day); i++)
                assert_reads_as(to_day[i], "2026-11-21 00:00:00");
}
END_TEST

START_TEST(whatever_else_is_no_name)
{
        static const char *const names[] = { "",
                                             "latest",
                                             ".rsync-system-backup.new",
                                             "2026",
                                             "2026-11",
                                             "2026-11-2",
                                             "2026-11-21 ",
                                             "2026-11-21 17",
                                             "2026-11-21 17:",
                                             "2026-11-21 17:05:",
                                             "2026-11-21 17:05:0",
                                             "2026-11-21 17:05:099",
                                             "2026-11-21 17:05:09 ",
                                             "2026-11-21 17:05:09.old",
                                             " 2026-11-21",
                                             "x2026-11-21",
                                             "2026--11-21",
                                             "2026-11-21  17:05",
                                             "2026-11-21 T 17:05",
                                             "2026/11/21",
                                             "12026-11-21",
                                             "2026-1-21",
                                             "2026\342\200\22311-21" };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                int64_t seconds = 42;

                ck_assert_msg(!names_parse(names[i], &seconds), "%s", names[i]);
                ck_assert_int_eq(seconds, 42);
        }
}
END_TEST

START_TEST(impossible_dates_are_no_names)
{
        static const char *const names[] = { "2026-00-01", "2026-13-01",       "2026-11-00",       "2026-11-31",
                                             "2026-02-29", "1900-02-29",       "0000-01-01",       "2026-11-21 24:00",
                                             "99999999",   "2026-11-21 00:60", "20261121 00:00:60" };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                int64_t seconds;

                ck_assert_msg(!names_parse(names[i], &seconds), "%s", names[i]);
        }
        assert_reads_as("2024-02-29", "2024-02-29 00:00:00");
        assert_reads_as("2000-02-29", "2000-02-29 00:00:00");
        assert_reads_as("00010101", "0001-01-01 00:00:00");
        assert_reads_as("99991231235959", "9999-12-31 23:59:59");
}
END_TEST

START_TEST(every_day_of_the_calendar_follows_the_one_before)
{
        int64_t last = moment("9999-12-31"), day = moment("0001-01-01");
        struct calendar_date date;

        ck_assert_int_eq(moment("1970-01-01 00:00:01"), 1);
        ck_assert_int_eq(moment("2026-11-21 17:00:00"), 1795280400);
        for (; day <= last; day += 86400) {
                int64_t back;

                calendar_split(day + 86399, &date);
                quick_assert(calendar_seconds(&date, &back));
                quick_assert(back == day + 86399);
        }
}
END_TEST

START_TEST(weeks_are_those_of_iso_8601)
{
        /* 2021-01-03 is the Sunday of 2020-W53; 2024-12-30 is the Monday of 2025-W01. */
        static const char *const same[][2] = { { "2020-12-28 00:00:00", "2021-01-03 23:59:59" },
                                               { "2024-12-30 00:00:00", "2025-01-05 23:59:59" },
                                               { "1969-12-29 00:00:00", "1970-01-04 23:59:59" } };
        static const char *const next[][2] = { { "2021-01-03 23:59:59", "2021-01-04 00:00:00" },
                                               { "2024-12-29 23:59:59", "2024-12-30 00:00:00" },
                                               { "1969-12-28 23:59:59", "1969-12-29 00:00:00" } };

        for (size_t i = 0; i < ARRAY_SIZE(same); i++)
                ck_assert_int_eq(calendar_period(moment(same[i][0]), CALENDAR_WEEK),
                                 calendar_period(moment(same[i][1]), CALENDAR_WEEK));
        for (size_t i = 0; i < ARRAY_SIZE(next); i++)
                ck_assert_int_eq(calendar_period(moment(next[i][0]), CALENDAR_WEEK) + 1,
                                 calendar_period(moment(next[i][1]), CALENDAR_WEEK));
}
END_TEST

START_TEST(months_and_years_back_end_on_days_that_exist)
{
        static const struct {
                const char *from;
                enum calendar_unit unit;
                uint32_t count;
                const char *to;
        } cases[] = {
                { "2026-03-31 17:00:05", CALENDAR_MONTH, 1, "2026-02-28 17:00:05" },
                { "2024-03-31 17:00:05", CALENDAR_MONTH, 1, "2024-02-29 17:00:05" },
                { "2026-03-31", CALENDAR_MONTH, 2, "2026-01-31" },
                { "2026-01-15", CALENDAR_MONTH, 1, "2025-12-15" },
                { "2026-12-31", CALENDAR_MONTH, 25, "2024-11-30" },
                { "2024-02-29", CALENDAR_YEAR, 1, "2023-02-28" },
                { "2024-02-29", CALENDAR_YEAR, 4, "2020-02-29" },
                { "2026-03-01", CALENDAR_DAY, 1, "2026-02-28" },
                { "2026-01-01 00:00:30", CALENDAR_MINUTE, 1, "2025-12-31 23:59:30" },
                { "2026-01-05", CALENDAR_WEEK, 52, "2025-01-06" },
                { "2026-01-01", CALENDAR_YEAR, 2025, "0001-01-01" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                ck_assert_int_eq(calendar_before(moment(cases[i].from), cases[i].unit, cases[i].count),
                                 moment(cases[i].to));
        ck_assert_int_eq(calendar_before(moment("2026-01-01"), CALENDAR_YEAR, 2026), CALENDAR_BEGINNING);
        ck_assert_int_eq(calendar_before(moment("2026-01-01"), CALENDAR_MONTH, 1000000000), CALENDAR_BEGINNING);
        ck_assert_int_lt(calendar_before(moment("9999-12-31"), CALENDAR_WEEK, 1000000000), moment("0001-01-01"));
}
END_TEST

START_TEST(local_time_is_what_the_wall_clock_shows)
{
        int64_t seconds;

        setenv("TZ", "XXX-02:30", 1);
        tzset();
        ck_assert(calendar_local(0, &seconds));
        ck_assert_int_eq(seconds, 2 * 3600 + 30 * 60);
        if (sizeof(time_t) == 8)
                ck_assert(!calendar_local((time_t)INT64_MAX, &seconds));
}
END_TEST

int main(void)
{
        TCase *cases = tcase_create("names");

        tcase_set_timeout(cases, 60);
        tcase_add_test(cases, all_forms_of_older_tools_are_names);
        tcase_add_test(cases, whatever_else_is_no_name);
        tcase_add_test(cases, impossible_dates_are_no_names);
        tcase_add_test(cases, every_day_of_the_calendar_follows_the_one_before);
        tcase_add_test(cases, weeks_are_those_of_iso_8601);
        tcase_add_test(cases, months_and_years_back_end_on_days_that_exist);
        tcase_add_test(cases, local_time_is_what_the_wall_clock_shows);
        return cases_run("names", cases);
}
