/* Two processes that work on one run: what is known is what both have seen; nothing is lost when one of them ends. */
#include "base/err.h"
#include "base/log.h"
#include "base/report.h"
#include "base/stop.h"
#include "cases.h"

#include <check.h>
#include <errno.h>

static struct report *new_report(const struct report_config *config)
{
        struct err err = { .kind = ERR_NONE };
        struct report *r;

        ck_assert_int_eq(report_new(&r, config, &err), 0);
        return r;
}

static void drop_line(void *context, enum log_level level, const char *text)
{
        unsigned *lines = context;

        if (level == LOG_LEVEL_WARNING && strstr(text, "cannot read"))
                ++*lines;
}

START_TEST(what_both_have_counts)
{
        const struct report_config config = { .list_changes = false };
        _cleanup_(report_freep) struct report *here = new_report(&config), *there = new_report(&config);
        struct err err = { .kind = ERR_NONE };
        unsigned lines = 0;

        log_divert(drop_line, &lines, LOG_LEVEL_DEBUG);
        report_add(here, REPORT_COPIED_BYTES, 10);
        report_add(there, REPORT_COPIED_BYTES, 5);
        err_item(&err, -EIO, "read", "x");
        report_item(there, &err);
        report_vanished(here, NULL, "y");
        for (unsigned n = 0; n < REPORT_NUMBERS_END; n++) {
                if (report_number_exists(n))
                        report_hear(here, n, report_tell(there, n));
        }
        ck_assert_uint_eq(report_get(here, REPORT_COPIED_BYTES), 15);
        ck_assert_uint_eq(report_items(here), 1);
        ck_assert(report_is_partial(here));
        ck_assert_int_eq(report_exit_status(here), 23);
        ck_assert_uint_eq(report_tell(here, REPORT_COPIED_BYTES), 10);

        /* It ends, and another one begins at zero: what was done stays, what was seen is seen again. */
        report_hear_end(here);
        ck_assert_uint_eq(report_get(here, REPORT_COPIED_BYTES), 15);
        report_restart(here);
        ck_assert(!report_is_partial(here));
        ck_assert_uint_eq(report_get(here, REPORT_COPIED_BYTES), 15);
        report_hear(here, REPORT_COPIED_BYTES, 3);
        ck_assert_uint_eq(report_get(here, REPORT_COPIED_BYTES), 18);
        ck_assert_uint_eq(lines, 1);
}
END_TEST

/* The first ones, whoever met them, in the order in which they came. */
START_TEST(lost_entries_are_kept)
{
        const struct report_config config = { .keep_items = 2 };
        _cleanup_(report_freep) struct report *r = new_report(&config);
        const struct report_item *kept;
        struct err err = { .kind = ERR_NONE };
        unsigned lines = 0;

        log_divert(drop_line, &lines, LOG_LEVEL_DEBUG);
        err_item_at(&err, -EIO, "read", "a\tb", "c");
        err_hint(&err, "buy a disk");
        report_item(r, &err);
        err_item(&err, -EBUSY, "read", "d");
        err_context(&err, "nas");
        report_hear_item(r, &err, true);
        err_item(&err, -EIO, "read", "e");
        report_item(r, &err);
        ck_assert_uint_eq(lines, 3);
        ck_assert_uint_eq(report_items(r), 2);
        ck_assert_uint_eq(report_kept(r, &kept), 2);
        ck_assert_str_eq(kept[0].path, "a\\tb/c");
        ck_assert_str_eq(kept[0].text, "cannot read 'a\\tb/c': Input/output error");
        ck_assert_int_eq(kept[0].code, -EIO);
        ck_assert(!kept[0].remains);
        ck_assert_str_eq(kept[1].path, "d");
        ck_assert(kept[1].remains);
        report_restart(r);
        ck_assert_uint_eq(report_kept(r, &kept), 0);
}
END_TEST

static void take_item(void *context, const struct err *item, bool remains)
{
        struct err *ret = context;

        ck_assert(!remains);
        *ret = *item;
}

