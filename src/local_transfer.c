/*
 * The state says "running" from before `latest` is first changed until all of it is known to be on the disk; then the
 * reference time moves. Both are bound to what they are true for: machine, source, rules, privileges.
 */
#include "local.h"

#include "base/entry.h"
#include "base/err.h"
#include "base/log.h"
#include "base/report.h"
#include "options.h"
#include "progress.h"
#include "transfer/filter.h"
#include "transfer/source.h"
#include "transfer/update.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

/* Clocks of the machine and of the filesystem may differ by the length of a tick, and more over a network. */
enum { CLOCK_SLACK_SECONDS = 5 };

static uint64_t digest(const char *text)
{
        uint64_t h = 0xcbf29ce484222325ULL; /* FNV-1a */

        for (; *text; text++)
                h = (h ^ (unsigned char)*text) * 0x100000001b3ULL;
        return h;
}

/* What a reference time is bound to. */
struct binding {
        char machine[IDENTITY_SIZE];
        char source_filesystem[IDENTITY_SIZE];
        char rules[20];
        bool privileged;
};

static void find_binding(const struct local *l, const struct source *source, struct binding *ret)
{
        bool multi_fs = l->d.config->options->multi_fs;
        uint64_t rules = digest(filter_text(l->d.config->filter)) + multi_fs;

        identity_machine(ret->machine);
        identity_filesystem(source_root_fd(source), ret->source_filesystem);
        snprintf(ret->rules, sizeof(ret->rules), "%016" PRIx64, rules);
        ret->privileged = l->limits.privileged;
}

static bool same(const char *recorded, const char *now)
{
        return str_equal(recorded ? recorded : "", now);
}

/* A clock that was put back makes every reference from before worthless. */
static bool reference_holds(const struct local *l, const struct binding *b, struct timespec now)
{
        const struct state *s = &l->place.state;

        return s->has_reference && timespec_compare(s->reference, now) < 0 && same(s->machine, b->machine) &&
               same(s->source, l->d.config->options->source) && same(s->source_filesystem, b->source_filesystem) &&
               same(s->latest, l->place.latest) && same(s->rules, b->rules) && s->privileged == b->privileged;
}

static int bind_reference(struct local *l, const struct binding *b)
{
        struct state *s = &l->place.state;

        s->privileged = b->privileged;
        if (state_set(&s->machine, b->machine) < 0 || state_set(&s->source, l->d.config->options->source) < 0 ||
            state_set(&s->source_filesystem, b->source_filesystem[0] ? b->source_filesystem : NULL) < 0 ||
            state_set(&s->latest, l->place.latest) < 0 || state_set(&s->rules, b->rules) < 0)
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

        /* From now on the parent is this destination's, even if the first transfer is cut off. */
        if (!same(s->latest, l->place.latest)) {
                s->has_reference = false;
                if (state_set(&s->latest, l->place.latest) < 0)
                        return err_oom(err);
        }
        /* What an earlier run may have written half is suspect until a transfer is complete. */
        if (!s->running)
                s->running_since = earlier(destination_now(l, now));
        s->running = true;
        return local_save_state(l, err);
}

static int record_end(struct local *l, const struct binding *b, struct timespec now, struct err *err)
{
        const struct report *report = l->d.config->report;
        struct state *s = &l->place.state;

        if (bind_reference(l, b) < 0)
                return err_oom(err);
        s->running = false;
        s->has_reference = true;
        s->reference = earlier(now);
        s->partial = report_is_partial(report);
        s->entries = report_get(report, REPORT_ENTRIES);
        s->bytes = report_get(report, REPORT_BYTES);
        return local_save_state(l, err);
}

static int open_source(struct local *l, struct source **ret, struct err *err)
{
        const struct options *o = l->d.config->options;
        _cleanup_(freep) struct source_avoid *avoid = NULL;
        size_t count;
        int r = local_place_avoid(&l->place, &avoid, &count, err);

        if (r < 0)
                return r;
        return source_new(ret,
                          &(struct source_config){ .path = o->source,
                                                   .filter = l->d.config->filter,
                                                   .multi_fs = o->multi_fs,
                                                   .avoid = avoid,
                                                   .avoid_count = count,
                                                   .report = l->d.config->report },
                          err);
}

static int update(struct local *l, const struct source *source, const struct binding *b, struct timespec now,
                  struct err *err)
{
        const struct state *s = &l->place.state;
        const struct update_config config = {
                .source = source,
                .to_fd = l->place.latest_fd,
                .to_is_new = l->place.latest_is_new,
                .limits = &l->limits,
                .report = l->d.config->report,
                .dry_run = l->d.config->options->dry_run,
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
        report_lacks(l->d.config->report);
        return r;
}

int local_transfer(struct destination *d, struct err *err)
{
        struct local *l = local_of(d);
        bool dry_run = l->d.config->options->dry_run;
        _cleanup_(source_freep) struct source *source = NULL;
        struct binding binding;
        struct timespec now;
        int r = open_source(l, &source, err);

        if (r == 0)
                r = local_find_limits(l, err);
        if (r < 0)
                return r;
        clock_gettime(CLOCK_REALTIME, &now);
        find_binding(l, source, &binding);
        if (l->was_running)
                log_info("the last transfer was cut off: what it may have written is compared by content");
        if (dry_run)
                return update(l, source, &binding, now, err);
        r = record_start(l, now, err);
        if (r == 0)
                r = update(l, source, &binding, now, err);
        if (r == 0)
                r = local_sync(l, err);
        return r < 0 ? r : record_end(l, &binding, now, err);
}
