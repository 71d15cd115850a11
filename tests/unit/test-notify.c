/* The words of notifications, and the fields of the journal, of runs that came to this or that. */
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/report.h"
#include "cases.h"
#include "notify.h"
#include "options/options.h"
#include "outcome/facts.h"
#include "outcome/outcome.h"
#include "system/desktop.h"
#include "system/journal.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>

static char source[] = "/home", destination[] = "/mnt/<b>/latest";
static struct options options;
static struct report *report;
static struct outcome outcome;

static void swallow(void *context, enum log_level level, const char *text)
{
        (void)context;
        (void)level;
        (void)text;
}

static void set_up(void)
{
        const struct report_config config = { .list_changes = false };
        struct err err = { .kind = ERR_NONE };

        log_divert(swallow, NULL, LOG_LEVEL_ERROR);
        options = (struct options){ .backup = true, .source = source };
        options.destination = (struct location){ .kind = LOCATION_LOCAL, .path = destination };
        ck_assert_int_eq(report_new(&report, &config, &err), 0);
        outcome = (struct outcome){ .options = &options, .report = report, .duration_s = 185 };
}

static void tear_down(void)
{
        outcome_deinit(&outcome);
        report = report_free(report);
}

static void check_note(struct notify_words *w, const char *summary, const char *body, enum desktop_urgency urgency)
{
        ck_assert_str_eq(w->note.summary, summary);
        ck_assert_str_eq(w->note.body, body);
        ck_assert_int_eq(w->note.urgency, urgency);
        notify_deinit(w);
}

static void check_end(const char *summary, const char *body, enum desktop_urgency urgency)
{
        struct notify_words w;

        ck_assert_int_eq(notify_ended(&w, &outcome), 0);
        check_note(&w, summary, body, urgency);
}

static void check_text(const char *text, const char *escaped)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };

        ck_assert_int_eq(desktop_put_text(&b, text), 0);
        ck_assert_str_eq(buf_text(&b), escaped);
}

START_TEST(text_is_no_markup)
{
        check_text("", "");
        check_text("a <b>&amp;</b>", "a &lt;b&gt;&amp;amp;&lt;/b&gt;");
        check_text("Gr\xc3\xb6\xc3\x9f"
                   "e",
                   "Gr\xc3\xb6\xc3\x9f"
                   "e");
        check_text("a\xff\xc3", "a??");
        check_text("a\x1b[1m\n\x7f", "a?[1m??");
        /* Turns the direction of what follows. */
        check_text("\xe2\x80\xae"
                   "txt",
                   "???txt");
}
END_TEST

START_TEST(it_starts)
{
        struct notify_words w;

        ck_assert_int_eq(notify_started(&w, &outcome), 0);
        check_note(&w, "Backup started", "/home to /mnt/&lt;b&gt;/latest", DESKTOP_LOW);
        options.backup = false;
        options.snapshot = options.rotate = true;
        ck_assert_int_eq(notify_started(&w, &outcome), 0);
        check_note(&w, "Snapshot started", "/mnt/&lt;b&gt;/latest", DESKTOP_LOW);
        options.snapshot = false;
        ck_assert_int_eq(notify_started(&w, &outcome), 0);
        check_note(&w, "Rotation of snapshots started", "/mnt/&lt;b&gt;/latest", DESKTOP_LOW);
}
END_TEST

START_TEST(it_is_complete)
{
        outcome.done[OUTCOME_TRANSFER] = true;
        report_add(report, REPORT_ENTRIES, 12345);
        report_add(report, REPORT_NEW, 1000);
        report_add(report, REPORT_DELETED, 234);
        report_add(report, REPORT_COPIED_BYTES, 3 << 20);
        check_end("Backup complete",
                  "/home to /mnt/&lt;b&gt;/latest in 3:05. 1,234 of 12,345 entries changed, 3.0 MiB copied.",
                  DESKTOP_LOW);
        snprintf(outcome.snapshot, sizeof(outcome.snapshot), "2026-11-20 17:00:00");
        ck_assert_int_eq(outcome_judge(&outcome, "2026-11-19 17:00:00", 0, OUTCOME_REMOVED), 0);
        outcome.done[OUTCOME_TRANSFER] = false;
        check_end("Backup complete",
                  "/home to /mnt/&lt;b&gt;/latest in 3:05. Snapshot '2026-11-20 17:00:00' was made. 1 old snapshot was "
                  "removed.",
                  DESKTOP_LOW);
}
END_TEST

