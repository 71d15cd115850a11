/* Numbers for people. */
#include "cases.h"
#include "progress.h"

#include <check.h>

START_TEST(counts_have_commas)
{
        static const struct {
                uint64_t n;
                const char *text;
        } rows[] = {
                { 0, "0" },
                { 999, "999" },
                { 1000, "1,000" },
                { 12345, "12,345" },
                { 123456, "123,456" },
                { 1234567, "1,234,567" },
                { UINT64_MAX, "18,446,744,073,709,551,615" },
        };
        char out[PROGRESS_TEXT_SIZE];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                ck_assert_str_eq(progress_count(rows[i].n, out), rows[i].text);
}
END_TEST

START_TEST(one_entry_is_an_entry)
{
        char out[PROGRESS_TEXT_SIZE];

        ck_assert_str_eq(progress_entries(0, out), "0 entries");
        ck_assert_str_eq(progress_entries(1, out), "1 entry");
        ck_assert_str_eq(progress_entries(1234, out), "1,234 entries");
        ck_assert_str_eq(progress_entries(UINT64_MAX, out), "18,446,744,073,709,551,615 entries");
}
END_TEST

START_TEST(bytes_have_units_and_at_most_three_digits_before_the_point)
{
        static const struct {
                uint64_t bytes;
                const char *text;
        } rows[] = {
                { 0, "0 bytes" },
                { 1, "1 byte" },
                { 1023, "1023 bytes" },
                { 1024, "1.0 KiB" },
                { 1536, "1.5 KiB" },
                { 999 * 1024 + 900, "999.9 KiB" },
                { 1000 * 1024, "1.0 MiB" },
                { UINT64_C(1) << 20, "1.0 MiB" },
                { UINT64_C(25125558681), "23.4 GiB" },
                { UINT64_C(1) << 40, "1.0 TiB" },
                { UINT64_C(1) << 50, "1.0 PiB" },
                { UINT64_MAX, "16.0 EiB" },
        };
        char out[PROGRESS_TEXT_SIZE];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                ck_assert_str_eq(progress_bytes(rows[i].bytes, out), rows[i].text);
}
END_TEST

START_TEST(durations_are_as_exact_as_they_are_useful)
{
        static const struct {
                double seconds;
                const char *text;
        } rows[] = {
                { 0, "0.0 s" },      { 0.449, "0.4 s" },    { 9.94, "9.9 s" },   { 9.96, "10 s" },
                { 12.3, "12 s" },    { 59.4, "59 s" },      { 59.6, "1:00" },    { 185, "3:05" },
                { 3599.4, "59:59" }, { 3599.6, "1:00:00" }, { 3723, "1:02:03" }, { 360000, "100:00:00" },
        };
        char out[PROGRESS_TEXT_SIZE];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                ck_assert_str_eq(progress_duration(rows[i].seconds, out), rows[i].text);
}
END_TEST

START_TEST(ages_are_in_the_largest_unit_that_says_enough)
{
        static const struct {
                int64_t seconds;
                const char *text;
        } rows[] = {
                { -5, "0 seconds" },     { 0, "0 seconds" },      { 1, "1 second" },
                { 59, "59 seconds" },    { 60, "1 minute" },      { 3599, "59 minutes" },
                { 3600, "1 hour" },      { 86400, "24 hours" },   { 172799, "47 hours" },
                { 172800, "2 days" },    { 1209599, "13 days" },  { 1209600, "2 weeks" },
                { 5259600, "2 months" }, { 63115200, "2 years" }, { INT64_MAX, "292271023045 years" },
        };
        char out[PROGRESS_TEXT_SIZE];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                ck_assert_str_eq(progress_age(rows[i].seconds, out), rows[i].text);
}
END_TEST

int main(void)
{
        TCase *cases = tcase_create("progress");

        tcase_add_test(cases, counts_have_commas);
        tcase_add_test(cases, one_entry_is_an_entry);
        tcase_add_test(cases, bytes_have_units_and_at_most_three_digits_before_the_point);
        tcase_add_test(cases, durations_are_as_exact_as_they_are_useful);
        tcase_add_test(cases, ages_are_in_the_largest_unit_that_says_enough);
        return cases_run("progress", cases);
}