START_TEST(an_agent_tells_its_lost_entries)
{
        struct err told = { .kind = ERR_NONE }, err = { .kind = ERR_NONE };
        const struct report_config config = { .keep_items = 9, .take_item = take_item, .context = &told };
        _cleanup_(report_freep) struct report *r = new_report(&config);
        const struct report_item *kept;

        err_item(&err, -EIO, "read", "x");
        report_item(r, &err);
        ck_assert_int_eq(told.code, -EIO);
        ck_assert_int_eq(err.kind, ERR_NONE);
        ck_assert_uint_eq(report_items(r), 1);
        ck_assert_uint_eq(report_kept(r, &kept), 0);
}
END_TEST

START_TEST(the_first_failure_is_the_reason)
{
        const struct report_config config = { .keep_items = 1 };
        _cleanup_(report_freep) struct report *r = new_report(&config);
        struct err err = { .kind = ERR_NONE };
        unsigned lines = 0;

        log_divert(drop_line, &lines, LOG_LEVEL_DEBUG);
        ck_assert_str_eq(report_failure_text(r), "");
        err_run(&err, -EIO, "read", "x");
        err_hint(&err, "buy a disk");
        report_failure(r, &err);
        err_run(&err, -EBUSY, "unmount", "/mnt");
        report_failure(r, &err);
        ck_assert_str_eq(report_failure_text(r), "cannot read 'x': Input/output error; buy a disk");
}
END_TEST

START_TEST(numbers_that_do_not_exist_are_known)
{
        ck_assert(report_number_exists(0));
        ck_assert(!report_number_exists(REPORT_COUNTS));
        ck_assert(!report_number_exists(99));
        ck_assert(report_number_exists(REPORT_NUMBER_PARTIAL));
        ck_assert(!report_number_exists(REPORT_NUMBERS_END));
        ck_assert(!report_number_exists(UINT64_MAX));
}
END_TEST

static void take_line(void *context, const struct report_line *line)
{
        struct report_line *ret = context;

        *ret = *line;
}

START_TEST(changes_go_where_they_are_wanted)
{
        struct report_line line = { .name = NULL };
        const struct report_config config = { .list_changes = true, .take_line = take_line, .context = &line };
        const struct report_config silent = { .take_line = take_line, .context = &line };
        _cleanup_(report_freep) struct report *r = new_report(&config), *s = new_report(&silent);

        report_change(s, REPORT_VERB_NEW, "a", "b", true, 0);
        ck_assert_ptr_null(line.name);
        report_change(r, REPORT_VERB_CHANGED, "a", "b", true, REPORT_WHY_SIZE);
        ck_assert_int_eq(line.verb, REPORT_VERB_CHANGED);
        ck_assert_str_eq(line.directory, "a");
        ck_assert_str_eq(line.name, "b");
        ck_assert(line.is_directory);
        ck_assert_uint_eq(line.why, REPORT_WHY_SIZE);
        report_change_for(r, REPORT_VERB_KEPT, "c", "daily");
        ck_assert_str_eq(line.reasons, "daily");
        ck_assert_ptr_null(line.directory);
}
END_TEST

START_TEST(we_may_ask_ourselves_to_stop)
{
        const struct report_config config = { .list_changes = false };
        _cleanup_(report_freep) struct report *r = new_report(&config);
        struct err err = { .kind = ERR_NONE };

        ck_assert_int_eq(stop_check(&err), 0);
        stop_request("the client");
        stop_request("somebody else");
        ck_assert(stop_requested());
        ck_assert_int_eq(stop_signal(), 0);
        ck_assert_int_eq(stop_check(&err), -ECANCELED);
        ck_assert_str_eq(err.text, "stopped by the client");
        ck_assert_int_eq(report_exit_status(r), 0);
}
END_TEST

int main(void)
{
        TCase *all = tcase_create("all");

        tcase_add_test(all, what_both_have_counts);
        tcase_add_test(all, lost_entries_are_kept);
        tcase_add_test(all, an_agent_tells_its_lost_entries);
        tcase_add_test(all, the_first_failure_is_the_reason);
        tcase_add_test(all, numbers_that_do_not_exist_are_known);
        tcase_add_test(all, changes_go_where_they_are_wanted);
        tcase_add_test(all, we_may_ask_ourselves_to_stop);
        return cases_run("report", all);
}
