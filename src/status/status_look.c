/*
 * As --list looks at a destination, but nothing is opened for it. When nothing is seen, is that because the disk is not
 * there? By what the job says of it, by fstab(5), and by the disks on which this machine has seen the destination.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/report.h"
#include "destination.h"
#include "options/options.h"
#include "progress.h"
#include "rotate/calendar.h"
#include "status/status.h"
#include "storage/cryptdisk.h"
#include "storage/fstab.h"
#include "storage/identity.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

static int list(const struct destination_config *config, struct destination_snapshots *ret, struct err *err)
{
        struct destination *d;
        ERR_LOCAL(end);
        int r = destination_local_new(&d, config, err);

        if (r < 0)
                return r;
        r = d->ops->prepare(d, err);
        if (r == 0)
                r = d->ops->list(d, ret, err);
        if (d->ops->release(d, &end) < 0)
                err_drop(&end, "nothing was opened");
        destination_free(d);
        return r;
}

static int look(struct status *s, struct report *report, struct err *err)
{
        struct options options = *s->options;
        struct destination_config config = { .options = &options, .report = report };
        int r;

        options.task = OPTIONS_LIST;
        options.dry_run = true;
        options.mount = options.crypto = NULL;
        if (progress_new(&config.progress, report) < 0)
                return err_oom(err);
        r = list(&config, &s->snapshots, err);
        progress_free(config.progress);
        return r;
}

/* A name that was mistyped, say: what lies beside it was made of another one. */
static bool is_nowhere(const char *path)
{
        struct stat st;

        return lstat(path, &st) < 0 && errno == ENOENT;
}

/* By a clock that is right now; one that was wrong once says nothing, as long as there are others. */
static bool is_newer(const struct destination_snapshot *a, const struct destination_snapshot *b, int64_t now)
{
        if ((a->time > now) != (b->time > now))
                return a->time <= now;
        return a->time > b->time;
}

int64_t status_age_s(const struct status *s, const struct destination_snapshot *snapshot)
{
        return s->now - calendar_moment(snapshot->time);
}

/*
 * Where other machines send their backups no complete one is remembered here: then the newest complete snapshot tells
 * of the run that made it. A run of this machine that failed takes nothing from that.
 */
static void conclude(struct status *s)
{
        const struct destination_snapshot *newest = NULL;
        struct history *h = &s->history;
        struct history_run run = { .outcome = "complete" };

        for (size_t i = 0; i < s->snapshots.count; i++) {
                const struct destination_snapshot *item = &s->snapshots.items[i];

                if (item->complete && (!newest || is_newer(item, newest, s->snapshots.now)))
                        newest = item;
        }
        if (!newest || h->has[HISTORY_COMPLETE] || s->is_nowhere)
                return;
        run.begun = run.ended = calendar_moment(newest->time);
        snprintf(run.snapshot, sizeof(run.snapshot), "%s", newest->name);
        h->runs[HISTORY_COMPLETE] = run;
        if (!h->has[HISTORY_STORED] || h->runs[HISTORY_STORED].begun < run.begun)
                h->runs[HISTORY_STORED] = run;
        h->has[HISTORY_COMPLETE] = h->has[HISTORY_STORED] = true;
        s->is_concluded = true;
}

/* Why nothing is seen: each of these is true with @text filled. */
static bool is_locked(const char *name, char text[ERR_TEXT_MAX])
{
        if (!name || cryptdisk_is_unlocked(name))
                return false;
        snprintf(text, ERR_TEXT_MAX, "the disk is not there, or not unlocked ('%s')", name);
        return true;
}

static bool is_unmounted(const char *point, const char *parent, char text[ERR_TEXT_MAX])
{
        _cleanup_(freep) char *awaited = NULL;
        char shown[PATH_SHOWN];
        ERR_LOCAL(err);
        bool is_away = point && fstab_is_mounted(point, &err) == 0;

        err_drop(&err, "then it is not told");
        if (!is_away && !fstab_is_awaited(parent, &awaited))
                return false;
        path_show(NULL, is_away ? point : awaited, shown, sizeof(shown));
        snprintf(text, ERR_TEXT_MAX, "the disk is not there, or not mounted at '%s'", shown);
        return true;
}

static bool is_elsewhere(const char *parent, char text[ERR_TEXT_MAX])
{
        _cleanup_(freep) char *nearest = NULL;
        _cleanup_(fd_closep) int fd = fd_open_nearest(parent, &nearest);
        char filesystem[IDENTITY_SIZE];

        identity_place(fd, filesystem);
        if (identity_recall(parent, filesystem) != IDENTITY_ANOTHER)
                return false;
        snprintf(text, ERR_TEXT_MAX, "the disk is not there");
        return true;
}

static bool is_away(const struct options *o, char text[ERR_TEXT_MAX])
{
        _cleanup_(freep) char *path = path_resolve_missing(o->destination.path);
        _cleanup_(freep) char *parent = path ? path_parent(path) : NULL;

        return is_locked(o->crypto, text) ||
               (parent && (is_unmounted(o->mount, parent, text) || is_elsewhere(parent, text)));
}

void status_look(struct status *s, struct report *report)
{
        ERR_LOCAL(err);
        int r;

        if (s->options->destination.kind != LOCATION_LOCAL) {
                snprintf(s->unseen, sizeof(s->unseen), "on another machine, which --list asks");
                return;
        }
        r = look(s, report, &err);
        s->are_seen = r == 0 && s->snapshots.count > 0;
        if (s->are_seen) {
                s->is_nowhere = is_nowhere(s->options->destination.path);
                conclude(s);
                return;
        }
        if (!is_away(s->options, s->unseen))
                snprintf(s->unseen, sizeof(s->unseen), "%s", r < 0 ? err.text : "none can be seen now");
        err_drop(&err, "it is told");
}
