/*
 * Per directory of `latest`: one link(2) for each name that is no directory, and a directory for each that is, which
 * gets its metadata when all below it is done.
 *
 * When a file takes no more links it moves to a new inode in `latest`, and that one is linked. Names of the same file
 * that were linked before are then on the old inode in both trees: a second pass over both puts that right.
 */
#include "rotate/snapshot.h"

#include "base/buf.h"
#include "base/crew.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/listing.h"
#include "base/meta.h"
#include "base/report.h"
#include "base/temporary.h"
#include "rotate/relocate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct clone {
        const struct snapshot_config *config;
        struct relocate *relocate;
        bool second_pass;
};

/* One directory in both trees. */
struct pair {
        struct clone *clone;
        struct crew_worker *worker;
        struct crew_dir *dir;
        struct buf path;
        int from, to;
        struct timespec mtime; /* of @from, before a file of it moved to a new inode; */
        bool has_moved;        /* valid if so */
};

static int fail(const struct pair *p, int code, const char *operation, const char *name, struct err *err)
{
        return err_run_at(err, code, operation, p->path.data, name);
}

static bool is_directory(int dirfd, const struct listing_name *n)
{
        struct entry e;

        if (n->type != DT_UNKNOWN)
                return n->type == DT_DIR;
        return entry_stat(&e, dirfd, n->name) == 0 && entry_is_dir(&e);
}

static int clone_directory(struct pair *p, const char *name, struct err *err)
{
        if (p->clone->second_pass ? false : mkdirat(p->to, name, S_IRWXU) < 0)
                return fail(p, -errno, "create directory", name, err);
        return crew_add(p->worker, p->dir, &(struct crew_child){ .name = name }, err);
}

/* Bring @name to the new inode that stands for @ino, in both trees. */
static int relocate(struct pair *p, const char *name, ino_t ino, struct err *err)
{
        const struct relocate_place place = { .dirfd = p->from, .to_dirfd = p->to, .path = p->path.data, .name = name };
        struct entry self;
        int r = p->has_moved ? 0 : entry_stat_fd(&self, p->from);

        if (r < 0)
                return fail(p, r, "read the metadata of", "", err);
        if (!p->has_moved)
                p->mtime = self.mtime;
        p->has_moved = true;
        r = relocate_name(p->clone->relocate, &place, ino, &p->worker->arena, err);
        if (r == RELOCATE_SPLIT)
                report_lack(p->clone->config->report, REPORT_LACK_HARDLINK, false, p->path.data, name);
        return r < 0 ? r : 0;
}

/* That changed the directory, but not the backup. */
static int restore_mtime(struct pair *p, struct err *err)
{
        int r = p->has_moved ? meta_set_mtime(p->from, p->mtime) : 0;

        return r < 0 ? fail(p, r, "set the times of", "", err) : 0;
}

/* @name takes no more links: move it, and link the new inode. */
static int link_elsewhere(struct pair *p, const char *name, struct err *err)
{
        struct entry e;
        int r = entry_stat(&e, p->from, name);

        if (r < 0)
                return fail(p, r, "read the metadata of", name, err);
        return relocate(p, name, e.ino, err);
}

/*
 * An immutable or append-only file takes no link: the snapshot gets a copy. Return 0, -EPERM when it is no such file,
 * or what kept it from being copied.
 */
static int copy_instead(struct pair *p, const char *name)
{
        struct entry e;
        int r = entry_stat(&e, p->from, name);

        if (r < 0 || !e.takes_no_link)
                return r < 0 ? r : -EPERM;
        r = relocate_copy(p->clone->relocate, p->from, p->to, name, &p->worker->arena);
        if (r == 0 && e.nlink > 1)
                report_lack(p->clone->config->report, REPORT_LACK_HARDLINK, false, p->path.data, name);
        return r;
}

static int clone_file(struct pair *p, const char *name, struct err *err)
{
        int r = linkat(p->from, name, p->to, name, 0) < 0 ? -errno : 0;

        if (r == -EPERM)
                r = copy_instead(p, name);
        if (r == -EMLINK)
                return link_elsewhere(p, name, err);
        if (r == 0)
                return 0;
        fail(p, r, "link into the snapshot", name, err);
        if (r == -EPERM)
                err_hint(err, "snapshots need a filesystem with hard links");
        else if (r == -EXDEV)
                err_hint(err, "is something mounted there, or is it a btrfs subvolume?");
        return r;
}

