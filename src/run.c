/*
 * The steps (SPEC: lock, unlock and mount; look; transfer; snapshot; rotate; undo), whose first half is the business of
 * the destination:
 *
 *      prepare -> transfer -> snapshot -> rotate -> release
 *
 * release comes whatever happens before. An error ends the steps; a stop request does too, as an error.
 */
#include "run.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/path.h"
#include "base/report.h"
#include "base/stop.h"
#include "destination.h"
#include "ioclass.h"
#include "options.h"
#include "progress.h"
#include "rotation.h"
#include "transfer/filter.h"

#include <errno.h>
#include <stdio.h>

struct run {
        const struct options *options;
        struct report *report;
        struct filter *filter;
        struct progress *progress;
        struct destination *destination;
        struct destination_config config;
        struct rotation_result rotated;
        bool is_absent; /* the destination is not plugged in: nothing is to be done */
        double started;
};

/* ---- what is told at the end of each step ---- */

/* "3 new, 1 deleted": what there was of each. */
static void describe_changes(const struct report *report, struct buf *text)
{
        static const struct {
                enum report_count count;
                const char *name;
        } kinds[] = {
                { REPORT_NEW, "new" },       { REPORT_CHANGED, "changed" }, { REPORT_METADATA, "metadata only" },
                { REPORT_LINKED, "linked" }, { REPORT_DELETED, "deleted" },
        };
        char number[PROGRESS_TEXT_SIZE];
        uint64_t n;

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                n = report_get(report, kinds[i].count);
                if (n > 0)
                        (void)buf_printf(text, "%s%s %s", text->size ? ", " : "", progress_count(n, number),
                                         kinds[i].name);
        }
        if (text->size == 0)
                (void)buf_puts(text, "none");
        n = report_vanished_count(report);
        if (n > 0)
                (void)buf_printf(text, "; %s vanished meanwhile", progress_count(n, number));
        n = report_unsteady_count(report);
        if (n > 0)
                (void)buf_printf(text, "; %s kept changing", progress_count(n, number));
}

static void tell_transfer(const struct run *run, double seconds)
{
        _cleanup_(buf_deinit) struct buf changes = { .data = NULL };
        char entries[PROGRESS_TEXT_SIZE], size[PROGRESS_TEXT_SIZE], copied[PROGRESS_TEXT_SIZE],
                time[PROGRESS_TEXT_SIZE];

        describe_changes(run->report, &changes);
        log_info("transfer: %s entries, %s; %s %s in %s",
                 progress_count(report_get(run->report, REPORT_ENTRIES), entries),
                 progress_bytes(report_get(run->report, REPORT_BYTES), size),
                 progress_bytes(report_get(run->report, REPORT_COPIED_BYTES), copied),
                 run->options->dry_run ? "to be copied, found out" : "copied", progress_duration(seconds, time));
        log_info("changes: %s", buf_text(&changes));
}

static void tell_rotation(const struct run *run, double seconds)
{
        char time[PROGRESS_TEXT_SIZE], removed[PROGRESS_TEXT_SIZE], preserved[PROGRESS_TEXT_SIZE];

        log_info("rotation: %s %s %s, %s preserved in %s", progress_count(run->rotated.removed, removed),
                 run->rotated.removed == 1 ? "snapshot" : "snapshots",
                 run->options->dry_run ? "would be removed" : "removed",
                 progress_count(run->rotated.preserved, preserved), progress_duration(seconds, time));
}

enum { ENTRIES_TEXT_SIZE = PROGRESS_TEXT_SIZE + 16 };

/* "1 entry", "1,234 entries". */
static const char *count_entries(uint64_t n, char out[ENTRIES_TEXT_SIZE])
{
        char number[PROGRESS_TEXT_SIZE];

        snprintf(out, ENTRIES_TEXT_SIZE, "%s %s", progress_count(n, number), n == 1 ? "entry" : "entries");
        return out;
}

/* The last line of a run. */
static void tell_end(const struct run *run)
{
        const char *what = run->options->dry_run ? "dry run" : run->options->backup ? "backup" : "run";
        char time[PROGRESS_TEXT_SIZE], items[ENTRIES_TEXT_SIZE];

        progress_duration(progress_now() - run->started, time);
        if (stop_signal() != 0)
                log_error("%s ended by signal %s after %s", what, sigabbrev_np(stop_signal()), time);
        else if (report_has_failed(run->report))
                log_error("%s failed after %s", what, time);
        else if (run->is_absent)
                log_info("nothing was done");
        else if (report_items(run->report) > 0)
                log_warning("%s done in %s, but incomplete: %s could not be read or stored in full", what, time,
                            count_entries(report_items(run->report), items));
        else if (report_is_partial(run->report))
                log_warning("%s done in %s, but incomplete: see the warnings above", what, time);
        else if (report_remains_count(run->report) > 0)
                log_warning("%s complete in %s, but %s could not be removed", what, time,
                            count_entries(report_remains_count(run->report), items));
        else
                log_info("%s complete in %s", what, time);
}

/* ---- steps ---- */

static int prepare_filter(struct run *run, struct err *err)
{
        const struct options *o = run->options;
        _cleanup_(freep) char *source = realpath(o->source, NULL);
        int r;

        if (!source && o->backup)
                return err_run(err, -errno, "read the source directory", o->source);
        r = filter_new(&run->filter, source ? source : o->source, err);
        for (size_t i = 0; i < o->exclude_count && r == 0; i++)
                r = filter_exclude(run->filter, o->excludes[i], err);
        return r == 0 ? filter_add_default_excludes(run->filter, err) : r;
}

