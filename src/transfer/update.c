/*
 * Per directory: list the source, list the destination, and go through both sorted lists side by side.
 *
 *      visit:   for each name   decide()  -> put_...()           the files, links and devices of the directory
 *                               subdirectory -> metadata now, its content later: crew_add()
 *                               no longer there -> remove, a directory by a task of its own
 *      finish:  mode and mtime of the directory, when all that changes them is done
 *
 * When a name of the source cannot be read, its counterpart stays as it is; when a directory cannot be listed in full,
 * nothing of its counterpart is removed.
 */
#include "transfer/update.h"

#include "base/arena.h"
#include "base/behind.h"
#include "base/crew.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/listing.h"
#include "base/meta.h"
#include "base/report.h"
#include "transfer/decide.h"
#include "transfer/discard.h"
#include "transfer/limits.h"
#include "transfer/links.h"
#include "transfer/reconcile.h"
#include "transfer/source.h"
#include "transfer/visit.h"

#include <errno.h>

/* Something of the source is there but could not be loaded: what the destination has under its name stays. */
static int keep_unreadable(struct visit *v, const char *name, int r, struct err *err)
{
        if (err->kind != ERR_ITEM)
                return r;
        report_item(v->update->config->report, err);
        r = discard_passed(v, name, err);
        if (r > 0)
                report_add(v->update->config->report, REPORT_UNSETTLED, 1);
        return r < 0 ? r : 0;
}

static int merge_entry(struct visit *v, struct entry *want, struct err *err)
{
        int there = discard_passed(v, want->name, err);
        int r = there < 0 ? there : reconcile_entry(v, want, there ? want->name : NULL, err);

        if (r < 0 && there > 0)
                report_add(v->update->config->report, REPORT_UNSETTLED, 1);
        return visit_absorb(v, r, err);
}

static int merge(struct visit *v, struct err *err)
{
        struct entry want;
        int r;

        while ((r = source_next(&v->from, &want, err)) != SOURCE_END) {
                if (r < 0)
                        r = keep_unreadable(v, want.name, r, err);
                else
                        r = merge_entry(v, &want, err);
                if (r == 0)
                        r = visit_check(v, err);
                if (r < 0)
                        return r;
        }
        return discard_passed(v, NULL, err);
}

/* Was it removed, or replaced? What is stale to the kernel may be there still: then it is one that cannot be read. */
static bool has_vanished(struct visit *v, int code)
{
        const struct crew_slot *slot = &v->dir->slots[CREW_FROM];
        struct entry now;
        int parent, r;

        if (code != -ESTALE)
                return code == -ENOENT || code == -ENOTDIR || code == -ELOOP;
        parent = crew_fd(v->worker, v->dir->parent, CREW_FROM);
        r = parent < 0 ? parent : entry_stat(&now, parent, v->dir->name);
        return r == -ENOENT || (r == 0 && (now.ino != slot->ino || now.dev != slot->dev));
}

/* Open and list the source's side. What cannot be read is told, and nothing of its counterpart is removed. */
static int open_source(struct visit *v, struct err *err)
{
        struct report *report = v->update->config->report;
        int fd, r;

        v->may_remove = true;
        if (v->task->content_omitted)
                return 0;
        fd = crew_fd(v->worker, v->dir, CREW_FROM);
        v->may_remove = false;
        if (fd < 0 && has_vanished(v, fd)) {
                report_vanished(report, v->path.data, "");
                return 0;
        }
        if (fd < 0)
                return visit_absorb(v, err_item_at(err, fd, "read directory", v->path.data, ""), err);
        v->from = (struct source_dir){ .source = v->update->config->source,
                                       .fd = fd,
                                       .dev = v->dir->slots[CREW_FROM].dev,
                                       .path = v->path.data,
                                       .arena = &v->worker->arena };
        r = source_list(&v->from, err);
        if (r == -ENOENT && v->dir->parent) {
                err_drop(err, "it went away after it was opened");
                report_vanished(report, v->path.data, "");
                return 0;
        }
        v->may_remove = r == 0;
        return visit_absorb(v, r, err);
}