START_TEST(it_is_incomplete)
{
        struct err err = { .kind = ERR_NONE };

        report_mark_partial(report);
        check_end("Backup incomplete",
                  "/home to /mnt/&lt;b&gt;/latest in 3:05. Some of it could not be stored in full.", DESKTOP_NORMAL);
        err_item(&err, -EIO, "read", "/home/a");
        report_item(report, &err);
        err_item(&err, -EACCES, "remove", "/mnt/b");
        report_remains(report, &err);
        check_end("Backup incomplete",
                  "/home to /mnt/&lt;b&gt;/latest in 3:05. 1 entry could not be read or stored in full. 1 entry could "
                  "not be removed.",
                  DESKTOP_NORMAL);
}
END_TEST

START_TEST(it_fails)
{
        struct err err = { .kind = ERR_NONE };

        err_run(&err, -ENOSPC, "write", "/mnt/<b>/x");
        err_hint(&err, "make room & try again");
        report_failure(report, &err);
        check_end("Backup failed",
                  "/home to /mnt/&lt;b&gt;/latest: cannot write '/mnt/&lt;b&gt;/x': No space left on device; make room "
                  "&amp; try again",
                  DESKTOP_CRITICAL);
}
END_TEST

static const char *fact(const struct facts *f, const char *name)
{
        for (size_t i = 0; f->items[i]; i++) {
                if (str_starts(f->items[i], name) && f->items[i][strlen(name)] == '=')
                        return f->items[i] + strlen(name) + 1;
        }
        return "";
}

START_TEST(machines_get_all_of_it)
{
        struct facts f;

        facts_of_end(&f, &outcome);
        ck_assert_str_eq(fact(&f, "RSB_OUTCOME"), "complete");
        ck_assert_str_eq(fact(&f, "RSB_ENTRIES"), "");
        ck_assert_str_eq(fact(&f, "RSB_REASON"), "");
        facts_deinit(&f);
        report_add(report, REPORT_ENTRIES, 12345);
        snprintf(outcome.snapshot, sizeof(outcome.snapshot), "2026-11-20 17:00:00");
        for (int step = 0; step < OUTCOME_STEPS; step++) {
                outcome.done[step] = true;
                outcome.seconds[step] = 0.5 + step;
        }
        outcome.status = 23;
        report_mark_partial(report);
        facts_of_end(&f, &outcome);
        ck_assert_str_eq(fact(&f, "RSB_SOURCE"), "/home");
        ck_assert_str_eq(fact(&f, "RSB_DESTINATION"), "/mnt/<b>/latest");
        ck_assert_str_eq(fact(&f, "RSB_OUTCOME"), "partial");
        ck_assert_str_eq(fact(&f, "RSB_STATUS"), "23");
        ck_assert_str_eq(fact(&f, "RSB_SECONDS"), "185.000");
        ck_assert_str_eq(fact(&f, "RSB_TRANSFER_SECONDS"), "1.500");
        ck_assert_str_eq(fact(&f, "RSB_RELEASE_SECONDS"), "4.500");
        ck_assert_str_eq(fact(&f, "RSB_ENTRIES"), "12345");
        ck_assert_str_eq(fact(&f, "RSB_SNAPSHOT"), "2026-11-20 17:00:00");
        ck_assert_str_eq(fact(&f, "RSB_SNAPSHOTS_REMOVED"), "0");
        ck_assert_uint_lt(f.count, FACTS_MAX);
        facts_deinit(&f);
}
END_TEST

START_TEST(every_kind_of_event_has_an_identifier_of_its_own)
{
        ck_assert_ptr_null(journal_id(LOG_EVENT_NONE));
        for (int event = LOG_EVENT_NONE + 1; event < LOG_EVENTS; event++) {
                const char *id = journal_id((enum log_event)event);

                ck_assert_ptr_nonnull(id);
                ck_assert_uint_eq(strlen(id), 32);
                ck_assert_uint_eq(strspn(id, "0123456789abcdef"), 32);
                for (int other = LOG_EVENT_NONE + 1; other < event; other++)
                        ck_assert_str_ne(id, journal_id((enum log_event)other));
        }
}
END_TEST

int main(void)
{
        TCase *cases = tcase_create("notify");

        tcase_add_checked_fixture(cases, set_up, tear_down);
        tcase_add_test(cases, text_is_no_markup);
        tcase_add_test(cases, it_starts);
        tcase_add_test(cases, it_is_complete);
        tcase_add_test(cases, it_is_incomplete);
        tcase_add_test(cases, it_fails);
        tcase_add_test(cases, machines_get_all_of_it);
        tcase_add_test(cases, every_kind_of_event_has_an_identifier_of_its_own);
        return cases_run("notify", cases);
}
