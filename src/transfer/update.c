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

#include "base/buf.h"
#include "base/crew.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/listing.h"
#include "base/meta.h"
#include "base/report.h"
#include "transfer/decide.h"
#include "transfer/limits.h"
#include "transfer/links.h"
#include "transfer/put.h"
#include "transfer/source.h"
#include "transfer/verify.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

/* One update. */
struct update {
        const struct update_config *config;
        struct put_shared shared;
        struct links *links;
        dev_t to_dev; /* nothing on another filesystem is ever touched */
};

/* What a directory's task has to know. */
struct task {
        bool remove;          /* all of it is to go */
        bool content_omitted; /* only what is in it */
        bool missing;         /* dry run: it is not there yet */
        mode_t mode;
        struct timespec mtime;
};

/* One directory being visited. */
struct visit {
        struct update *update;
        struct crew_worker *worker;
        struct crew_dir *dir;
        const struct task *task;
        struct source_dir from;
        struct put_dir to;
        struct buf path;
        struct listing old; /* names in the destination */
        size_t next_old;
        bool may_remove; /* the source's list is complete */
};

static int add_task(struct visit *v, const struct crew_child *child, struct task task, struct err *err)
{
        struct crew_child c = *child;
        struct task *t = malloc(sizeof(*t));

        if (!t)
                return err_oom(err);
        *t = task;
        c.data = t;
        return crew_add(v->worker, v->dir, &c, err);
}

static void change(struct visit *v, enum report_verb verb, const struct entry *e, unsigned why)
{
        report_change(v->update->config->report, verb, v->to.path, e->name, entry_is_dir(e), why);
}

/* An error of one entry is told and done with; others go on to the caller. */
static int absorb(struct visit *v, int r, struct err *err)
{
        if (r < 0 && err->kind == ERR_ITEM) {
                report_item(v->update->config->report, err);
                return 0;
        }
        return r;
}

/* ---- removing ---- */

static int remove_directory(struct visit *v, const char *name, ino_t ino, struct err *err)
{
        const struct crew_child child = { .name = name, .dev[CREW_TO] = v->update->to_dev, .ino[CREW_TO] = ino };

        return add_task(v, &child, (struct task){ .remove = true }, err);
}

static int remove_name(struct visit *v, const struct listing_name *n, struct err *err)
{
        const struct update_config *config = v->update->config;
        bool is_directory = n->type == DT_DIR;
        struct entry e;

        if (n->type == DT_UNKNOWN)
                is_directory = entry_stat(&e, v->to.fd, n->name) == 0 && entry_is_dir(&e);
        if (is_directory)
                return remove_directory(v, n->name, 0, err);
        report_change(config->report, REPORT_VERB_DELETED, v->to.path, n->name, false, 0);
        if (!config->dry_run) {
                int r = put_removed(&v->to, n->name, err);

                if (r < 0)
                        return r;
        }
        report_add(config->report, REPORT_DELETED, 1);
        return 0;
}

/* ---- one entry of the source ---- */

/* It looks equal, but must not be trusted to be. Return 1 when its content differs, or as verify_content(). */
static int has_changed_unseen(struct visit *v, struct entry *want, const struct entry *have, struct err *err)
{
        const struct update_config *c = v->update->config;
        bool from_disk = c->has_suspect && timespec_compare(have->ctime, c->suspect) >= 0;

        int r = verify_content(&v->from, want, v->to.fd, from_disk, c->report, err);

        if (r != SOURCE_RENEWED)
                return r;
        limits_fit(c->limits, want, c->report, v->to.path);
        return 1;
}

static bool must_verify(const struct update_config *c, const struct entry *want, const struct entry *have)
{
        return (c->has_reference && timespec_compare(want->ctime, c->reference) >= 0) ||
               (c->has_suspect && timespec_compare(have->ctime, c->suspect) >= 0);
}

/* Groups that split at the source leave no trace but a newer ctime. */
static bool may_have_split(const struct update_config *c, const struct entry *want, const struct entry *have)
{
        if (have->nlink < 2)
                return false;
        return want->nlink > 1 || !c->has_reference || timespec_compare(want->ctime, c->reference) >= 0;
}

/* decide(), and what it takes to know. */
static int find_verdict(struct visit *v, struct entry *want, const struct entry *have, struct decision *ret,
                        struct err *err)
{
        const struct update_config *c = v->update->config;
        struct decide_hints hints = { .verify = have && must_verify(c, want, have) };
        int r;

