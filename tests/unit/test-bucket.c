/* How fast bytes may go: never more than the rate and one burst in any time, never less for want of being asked. */
#include "base/bucket.h"
#include "cases.h"

#include <check.h>

enum { SECOND_US = 1000000 };

/* Send as much as may go for @us, asking every @step_us. */
static uint64_t pump(struct bucket *b, uint64_t from_us, uint64_t us, uint64_t step_us)
{
        uint64_t sent = 0;

        for (uint64_t now = from_us; now < from_us + us; now += step_us) {
                size_t n = bucket_allows(b, 1 << 30, now);

                bucket_take(b, n);
                sent += n;
        }
        return sent;
}

START_TEST(without_a_rate_all_may_go)
{
        struct bucket b;

        bucket_init(&b, 0, 5);
        ck_assert_uint_eq(bucket_allows(&b, 123456789, 5), 123456789);
        bucket_take(&b, 123456789);
        ck_assert_uint_eq(bucket_allows(&b, 1, 5), 1);
        ck_assert_uint_eq(bucket_wait_us(&b), 0);
}
END_TEST

START_TEST(in_the_long_run_the_rate_is_kept)
{
        static const uint64_t rates[] = { 100, 1000, 4096, 100000, 1 << 20, 123456789, UINT64_C(10) << 30 };
        static const uint64_t steps[] = { 50, 999, 10000, 77777 };

        for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
                for (size_t j = 0; j < ARRAY_SIZE(steps); j++) {
                        uint64_t rate = rates[i], burst = rate / 4 + 1024, sent;
                        struct bucket b;

                        bucket_init(&b, rate, 1000);
                        sent = pump(&b, 1000, UINT64_C(30) * SECOND_US, steps[j]);
                        ck_assert_msg(sent <= 30 * rate + burst, "%ju: %ju", (uintmax_t)rate, (uintmax_t)sent);
                        ck_assert_msg(sent + rate + burst >= 30 * rate, "%ju: %ju", (uintmax_t)rate, (uintmax_t)sent);
                }
        }
}
END_TEST

START_TEST(a_pause_is_not_saved_up)
{
        struct bucket b;

        bucket_init(&b, 1000000, 0);
        ck_assert_uint_le(bucket_allows(&b, 1 << 30, UINT64_C(3600) * SECOND_US), 250000);
}
END_TEST

START_TEST(when_the_wait_is_over_something_may_go)
{
        static const uint64_t rates[] = { 10, 1000, 1 << 20, 1 << 30 };

        for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
                struct bucket b;
                uint64_t now = 77;

                bucket_init(&b, rates[i], now);
                for (int turn = 0; turn < 100; turn++) {
                        bucket_take(&b, bucket_allows(&b, 1 << 30, now));
                        ck_assert_uint_eq(bucket_allows(&b, 1 << 30, now), 0);
                        ck_assert_uint_gt(bucket_wait_us(&b), 0);
                        now += bucket_wait_us(&b) + SECOND_US / rates[i] + 1;
                        ck_assert_uint_gt(bucket_allows(&b, 1 << 30, now), 0);
                }
        }
}
END_TEST

START_TEST(a_little_need_not_wait_for_a_portion)
{
        struct bucket b;

        bucket_init(&b, 1000000, 0);
        bucket_take(&b, bucket_allows(&b, 249990, 0));
        ck_assert_uint_eq(bucket_allows(&b, 10, 0), 10);
        ck_assert_uint_eq(bucket_allows(&b, 11, 0), 0);
}
END_TEST

int main(void)
{
        TCase *all = tcase_create("all");

        tcase_add_test(all, without_a_rate_all_may_go);
        tcase_add_test(all, in_the_long_run_the_rate_is_kept);
        tcase_add_test(all, a_pause_is_not_saved_up);
        tcase_add_test(all, when_the_wait_is_over_something_may_go);
        tcase_add_test(all, a_little_need_not_wait_for_a_portion);
        tcase_set_timeout(all, 120);
        return cases_run("bucket", all);
}
