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

/* Go on in the destination's list up to @name (to its end for NULL), removing what is passed. Return 1 if @name is
 * there. */
static int pass_old(struct visit *v, const char *name, struct err *err)
{
        int r;

        while (v->next_old < v->old.count) {
                const struct listing_name *n = v->old.names[v->next_old];
                int order = name ? strcmp(n->name, name) : -1;

                if (order > 0)
                        return 0;
                v->next_old++;
                if (order == 0)
                        return 1;
                if (!v->may_remove)
                        continue;
                r = visit_absorb(v, discard_name(v, n, err), err);
                if (r == 0)
                        r = crew_check(v->worker, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Something of the source is there but could not be loaded: what the destination has under its name stays. */
static int keep_unreadable(struct visit *v, const char *name, int r, struct err *err)
{
        if (err->kind != ERR_ITEM)
                return r;
        report_item(v->update->config->report, err);
        r = pass_old(v, name, err);
        if (r > 0)
                report_add(v->update->config->report, REPORT_UNSETTLED, 1);
        return r < 0 ? r : 0;
}

static int merge_entry(struct visit *v, struct entry *want, struct err *err)
{
        int there = pass_old(v, want->name, err);
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
                        r = crew_check(v->worker, err);
                if (r < 0)
                        return r;
        }
        return pass_old(v, NULL, err);
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

/* What changes with the content of a directory comes last. Return 0 or -errno. */
static int set_last_metadata(struct visit *v)
{
        const struct visit_task *t = v->task;
        int fd = crew_fd(v->worker, v->dir, CREW_TO), r;
        struct entry now;

        r = fd < 0 ? fd : entry_stat_fd(&now, fd);
        if (r == 0 && !v->update->config->limits->privileged && (now.mode & 07777) != t->mode)
                r = meta_set_mode(fd, t->mode);
        if (r == 0 && timespec_compare(now.mtime, t->mtime) != 0)
                r = meta_set_mtime(fd, t->mtime);
        return r;
}

static int finish_kept(struct visit *v, struct err *err)
{
        const struct update_config *c = v->update->config;
        const char *path = v->path.data;
        int r = c->dry_run ? 0 : set_last_metadata(v);

        if (r < 0)
                return visit_absorb(v, err_destination_at(err, r, "set the metadata of", path, ""), err);
        if (v->task->why) {
                report_change(c->report, REPORT_VERB_METADATA, NULL, path[0] ? path : ".", true, v->task->why);
                report_add(c->report, REPORT_METADATA, 1);
        }
        return 0;
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
        const struct update_config *c = u->config;
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        struct entry want, have;
        struct decision d;
        const char *failed;
        int r = entry_load_fd(&want, source_root_fd(c->source), "", &arena, &failed);

        if (r < 0)
                return err_run(err, r, failed, "the source directory");
        limits_fit(c->limits, &want, c->report, "");
        report_add(c->report, REPORT_ENTRIES, 1);
        *ret = (struct visit_task){ .mode = want.mode & 07777, .mtime = want.mtime, .missing = c->to_fd < 0 };
        if (c->to_is_new) {
                report_change(c->report, REPORT_VERB_NEW, NULL, ".", true, 0);
                report_add(c->report, REPORT_NEW, 1);
        }
        if (c->to_fd < 0)
                return 0;
        r = entry_load_fd(&have, c->to_fd, "", &arena, &failed);
        if (r < 0)
                return err_run(err, r, failed, "the destination directory");
        u->to_dev = have.dev;
        limits_disregard(c->limits, &have);
        d = decide(&want, &have, &(struct decide_hints){ .verify = false });
        if (d.verdict != DECIDE_ADJUST && c->limits->privileged)
                return 0;
        if (!c->dry_run)
                r = meta_apply(c->to_fd, &want, &have,
                               (c->limits->privileged ? 0 : META_KEEP_ACCESS) |
                                       (c->limits->xattr_system ? 0 : META_KEEP_LABELS),
                               &failed);
        if (r == 0) {
                ret->why = d.verdict == DECIDE_ADJUST && !c->to_is_new ? d.why : 0;
                return 0;
        }
        err_destination_at(err, r, failed, "the destination directory", NULL);
        if (err->kind == ERR_RUN)
                return r;
        report_item(c->report, err);
        return 0;
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
        return crew_run(&(struct crew_config){ .ops = &ops,
                                               .context = u,
                                               .root_fds = { source_root_fd(c->source), c->to_fd },
                                               .root_data = data,
                                               .access[CREW_TO] = c->limits->privileged || c->dry_run
                                                                          ? CREW_ACCESS_AS_IT_IS
                                                                          : CREW_ACCESS_TAKEN,
                                               .tick = c->tick,
                                               .tick_context = c->tick_context },
                        err);
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