        *ret = decide(want, have, &hints);
        if (ret->verdict == DECIDE_COMPARE) {
                r = has_changed_unseen(v, want, have, err);
                if (r < 0 || r == SOURCE_VANISHED)
                        return r;
                if (r > 0) {
                        *ret = (struct decision){ .verdict = DECIDE_REPLACE, .why = REPORT_WHY_CONTENT };
                        return 0;
                }
                hints.verified = true;
                *ret = decide(want, have, &hints);
        }
        if (ret->verdict == DECIDE_KEEP && may_have_split(c, want, have)) {
                r = links_claim(v->update->links, have->ino, want->dev, want->ino, err);
                if (r < 0)
                        return r;
                hints.wrong_inode = r == 0;
                *ret = decide(want, have, &hints);
        }
        return 0;
}

static void count_verdict(struct visit *v, const struct entry *want, const struct decision *d)
{
        static const struct {
                enum report_verb verb;
                enum report_count count;
        } shown[] = {
                [DECIDE_MAKE] = { REPORT_VERB_NEW, REPORT_NEW },
                [DECIDE_RETYPE] = { REPORT_VERB_TYPE, REPORT_NEW },
                [DECIDE_REPLACE] = { REPORT_VERB_CHANGED, REPORT_CHANGED },
                [DECIDE_RELINK] = { REPORT_VERB_METADATA, REPORT_METADATA },
                [DECIDE_ADJUST] = { REPORT_VERB_METADATA, REPORT_METADATA },
        };

        if (d->verdict == DECIDE_KEEP)
                return;
        report_add(v->update->config->report, shown[d->verdict].count, 1);
        change(v, shown[d->verdict].verb, want, d->why);
}

/* Act on the verdict. Return 0 with the inode that now stands for the entry, or PUT_VANISHED, PUT_LACKING. */
static int carry_out(struct visit *v, struct entry *want, const struct entry *have, const struct decision *d,
                     ino_t *ret_ino, struct err *err)
{
        int r = PUT_NOT_IN_PLACE;

        *ret_ino = have ? have->ino : 0;
        if (d->verdict == DECIDE_KEEP)
                return 0;
        if (v->update->config->dry_run) {
                *ret_ino = d->verdict == DECIDE_ADJUST ? have->ino : 0;
                return 0;
        }
        if (d->verdict == DECIDE_ADJUST)
                r = put_metadata(&v->to, want, have, err);
        if (r == PUT_NOT_IN_PLACE)
                r = put_entry(&v->to, want, have, d->verdict != DECIDE_REPLACE && have && entry_is_file(want), ret_ino,
                              err);
        return r;
}

/* An entry with an inode of its own, or the first of its group. */
static int update_single(struct visit *v, struct entry *want, const struct entry *have, ino_t *ret_ino, struct err *err)
{
        struct decision d;
        int r = find_verdict(v, want, have, &d, err);

        if (r == SOURCE_VANISHED)
                r = PUT_VANISHED;
        else if (r == 0)
                r = carry_out(v, want, have, &d, ret_ino, err);
        if (r == 0)
                count_verdict(v, want, &d);
        if (r == PUT_VANISHED)
                report_vanished(v->update->config->report, v->to.path, want->name);
        return r;
}

/* The inode takes no more links: one more of the same, which the rest of the group moves to. */
static int move_group(struct visit *v, struct entry *want, const struct entry *have, struct links_group *group,
                      struct err *err)
{
        ino_t ino;
        int r = put_entry(&v->to, want, have, false, &ino, err);

        return r == 0 ? links_move(v->update->links, group, ino, v->to.path, want->name, err) : r;
}

static int follow(struct visit *v, struct entry *want, const struct entry *have, struct links_group *group,
                  const struct links_home *home, struct err *err)
{
        const struct update_config *c = v->update->config;
        ino_t ino;
        int r = 0;

        if (have && have->ino == home->ino)
                return 0;
        if (!c->dry_run)
                r = put_link(&v->to, want->name, home, have != NULL, err);
        if (r == PUT_TOO_MANY_LINKS)
                r = move_group(v, want, have, group, err);
        if (r == PUT_LACKING)
                r = put_entry(&v->to, want, have, false, &ino, err);
        if (r != 0)
                return r;
        report_add(c->report, REPORT_LINKED, 1);
        change(v, REPORT_VERB_LINKED, want, REPORT_WHY_LINKS);
        return 0;
}