static int do_transfer(struct run *run, struct err *err)
{
        double started = progress_now();
        int r = run->destination->ops->transfer(run->destination, err);

        if (r == 0)
                tell_transfer(run, progress_now() - started);
        return r;
}

static int do_snapshot(struct run *run, struct err *err)
{
        double started = progress_now();
        char count[PROGRESS_TEXT_SIZE], time[PROGRESS_TEXT_SIZE];
        int r = run->destination->ops->snapshot(run->destination, err);
        uint64_t entries = report_get(run->report, REPORT_SNAPSHOT);

        if (r < 0 || run->options->dry_run || !*run->destination->made)
                return r;
        progress_duration(progress_now() - started, time);
        /* Those that the filesystem makes are not counted. */
        if (entries > 0)
                log_info("snapshot: '%s', %s entries in %s", run->destination->made, progress_count(entries, count),
                         time);
        else
                log_info("snapshot: '%s', by the filesystem, in %s", run->destination->made, time);
        return 0;
}

static int do_rotate(struct run *run, struct err *err)
{
        double started = progress_now();
        int r = rotation_run(run->destination, run->options, run->report, &run->rotated, err);

        if (r == 0 && !run->rotated.refused)
                tell_rotation(run, progress_now() - started);
        return r;
}

static bool is_full(int r)
{
        return r == -ENOSPC || r == -EDQUOT;
}

/* Where nothing can be removed others rotate, which has been told. */
static bool rotates(const struct run *run)
{
        return run->options->rotate && !run->destination->keeps_all && !run->destination->transfers_only;
}

static bool snapshots(const struct run *run)
{
        return run->options->snapshot && !run->destination->transfers_only;
}

/* On a full disk what the scheme removes anyway is removed first, and the step is done again. */
static int with_room(struct run *run, int (*step)(struct run *, struct err *), struct err *err)
{
        int r = step(run, err);

        if (!is_full(r) || !rotates(run) || run->options->dry_run)
                return r;
        log_warning("%s: removing first what the rotation scheme does not preserve", err->text);
        err_drop(err, "tried again after making room");
        r = do_rotate(run, err);
        if (r < 0)
                return r;
        if (run->rotated.removed == 0)
                return err_runf(err, -ENOSPC, "the destination is full, and the scheme would remove no snapshot");
        return step(run, err);
}

static int prepare_destination(struct run *run, struct err *err)
{
        int r = run->destination->ops->prepare(run->destination, err);

        if (r != DESTINATION_NO_AGENT)
                return r;
        r = run->destination->ops->release(run->destination, err);
        run->destination = destination_free(run->destination);
        if (r == 0)
                r = destination_rsync_new(&run->destination, &run->config, err);
        return r == 0 ? run->destination->ops->prepare(run->destination, err) : r;
}

static int do_steps(struct run *run, struct err *err)
{
        const struct options *o = run->options;
        int r;

        if (o->daemon == OPTIONS_DAEMON_FAILED)
                return err_runf(err, -EIO,
                                "the transfer to this rsync daemon failed (RSYNC_EXIT_STATUS %s): nothing is done",
                                getenv("RSYNC_EXIT_STATUS"));
        r = o->rotate ? rotation_check(run->destination, o, err) : 0;
        if (r == 0)
                r = prepare_destination(run, err);
        run->is_absent = r == DESTINATION_ABSENT;
        if (run->is_absent)
                return 0;
        if (r == 0 && o->rotate && run->destination->keeps_all)
                log_info("no snapshot can be removed over this connection: rotation is to be run on the server");
        if (r == 0 && o->daemon == OPTIONS_DAEMON_INCOMPLETE) {
                log_warning("the transfer to this rsync daemon was incomplete (RSYNC_EXIT_STATUS 23)");
                report_mark_partial(run->report);
        }
        if (r == 0 && o->backup)
                r = with_room(run, do_transfer, err);
        if (r == 0)
                r = stop_check(err);
        if (r == 0 && snapshots(run))
                r = with_room(run, do_snapshot, err);
        if (r == 0)
                r = stop_check(err);
        if (r == 0 && rotates(run))
                r = do_rotate(run, err);
        return r;
}

static int prepare(struct run *run, struct err *err)
{
        int r = ioclass_set(run->options->ionice, err);

        if (r == 0)
                r = prepare_filter(run, err);
        if (r == 0 && progress_new(&run->progress, run->report) < 0)
                r = err_oom(err);
        if (r < 0)
                return r;
        run->config = (struct destination_config){
                .options = run->options, .filter = run->filter, .report = run->report, .progress = run->progress
        };
        if (options_rsync_serves(run->options))
                return destination_rsync_new(&run->destination, &run->config, err);
        if (run->options->destination.kind == LOCATION_SSH)
                return destination_agent_new(&run->destination, &run->config, err);
        return destination_local_new(&run->destination, &run->config, err);
}

static void fail(struct run *run, struct err *err)
{
        if (is_full(err->code) && run->destination && !stop_requested())
                run->destination->ops->explain_full(run->destination, err);
        report_failure(run->report, err);
}

void run(const struct options *o, struct report *report)
{
        struct run run = { .options = o, .report = report, .started = progress_now() };
        ERR_LOCAL(err);
        int r = prepare(&run, &err);

        if (r == 0 && run.destination)
                r = do_steps(&run, &err);
        if (r < 0)
                fail(&run, &err);
        if (run.destination && run.destination->ops->release(run.destination, &err) < 0)
                fail(&run, &err);
        /* What was asked for in a wrong way was not begun. */
        if (!report_is_refused(report))
                tell_end(&run);
        destination_free(run.destination);
        progress_free(run.progress);
        filter_free(run.filter);
}
