/* survey: the table of --list, what is said of each rule, and the way from an agent to its client. */
#include "base/buf.h"
#include "cases.h"
#include "destination.h"
#include "rotate/inodes.h"
#include "rotate/names.h"
#include "survey/survey.h"
#include "transfer/exchange/pack.h"

#include <check.h>
#include <errno.h>

enum { DAY = 24 * 60 * 60 };

static void add(struct survey *s, const char *name, bool complete, struct measure takes)
{
        struct destination_snapshot one = { .name = (char *)name, .complete = complete };

        ck_assert(names_parse(name, &one.time));
        ck_assert_int_eq(survey_add(s, &one, &takes), 0);
}

static int64_t moment(const char *name)
{
        int64_t seconds;

        ck_assert(names_parse(name, &seconds));
        return seconds;
}

/* ---- rules ---- */

static void assert_rule(struct foresee stays, bool complete, const char *expected)
{
        const struct survey_item item = { .complete = complete, .stays = stays };
        char out[SURVEY_RULE_SIZE];

        ck_assert_str_eq(survey_rule(&item, out), expected);
}

START_TEST(each_end_has_its_words)
{
        const struct foresee daily = { .end = FORESEE_MOMENT,
                                       .reason = (enum scheme_reason)SCHEME_DAILY,
                                       .time = moment("2026-12-04 17:00:59") };
        struct foresee f = daily;

        assert_rule(f, true, "daily until 2026-12-04 17:00");
        assert_rule(f, false, "incomplete; daily until 2026-12-04 17:00");
        f.may_be_replaced = true;
        assert_rule(f, true, "newest, then perhaps daily until 2026-12-04 17:00");
        f = (struct foresee){ .end = FORESEE_NEVER, .reason = (enum scheme_reason)SCHEME_MONTHLY };
        assert_rule(f, true, "monthly, for ever");
        f.may_be_replaced = true;
        assert_rule(f, true, "newest, then perhaps monthly, for ever");
        assert_rule((struct foresee){ .end = FORESEE_GONE }, true, "nothing: the next rotation removes it");
        f = (struct foresee){ .end = FORESEE_NEXT, .reason = SCHEME_NEWEST, .may_be_replaced = true };
        assert_rule(f, true, "newest, until the next one");
        f = (struct foresee){ .end = FORESEE_NEXT, .reason = (enum scheme_reason)SCHEME_YEARLY };
        assert_rule(f, true, "yearly, until the next one");
        f = (struct foresee){ .end = FORESEE_NEXT_COMPLETE, .reason = SCHEME_NEWEST_COMPLETE };
        assert_rule(f, true, "newest complete, until the next complete one");
        assert_rule((struct foresee){ .end = FORESEE_OPEN, .reason = SCHEME_IGNORED }, true,
                    "the include or exclude list");
        assert_rule((struct foresee){ .end = FORESEE_OPEN, .reason = SCHEME_FUTURE }, true, "its date, in the future");
}
END_TEST

/* ---- the table ---- */

static struct survey example(void)
{
        struct survey s = { .now = moment("2026-11-27 21:00"), .has_free = true, .free_bytes = UINT64_C(5) << 30 };

        add(&s, "2026-11-27 17:00:00", false,
            (struct measure){ .entries = 12345, .size_bytes = 5000, .freed_bytes = 4096 });
        add(&s, "2026-11-20 17:00:00", true, (struct measure){ .entries = 7, .size_bytes = UINT64_C(3) << 30 });
        survey_sort(&s);
        s.items[0].stays = (struct foresee){ .end = FORESEE_NEVER, .reason = (enum scheme_reason)SCHEME_MONTHLY };
        s.items[1].stays = (struct foresee){ .end = FORESEE_NEXT, .reason = SCHEME_NEWEST };
        return s;
}

static void assert_table(const struct survey *s, int verbosity, const char *expected)
{
        _cleanup_(buf_deinit) struct buf out = { .data = NULL };

        ck_assert_int_eq(survey_print(&out, s, verbosity), 0);
        ck_assert_str_eq(buf_text(&out), expected);
}

