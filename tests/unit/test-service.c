/* What is told a service manager. */
#include "base/buf.h"
#include "cases.h"
#include "system/service.h"

#include <check.h>

START_TEST(a_status_is_one_message)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };

        ck_assert_int_eq(service_put_status(&b, "transfer: 5 entries (45 %)"), 0);
        ck_assert_str_eq(b.data, "STATUS=transfer: 5 entries (45 %)");
        buf_truncate(&b, 0);
        ck_assert_int_eq(service_put_status(&b, "a\nMAINPID=1\tb"), 0);
        ck_assert_str_eq(b.data, "STATUS=a MAINPID=1 b");
        buf_truncate(&b, 0);
        ck_assert_int_eq(service_put_status(&b, ""), 0);
        ck_assert_str_eq(b.data, "STATUS=");
}
END_TEST

START_TEST(the_watchdog_is_ours_or_another_s)
{
        static const struct {
                const char *usec, *pid;
                uint64_t interval;
        } rows[] = {
                { NULL, NULL, 0 },
                { "30000000", NULL, 30000000 },
                { "30000000", "42", 30000000 },
                { "30000000", "43", 0 },
                { "30000000", "", 0 },
                { "30000000", "42x", 0 },
                { "", NULL, 0 },
                { "0", NULL, 0 },
                { "-1", NULL, 0 },
                { " 1", NULL, 0 },
                { "1s", NULL, 0 },
                { "18446744073709551615", NULL, 0 },
                { "18446744073709551616", NULL, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                ck_assert_uint_eq(service_watchdog_us(rows[i].usec, rows[i].pid, 42), rows[i].interval);
}
END_TEST

int main(void)
{
        TCase *cases = tcase_create("service");

        tcase_add_test(cases, a_status_is_one_message);
        tcase_add_test(cases, the_watchdog_is_ours_or_another_s);
        return cases_run("service", cases);
}
