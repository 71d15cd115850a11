/*
 * A directory on this machine.
 *
 * `latest` is the working tree, snapshots are the product. The state says "running" from before `latest` is first
 * changed until all of it is known to be on the disk. A snapshot is built under a name of its own, recorded, made
 * durable, and only then renamed; one that goes leaves its name first.
 */
#include "destination.h"

#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/report.h"
#include "base/stop.h"
#include "local_checks.h"
#include "local_place.h"
#include "options.h"
#include "progress.h"
#include "rotate/calendar.h"
#include "rotate/names.h"
#include "rotate/remove.h"
#include "rotate/snapshot.h"
#include "transfer/filter.h"
#include "transfer/limits.h"
#include "transfer/source.h"
#include "transfer/update.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

/* Clocks of the machine and of the filesystem may differ by the length of a tick, and more over a network. */
enum { CLOCK_SLACK_SECONDS = 5 };

struct local {
        struct destination d; /* first */
        struct local_place place;
        struct limits limits;
        bool limits_known;
        bool state_changed;
};

static struct local *self(struct destination *d)
{
        return (struct local *)d;
}

static const struct options *options_of(const struct local *l)
{
        return l->d.config->options;
}

static int save_state(struct local *l, struct err *err)
{
        int r = state_save(&l->place.state, l->place.state_fd, err);

        l->state_changed = l->state_changed && r < 0;
        return r;
}

/* By trying, once a run. */
static int find_limits(struct local *l, struct err *err)
{
        const struct options *o = options_of(l);
        int dirfd = l->place.state_fd >= 0 ? l->place.state_fd : l->place.parent_fd;
        int r;

        if (l->limits_known)
                return 0;
        r = limits_probe(&l->limits, dirfd, !o->dry_run, o->no_sudo, err);
        l->limits_known = r == 0;
        if (r == 0 && l->limits.granularity_ns > 1000)
                log_info("the destination keeps times to %u microseconds, they are compared like that",
                         l->limits.granularity_ns / 1000);
        return r;
}

/* All that was written through any descriptor of the filesystem is on the disk, or its error is told. */
static int sync_filesystem(struct local *l, struct err *err)
{
        int r;

        progress_begin(l->d.config->progress, PROGRESS_SYNC, 0);
        r = syncfs(l->place.parent_fd) < 0 ? -errno : 0;
        progress_end(l->d.config->progress);
        return r < 0 ? err_run(err, r, "write everything to the disk of", l->place.parent) : 0;
}

/* ---- prepare ---- */

static int remove_name(struct local *l, const char *name, const char *shown, struct err *err)
{
        struct remove_config config = {
                .parent_fd = l->place.parent_fd,
                .name = name,
                .shown = shown,
                .privileged = l->limits.privileged,
                .report = l->d.config->report,
                .tick = progress_tick,
                .tick_context = l->d.config->progress,
        };
        int r;

        progress_begin(l->d.config->progress, PROGRESS_REMOVE, 0);
        r = remove_tree(&config, err);
        progress_end(l->d.config->progress);
        return r;
}

/* What runs that were cut off left behind. */
static int sweep(struct local *l, struct err *err)
{
        char **names;
        size_t count;
        int r = local_place_leftovers(&l->place, &names, &count, err);

        if (r < 0)
                return r;
        for (size_t i = 0; i < count; i++) {
                if (r == 0) {
                        log_info("removing '%s', left behind by a run that was cut off", names[i]);
                        r = remove_name(l, names[i], names[i], err);
                }
                free(names[i]);
        }
        free(names);
        return r;
}

/* A record is made before the snapshot has its name; a run that was cut off in between leaves one of nothing. */
static void drop_stale_outcomes(struct local *l)
{
        struct state *s = &l->place.state;
        struct entry e;

        for (size_t i = s->outcome_count; i-- > 0;) {
                if (entry_stat(&e, l->place.parent_fd, s->outcomes[i].name) == -ENOENT)
                        state_drop_outcome(s, s->outcomes[i].name);
        }
}

static int remember_disk(struct local *l, struct err *err)
{
        struct local_place *p = &l->place;
        ERR_LOCAL(minor);

        if (!p->filesystem[0])
                return 0;
        if (state_add_filesystem(&p->state, p->filesystem) < 0)
                return err_oom(err);
        if (identity_remember(p->path, p->filesystem, &minor) < 0)
                report_warning(l->d.config->report, &minor);
        return 0;
}

static int local_prepare(struct destination *d, struct err *err)
{
        struct local *l = self(d);
        const struct options *o = options_of(l);
        int r = local_place_open(&l->place, o->destination.path, o->dry_run, err);

        d->parent = l->place.parent;
        if (r == 0)
                r = local_checks(&l->place, o, err);
        if (r < 0 || o->dry_run)
                return r;
        r = local_place_create(&l->place, o->backup, err);
        if (r == 0)
                r = find_limits(l, err);
        if (r == 0)
                r = remember_disk(l, err);
        if (r == 0)
                r = sweep(l, err);
        if (r == 0)
                drop_stale_outcomes(l);
        return r;
}

