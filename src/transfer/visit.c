/* The path is built once a visit: everything below it is named by it. */
#include "transfer/visit.h"

#include "base/entry.h"
#include "base/err.h"
#include "transfer/update.h"

int visit_init(struct visit *v, struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        *v = (struct visit){ .update = crew_context(w), .worker = w, .dir = d, .task = d->data };
        v->from.arena = &w->arena;
        v->to = (struct put_dir){ .shared = &v->update->shared, .fd = -1, .from = &v->from };
        if (crew_path(d, &v->path) < 0)
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

int visit_add(struct visit *v, const struct crew_child *child, struct visit_task task, struct err *err)
{
        struct crew_child c = *child;
        struct visit_task *t = malloc(sizeof(*t));

        if (!t)
                return err_oom(err);
        *t = task;
        c.data = t;
        return crew_add(v->worker, v->dir, &c, err);
}

void visit_tell(struct visit *v, enum report_verb verb, const struct entry *e, unsigned why)
{
        report_change(v->update->config->report, verb, v->to.path, e->name, entry_is_dir(e), why);
}

int visit_absorb(struct visit *v, int r, struct err *err)
{
        if (r < 0 && err->kind == ERR_ITEM) {
                report_item(v->update->config->report, err);
                return 0;
        }
        return r;
}