/* Second pass: bring a name that is still on an old inode over to the new one, here and in the snapshot. */
static int move_file(struct pair *p, const char *name, struct err *err)
{
        struct entry e;
        int r = entry_stat(&e, p->from, name);

        if (r < 0 || !relocate_has(p->clone->relocate, e.ino))
                return r < 0 ? fail(p, r, "read the metadata of", name, err) : 0;
        return relocate(p, name, e.ino, err);
}

static int clone_names(struct pair *p, const struct listing *names, struct err *err)
{
        const struct snapshot_config *c = p->clone->config;
        uint64_t count = 0;

        for (size_t i = 0; i < names->count; i++) {
                const struct listing_name *n = names->names[i];
                int r;

                if (c->without_temporaries && temporary_is(n->name))
                        continue;
                count++;
                if (is_directory(p->from, n))
                        r = clone_directory(p, n->name, err);
                else if (p->clone->second_pass)
                        r = move_file(p, n->name, err);
                else
                        r = clone_file(p, n->name, err);
                if (r == 0)
                        r = crew_check(p->worker, err);
                if (r < 0)
                        return r;
        }
        if (!p->clone->second_pass)
                report_add(c->report, REPORT_SNAPSHOT, count);
        return 0;
}

/* ---- directories ---- */

static int open_pair(struct pair *p, struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        *p = (struct pair){ .clone = crew_context(w), .worker = w, .dir = d };
        if (crew_path(d, &p->path) < 0)
                return err_oom(err);
        p->from = crew_fd(w, d, CREW_FROM);
        p->to = p->from < 0 ? p->from : crew_fd(w, d, CREW_TO);
        return p->to < 0 ? fail(p, p->to, "open directory", "", err) : 0;
}

static int on_visit(struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        struct listing names = { .names = NULL };
        struct pair p;
        int r = open_pair(&p, w, d, err);

        if (r == 0) {
                r = listing_read_unsorted(&names, p.from, &w->arena);
                r = r < 0 ? fail(&p, r, "read directory", "", err) : clone_names(&p, &names, err);
                if (r == 0)
                        r = restore_mtime(&p, err);
        }
        listing_deinit(&names);
        buf_deinit(&p.path);
        return r;
}

/* All metadata of the directory, from its counterpart in `latest`. Return 0 or -errno. */
static int copy_metadata(struct pair *p, const char **ret_failed)
{
        struct entry from, to;
        int r = entry_load_fd(&from, p->from, p->dir->name, &p->worker->arena, ret_failed);

        if (r == 0)
                r = entry_load_fd(&to, p->to, p->dir->name, &p->worker->arena, ret_failed);
        if (r < 0)
                return r;
        from.mode = p->dir->slots[CREW_FROM].mode;
        r = meta_apply(p->to, &from, &to, p->clone->config->privileged ? 0 : META_KEEP_LABELS, ret_failed);
        if (r == 0) {
                *ret_failed = "set the times of";
                r = meta_set_mtime(p->to, from.mtime);
        }
        return r;
}

static int on_finish(struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        const char *failed;
        struct pair p;
        int r = open_pair(&p, w, d, err);

        if (r == 0) {
                r = copy_metadata(&p, &failed);
                if (r < 0)
                        fail(&p, r, failed, "", err);
        }
        buf_deinit(&p.path);
        return r;
}

static int run(struct clone *clone, struct err *err)
{
        static const struct crew_ops ops = { .visit = on_visit, .finish = on_finish };
        const struct snapshot_config *c = clone->config;

        return crew_run(
                &(struct crew_config){ .ops = &ops,
                                       .context = clone,
                                       .root_fds = { c->from_fd, c->to_fd },
                                       .access[CREW_FROM] = c->privileged ? CREW_ACCESS_AS_IT_IS : CREW_ACCESS_LENT,
                                       .tick = c->tick,
                                       .tick_context = c->tick_context },
                err);
}

int snapshot_clone(const struct snapshot_config *config, struct err *err)
{
        _cleanup_(relocate_freep) struct relocate *relocate = NULL;
        struct clone clone = { .config = config };
        int r = relocate_new(&relocate, config->from_fd, config->privileged ? 0 : META_KEEP_LABELS, err);

        if (r < 0)
                return r;
        clone.relocate = relocate;
        r = run(&clone, err);
        if (r == 0 && relocate_any(relocate)) {
                clone.second_pass = true;
                r = run(&clone, err);
        }
        if (r == 0)
                report_add(config->report, REPORT_SNAPSHOT, 1); /* the root, which no directory lists */
        return r;
}
