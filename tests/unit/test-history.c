/* What is remembered of runs: which of them counts as what, and that nothing in the file can spoil more than itself. */
#include "base/err.h"
#include "base/util.h"
#include "scratch.h"
#include "storage/history.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static const char destination[] = "nas:/srv/back ups/\xff\"latest";

static struct history_run run_of(const char *outcome, int64_t begun)
{
        struct history_run r = {
                .begun = begun, .ended = begun + 5, .duration_ms = 4321, .entries = 7, .bytes = 1 << 20
        };

        snprintf(r.outcome, sizeof(r.outcome), "%s", outcome);
        snprintf(r.snapshot, sizeof(r.snapshot), "2026-11-21 17:00:00");
        return r;
}

static void record_of(int64_t process, const char *outcome, int64_t begun, char *failure)
{
        struct err err = { .kind = ERR_NONE };
        struct history_run r = run_of(outcome, begun);

        r.failure = failure;
        r.process = process;
        ck_assert_int_eq(history_record(destination, &r, &err), 0);
}

/* One that came as far as to note that it began. */
static void record(const char *outcome, int64_t begun, char *failure)
{
        record_of(4711, outcome, begun, failure);
}

static struct history load(const char *of)
{
        struct err err = { .kind = ERR_NONE };
        struct history h;

        ck_assert_int_eq(history_load(&h, of, &err), 0);
        ck_assert_str_eq(h.destination, of);
        return h;
}

static char place[300];

/* A machine without memories. */
static void forget_all(void)
{
        int fd = scratch_directory();

        scratch_path_of(fd, place, sizeof(place));
        ck_assert_int_eq(close(fd), 0);
        ck_assert_int_eq(setenv("STATE_DIRECTORY", place, 1), 0);
}

START_TEST(nothing_is_known_before_the_first_run)
{
        struct history h;

        forget_all();
        h = load(destination);
        for (unsigned i = 0; i < HISTORY_RUNS; i++)
                ck_assert(!h.has[i]);
        history_deinit(&h);
}
END_TEST

START_TEST(the_last_good_one_stays)
{
        static char why[] = "cannot read 'x': Input/output error; buy a \"disk\"";
        struct history h;

        forget_all();
        record("complete", 100, NULL);
        record("partial", 200, NULL);
        record("failed", 300, why);
        record("skipped", 400, NULL);
        h = load(destination);
        ck_assert_int_eq(h.runs[HISTORY_COMPLETE].begun, 100);
        ck_assert_int_eq(h.runs[HISTORY_STORED].begun, 200);
        ck_assert_int_eq(h.runs[HISTORY_LAST].begun, 300);
        ck_assert_int_eq(h.runs[HISTORY_SKIPPED].begun, 400);
        ck_assert_str_eq(h.runs[HISTORY_LAST].failure, why);
        ck_assert_str_eq(h.runs[HISTORY_LAST].outcome, "failed");
        ck_assert_ptr_null(h.runs[HISTORY_COMPLETE].failure);
        ck_assert_uint_eq(h.runs[HISTORY_COMPLETE].duration_ms, 4321);
        ck_assert_uint_eq(h.runs[HISTORY_COMPLETE].bytes, 1 << 20);
        ck_assert_str_eq(h.runs[HISTORY_COMPLETE].snapshot, "2026-11-21 17:00:00");
        history_deinit(&h);
        record("begun", 450, NULL);
        h = load(destination);
        ck_assert_int_eq(h.runs[HISTORY_BEGUN].begun, 450);
        ck_assert_int_eq(h.runs[HISTORY_LAST].begun, 300);
        ck_assert(h.has[HISTORY_SKIPPED]);
        history_deinit(&h);
        record_of(0, "failed", 475, why);
        h = load(destination);
        ck_assert_int_eq(h.runs[HISTORY_BEGUN].begun, 450);
        ck_assert_int_eq(h.runs[HISTORY_BEGUN].process, 4711);
        ck_assert_int_eq(h.runs[HISTORY_LAST].begun, 475);
        ck_assert_int_eq(h.runs[HISTORY_LAST].process, 0);
        history_deinit(&h);
        record("complete", 500, NULL);
        h = load(destination);
        ck_assert_int_eq(h.runs[HISTORY_COMPLETE].begun, 500);
        ck_assert_int_eq(h.runs[HISTORY_STORED].begun, 500);
        ck_assert_int_eq(h.runs[HISTORY_LAST].begun, 500);
        ck_assert(!h.has[HISTORY_SKIPPED]);
        ck_assert(!h.has[HISTORY_BEGUN]);
        history_deinit(&h);
}
END_TEST

START_TEST(destinations_do_not_mix)
{
        char a[600], b[600];
        struct history h;
        struct history_run r = run_of("complete", 100);
        struct err err = { .kind = ERR_NONE };

        forget_all();
        memset(a, 'x', sizeof(a));
        a[sizeof(a) - 1] = '\0';
        memcpy(b, a, sizeof(b));
        b[sizeof(b) - 2] = 'y';
        ck_assert_int_eq(history_record(a, &r, &err), 0);
        h = load(b);
        ck_assert(!h.has[HISTORY_LAST]);
        history_deinit(&h);
        h = load(a);
        ck_assert(h.has[HISTORY_LAST]);
        history_deinit(&h);
}
END_TEST

START_TEST(nonsense_is_no_record)
{
        static const char *const texts[] = {
                "",
                "version 1\n",
                "version 1\nend\n",
                "version 2\ndestination d\nend\n",
                "version 1\ndestination d\nbegun 1\nend\n",
                "version 1\ndestination d\nrun other\nend\n",
                "version 1\ndestination d\nrun last\nrun last\nend\n",
                "version 1\ndestination d\nrun last\nbegun x\nend\n",
                "version 1\ndestination d\nrun last\nentries -1\nend\n",
                "version 1\ndestination d\nrun last\nexit-status 256\nend\n",
                "version 1\ndestination d\nrun last\noutcome a-word-that-is-too-long\nend\n",
                "version 1\ndestination d\nrun last\nfailure a\nfailure b\nend\n",
                "version 1\ndestination d\nrun last\nnews x\nend\n",
                "version 1\ndestination d\nend\nend\n",
        };
        struct history h;

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                ck_assert_msg(history_parse(&h, texts[i], strlen(texts[i])) == -EBADMSG, "%s", texts[i]);
}
END_TEST

START_TEST(others_may_not_read_it)
{
        char path[400];
        struct stat st;

        forget_all();
        record("complete", 100, NULL);
        snprintf(path, sizeof(path), "%s/runs", place);
        ck_assert_int_eq(stat(path, &st), 0);
        ck_assert_uint_eq(st.st_mode & 0777, 0700);
}
END_TEST

int main(void)
{
        const TTest *tests[] = {
                nothing_is_known_before_the_first_run,
                the_last_good_one_stays,
                destinations_do_not_mix,
                nonsense_is_no_record,
                others_may_not_read_it,
        };

        return scratch_run("history", tests, ARRAY_SIZE(tests));
}