START_TEST(columns_are_as_wide_as_what_is_in_them)
{
        _cleanup_(survey_deinit) struct survey s = example();

        s.has_total = true;
        s.total_bytes = UINT64_C(7) << 30;
        assert_table(
                &s, 0,
                "snapshot                 age  entries     size  only here  kept by\n"
                "2026-11-20 17:00:00   7 days        7  3.0 GiB    0 bytes  monthly, for ever\n"
                "2026-11-27 17:00:00  4 hours   12,345  4.9 KiB    4.0 KiB  incomplete; newest, until the next one\n"
                "2 snapshots; with the latest backup 7.0 GiB on the disk; 5.0 GiB free\n");
        assert_table(&s, 1,
                     "snapshot                 age  entries           size  only here  kept by\n"
                     "2026-11-20 17:00:00   7 days        7  3,221,225,472          0  monthly, for ever\n"
                     "2026-11-27 17:00:00  4 hours   12,345          5,000      4,096  incomplete; newest, until the "
                     "next one\n"
                     "2 snapshots; with the latest backup 7,516,192,768 on the disk; 5,368,709,120 free\n");
        assert_table(
                &s, -1,
                "2026-11-20 17:00:00   7 days       7  3.0 GiB  0 bytes  monthly, for ever\n"
                "2026-11-27 17:00:00  4 hours  12,345  4.9 KiB  4.0 KiB  incomplete; newest, until the next one\n");
}
END_TEST

START_TEST(bounds_are_marked_and_explained)
{
        _cleanup_(survey_deinit) struct survey s = example();

        s.items[0].takes.is_partial = true;
        s.items[1].takes.frees_less = true;
        assert_table(
                &s, 0,
                "snapshot                 age  entries      size  only here  kept by\n"
                "2026-11-20 17:00:00   7 days       >7  >3.0 GiB   >0 bytes  monthly, for ever\n"
                "2026-11-27 17:00:00  4 hours   12,345   4.9 KiB   <4.0 KiB  incomplete; newest, until the next one\n"
                "2 snapshots; 5.0 GiB free\n"
                "> at least: not all of it could be looked at\n"
                "< at most: what is compressed takes less\n");
        s.items[1].takes.is_partial = true;
        s.now = moment("2026-11-25 17:00");
        assert_table(&s, -1,
                     "2026-11-20 17:00:00     5 days       >7  >3.0 GiB  >0 bytes  monthly, for ever\n"
                     "2026-11-27 17:00:00  in 2 days  >12,345  >4.9 KiB  ~4.0 KiB  incomplete; newest, until the next "
                     "one\n");
}
END_TEST

START_TEST(what_is_left_out_as_shared_is_marked_where_it_counts)
{
        _cleanup_(survey_deinit) struct survey s = example();

        s.items[0].takes.frees_more = s.items[1].takes.frees_more = s.items[1].takes.frees_less = true;
        assert_table(
                &s, 0,
                "snapshot                 age  entries     size  only here  kept by\n"
                "2026-11-20 17:00:00   7 days        7  3.0 GiB   >0 bytes  monthly, for ever\n"
                "2026-11-27 17:00:00  4 hours   12,345  4.9 KiB   ~4.0 KiB  incomplete; newest, until the next one\n"
                "2 snapshots; 5.0 GiB free\n"
                "> at least: what files of one snapshot share with each other is left out\n"
                "< at most: what is compressed takes less\n"
                "~ both of that: it may be more or less\n");
}
END_TEST

START_TEST(what_is_not_known_is_a_dash_and_a_reason)
{
        _cleanup_(survey_deinit) struct survey s = example();

        s.has_free = false;
        s.unmeasured = "nobody tells";
        s.unrotated = strdup("by hand");
        assert_table(&s, 0,
                     "snapshot                 age  entries  size  only here  kept by\n"
                     "2026-11-20 17:00:00   7 days        -     -          -  -\n"
                     "2026-11-27 17:00:00  4 hours        -     -          -  incomplete\n"
                     "2 snapshots\n"
                     "no sizes are known: nobody tells\n"
                     "nothing is rotated: by hand\n");
}
END_TEST

/* ---- the wire ---- */

START_TEST(what_is_put_is_taken)
{
        _cleanup_(survey_deinit) struct survey s = example(), t = { .items = NULL };
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        struct unpack u;

        s.is_busy = s.has_total = true;
        s.total_bytes = 123456789;
        s.items[0].takes.is_partial = true;
        s.items[1].takes.frees_less = true;
        s.items[0].takes.frees_more = true;
        ck_assert_int_eq(survey_put(&b, &s, 0), 0);
        u = unpack_begin(b.data, b.size);
        ck_assert_int_eq(survey_take(&t, &u), 0);
        ck_assert_uint_eq(t.count, 2);
        ck_assert(t.now == s.now && t.is_busy && t.has_total && t.has_free);
        ck_assert(t.total_bytes == s.total_bytes && t.free_bytes == s.free_bytes);
        for (size_t i = 0; i < 2; i++) {
                ck_assert_str_eq(t.items[i].name, s.items[i].name);
                ck_assert(t.items[i].time == s.items[i].time && t.items[i].complete == s.items[i].complete);
                ck_assert_uint_eq(t.items[i].takes.entries, s.items[i].takes.entries);
                ck_assert_uint_eq(t.items[i].takes.size_bytes, s.items[i].takes.size_bytes);
                ck_assert_uint_eq(t.items[i].takes.freed_bytes, s.items[i].takes.freed_bytes);
                ck_assert(t.items[i].takes.is_partial == (i == 0) && t.items[i].takes.frees_less == (i == 1));
                ck_assert(t.items[i].takes.frees_more == (i == 0));
        }
}
END_TEST

