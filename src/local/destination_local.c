/*
 * A directory on this machine. `latest` is the working tree (local_transfer.c), snapshots are the product
 * (local_snapshot.c); one that goes leaves its name before anything else happens to it.
 */
#include "local/local.h"

#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/report.h"
#include "local/local_checks.h"
#include "local/local_fence.h"
#include "local/local_marks.h"
#include "options/options.h"
#include "options/options_check.h"
#include "progress.h"
#include "rotate/calendar.h"
#include "rotate/names.h"
#include "rotate/remove.h"
#include "rotate/subvolume.h"
#include "storage/lock.h"
#include "transfer/links.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

int local_save_state(struct local *l, struct err *err)
{
        int r = state_save(&l->place.state, l->place.state_fd, err);

        l->state_changed = l->state_changed && r < 0;
        return r;
}

int local_find_limits(struct local *l, struct err *err)
{
        const struct options *o = l->d.config->options;
        int dirfd = l->place.state_fd >= 0 ? l->place.state_fd : l->place.parent_fd;
        int r;

        if (l->limits_known)
                return 0;
        r = limits_probe(&l->limits, dirfd, !o->dry_run, o->no_sudo, err);
        l->limits_known = r == 0 && !l->limits.assumed;
        if (r == 0 && l->limits.granularity_ns > 1000)
                log_info("the destination keeps times to %g s, they are compared like that",
                         l->limits.granularity_ns / 1e9);
        return r;
}

static int sync_filesystem(void *fd)
{
        return syncfs(*(const int *)fd) < 0 ? -errno : 0;
}

int local_sync(struct local *l, struct err *err)
{
        int r;

        progress_begin(l->d.config->progress, PROGRESS_SYNC, 0);
        r = progress_during(l->d.config->progress, sync_filesystem, &l->place.parent_fd);
        progress_end(l->d.config->progress);
        return r < 0 ? err_run(err, r, "write everything to the disk of", l->place.parent) : 0;
}

int local_await_room(struct local *l, struct err *err)
{
        int r;

        if (!l->room_comes)
                return 0;
        log_info("waiting for the room that the removed snapshots leave");
        progress_begin(l->d.config->progress, PROGRESS_REMOVE, 0);
        r = subvolume_await_room(l->place.parent_fd, err);
        progress_end(l->d.config->progress);
        l->room_comes = r < 0;
        return r;
}

int local_rename(const struct local *l, const char *from, const char *to)
{
        int dirfd = l->place.parent_fd;

        if (renameat2(dirfd, from, dirfd, to, RENAME_NOREPLACE) == 0)
                return 0;
        if (errno != EINVAL && errno != ENOSYS)
                return -errno;
        /* Without the flag: a directory is only ever renamed over an empty one. */
        return renameat(dirfd, from, dirfd, to) < 0 ? -errno : 0;
}

int local_trash(const struct local *l, const char *name, char trash[LOCAL_TRASH_SIZE])
{
        int r;

        for (unsigned i = 1;; i++) {
                snprintf(trash, LOCAL_TRASH_SIZE, LOCAL_PLACE_TRASH "%u", i);
                r = local_rename(l, name, trash);
                if (r != -EEXIST && r != -ENOTEMPTY)
                        return r;
        }
}

int local_discard(struct local *l, const char *name, const char *shown, struct err *err)
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

/* ---- prepare ---- */

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
                        log_info("removing '%s', which an earlier run left behind", names[i]);
                        r = local_discard(l, names[i], names[i], err);
                }
                free(names[i]);
        }
        free(names);
        return r;
}

/*
 * A record is made before the snapshot has its name; a run that was cut off in between leaves one of nothing. Nor is a
 * path that somebody wrote there one of a snapshot.
 */