/* Open and list the destination's side. Return 0, or CREW_SKIP_FINISH when it is not to be touched. */
static int open_destination(struct visit *v, struct err *err)
{
        int r;

        if (v->task->missing)
                return 0;
        v->to.fd = crew_fd(v->worker, v->dir, CREW_TO);
        if (v->to.fd < 0)
                r = err_destination_at(err, v->to.fd, "open directory", v->path.data, "");
        else if (v->dir->slots[CREW_TO].dev != v->update->to_dev)
                r = err_destination_at(err, -EXDEV, "change another filesystem at", v->path.data, "");
        else
                r = listing_read(&v->old, v->to.fd, &v->worker->arena);
        if (r < 0 && err->kind == ERR_NONE)
                err_destination_at(err, r, "read directory", v->path.data, "");
        if (r < 0)
                r = visit_absorb(v, r, err) < 0 ? r : CREW_SKIP_FINISH;
        v->from.mark = arena_mark(&v->worker->arena);
        return r;
}

static int visit_kept(struct visit *v, struct err *err)
{
        int r = open_source(v, err);

        if (r == 0)
                r = open_destination(v, err);
        /* What is there stays, but whether it is right nobody has seen. */
        if (r == CREW_SKIP_FINISH || (!v->may_remove && v->old.count > 0))
                report_add(v->update->config->report, REPORT_UNSETTLED, 1);
        if (r == 0)
                r = merge(v, err);
        return r;
}

/* ---- the crew's view ---- */

static int finish_kept(struct visit *v, struct err *err)
{
        return visit_finish(v, v->update->config->dry_run ? -1 : crew_fd(v->worker, v->dir, CREW_TO), err);
}

static int on_visit(struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        struct visit v;
        int r = visit_init(&v, w, d, err);

        if (r == 0)
                r = v.task->remove ? discard_visit(&v, err) : visit_kept(&v, err);
        visit_deinit(&v);
        return r;
}

static int on_finish(struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        struct visit v;
        int r = visit_init(&v, w, d, err);

        if (r == 0)
                r = v.task->remove ? discard_finish(&v, err) : finish_kept(&v, err);
        visit_deinit(&v);
        return r;
}

/* ---- the whole ---- */

/* The root's own metadata; its name is no entry of any directory. */
static int update_root(struct update *u, struct visit_task *ret, struct err *err)
{
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        struct entry want;
        const char *failed;
        int r = entry_load_fd(&want, source_root_fd(u->config->source), "", &arena, &failed);

        if (r < 0)
                return err_run(err, r, failed, "the source directory");
        return reconcile_root(u, &want, &arena, ret, err);
}

static int run_once(struct update *u, struct err *err)
{
        static const struct crew_ops ops = { .visit = on_visit, .finish = on_finish, .forget = visit_forget };
        const struct update_config *c = u->config;
        struct visit_task root, *data;
        int r;

        report_restart(c->report);
        r = update_root(u, &root, err);
        if (r < 0)
                return r;
        data = malloc(sizeof(*data));
        if (!data)
                return err_oom(err);
        *data = root;
        return visit_run_crew(u, &ops, (const int[CREW_TREES]){ source_root_fd(c->source), c->to_fd }, data, err);
}

int update_run(const struct update_config *config, struct err *err)
{
        struct update u = { .config = config,
                            .shared = {
                                    .latest_fd = config->to_fd, .limits = config->limits, .report = config->report } };
        int r = links_new(&u.links, err);

        if (r == 0)
                r = behind_new(&u.shared.behind, err);
        /* Once; again when a group had to move on the way, for those of its names that were visited before. */
        for (bool again = r == 0; again; again = r == 0 && links_take_moved(u.links))
                r = run_once(&u, err);
        behind_free(u.shared.behind);
        links_free(u.links);
        return r;
}
