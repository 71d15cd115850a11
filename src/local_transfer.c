/*
 * The state says "running" from before `latest` is first changed until all of it is known to be on the disk; then the
 * reference time moves. It is bound to what it is true for: machine, source, name of `latest`.
 */
#include "local.h"

#include "base/entry.h"
#include "base/err.h"
#include "base/log.h"
#include "base/report.h"
#include "local_checks.h"
#include "options.h"
#include "progress.h"
#include "transfer/source.h"
#include "transfer/update.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>

/* Clocks of the machine and of the filesystem may differ by the length of a tick, and more over a network. */
enum { CLOCK_SLACK_SECONDS = 5 };

/* What a reference time is bound to. */
struct binding {
        char machine[IDENTITY_SIZE];
        char source_filesystem[IDENTITY_SIZE];
};

static void find_binding(const struct source *source, struct binding *ret)
{
        identity_machine(ret->machine);
        identity_filesystem(source_root_fd(source), ret->source_filesystem);
}

static bool same(const char *recorded, const char *now)
{
        return str_equal(recorded ? recorded : "", now);
}

/*
 * A clock that was put back makes every reference from before worthless. Other filters or privileges do not: what they
 * let in that was not there is new in `latest`, and what is there was equal to the source at the time of reference.
 */
static bool reference_holds(const struct local *l, const struct binding *b, struct timespec now)
{
        const struct state *s = &l->place.state;

        return s->has_reference && timespec_compare(s->reference, now) < 0 && same(s->machine, b->machine) &&
               same(s->source, l->d.config->options->source) && same(s->source_filesystem, b->source_filesystem) &&
               same(s->latest, l->place.latest);
}

static int bind_reference(struct local *l, const struct binding *b)
{
        struct state *s = &l->place.state;

        if (state_set(&s->machine, b->machine) < 0 || state_set(&s->source, l->d.config->options->source) < 0 ||
            state_set(&s->source_filesystem, b->source_filesystem[0] ? b->source_filesystem : NULL) < 0 ||
            state_set(&s->latest, l->place.latest) < 0)
                return -ENOMEM;
        return 0;
}

static struct timespec earlier(struct timespec t)
{
        t.tv_sec -= CLOCK_SLACK_SECONDS;
        return t;
}

/* Now, by the machine's clock or by the one of the destination's filesystem, whichever is behind. */
static struct timespec destination_now(const struct local *l, struct timespec now)
{
        struct stat st;

        if (l->place.lock < 0 || futimens(l->place.lock, NULL) < 0 || fstat(l->place.lock, &st) < 0)
                return now;
        return timespec_compare(st.st_mtim, now) < 0 ? st.st_mtim : now;
}

static int record_start(struct local *l, struct timespec now, struct err *err)
{
        struct state *s = &l->place.state;
        struct timespec started;

        /* From now on the parent is this destination's, even if the first transfer is cut off. */
        if (!same(s->latest, l->place.latest)) {
                s->has_reference = false;
                if (state_set(&s->latest, l->place.latest) < 0)
                        return err_oom(err);
        }
        /*
         * What an earlier run may have written half is suspect until a transfer is complete. Should its clock have been
         * ahead, so is what this one writes.
         */
        started = earlier(destination_now(l, now));
        if (!s->running || timespec_compare(s->running_since, started) > 0)
                s->running_since = started;
        s->running = true;
        return local_save_state(l, err);
}

/*
 * What is in `latest` and could not be compared is as old as before, so a reference that held stays where it is: else a
 * change of such a file that hides behind its old mtime would never be found. And what a run that was cut off may have
 * written half stays suspect.
 */
static int record_end(struct local *l, const struct binding *b, struct timespec now, struct err *err)
{
        const struct report *report = l->d.config->report;
        struct state *s = &l->place.state;
        bool unsettled = report_get(report, REPORT_UNSETTLED) > 0;
        bool stays = unsettled && reference_holds(l, b, now);

        if (bind_reference(l, b) < 0)
                return err_oom(err);
        s->running = unsettled && l->was_running;
        s->has_reference = true;
        if (!stays)
                s->reference = earlier(now);
        s->partial = report_is_partial(report);
        s->entries = report_get(report, REPORT_ENTRIES);
        s->bytes = report_get(report, REPORT_BYTES);
        return local_save_state(l, err);
}

/* The source borrows @avoid, which is filled. */
static int open_source(struct local *l, struct source **ret, struct source_avoid *avoid, struct report *report,
                       struct err *err)
{
        const struct options *o = l->d.config->options;
        int r = local_place_avoid(&l->place, avoid, err);

        if (r < 0)
                return r;
        return source_new(ret,
                          &(struct source_config){ .path = o->source,
                                                   .filter = l->d.config->filter,
                                                   .multi_fs = o->multi_fs,
                                                   .avoid = avoid,
                                                   .report = report },
                          err);
}

static int update(struct local *l, const struct source *source, const struct binding *b, struct timespec now,
                  bool dry_run, struct report *report, struct err *err)
{
        const struct state *s = &l->place.state;
        const struct update_config config = {
                .source = source,
                .to_fd = l->place.latest_fd,
                .to_is_new = l->place.latest_is_new,
                .limits = &l->limits,
                .report = report,
                .dry_run = dry_run,
                .has_reference = reference_holds(l, b, now),
                .reference = s->reference,
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
        _cleanup_(source_avoid_deinit) struct source_avoid avoid = { .parent_fd = -1 };
        _cleanup_(source_freep) struct source *source = NULL;
        struct binding binding;
        struct timespec now;
        int r = open_source(l, &source, &avoid, report, err);

        if (r == 0)
                r = local_find_limits(l, err);
        if (r < 0)
                return r;
        clock_gettime(CLOCK_REALTIME, &now);
        find_binding(source, &binding);
        return update(l, source, &binding, now, true, report, err);
}

int local_transfer(struct destination *d, struct err *err)
{
        struct local *l = local_of(d);
        struct report *report = l->d.config->report;
        bool dry_run = l->d.config->options->dry_run;
        _cleanup_(source_avoid_deinit) struct source_avoid avoid = { .parent_fd = -1 };
        _cleanup_(source_freep) struct source *source = NULL;
        struct binding binding;
        struct timespec now;
        int r = local_await_room(l, err);

        if (r == 0)
                r = open_source(l, &source, &avoid, report, err);
        /* Looked at once already, but what was swept or removed since may have taken hours. */
        if (r == 0)
                r = local_check_source(&l->place, l->d.config->options, source_root_fd(source), err);
        if (r == 0)
                r = local_find_limits(l, err);
        if (r < 0)
                return r;
        clock_gettime(CLOCK_REALTIME, &now);
        find_binding(source, &binding);
        if (l->was_running)
                log_info("the last transfer was cut off: what it may have written is compared by content");
        local_tell_room(l);
        r = dry_run ? 0 : record_start(l, now, err);
        if (r < 0)
                return r;
        r = update(l, source, &binding, now, dry_run, report, err);
        report_lacks(report);
        if (r < 0 || dry_run)
                return r;
        r = local_sync(l, err);
        /* Nobody knows what of it arrived: should this be tried again, all of it must be compared. */
        if (r < 0)
                l->was_running = true;
        return r < 0 ? r : record_end(l, &binding, now, err);
}