static void drop_stale_outcomes(struct local *l)
{
        struct state *s = &l->place.state;
        struct entry e;
        int64_t time;

        for (size_t i = s->outcome_count; i-- > 0;) {
                if (!names_parse(s->outcomes[i].name, &time) ||
                    entry_stat(&e, l->place.parent_fd, s->outcomes[i].name) == -ENOENT)
                        state_drop_outcome(s, s->outcomes[i].name);
        }
}

static int remember_disk(struct local *l, struct err *err)
{
        struct local_place *p = &l->place;
        ERR_LOCAL(minor);

        /* What can be told from nothing is remembered only where it was accepted instead of something else. */
        if (str_equal(p->filesystem, IDENTITY_NO_UUID) && p->state.filesystem_count == 0 &&
            identity_recall(p->parent, p->filesystem) == IDENTITY_NEW)
                return 0;
        if (state_add_filesystem(&p->state, p->filesystem) < 0)
                return err_oom(err);
        if (identity_remember(p->parent, p->filesystem, &minor) < 0)
                log_err(LOG_LEVEL_WARNING, &minor);
        return 0;
}

static int lock_destination(struct local *l, struct err *err)
{
        l->machine_lock = lock_take_machine(l->place.path, err);
        return l->machine_lock < 0 && err->kind != ERR_NONE ? l->machine_lock : 0;
}

static int stay_inside(const struct local *l, struct err *err)
{
        const struct destination_config *c = l->d.config;

        return c->fence ? local_fence_check(c->fence, c->options, l->place.parent, l->place.latest, err) : 0;
}

/* Symlinks on the disk can be followed only now. */
static int name_again(struct local *l, struct err *err)
{
        int r = local_place_name(&l->place, l->d.config->options->destination.path, NULL, err);

        l->d.parent = l->place.parent;
        return r == 0 ? stay_inside(l, err) : r;
}

static int local_prepare(struct destination *d, struct err *err)
{
        struct local *l = local_of(d);
        const struct options *o = l->d.config->options;
        int r = o->dry_run ? 0 : lock_destination(l, err);

        if (r == 0)
                r = local_disk_attach(&l->disk, err);
        if (r == LOCAL_DISK_ABSENT)
                return DESTINATION_ABSENT;
        if (r == 0 && o->mount)
                r = name_again(l, err);
        if (r == 0 && o->task == OPTIONS_LIST)
                return local_look(l, err);
        if (r == 0)
                r = local_place_open(&l->place, o->dry_run, l->d.config->fence, err);
        l->was_running = l->place.state.running || l->place.state_is_lost;
        if (r == 0)
                r = local_checks(&l->place, l->d.config, err);
        if (r < 0 || o->dry_run)
                return r;
        r = local_place_create(&l->place, o->backup, err);
        if (r == 0)
                r = local_find_limits(l, err);
        if (r == 0)
                r = remember_disk(l, err);
        if (r == 0)
                r = sweep(l, err);
        if (r == 0) {
                drop_stale_outcomes(l);
                local_marks_sweep(&l->place);
        }
        return r;
}

/* ---- snapshots that exist ---- */

static int local_list(struct destination *d, struct destination_snapshots *ret, struct err *err)
{
        struct local *l = local_of(d);
        int r = local_place_snapshots(&l->place, ret, err);

        /* Taken after the run's own snapshot was made, or that would be one of the future. */
        if (r == 0 && !calendar_local(time(NULL), &ret->now))
                ret->now = INT64_MAX;
        for (size_t i = 0; r == 0 && i < ret->count; i++)
                ret->items[i].own = str_equal(ret->items[i].name, d->made);
        if (r == 0 && l->d.config->options->dry_run && d->made[0] && destination_snapshots_imagine(ret, d->made) < 0) {
                destination_snapshots_deinit(ret);
                r = err_oom(err);
        }
        return r;
}

