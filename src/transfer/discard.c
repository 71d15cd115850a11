/* A directory is visited as one that is kept is: all in it goes, its subdirectories by tasks, and it goes when it is
 * empty. Nothing on another filesystem is touched. */
#include "transfer/discard.h"

#include "base/crew.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/listing.h"
#include "base/meta.h"
#include "base/path.h"
#include "base/report.h"
#include "base/temporary.h"
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

/* What stays is as old as before: should its name come back, be it that filters let it in again, it must not count as
 * equal to the source since this run. */
static int absorb(struct visit *v, int r, struct err *err)
{
        if (r < 0 && err->kind == ERR_ITEM)
                report_add(v->update->config->report, REPORT_UNSETTLED, 1);
        return visit_absorb(v, r, err);
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
        if (r < 0 && temporary_is(n->name))
                report_mark_leftovers(config->report);
        if (r < 0)
                return r;
        report_change(config->report, REPORT_VERB_DELETED, v->to.path, n->name, false, 0);
        report_add(config->report, REPORT_DELETED, 1);
        return 0;
}

int discard_passed(struct visit *v, const char *name, struct err *err)
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
                r = absorb(v, discard_name(v, n, err), err);
                if (r == 0)
                        r = visit_check(v, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- a directory that goes ---- */

static int discard_names(struct visit *v, struct err *err)
{
        int r = 0;

        for (size_t i = 0; i < v->old.count && r == 0; i++) {
                r = absorb(v, discard_name(v, v->old.names[i], err), err);
                if (r == 0)
                        r = visit_check(v, err);
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
                r = absorb(v, r, err);
                return r < 0 ? r : CREW_SKIP_FINISH;
        }
        return discard_names(v, err);
}

/* @parent: the directory that it is in, or a negative errno. */
static int remove_emptied(struct visit *v, int parent, const char *name, struct err *err)
{
        int r = 0;

        if (!v->update->config->dry_run)
                r = parent < 0 ? parent : unlinkat(parent, name, AT_REMOVEDIR) < 0 ? -errno : 0;
        if (r < 0 && temporary_is(name))
                report_mark_leftovers(v->update->config->report);
        /* Not empty: something in it could not be removed, and was told. */
        if (r == -ENOTEMPTY || r == -EEXIST)
                return 0;
        if (r < 0 && r != -ENOENT)
                return absorb(v, err_destination_at(err, r, "delete directory", v->path.data, ""), err);
        report_change(v->update->config->report, REPORT_VERB_DELETED, NULL, v->path.data, true, 0);
        report_add(v->update->config->report, REPORT_DELETED, 1);
        return 0;
}

int discard_finish(struct visit *v, struct err *err)
{
        int parent = v->update->config->dry_run ? -1 : crew_fd(v->worker, v->dir->parent, CREW_TO);

        return remove_emptied(v, parent, v->dir->name, err);
}

/* ---- at once ---- */

static int on_visit(struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        struct visit v;
        int r = visit_init(&v, w, d, err);

        if (r == 0)
                r = discard_visit(&v, err);
        visit_deinit(&v);
        return r;
}

static int on_finish(struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        struct visit v;
        int r;

        if (!d->parent) /* nobody here has the directory that it is in */
                return 0;
        r = visit_init(&v, w, d, err);
        if (r == 0)
                r = discard_finish(&v, err);
        visit_deinit(&v);
        return r;
}

/* An ordinary user may have closed his own directory to himself, be it that he may only not write in it. What is not
 * his stays as it is, and so does what is in it. */
static void open_up(const struct visit *v, const char *name)
{
        _cleanup_(fd_closep) int found = openat(v->to.fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct entry now = { .ino = 0 };

        if (found >= 0 && entry_stat_fd(&now, found) == 0 && (now.mode & S_IRWXU) != S_IRWXU)
                (void)meta_set_mode(found, (now.mode & 07777) | S_IRWXU);
}

/* The directory that is to be emptied. Return a descriptor or -errno. */
static int open_removed(const struct visit *v, const char *name)
{
        const struct update_config *c = v->update->config;

        if (!c->limits->privileged && !c->dry_run)
                open_up(v, name);
        return fd_open_unmounted_at(v->to.fd, name, O_DIRECTORY);
}

int discard_at_once(struct visit *v, const char *name, const char *former, struct err *err)
{
        static const struct crew_ops ops = { .visit = on_visit, .finish = on_finish, .forget = visit_forget };
        _cleanup_(freep) char *shown = path_join(buf_text(&v->path), former ? former : name);
        _cleanup_(fd_closep) int fd = open_removed(v, name);
        struct visit_task *task = calloc(1, sizeof(*task));
        struct update u = *v->update;
        struct visit gone = { .update = &u, .to = v->to, .path = { .data = shown } };
        int r;

        if (!shown || !task) {
                free(task);
                return err_oom(err);
        }
        if (fd < 0) {
                free(task);
                return absorb(v, err_destination_at(err, fd, "delete directory", shown, ""), err);
        }
        task->remove = true;
        u.add = NULL;
        u.below = shown;
        r = visit_run_crew(&u, &ops, (const int[CREW_TREES]){ -1, fd }, task, err);
        return r < 0 ? r : remove_emptied(&gone, v->to.fd, name, err);
}
