/* Looked up, judged, told. */
#include "status/status.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "options/options.h"
#include "outcome/metrics.h"
#include "outcome/publish.h"
#include "progress.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

enum { TIME_SIZE = 32 };

static const char *const verdict_names[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };

/* ---- for people ---- */

static const char *format_time(int64_t seconds, char out[TIME_SIZE])
{
        time_t t = (time_t)seconds;
        struct tm tm;

        if (!localtime_r(&t, &tm) || strftime(out, TIME_SIZE, "%Y-%m-%d %H:%M:%S", &tm) == 0)
                snprintf(out, TIME_SIZE, "(no date)");
        return out;
}

/* A clock that was wrong, then or now, dates things in the future. */
static const char *format_age(int64_t seconds, char out[PROGRESS_TEXT_SIZE])
{
        char age[PROGRESS_TEXT_SIZE];

        if (seconds < 0)
                snprintf(out, PROGRESS_TEXT_SIZE, "in the future");
        else
                snprintf(out, PROGRESS_TEXT_SIZE, "%.*s ago", PROGRESS_TEXT_SIZE - (int)sizeof(" ago"),
                         progress_age(seconds, age));
        return out;
}

static void describe_run(const struct status *s, const char *label, enum history_which which, bool with_numbers)
{
        const struct history_run *run = &s->history.runs[which];
        char begun[TIME_SIZE], age[PROGRESS_TEXT_SIZE], took[PROGRESS_TEXT_SIZE], count[PROGRESS_TEXT_SIZE],
                copied[PROGRESS_TEXT_SIZE];

        if (!s->history.has[which])
                return;
        printf("%-15s%s (%s), %s", label, format_time(run->begun, begun), format_age(s->now - run->begun, age),
               run->outcome);
        if (with_numbers)
                printf(" after %s, %s, %s copied", progress_duration((double)run->duration_ms / 1000, took),
                       progress_entries(run->entries, count), progress_bytes(run->copied_bytes, copied));
        if (run->lost > 0)
                printf(", %s could not be read or stored", progress_count(run->lost, count));
        if (run->snapshot[0])
                printf(", snapshot '%s'", run->snapshot);
        if (run->failure)
                printf("\n%-15s%s", "", run->failure);
        putchar('\n');
}

/* One that has ended, and that nobody has waited for, executes nothing any more. */
static bool is_alive(int64_t process)
{
        char path[64], program[8];

        if (process <= 0 || process > INT32_MAX || (kill((pid_t)process, 0) < 0 && errno != EPERM))
                return false;
        snprintf(path, sizeof(path), "/proc/%" PRId64 "/exe", process);
        return readlink(path, program, sizeof(program)) >= 0 || errno != ENOENT;
}

static void describe_begun(const struct status *s)
{
        const struct history_run *run = &s->history.runs[HISTORY_BEGUN];
        char begun[TIME_SIZE], age[PROGRESS_TEXT_SIZE];

        if (!s->history.has[HISTORY_BEGUN])
                return;
        printf("%-15s%s (%s), ", "not ended:", format_time(run->begun, begun), format_age(s->now - run->begun, age));
        if (is_alive(run->process))
                printf("under way (process %" PRId64 ")\n", run->process);
        else
                printf("killed, or cut off\n");
}

/* Where all of this is from, if that is not what one would think. */
static void describe_basis(const struct status *s)
{
        if (s->history.is_damaged)
                printf("%-15swhat was remembered of runs is damaged, and is not used\n", "note:");
        if (s->is_concluded)
                printf("%-15sno complete backup is remembered here: this is by the newest complete snapshot\n",
                       "note:");
        if (s->is_nowhere)
                printf("%-15sthere is no '%s'; the snapshots are what lies beside that name\n",
                       "note:", s->destination);
        if (!s->history.has[HISTORY_LAST] && geteuid() != 0)
                printf("%-15sroot's runs are remembered for root\n", "note:");
}

