/* Rates and numbers as a user writes them. */
#include "cases.h"
#include "options/quantity.h"

#include <check.h>
#include <errno.h>

START_TEST(rates_are_those_of_rsync)
{
        static const struct {
                const char *text;
                uint64_t bytes;
        } rows[] = {
                { "0", 0 },
                { "1", 1024 },
                { "500", 512000 },
                { "1.5", 1536 },
                { ".5", 512 },
                { "2.", 2048 },
                { "600b", 600 },
                { "3k", 3072 },
                { "512B", 512 },
                { "3KiB", 3072 },
                { "3kb", 3000 },
                { "1.5M", 1572864 },
                { "1.5MB", 1500000 },
                { "20mib", 20971520 },
                { "1G", UINT64_C(1) << 30 },
                { "1GB", 1000000000 },
                { "1T", UINT64_C(1) << 40 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                uint64_t bytes = 77;

                ck_assert_msg(quantity_rate(rows[i].text, &bytes) == 0, "%s", rows[i].text);
                ck_assert_msg(bytes == rows[i].bytes, "%s: %ju", rows[i].text, (uintmax_t)bytes);
        }
}
END_TEST

START_TEST(what_is_no_rate_is_refused)
{
        static const char *const texts[] = {
                "",      "K",
                ".",     "-1",
                "+1",    "1,5",
                "1 M",   "0x10",
                "1e3",   "inf",
                "nan",   "1X",
                "1P",    "1Kb/s",
                "1KiBs", "0.1b",
                "1.1T",  "1Bi",
                "1BB",   "1iB",
                "1..5",  "1000000000000000000000000000000000000000",
                "1B",    "511B",
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                uint64_t bytes = 77;

                ck_assert_msg(quantity_rate(texts[i], &bytes) == -EINVAL, "%s: %ju", texts[i], (uintmax_t)bytes);
                ck_assert_uint_eq(bytes, 77);
        }
}
END_TEST

START_TEST(numbers_are_whole_and_bounded)
{
        unsigned n = 5;

        ck_assert_int_eq(quantity_number("0", 10, &n), 0);
        ck_assert_uint_eq(n, 0);
        ck_assert_int_eq(quantity_number("010", 10, &n), 0);
        ck_assert_uint_eq(n, 10);
        ck_assert_int_eq(quantity_number("11", 10, &n), -EINVAL);
        ck_assert_int_eq(quantity_number("99999999999999999999", UINT32_MAX, &n), -EINVAL);
        ck_assert_int_eq(quantity_number("4294967295", UINT32_MAX, &n), 0);
        ck_assert_uint_eq(n, UINT32_MAX);
        ck_assert_int_eq(quantity_number("", 10, &n), -EINVAL);
        ck_assert_int_eq(quantity_number("-1", 10, &n), -EINVAL);
        ck_assert_int_eq(quantity_number("1 ", 10, &n), -EINVAL);
}
END_TEST

START_TEST(lengths_of_time_are_sums)
{
        static const struct {
                const char *text;
                uint64_t seconds;
        } rows[] = {
                { "1s", 1 },         { "36h", 129600 },      { "1d 12h", 129600 },
                { "1d12h", 129600 }, { "90 minutes", 5400 }, { "2 weeks 1 day", 1296000 },
                { " 1w ", 604800 },  { "0d 1s", 1 },         { "12h1d", 129600 },
                { "1min", 60 },      { "1m", 60 },           { "999999999s", 999999999 },
        };
        static const char *const none[] = { "",
                                            " ",
                                            "0",
                                            "1",
                                            "0s",
                                            "h",
                                            "1x",
                                            "-1d",
                                            "1.5d",
                                            "1D",
                                            "1d 5",
                                            "1 d h",
                                            "1mins",
                                            "1month",
                                            "1000000000s",
                                            "1d,2h",
                                            "99999999999999999999d" };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                uint64_t seconds = 7;

                ck_assert_msg(quantity_duration(rows[i].text, &seconds) == 0, "%s", rows[i].text);
                ck_assert_uint_eq(seconds, rows[i].seconds);
        }
        for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
                uint64_t seconds = 7;

                ck_assert_msg(quantity_duration(none[i], &seconds) == -EINVAL, "%s", none[i]);
                ck_assert_uint_eq(seconds, 7);
        }
}
END_TEST

int main(void)
{
        TCase *all = tcase_create("all");

        tcase_add_test(all, rates_are_those_of_rsync);
        tcase_add_test(all, what_is_no_rate_is_refused);
        tcase_add_test(all, numbers_are_whole_and_bounded);
        tcase_add_test(all, lengths_of_time_are_sums);
        return cases_run("quantity", all);
}
