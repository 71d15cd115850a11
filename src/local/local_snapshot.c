/*
 * A snapshot is built under a name of its own, its outcome is recorded, all is made durable, and only then it is
 * renamed to the name that makes it one. Where `latest` is a btrfs subvolume there is nothing to build: when its
 * outcome is recorded and all is durable, the filesystem makes the snapshot at once and whole.
 */
#include "local/local.h"

#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/report.h"
#include "base/stop.h"
#include "local/local_marks.h"
#include "options/options.h"
#include "progress.h"
#include "rotate/calendar.h"
#include "rotate/names.h"
#include "rotate/snapshot.h"
#include "rotate/subvolume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

/* The moment as a name that is free. Two runs within one second: the second waits for the next one. */
static int is_free(void *local, const char *name, struct err *err)
{
        const struct local *l = local;
        struct entry e;
        int r = l->place.parent_fd < 0 ? -ENOENT : entry_stat(&e, l->place.parent_fd, name);

        return r < 0 && r != -ENOENT ? err_run_at(err, r, "look for", l->place.parent, name) : r == -ENOENT;
}

/* One that could not be removed when the run began must not keep all later snapshots from being made. */
static int make_new(struct local *l)
{
        char trash[LOCAL_TRASH_SIZE];
        int r = mkdirat(l->place.parent_fd, LOCAL_PLACE_NEW, 0700) < 0 ? -errno : 0;

        if (r != -EEXIST)
                return r;
        r = local_trash(l, LOCAL_PLACE_NEW, trash);
        return r < 0 ? r : mkdirat(l->place.parent_fd, LOCAL_PLACE_NEW, 0700) < 0 ? -errno : 0;
}

static int build(struct local *l, struct err *err)
{
        _cleanup_(fd_closep) int fd = -1;
        struct report *report = l->d.config->report;
        struct snapshot_config config = {
                .from_fd = l->place.latest_fd,
                .privileged = l->limits.privileged,
                .without_temporaries =
                        (l->place.state.running && !l->d.config->options->backup) || report_has_leftovers(report),
                .report = report,
                .tick = progress_tick,
                .tick_context = l->d.config->progress,
        };
        struct entry made;
        int r = make_new(l);

        if (r < 0)
                return err_run_at(err, r, "create directory", l->place.parent, LOCAL_PLACE_NEW);
        config.to_fd = fd = fd_open_at(l->place.parent_fd, LOCAL_PLACE_NEW, O_DIRECTORY);
        r = fd < 0 ? fd : entry_stat_fd(&made, fd);
        /* Who may write in the parent could have exchanged it. */
        if (r == 0 && l->limits.owner && made.uid != l->limits.uid)
                r = -ESTALE;
        if (r < 0)
                return err_run_at(err, r, "open directory", l->place.parent, LOCAL_PLACE_NEW);
        progress_begin(l->d.config->progress, PROGRESS_SNAPSHOT, l->place.state.entries);
        r = snapshot_clone(&config, err);
        progress_end(l->d.config->progress);
        report_lacks(report);
        return r;
}

/* Before it gets its name: record its outcome, and have all of it on the disk. */
static int settle(struct local *l, const char *name, struct err *err)
{
        struct local_place *p = &l->place;
        bool complete = !report_is_partial(l->d.config->report) && !p->state.running && !p->state.partial &&
                        l->d.config->options->daemon != OPTIONS_DAEMON_INCOMPLETE;
        int r;

        if (state_add_outcome(&p->state, name, complete) < 0 ||
            (!p->state.latest && state_set(&p->state.latest, p->latest) < 0))
                return err_oom(err);
        r = local_marks_set(p, name, complete);
        if (r < 0)
                return err_run_at(err, r, "mark the snapshot", p->parent, name);
        r = local_save_state(l, err);
        if (r == 0)
                r = local_sync(l, err);
        return r == 0 ? stop_check(err) : r;
}

static int make_by_links(struct local *l, const char *name, struct err *err)
{
        int r = build(l, err);

        if (r == 0)
                r = settle(l, name, err);
        if (r < 0)
                return r;
        r = local_rename(l, LOCAL_PLACE_NEW, name);
        return r < 0 ? err_run_at(err, r, "commit the snapshot", l->place.parent, name) : 0;
}

/* Somebody's own, made by hand: the transfer does not enter it, and the snapshot shows an empty directory. */
static void tell_of_nested(const struct local *l, struct err *err)
{
        if (!subvolume_has_others(l->place.latest_fd))
                return;
        err_item(err, -EXDEV, "put into the snapshot the btrfs subvolumes inside of", l->place.path);
        err_hint(err, "'btrfs subvolume list -o' shows them, 'btrfs subvolume delete' removes them");
        report_item(l->d.config->report, err);
}

static int make_by_filesystem(struct local *l, const char *name, struct err *err)
{
        int r;

        tell_of_nested(l, err);
        r = settle(l, name, err);
        if (r < 0)
                return r;
        r = subvolume_snapshot(l->place.parent_fd, name, l->place.latest_fd);
        return r < 0 ? err_run_at(err, r, "make the btrfs snapshot", l->place.parent, name) : 0;
}

static int make(struct local *l, const char *name, struct err *err)
{
        int r = subvolume_is(l->place.latest_fd) ? make_by_filesystem(l, name, err) : make_by_links(l, name, err);

        if (r < 0)
                return r;
        r = fd_sync_directory(l->place.parent_fd);
        return r < 0 ? err_run_at(err, r, "commit the snapshot", l->place.parent, name) : 0;
}

/* On a full disk a snapshot that did not come about holds the room that the next attempt needs. */
static void give_back(struct local *l)
{
        ERR_LOCAL(err);

        if (local_discard(l, LOCAL_PLACE_NEW, LOCAL_PLACE_NEW, &err) < 0)
                err_drop(&err, "the full disk is the error, and the next run sweeps");
}

int local_snapshot(struct destination *d, struct err *err)
{
        struct local *l = local_of(d);
        char name[NAMES_SIZE];
        int r = local_await_room(l, err);

        if (r == 0)
                r = destination_name_snapshot(name, is_free, l, err);
        if (r == 0 && !l->d.config->options->dry_run) {
                r = make(l, name, err);
                if (err_is_full(r))
                        give_back(l);
        }
        if (r < 0)
                return r;
        snprintf(d->made, sizeof(d->made), "%s", name);
        report_change_for(l->d.config->report, REPORT_VERB_SNAPSHOT, name, NULL);
        return 0;
}
