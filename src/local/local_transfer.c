/* The source is a directory of this machine. */
#include "local/local.h"

#include "base/err.h"
#include "base/report.h"
#include "local/local_checks.h"
#include "options/options.h"
#include "origin.h"
#include "progress.h"
#include "transfer/update.h"

static int open_origin(struct origin *ret, struct local *l, struct report *report, struct err *err)
{
        int r = local_place_avoid(&l->place, &ret->avoid, err);

        return r < 0 ? r : origin_open(ret, l->d.config, report, err);
}

static struct local_origin known_by(const struct local *l, const struct origin *o)
{
        return (struct local_origin){ .machine = o->machine,
                                      .path = l->d.config->options->source,
                                      .filesystem = o->filesystem,
                                      .now = o->now,
                                      .boot = o->boot,
                                      .uptime = o->uptime };
}

static int update(struct local *l, const struct origin *o, bool dry_run, struct report *report, struct err *err)
{
        const struct state *s = &l->place.state;
        const struct local_origin known = known_by(l, o);
        struct timespec reference = { .tv_sec = 0 };
        bool has_reference = local_record_finds(l, &known, &reference);
        const struct update_config config = {
                .source = o->source,
                .to_fd = l->place.latest_fd,
                .to_is_new = l->place.latest_is_new,
                .limits = &l->limits,
                .report = report,
                .dry_run = dry_run,
                .has_reference = has_reference,
                .reference = reference,
                .has_suspect = l->was_running, /* what this run itself writes is known to be right */
                .suspect = s->running_since,
                .tick = progress_tick,
                .tick_context = l->d.config->progress,
        };
        int r;

        progress_begin(l->d.config->progress, PROGRESS_TRANSFER, s->entries);
        r = update_run(&config, err);
        progress_end(l->d.config->progress);
        return r;
}

int local_imagine_transfer(struct local *l, struct report *report, struct err *err)
{
        _cleanup_(origin_close) struct origin origin = ORIGIN_NONE;
        int r = open_origin(&origin, l, report, err);

        if (r == 0)
                r = local_find_limits(l, err);
        return r < 0 ? r : update(l, &origin, true, report, err);
}

int local_transfer(struct destination *d, struct err *err)
{
        struct local *l = local_of(d);
        struct report *report = l->d.config->report;
        bool dry_run = l->d.config->options->dry_run;
        _cleanup_(origin_close) struct origin origin = ORIGIN_NONE;
        struct local_origin known;
        int r = local_await_room(l, err);

        if (r == 0)
                r = open_origin(&origin, l, report, err);
        known = known_by(l, &origin);
        /* Looked at once already, but what was swept or removed since may have taken hours. */
        if (r == 0)
                r = local_check_source(&l->place, l->d.config, source_root_fd(origin.source), err);
        if (r == 0)
                r = local_record_begin(l, &known, dry_run, err);
        if (r < 0)
                return r;
        r = update(l, &origin, dry_run, report, err);
        report_lacks(report);
        return r < 0 || dry_run ? r : local_record_end(l, &known, err);
}
