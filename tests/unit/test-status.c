/* What is good enough for a check, and what Prometheus reads. */
#include "base/buf.h"
#include "cases.h"
#include "outcome/metrics.h"
#include "status/status.h"

#include <check.h>
#include <stdio.h>

enum { NOW = 1000000, HOUR = 3600 };

/* Runs that began so many seconds ago; -1: there was none. */
static struct history history_of(int64_t last, int64_t complete, int64_t stored)
{
        static char destination[] = "nas:/x\\001\"y";
        const int64_t ages[] = {
                [HISTORY_LAST] = last, [HISTORY_COMPLETE] = complete, [HISTORY_STORED] = stored, [HISTORY_SKIPPED] = -1, [HISTORY_BEGUN] = -1
        };
        struct history h = { .destination = destination };

        for (unsigned i = 0; i < HISTORY_RUNS; i++) {
                if (ages[i] < 0)
                        continue;
                h.has[i] = true;
                h.runs[i].begun = NOW - ages[i];
                snprintf(h.runs[i].outcome, sizeof(h.runs[i].outcome), "failed");
        }
        return h;
}

START_TEST(a_verdict_is_by_the_age_of_what_is_complete)
{
        static const struct {
                int64_t last, complete, stored;
                enum status_verdict verdict;
                const char *text;
        } rows[] = {
                { HOUR, HOUR, HOUR, STATUS_OK, "the last complete backup is 1 hour old" },
                { 24 * HOUR, 24 * HOUR, 24 * HOUR, STATUS_OK, "the last complete backup is 24 hours old" },
                { 25 * HOUR, 25 * HOUR, 25 * HOUR, STATUS_CRITICAL,
                  "the last complete backup is 25 hours old, more than 24 hours" },
                { HOUR, 2 * HOUR, 2 * HOUR, STATUS_OK, "the last complete backup is 2 hours old" },
                { HOUR, 72 * HOUR, HOUR, STATUS_WARNING,
                  "the last complete backup is 3 days old, more than 24 hours; a later one is incomplete" },
                { HOUR, -1, HOUR, STATUS_WARNING, "the last backup is incomplete, and 1 hour old" },
                { HOUR, -1, 72 * HOUR, STATUS_CRITICAL, "the last backup is incomplete, and 3 days old" },
                { HOUR, -1, -1, STATUS_CRITICAL, "no backup was completed yet, the last run failed" },
                { -1, -1, -1, STATUS_UNKNOWN, "this machine remembers no backup to this destination" },
        };
        char text[STATUS_TEXT_SIZE];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct history h = history_of(rows[i].last, rows[i].complete, rows[i].stored);

                ck_assert_int_eq(status_judge(&h, NOW, 24 * HOUR, text), rows[i].verdict);
                ck_assert_str_eq(text, rows[i].text);
        }
}
END_TEST

START_TEST(without_a_limit_any_age_will_do)
{
        struct history h = history_of(HOUR, 1000000, 1000000);
        char text[STATUS_TEXT_SIZE];

        ck_assert_int_eq(status_judge(&h, NOW, 0, text), STATUS_OK);
        ck_assert_int_eq(status_judge(&h, NOW, UINT64_MAX, text), STATUS_OK);
}
END_TEST

START_TEST(a_date_in_the_future_proves_nothing)
{
        struct history h = history_of(0, 0, 0);
        char text[STATUS_TEXT_SIZE];

        h.runs[HISTORY_COMPLETE].begun = NOW + 10;
        ck_assert_int_eq(status_judge(&h, NOW, HOUR, text), STATUS_UNKNOWN);
}
END_TEST

START_TEST(labels_are_quoted)
{
        _cleanup_(buf_deinit) struct buf text = { .data = NULL };
        struct history h = history_of(HOUR, HOUR, -1);

        ck_assert_int_eq(metrics_write(&h, NULL, &text), 0);
        ck_assert_ptr_nonnull(strstr(buf_text(&text),
                                     "\nrsync_system_backup_last_complete_timestamp_seconds{destination="
                                     "\"nas:/x\\\\001\\\"y\"} 996400\n"));
        ck_assert_ptr_null(strstr(buf_text(&text), "stored_timestamp"));
}
END_TEST

int main(void)
{
        TCase *cases = tcase_create("status");

        tcase_add_test(cases, a_verdict_is_by_the_age_of_what_is_complete);
        tcase_add_test(cases, without_a_limit_any_age_will_do);
        tcase_add_test(cases, a_date_in_the_future_proves_nothing);
        tcase_add_test(cases, labels_are_quoted);
        return cases_run("status", cases);
}