static int update_linked(struct visit *v, struct entry *want, const struct entry *have, struct err *err)
{
        struct links *links = v->update->links;
        struct links_group *group;
        struct links_home home;
        ino_t ino;
        int r = links_enter(links, want->dev, want->ino, &group, &home, err);

        if (r == LINKS_FOLLOW)
                return follow(v, want, have, group, &home, err);
        if (r < 0)
                return r;
        r = update_single(v, want, have, &ino, err);
        if (r == 0)
                return links_settle(links, group, ino, v->to.path, want->name, err);
        links_fail(links, group);
        return r;
}

/* Something else has the name, or a directory: make way. In a dry run it is only told. */
static int clear_way(struct visit *v, const struct entry *have, struct err *err)
{
        char aside[PUT_NAME_SIZE];
        int r;

        if (v->update->config->dry_run)
                return entry_is_dir(have) ? remove_directory(v, have->name, have->ino, err) : 0;
        if (!entry_is_dir(have))
                return put_removed(&v->to, have->name, err);
        r = put_aside(&v->to, have->name, aside, err);
        return r < 0 ? r : remove_directory(v, aside, have->ino, err);
}

static int update_leaf(struct visit *v, struct entry *want, const struct entry *have, struct err *err)
{
        ino_t ino;
        int r = 0;

        if (have && entry_is_dir(have)) {
                r = clear_way(v, have, err);
                have = NULL;
        }
        if (r == 0)
                r = want->nlink > 1 ? update_linked(v, want, have, err) : update_single(v, want, have, &ino, err);
        /* What the source no longer has must go, also when its successor cannot be held. */
        if (r == PUT_LACKING && have)
                return put_removed(&v->to, have->name, err);
        return r < 0 ? r : 0;
}

static int update_directory(struct visit *v, struct entry *want, const struct entry *have, struct err *err)
{
        const struct update_config *c = v->update->config;
        struct decision d = decide(want, have, &(struct decide_hints){ .verify = false });
        struct crew_child child = { .name = want->name };
        ino_t ino = have ? have->ino : 0;
        int r = 0;

        if (d.verdict == DECIDE_RETYPE) {
                r = clear_way(v, have, err);
                have = NULL;
        }
        if (r == 0 && !c->dry_run)
                r = put_directory(&v->to, want, have, d.verdict == DECIDE_ADJUST, &ino, err);
        if (r < 0)
                return r;
        count_verdict(v, want, &d);
        child.dev[CREW_FROM] = want->dev;
        child.ino[CREW_FROM] = want->ino;
        child.dev[CREW_TO] = v->update->to_dev;
        child.ino[CREW_TO] = ino;
        return add_task(v, &child,
                        (struct task){ .content_omitted = want->content_omitted,
                                       .missing = c->dry_run && !have,
                                       .mode = want->mode & 07777,
                                       .mtime = want->mtime },
                        err);
}

/* Load what the destination has under this name. Return 1 when there is something, 0 when not. */
static int load_old(struct visit *v, const char *name, struct entry *ret, struct err *err)
{
        const char *failed;
        int r = entry_load(ret, v->to.fd, name, v->from.arena, &failed);

        if (r == -ENOENT)
                return 0;
        /* What we may not read of our own file we will replace. */
        if ((r == -EACCES || r == -EPERM) && ret->mode != 0) {
                ret->mtime.tv_nsec = -1;
                return 1;
        }
        return r < 0 ? err_destination_at(err, r, failed, v->to.path, name) : 1;
}

static int update_entry(struct visit *v, struct entry *want, const char *old_name, struct err *err)
{
        const struct update_config *c = v->update->config;
        struct entry old = { .name = NULL };
        int r = old_name ? load_old(v, old_name, &old, err) : 0;

        if (r < 0)
                return r;
        report_add(c->report, REPORT_ENTRIES, 1);
        if (entry_is_file(want))
                report_add(c->report, REPORT_BYTES, want->size);
        limits_fit(c->limits, want, c->report, v->to.path);
        if (entry_is_dir(want))
                return update_directory(v, want, r > 0 ? &old : NULL, err);
        return update_leaf(v, want, r > 0 ? &old : NULL, err);
}