static int fail_removal(const struct local *l, int code, const char *name, bool is_subvolume, struct err *err)
{
        err_destination_at(err, code, "remove the snapshot", l->place.parent, name);
        if (is_subvolume && code == -ENOTEMPTY)
                err_hint(err, "somebody made a subvolume in it; 'btrfs subvolume delete' that one");
        else if (is_subvolume && code == -EPERM)
                err_hint(err, "a btrfs subvolume stays while it is being sent, or is the default one");
        return code;
}

static int local_remove(struct destination *d, const char *name, struct err *err)
{
        struct local *l = local_of(d);
        bool is_subvolume = subvolume_is_at(l->place.parent_fd, name);
        /* A subvolume is there or it is gone: it need not leave its name first, for which a full disk has no room. */
        int r = is_subvolume ? subvolume_remove(l->place.parent_fd, name) : SUBVOLUME_BY_HAND;
        bool by_hand = r == SUBVOLUME_BY_HAND;
        char trash[LOCAL_TRASH_SIZE];

        if (by_hand)
                r = local_trash(l, name, trash);
        if (r < 0 && r != -ENOENT)
                return fail_removal(l, r, name, is_subvolume, err);
        local_marks_drop(&l->place, name);
        /* Where nothing was, no state may be left: a parent that has one is taken for that of a destination. */
        if (state_drop_outcome(&l->place.state, name) || r == 0)
                l->state_changed = true;
        if (r == -ENOENT) /* somebody was faster */
                return 0;
        report_add(l->d.config->report, REPORT_SNAPSHOTS_GONE, 1);
        l->room_comes = l->room_comes || is_subvolume;
        return by_hand ? local_discard(l, trash, name, err) : 0;
}

/* ---- release ---- */

static int save_last_state(struct local *l, struct err *err)
{
        int r;

        if (l->place.state_fd < 0 || l->d.config->options->dry_run)
                return 0;
        /* A snapshot that a power cut brings back must not lack its record. */
        r = l->state_changed ? fd_sync_directory(l->place.parent_fd) : 0;
        if (r < 0)
                err_run(err, r, "write to the disk", l->place.parent);
        else if (l->state_changed)
                r = local_save_state(l, err);
        state_reserve(l->place.state_fd);
        return r;
}

static int finish(struct local *l, struct err *err)
{
        const struct options *o = l->d.config->options;
        int r = save_last_state(l, err);

        return r < 0 || o->dry_run || l->place.parent_fd < 0 ? r : local_check_still_there(&l->place, o, err);
}

static int local_release(struct destination *d, struct err *err)
{
        struct local *l = local_of(d);
        ERR_LOCAL(second);
        int r = finish(l, err);

        d->parent = NULL;
        local_place_deinit(&l->place);
        if (local_disk_detach(&l->disk, r < 0 ? &second : err) < 0) {
                if (r < 0)
                        log_err(LOG_LEVEL_ERROR, &second);
                else
                        r = err->code;
        }
        l->machine_lock = fd_close(l->machine_lock);
        return r;
}

static struct destination *local_free(struct destination *d)
{
        struct local *l = local_of(d);

        local_place_deinit(&l->place);
        fd_close(l->machine_lock);
        links_free(l->links);
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
                .survey = local_survey,
                .explain_full = local_explain_full,
                .release = local_release,
                .free = local_free,
        };
        struct local *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return err_oom(err);
        l->d = (struct destination){ .ops = &ops, .config = config };
        l->machine_lock = -1;
        local_disk_init(&l->disk, config->options);
        local_place_init(&l->place);
        r = local_place_name(&l->place, config->options->destination.path, config->options->mount, err);
        if (r == 0)
                r = stay_inside(l, err);
        if (r == 0)
                r = options_check_name(config->options, l->place.latest, err);
        if (r == 0)
                r = local_disk_check_path(&l->disk, l->place.parent, err);
        if (r < 0) {
                local_free(&l->d);
                return r;
        }
        l->d.parent = l->place.parent;
        *ret = &l->d;
        return 0;
}