/* How many, or with -v which. */
static void describe_snapshots(const struct status *s)
{
        const struct destination_snapshots *list = &s->snapshots;
        char age[PROGRESS_TEXT_SIZE];

        if (!s->are_seen) {
                printf("%-15s%s\n", "snapshots:", s->unseen);
                return;
        }
        printf("%-15s%zu\n", "snapshots:", list->count);
        for (size_t i = 0; i < list->count && s->options->verbosity > 0; i++)
                printf("%-15s%s (%s)%s\n", "", list->items[i].name, format_age(status_age_s(s, &list->items[i]), age),
                       list->items[i].complete ? "" : ", incomplete");
}

static void print_status(const struct status *s)
{
        const struct history *h = &s->history;

        printf("%s: %s\n", verdict_names[s->verdict], s->text);
        if (s->options->verbosity < 0)
                return;
        printf("%-15s%s\n", "destination:", s->destination);
        describe_run(s, "last run:", HISTORY_LAST, true);
        if (h->has[HISTORY_STORED] && h->runs[HISTORY_STORED].begun != h->runs[HISTORY_LAST].begun)
                describe_run(s, "last backup:", HISTORY_STORED, false);
        if (h->has[HISTORY_COMPLETE] && h->runs[HISTORY_COMPLETE].begun != h->runs[HISTORY_STORED].begun)
                describe_run(s, "last complete:", HISTORY_COMPLETE, false);
        describe_run(s, "skipped:", HISTORY_SKIPPED, false);
        describe_begun(s);
        describe_snapshots(s);
        describe_basis(s);
}

/* ---- all of it ---- */

static int look(struct status *s, struct err *err)
{
        struct timespec now;
        int r = publish_key(s->options, &s->destination, err);

        if (r < 0)
                return r;
        clock_gettime(CLOCK_REALTIME, &now);
        s->now = now.tv_sec;
        return history_load(&s->history, s->destination, err);
}

static int tell(const struct status *s, struct err *err)
{
        const struct settings_told *told = &s->options->told;
        _cleanup_(buf_deinit) struct buf report = { .data = NULL }, metrics = { .data = NULL };
        int r = 0;

        if ((told->report && status_document(s, &report) < 0) ||
            (told->metrics && metrics_write(&s->history, NULL, &metrics) < 0))
                return err_oom(err);
        if (!told->report || !str_equal(told->report, "-"))
                print_status(s);
        if (told->report)
                r = publish_file(told->report, PUBLISH_REPORT_MODE, &report, err);
        if (r == 0 && told->metrics)
                r = publish_file(told->metrics, PUBLISH_METRICS_MODE, &metrics, err);
        return r;
}

static void status_deinit(struct status *s)
{
        free(s->destination);
        history_deinit(&s->history);
        destination_snapshots_deinit(&s->snapshots);
}

/* Without --max-age nobody has said what is bad: then it is a failure that nothing is known. */
static int exit_status(const struct status *s)
{
        if (s->options->told.max_age_s > 0)
                return (int)s->verdict;
        return s->verdict == STATUS_UNKNOWN ? EXIT_FAILURE : EXIT_SUCCESS;
}

int status_failure(const struct options *o)
{
        return o->task == OPTIONS_STATUS && o->told.max_age_s > 0 ? STATUS_UNKNOWN : EXIT_FAILURE;
}

int status_show(const struct options *o, struct report *report)
{
        _cleanup_(status_deinit) struct status s = { .options = o };
        ERR_LOCAL(err);
        int r = publish_check(o, &err);

        if (r == 0)
                r = look(&s, &err);
        if (r == 0) {
                status_look(&s, report);
                s.verdict = status_judge(&s.history, s.now, o->told.max_age_s, s.text);
                r = tell(&s, &err);
        }
        if (r == 0)
                return exit_status(&s);
        log_err(LOG_LEVEL_ERROR, &err);
        return status_failure(o);
}