/* ---- one directory ---- */

/* Go on in the destination's list up to @name (to its end for NULL), removing what is passed. Return 1 if @name is
 * there. */
static int pass_old(struct visit *v, const char *name, struct err *err)
{
        int r;

        while (v->next_old < v->old.count) {
                const struct listing_name *n = &v->old.names[v->next_old];
                int order = name ? strcmp(n->name, name) : -1;

                if (order > 0)
                        return 0;
                v->next_old++;
                if (order == 0)
                        return 1;
                if (!v->may_remove)
                        continue;
                r = absorb(v, remove_name(v, n, err), err);
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
        return r < 0 ? r : 0;
}

static int merge_entry(struct visit *v, struct entry *want, struct err *err)
{
        int there = pass_old(v, want->name, err);

        return there < 0 ? there : absorb(v, update_entry(v, want, there ? want->name : NULL, err), err);
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

/* Open and list the source's side. What cannot be read is told, and nothing of its counterpart is removed. */
static int open_source(struct visit *v, struct err *err)
{
        struct report *report = v->update->config->report;
        int fd, r;

        v->from = (struct source_dir){ .arena = &v->worker->arena };
        v->may_remove = true;
        if (v->task->content_omitted)
                return 0;
        fd = crew_fd(v->worker, v->dir, CREW_FROM);
        v->may_remove = false;
        if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP || fd == -ESTALE) {
                report_vanished(report, v->path.data, "");
                return 0;
        }
        if (fd < 0)
                return absorb(v, err_item_at(err, fd, "read directory", v->path.data, ""), err);
        r = source_list(&v->from, v->update->config->source, fd, v->path.data, &v->worker->arena, err);
        v->may_remove = r == 0;
        return absorb(v, r, err);
}

/* Open and list the destination's side. Return 0, or CREW_SKIP_FINISH when it is not to be touched. */
static int open_destination(struct visit *v, struct err *err)
{
        struct entry self;
        int r;

        v->to = (struct put_dir){ .shared = &v->update->shared, .fd = -1, .path = v->path.data, .from = &v->from };
        if (v->task->missing)
                return 0;
        v->to.fd = crew_fd(v->worker, v->dir, CREW_TO);
        if (v->to.fd < 0)
                r = err_destination_at(err, v->to.fd, "open directory", v->path.data, "");
        else if ((r = entry_stat_fd(&self, v->to.fd)) == 0 && self.dev != v->update->to_dev)
                r = err_item_at(err, -EXDEV, "change what is mounted in the destination at", v->path.data, "");
        else if (r == 0)
                r = listing_read(&v->old, v->to.fd, &v->worker->arena);
        if (r < 0 && err->kind == ERR_NONE)
                err_destination_at(err, r, "read directory", v->path.data, "");
        if (r < 0)
                r = absorb(v, r, err) < 0 ? r : CREW_SKIP_FINISH;
        v->from.mark = arena_mark(&v->worker->arena);
        return r;
}

static int visit_kept(struct visit *v, struct err *err)
{
        int r = open_source(v, err);

        if (r == 0)
                r = open_destination(v, err);
        if (r == 0)
                r = merge(v, err);
        source_close(&v->from);
        listing_deinit(&v->old);
        return r;
}

/* ---- a directory that goes ---- */

static int open_removed(struct visit *v)
{
        int fd = crew_fd(v->worker, v->dir, CREW_TO), parent;

        if (fd != -EACCES || v->update->config->limits->privileged || v->update->config->dry_run)
                return fd;
        parent = crew_fd(v->worker, v->dir->parent, CREW_TO);
        if (parent < 0 || fchmodat(parent, v->dir->name, S_IRWXU, AT_SYMLINK_NOFOLLOW) < 0)
                return fd;
        return crew_fd(v->worker, v->dir, CREW_TO);
}

static int visit_removed(struct visit *v, struct err *err)
{
        struct entry self;
        int r;

        v->from = (struct source_dir){ .arena = &v->worker->arena };
        v->to = (struct put_dir){ .shared = &v->update->shared, .path = v->path.data, .fd = open_removed(v) };
        r = v->to.fd < 0 ? v->to.fd : entry_stat_fd(&self, v->to.fd);
        if (r == 0 && self.dev != v->update->to_dev)
                r = -EBUSY;
        if (r == 0 && !v->update->config->limits->privileged && (self.mode & S_IRWXU) != S_IRWXU &&
            !v->update->config->dry_run)
                (void)fchmod(v->to.fd, S_IRWXU);
        if (r == 0)
                r = listing_read_unsorted(&v->old, v->to.fd, &v->worker->arena);
        v->may_remove = true;
        if (r < 0) {
                err_destination_at(err, r, "delete directory", v->path.data, "");
                r = absorb(v, r, err) < 0 ? r : CREW_SKIP_FINISH;
        } else {
                r = pass_old(v, NULL, err);
        }
        listing_deinit(&v->old);
        return r;
}

static int finish_removed(struct visit *v, struct err *err)
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
                return absorb(v, err_destination_at(err, r, "delete directory", v->path.data, ""), err);
        report_change(v->update->config->report, REPORT_VERB_DELETED, NULL, v->path.data, true, 0);
        report_add(v->update->config->report, REPORT_DELETED, 1);
        return 0;
}

