/* A directory is visited as one that is kept is: all in it goes, its subdirectories by tasks, and it goes when it is
 * empty. Nothing on another filesystem is touched. */
#include "transfer/discard.h"

#include "base/crew.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/listing.h"
#include "base/report.h"
#include "transfer/limits.h"
#include "transfer/put.h"
#include "transfer/update.h"
#include "transfer/visit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

int discard_directory(struct visit *v, const char *name, ino_t ino, struct err *err)
{
        const struct crew_child child = { .name = name, .dev[CREW_TO] = v->update->to_dev, .ino[CREW_TO] = ino };

        return visit_add(v, &child, (struct visit_task){ .remove = true }, err);
}

int discard_aside(struct visit *v, const char *name, const struct entry *former, struct err *err)
{
        const struct crew_child child = { .name = name, .dev[CREW_TO] = former->dev, .ino[CREW_TO] = former->ino };
        struct visit_task task = { .remove = true, .former = strdup(former->name) };

        return task.former ? visit_add(v, &child, task, err) : err_oom(err);
}

int discard_name(struct visit *v, const struct listing_name *n, struct err *err)
{
        const struct update_config *config = v->update->config;
        bool is_directory = n->type == DT_DIR;
        struct entry e;
        int r = 0;

        if (n->type == DT_UNKNOWN)
                is_directory = entry_stat(&e, v->to.fd, n->name) == 0 && entry_is_dir(&e);
        if (is_directory)
                return discard_directory(v, n->name, 0, err);
        if (!config->dry_run)
                r = put_removed(&v->to, n->name, err);
        if (r < 0)
                return r;
        report_change(config->report, REPORT_VERB_DELETED, v->to.path, n->name, false, 0);
        report_add(config->report, REPORT_DELETED, 1);
        return 0;
}

/* ---- a directory that goes ---- */

static int discard_names(struct visit *v, struct err *err)
{
        int r = 0;

        for (size_t i = 0; i < v->old.count && r == 0; i++) {
                r = visit_absorb(v, discard_name(v, v->old.names[i], err), err);
                if (r == 0)
                        r = crew_check(v->worker, err);
        }
        return r;
}

int discard_visit(struct visit *v, struct err *err)
{
        int r = 0;

        v->to.fd = crew_fd(v->worker, v->dir, CREW_TO);
        if (v->to.fd < 0)
                r = v->to.fd;
        else if (v->dir->slots[CREW_TO].dev != v->update->to_dev)
                r = -EBUSY;
        if (r == 0)
                r = listing_read_unsorted(&v->old, v->to.fd, &v->worker->arena);
        if (r < 0) {
                err_destination_at(err, r, "delete directory", v->path.data, "");
                r = visit_absorb(v, r, err);
                return r < 0 ? r : CREW_SKIP_FINISH;
        }
        return discard_names(v, err);
}

int discard_finish(struct visit *v, struct err *err)
{
        int r = 0;

        if (!v->update->config->dry_run) {
                int parent = crew_fd(v->worker, v->dir->parent, CREW_TO);

                r = parent < 0 ? parent : unlinkat(parent, v->dir->name, AT_REMOVEDIR) < 0 ? -errno : 0;
        }
        /* Not empty: something in it could not be removed, and was told. */
        if (r == -ENOTEMPTY || r == -EEXIST)
                return 0;
        if (r < 0 && r != -ENOENT)
                return visit_absorb(v, err_destination_at(err, r, "delete directory", v->path.data, ""), err);
        report_change(v->update->config->report, REPORT_VERB_DELETED, NULL, v->path.data, true, 0);
        report_add(v->update->config->report, REPORT_DELETED, 1);
        return 0;
}