/* ---- transfer ---- */

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
        bool multi_fs = options_of(l)->multi_fs;
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
               same(s->source, options_of(l)->source) && same(s->source_filesystem, b->source_filesystem) &&
               same(s->latest, l->place.latest) && same(s->rules, b->rules) && s->privileged == b->privileged;
}

static int bind_reference(struct local *l, const struct binding *b)
{
        struct state *s = &l->place.state;

        s->privileged = b->privileged;
        if (state_set(&s->machine, b->machine) < 0 || state_set(&s->source, options_of(l)->source) < 0 ||
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

        /* What an earlier run may have written half is suspect until a transfer is complete. */
        if (!s->running)
                s->running_since = earlier(destination_now(l, now));
        s->running = true;
        return save_state(l, err);
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
        return save_state(l, err);
}

static int open_source(struct local *l, struct source **ret, struct err *err)
{
        const struct options *o = options_of(l);
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
                .limits = &l->limits,
                .report = l->d.config->report,
                .dry_run = options_of(l)->dry_run,
                .has_reference = reference_holds(l, b, now),
                .reference = s->reference,
                .has_suspect = s->running,
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

static int local_transfer(struct destination *d, struct err *err)
{
        struct local *l = self(d);
        bool dry_run = options_of(l)->dry_run;
        _cleanup_(source_freep) struct source *source = NULL;
        struct binding binding;
        struct timespec now;
        int r = open_source(l, &source, err);

        if (r == 0)
                r = find_limits(l, err);
        if (r < 0)
                return r;
        clock_gettime(CLOCK_REALTIME, &now);
        find_binding(l, source, &binding);
        if (l->place.state.running)
                log_info("the last transfer was cut off: what it may have written is compared by content");
        if (dry_run)
                return update(l, source, &binding, now, err);
        /* Held from before: once the state says "running", all that is older keeps being trusted as it was. */
        bool was_running = l->place.state.running;

        r = record_start(l, now, err);
        if (r < 0)
                return r;
        l->place.state.running = was_running;
        r = update(l, source, &binding, now, err);
        l->place.state.running = true;
        if (r == 0)
                r = sync_filesystem(l, err);
        return r < 0 ? r : record_end(l, &binding, now, err);
}

/* ---- snapshot ---- */

static int rename_new(int dirfd, const char *from, const char *to)
{
        if (renameat2(dirfd, from, dirfd, to, RENAME_NOREPLACE) == 0)
                return 0;
        if (errno != EINVAL && errno != ENOSYS)
                return -errno;
        /* Without the flag: a directory is only ever renamed over an empty one. */
        return renameat(dirfd, from, dirfd, to) < 0 ? -errno : 0;
}

/* Leave the name first: from then on it is no snapshot any more, whatever happens. Return 0 or -errno. */
static int move_to_trash(struct local *l, const char *name, char *trash, size_t size)
{
        int r;

        for (unsigned i = 1;; i++) {
                snprintf(trash, size, LOCAL_PLACE_TRASH "%u", i);
                r = rename_new(l->place.parent_fd, name, trash);
                if (r != -EEXIST && r != -ENOTEMPTY)
                        return r;
        }
}

/* The moment as a name that is free. Two runs within one second: the second waits for the next one. */
static int find_name(struct local *l, char name[NAMES_SIZE], struct err *err)
{
        for (;;) {
                const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };
                struct entry e;
                int64_t now;
                int r;

                if (!calendar_local(time(NULL), &now))
                        return err_runf(err, -ERANGE, "the clock shows a date that no snapshot can be named by");
                r = entry_stat(&e, l->place.parent_fd, names_format(now, name));
                if (r == -ENOENT || l->place.parent_fd < 0)
                        return 0;
                if (r < 0)
                        return err_run_at(err, r, "look for", l->place.parent, name);
                r = stop_check(err);
                if (r < 0)
                        return r;
                nanosleep(&pause, NULL);
        }
}

/* One that could not be removed when the run began must not keep all later snapshots from being made. */
static int make_new(struct local *l)
{
        char trash[64];
        int r = mkdirat(l->place.parent_fd, LOCAL_PLACE_NEW, 0700) < 0 ? -errno : 0;

        if (r != -EEXIST)
                return r;
        r = move_to_trash(l, LOCAL_PLACE_NEW, trash, sizeof(trash));
        return r < 0 ? r : mkdirat(l->place.parent_fd, LOCAL_PLACE_NEW, 0700) < 0 ? -errno : 0;
}

static int build(struct local *l, struct err *err)
{
        _cleanup_(fd_closep) int fd = -1;
        struct snapshot_config config = {
                .from_fd = l->place.latest_fd,
                .privileged = l->limits.privileged,
                .report = l->d.config->report,
                .tick = progress_tick,
                .tick_context = l->d.config->progress,
        };
        int r = make_new(l);

        if (r < 0)
                return err_run_at(err, r, "create directory", l->place.parent, LOCAL_PLACE_NEW);
        config.to_fd = fd = fd_open_at(l->place.parent_fd, LOCAL_PLACE_NEW, O_DIRECTORY);
        if (fd < 0)
                return err_run_at(err, fd, "open directory", l->place.parent, LOCAL_PLACE_NEW);
        progress_begin(l->d.config->progress, PROGRESS_SNAPSHOT, l->place.state.entries);
        r = snapshot_clone(&config, err);
        progress_end(l->d.config->progress);
        return r;
}

/* Record its outcome, have all of it on the disk, and give it its name. */
static int commit(struct local *l, const char *name, struct err *err)
{
        struct local_place *p = &l->place;
        bool complete = !report_is_partial(l->d.config->report) && !p->state.running && !p->state.partial &&
                        options_of(l)->daemon != OPTIONS_DAEMON_INCOMPLETE;
        int r;

        if (state_add_outcome(&p->state, name, complete) < 0)
                return err_oom(err);
        r = save_state(l, err);
        if (r == 0)
                r = sync_filesystem(l, err);
        if (r == 0)
                r = stop_check(err);
        if (r < 0)
                return r;
        r = rename_new(p->parent_fd, LOCAL_PLACE_NEW, name);
        if (r == 0 && fsync(p->parent_fd) < 0)
                r = -errno;
        return r < 0 ? err_run_at(err, r, "commit the snapshot", p->parent, name) : 0;
}

static int local_snapshot(struct destination *d, struct err *err)
{
        struct local *l = self(d);
        char name[NAMES_SIZE];
        int r = find_name(l, name, err);

        if (r == 0 && !options_of(l)->dry_run) {
                r = build(l, err);
                if (r == 0)
                        r = commit(l, name, err);
        }
        if (r < 0)
                return r;
        snprintf(d->made, sizeof(d->made), "%s", name);
        report_change_for(l->d.config->report, REPORT_VERB_SNAPSHOT, name, NULL);
        return 0;
}

/* ---- snapshots that exist ---- */

/* The snapshot that a dry run would have made takes part in what it would do next. */
static int add_imagined(struct destination_snapshots *list, const char *name, struct err *err)
{
        struct destination_snapshot s = { .complete = true, .own = true };
        struct destination_snapshot *items = reallocarray(list->items, list->count + 1, sizeof(*items));

        if (items)
                list->items = items;
        s.name = items && names_parse(name, &s.time) ? strdup(name) : NULL;
        if (!s.name) {
                destination_snapshots_deinit(list);
                return err_oom(err);
        }
        items[list->count++] = s;
        return 0;
}

static int local_list(struct destination *d, struct destination_snapshots *ret, struct err *err)
{
        struct local *l = self(d);
        int r = local_place_snapshots(&l->place, ret, err);

        for (size_t i = 0; r == 0 && i < ret->count; i++)
                ret->items[i].own = str_equal(ret->items[i].name, d->made);
        if (r == 0 && options_of(l)->dry_run && d->made[0])
                r = add_imagined(ret, d->made, err);
        return r;
}

static int local_remove(struct destination *d, const char *name, struct err *err)
{
        struct local *l = self(d);
        char trash[64];
        int r = move_to_trash(l, name, trash, sizeof(trash));

        if (r < 0)
                return err_destination_at(err, r, "remove the snapshot", l->place.parent, name);
        state_drop_outcome(&l->place.state, name);
        l->state_changed = true;
        return remove_name(l, trash, name, err);
}

/* ---- release ---- */

static int local_release(struct destination *d, struct err *err)
{
        struct local *l = self(d);
        int r = 0;

        if (l->state_changed && l->place.state_fd >= 0 && !options_of(l)->dry_run)
                r = save_state(l, err);
        local_place_deinit(&l->place);
        d->parent = NULL;
        return r;
}

static struct destination *local_free(struct destination *d)
{
        struct local *l = self(d);

        local_place_deinit(&l->place);
        free(l);
        return NULL;
}

int destination_local_new(struct destination **ret, const struct destination_config *config, struct err *err)
{
        static const struct destination_ops ops = {
                .prepare = local_prepare,
                .transfer = local_transfer,
                .snapshot = local_snapshot,
                .list = local_list,
                .remove = local_remove,
                .release = local_release,
                .free = local_free,
        };
        struct local *l = calloc(1, sizeof(*l));

        if (!l)
                return err_oom(err);
        l->d = (struct destination){ .ops = &ops, .config = config };
        local_place_init(&l->place);
        *ret = &l->d;
        return 0;
}
