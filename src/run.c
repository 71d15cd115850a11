/*
 * The steps (SPEC: lock, unlock and mount; look; transfer; snapshot; rotate; undo), whose first half is the business of
 * the destination:
 *
 *      prepare -> transfer -> snapshot -> rotate -> release
 *
 * release comes whatever happens before. An error ends the steps; a stop request does too, as an error.
 */
#include "run.h"

#include "base/err.h"
#include "base/log.h"
#include "base/path.h"
#include "base/report.h"
#include "base/stop.h"
#include "destination.h"
#include "ioclass.h"
#include "options/options.h"
#include "outcome/outcome.h"
#include "outcome/publish.h"
#include "outcome/summary.h"
#include "progress.h"
#include "rotation.h"
#include "surroundings.h"
#include "survey/list.h"
#include "transfer/filter/filter.h"

#include <errno.h>
#include <stdio.h>

struct run {
        const struct options *options;
        struct report *report;
        struct filter *filter;
        struct progress *progress;
        struct destination *destination;
        struct destination_config config;
        struct outcome *outcome;
        struct surroundings *surroundings;
};

/* ---- steps ---- */

typedef int step_function(struct run *run, struct err *err);

/* Do @step and keep how long that took; of one that is done twice it is the sum. */
static int timed(struct run *run, enum outcome_step which, step_function *step, struct err *err)
{
        double began = progress_now();
        int r;

        if (run->surroundings)
                surroundings_step(run->surroundings, which);

        run->outcome->started[which] = true;
        r = step(run, err);
        run->outcome->seconds[which] += progress_now() - began;
        run->outcome->done[which] = r >= 0;
        return r;
}

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

static int transfer(struct run *run, struct err *err)
{
        return run->destination->ops->transfer(run->destination, err);
}

static int do_transfer(struct run *run, struct err *err)
{
        int r = timed(run, OUTCOME_TRANSFER, transfer, err);

        if (r == 0)
                summary_transfer(run->outcome);
        return r;
}

static int snapshot(struct run *run, struct err *err)
{
        return run->destination->ops->snapshot(run->destination, err);
}

static int do_snapshot(struct run *run, struct err *err)
{
        int r = timed(run, OUTCOME_SNAPSHOT, snapshot, err);

        if (r < 0 || run->options->dry_run || !*run->destination->made)
                return r;
        snprintf(run->outcome->snapshot, sizeof(run->outcome->snapshot), "%s", run->destination->made);
        summary_snapshot(run->outcome);
        return 0;
}

static int rotate(struct run *run, struct err *err)
{
        return rotation_run(run->destination, run->outcome, run->report, err);
}

static int do_rotate(struct run *run, struct err *err)
{
        int r = timed(run, OUTCOME_ROTATION, rotate, err);

        if (r == 0)
                summary_rotation(run->outcome);
        return r < 0 ? r : 0;
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
static int with_room(struct run *run, step_function *step, struct err *err)
{
        size_t before = outcome_count(run->outcome, OUTCOME_REMOVED);
        int r = step(run, err), full = r;
        char why[ERR_TEXT_MAX];

        if (!err_is_full(r) || !rotates(run) || run->options->dry_run)
                return r;
        snprintf(why, sizeof(why), "%s", err->text);
        log_warning("%s: removing first what the rotation scheme does not preserve", why);
        err_drop(err, "tried again after making room");
        r = do_rotate(run, err);
        if (r < 0)
                return r;
        if (outcome_count(run->outcome, OUTCOME_REMOVED) == before)
                return err_runf(err, full, "%s, and rotation has removed no snapshot", why);
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

/* What can be said before anything is looked at. */
static int check(struct run *run, struct err *err)
{
        const struct options *o = run->options;

        if (o->daemon == OPTIONS_DAEMON_FAILED)
                return err_runf(err, -EIO,
                                "the transfer to this rsync daemon failed (RSYNC_EXIT_STATUS %s): nothing is done",
                                getenv("RSYNC_EXIT_STATUS"));
        return o->rotate || o->task == OPTIONS_LIST ? rotation_check(run->destination, o, err) : 0;
}

/* Which of the two it is has been told where the disk would be, be it on another machine. */
static int skip(struct run *run)
{
        char shown[OUTCOME_WHY_SIZE / 2];

        run->outcome->is_skipped = true;
        path_show(NULL, run->options->crypto, shown, sizeof(shown));
        snprintf(run->outcome->skipped, sizeof(run->outcome->skipped),
                 "the disk of '%s', or the one with its key, is not plugged in", shown);
        return 0;
}

/* From here on something may be changed. */
static void begin(struct run *run)
{
        const struct options *o = run->options;
        ERR_LOCAL(lack);

        publish_start(run->outcome);
        surroundings_start(run->surroundings);
        if (o->rotate && run->destination->keeps_all)
                log_info("no snapshot can be removed over this connection: rotation is to be run on the server");
        if (o->daemon == OPTIONS_DAEMON_INCOMPLETE) {
                err_runf(&lack, -EIO, "the transfer to this rsync daemon was incomplete (RSYNC_EXIT_STATUS 23)");
                report_lacking(run->report, &lack);
        }
}

static int do_steps(struct run *run, struct err *err)
{
        int r = check(run, err);

        if (r == 0)
                r = timed(run, OUTCOME_PREPARE, prepare_destination, err);
        if (r == DESTINATION_ABSENT)
                return skip(run);
        if (r == 0 && run->options->task == OPTIONS_LIST)
                return list_run(run->destination, run->options, err);
        if (r == 0)
                begin(run);
        if (r == 0 && run->options->backup)
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
        if (run->surroundings)
                surroundings_follow(run->surroundings, run->progress);
        run->config = (struct destination_config){
                .options = run->options, .filter = run->filter, .report = run->report, .progress = run->progress
        };
        if (options_rsync_serves(run->options))
                return destination_rsync_new(&run->destination, &run->config, err);
        if (run->options->destination.kind == LOCATION_SSH)
                return destination_agent_new(&run->destination, &run->config, err);
        return destination_local_new(&run->destination, &run->config, err);
}

/* A list writes nothing to the destination: what is full then is something else, as where its report goes. */
static void fail(struct run *run, struct err *err)
{
        bool is_list = run->options->task == OPTIONS_LIST;

        if (err_is_full(err->code) && run->destination && !is_list && !stop_requested())
                run->destination->ops->explain_full(run->destination, err);
        report_failure(run->report, err);
}

static int release(struct run *run, struct err *err)
{
        return run->destination->ops->release(run->destination, err);
}

void run(struct outcome *outcome, struct report *report, struct surroundings *surroundings)
{
        struct run run = {
                .options = outcome->options, .report = report, .outcome = outcome, .surroundings = surroundings
        };
        ERR_LOCAL(err);
        int r = prepare(&run, &err);
        if (r == 0 && run.destination)
                r = do_steps(&run, &err);
        if (r < 0)
                fail(&run, &err);
        if (run.destination && timed(&run, OUTCOME_RELEASE, release, &err) < 0)
                fail(&run, &err);
        destination_free(run.destination);
        progress_free(run.progress);
        filter_free(run.filter);
}
