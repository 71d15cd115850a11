/* The path is built once a visit: everything below it is named by it. */
#include "transfer/visit.h"

#include "base/entry.h"
#include "base/err.h"
#include "base/meta.h"
#include "base/path.h"
#include "base/stop.h"
#include "transfer/limits.h"
#include "transfer/update.h"

#include <errno.h>

/* What was moved aside, and all below it, is shown under the name that the user knows. */
static int restore_former_name(struct buf *path, const struct crew_dir *d)
{
        size_t end = path->size;

        for (; d->parent; d = d->parent) {
                const struct visit_task *task = d->data;
                size_t start = end - strlen(d->name);
                _cleanup_(freep) char *below = NULL;

                if (!task->former) {
                        end = start - (start > 0);
                        continue;
                }
                below = strdup(path->data + end);
                if (!below)
                        return -ENOMEM;
                buf_truncate(path, start);
                return buf_printf(path, "%s%s", task->former, below);
        }
        return 0;
}

static int put_below(struct buf *path, const char *directory)
{
        _cleanup_(freep) char *whole = path_join(directory, buf_text(path));

        if (!whole)
                return -ENOMEM;
        buf_truncate(path, 0);
        return buf_puts(path, whole);
}

int visit_init(struct visit *v, struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        *v = (struct visit){ .update = crew_context(w), .worker = w, .dir = d, .task = d->data };
        v->from.arena = &w->arena;
        v->to = (struct put_dir){ .shared = &v->update->shared, .fd = -1, .from = &v->from };
        if (crew_path(d, &v->path) < 0 || (v->task->remove && restore_former_name(&v->path, d) < 0) ||
            (v->update->below && put_below(&v->path, v->update->below) < 0))
                return err_oom(err);
        v->to.path = v->path.data;
        return 0;
}

void visit_deinit(struct visit *v)
{
        source_close(&v->from);
        listing_deinit(&v->old);
        buf_deinit(&v->path);
}

void visit_forget(void *task)
{
        struct visit_task *t = task;

        if (t)
                free(t->former);
        free(t);
}

int visit_add(struct visit *v, const struct crew_child *child, struct visit_task task, struct err *err)
{
        struct crew_child c = *child;
        struct visit_task *t;

        if (!v->worker)
                return v->update->add(v, child, &task, err);
        t = malloc(sizeof(*t));

        if (!t) {
                free(task.former);
                return err_oom(err);
        }
        *t = task;
        c.data = t;
        return crew_add(v->worker, v->dir, &c, err);
}

void visit_tell(struct visit *v, enum report_verb verb, const struct entry *e, unsigned why)
{
        report_change(v->update->config->report, verb, v->to.path, e->name, entry_is_dir(e), why);
}

int visit_run_crew(struct update *u, const struct crew_ops *ops, const int fds[CREW_TREES], struct visit_task *task,
                   struct err *err)
{
        const struct update_config *c = u->config;
        bool as_it_is = c->limits->privileged || c->dry_run;

        return crew_run(&(struct crew_config){ .ops = ops,
                                               .context = u,
                                               .root_fds = { fds[CREW_FROM], fds[CREW_TO] },
                                               .root_data = task,
                                               .access[CREW_TO] = as_it_is ? CREW_ACCESS_AS_IT_IS : CREW_ACCESS_TAKEN,
                                               .tick = c->tick,
                                               .tick_context = c->tick_context },
                        err);
}

int visit_check(struct visit *v, struct err *err)
{
        return v->worker ? crew_check(v->worker, err) : stop_check(err);
}

/* Return 0 or -errno. */
static int set_last_metadata(const struct visit *v, int fd)
{
        const struct visit_task *t = v->task;
        struct entry now;
        int r = entry_stat_fd(&now, fd);

        if (r == 0 && !v->update->config->limits->privileged && (now.mode & 07777) != t->mode)
                r = meta_set_mode(fd, t->mode);
        if (r == 0 && timespec_compare(now.mtime, t->mtime) != 0)
                r = meta_set_mtime(fd, t->mtime);
        return r;
}

int visit_finish(struct visit *v, int fd, struct err *err)
{
        const struct update_config *c = v->update->config;
        const char *path = buf_text(&v->path);
        int r = c->dry_run ? 0 : fd < 0 ? fd : set_last_metadata(v, fd);

        if (r < 0)
                return visit_absorb(v, err_destination_at(err, r, "set the metadata of", path, ""), err);
        if (v->task->why) {
                report_change(c->report, REPORT_VERB_METADATA, NULL, path[0] ? path : ".", true, v->task->why);
                report_add(c->report, REPORT_METADATA, 1);
        }
        return 0;
}

int visit_absorb(struct visit *v, int r, struct err *err)
{
        if (r < 0 && err->kind == ERR_ITEM) {
                report_item(v->update->config->report, err);
                return 0;
        }
        return r;
}