/* ---- the crew's view ---- */

static int finish_kept(struct visit *v, struct err *err)
{
        const struct task *t = v->task;
        struct meta_place place = { .fd = -1 };
        struct entry now;
        int r;

        if (v->update->config->dry_run)
                return 0;
        place.fd = crew_fd(v->worker, v->dir, CREW_TO);
        r = place.fd < 0 ? place.fd : entry_stat_fd(&now, place.fd);
        if (r == 0 && !v->update->config->limits->privileged && (now.mode & 07777) != t->mode)
                r = meta_set_mode(&place, t->mode);
        if (r == 0 && timespec_compare(now.mtime, t->mtime) != 0)
                r = meta_set_mtime(&place, t->mtime);
        if (r < 0)
                return absorb(v, err_destination_at(err, r, "set the metadata of", v->path.data, ""), err);
        return 0;
}

static int visit_init(struct visit *v, struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        *v = (struct visit){ .update = crew_context(w), .worker = w, .dir = d, .task = d->data };
        return crew_path(d, &v->path) < 0 ? err_oom(err) : 0;
}

static int on_visit(struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        struct visit v;
        int r = visit_init(&v, w, d, err);

        if (r == 0)
                r = v.task->remove ? visit_removed(&v, err) : visit_kept(&v, err);
        buf_deinit(&v.path);
        return r;
}

static int on_finish(struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        struct visit v;
        int r = visit_init(&v, w, d, err);

        if (r == 0)
                r = v.task->remove ? finish_removed(&v, err) : finish_kept(&v, err);
        buf_deinit(&v.path);
        return r;
}

/* ---- the whole ---- */

/* The root's own metadata; its name is no entry of any directory. */
static int update_root(struct update *u, struct task *ret, struct err *err)
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
        *ret = (struct task){ .mode = want.mode & 07777, .mtime = want.mtime, .missing = c->to_fd < 0 };
        if (c->to_fd < 0)
                return 0;
        r = entry_load_fd(&have, c->to_fd, "", &arena, &failed);
        if (r < 0)
                return err_run(err, r, failed, "the destination directory");
        u->to_dev = have.dev;
        d = decide(&want, &have, &(struct decide_hints){ .verify = false });
        if (d.verdict != DECIDE_ADJUST && c->limits->privileged)
                return 0;
        if (d.verdict == DECIDE_ADJUST)
                report_change(c->report, REPORT_VERB_METADATA, NULL, ".", true, d.why);
        if (!c->dry_run)
                r = meta_apply(&(struct meta_place){ .fd = c->to_fd }, &want, &have,
                               c->limits->privileged ? 0 : META_KEEP_ACCESS, &failed);
        return r < 0 ? err_run(err, r, failed, "the destination directory") : 0;
}

static int run_once(struct update *u, struct err *err)
{
        static const struct crew_ops ops = { .visit = on_visit, .finish = on_finish, .forget = free };
        const struct update_config *c = u->config;
        struct task root, *data;
        int r;

        report_restart(c->report, REPORT_ENTRIES);
        report_restart(c->report, REPORT_BYTES);
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

        if (r < 0)
                return r;
        /* Once; again when a group had to move on the way, for those of its names that were visited before. */
        do {
                r = run_once(&u, err);
        } while (r == 0 && links_take_moved(u.links));
        links_free(u.links);
        return r;
}