START_TEST(many_go_in_several_messages)
{
        _cleanup_(survey_deinit) struct survey s = { .items = NULL }, t = { .items = NULL };
        char name[NAMES_SIZE];
        size_t first = 0;
        int r;

        for (int64_t i = 0; i <= SURVEY_TOGETHER; i++)
                add(&s, names_format(i * DAY, name), true, (struct measure){ .entries = (uint64_t)i });
        do {
                _cleanup_(buf_deinit) struct buf b = { .data = NULL };
                struct unpack u;

                ck_assert_int_eq(survey_put(&b, &s, first), 0);
                first += SURVEY_TOGETHER;
                u = unpack_begin(b.data, b.size);
                r = survey_take(&t, &u);
                ck_assert_int_eq(r, first < s.count);
        } while (r > 0);
        ck_assert_uint_eq(t.count, s.count);
        ck_assert_uint_eq(t.items[SURVEY_TOGETHER].takes.entries, SURVEY_TOGETHER);
}
END_TEST

/* Whatever is cut off, added, or no snapshot's name. */
START_TEST(what_makes_no_sense_is_refused)
{
        _cleanup_(survey_deinit) struct survey s = example(), t = { .items = NULL };
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        struct unpack u;

        ck_assert_int_eq(survey_put(&b, &s, 0), 0);
        for (size_t size = 0; size < b.size; size++) {
                u = unpack_begin(b.data, size);
                ck_assert_int_eq(survey_take(&t, &u), -EPROTO);
                survey_deinit(&t);
        }
        ck_assert_int_eq(buf_putc(&b, 0), 0);
        u = unpack_begin(b.data, b.size);
        ck_assert_int_eq(survey_take(&t, &u), -EPROTO);
        survey_deinit(&t);
        s.items[0].name[4] = '/';
        buf_truncate(&b, 0);
        ck_assert_int_eq(survey_put(&b, &s, 0), 0);
        u = unpack_begin(b.data, b.size);
        ck_assert_int_eq(survey_take(&t, &u), -EPROTO);
}
END_TEST

/* ---- inodes ---- */

START_TEST(links_are_counted_tree_by_tree)
{
        enum { INODES = 10000 };
        struct inodes *t = inodes_new();
        struct inodes_met met;

        ck_assert_ptr_nonnull(t);
        for (uint32_t tree = 0; tree < 3; tree++) {
                inodes_begin_tree(t);
                for (uint32_t time = 1; time <= 2; time++) {
                        /* Numbers as filesystems give them: neighbours, and far apart. */
                        for (uint64_t i = 0; i < INODES; i++) {
                                ck_assert_int_eq(inodes_meet(t, i % 2 ? i : i << 40, &met), 0);
                                ck_assert_uint_eq(met.in_tree, time);
                                ck_assert(met.is_new == (tree == 0 && time == 1));
                        }
                }
        }
        inodes_free(t);
}
END_TEST

int main(void)
{
        TCase *cases = tcase_create("survey");

        tcase_set_timeout(cases, 60); /* sanitizers take their time */
        tcase_add_test(cases, each_end_has_its_words);
        tcase_add_test(cases, columns_are_as_wide_as_what_is_in_them);
        tcase_add_test(cases, bounds_are_marked_and_explained);
        tcase_add_test(cases, what_is_left_out_as_shared_is_marked_where_it_counts);
        tcase_add_test(cases, what_is_not_known_is_a_dash_and_a_reason);
        tcase_add_test(cases, what_is_put_is_taken);
        tcase_add_test(cases, many_go_in_several_messages);
        tcase_add_test(cases, what_makes_no_sense_is_refused);
        tcase_add_test(cases, links_are_counted_tree_by_tree);
        return cases_run("survey", cases);
}
