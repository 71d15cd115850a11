/*
 * A new inode in four steps: create (without any permission but those it is to have), content, metadata, name. Owner
 * and mode are set only where they differ from what the kernel gave the new inode, which is read back: a default ACL, a
 * setgid directory or a security module may have had a say.
 */
#include "transfer/put.h"

#include "base/arena.h"
#include "base/content.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/meta.h"
#include "base/report.h"
#include "base/stop.h"
#include "base/temporary.h"
#include "transfer/limits.h"
#include "transfer/links.h"
#include "transfer/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { READ_AGAIN_MAX = 2, REFLINK_MIN = 256 * 1024 };

/* A new inode on its way to its name. */
struct staged {
        struct put_dir *dir;
        const char *name;               /* where it is to be */
        char temporary[TEMPORARY_SIZE]; /* where it is meanwhile, empty when it is there already */
        int fd;                         /* open for a regular file, else O_PATH; -1 before it exists */
        bool exists;                    /* it was created, and has not its name yet */
        ino_t ino;
};

static const char *staged_name(const struct staged *s)
{
        return s->temporary[0] ? s->temporary : s->name;
}

static void staged_init(struct staged *s, struct put_dir *p, const char *name, bool name_is_taken)
{
        *s = (struct staged){ .dir = p, .name = name, .fd = -1 };
        if (name_is_taken)
                temporary_name(s->temporary);
}

static int fail(const struct staged *s, int code, const char *operation, struct err *err)
{
        return err_destination_at(err, code, operation, s->dir->path, s->name);
}

/* It did not become whole: take it away again. */
static void staged_abandon(struct staged *s)
{
        s->fd = fd_close(s->fd);
        if (s->exists)
                (void)unlinkat(s->dir->fd, staged_name(s), 0);
        s->exists = false;
}

/* Give it its name. */
static int staged_commit(struct staged *s, struct err *err)
{
        int fd = TAKE_FD(s->fd);

        if (fd >= 0 && close(fd) < 0)
                return fail(s, -errno, "write", err);
        if (s->temporary[0] && renameat(s->dir->fd, s->temporary, s->dir->fd, s->name) < 0)
                return fail(s, -errno, "replace", err);
        s->exists = false;
        return 0;
}

/* ---- metadata ---- */

/* An attribute that is too large for this filesystem is refused with ENOSPC too: is the disk really full? */
static bool has_space(int fd)
{
        struct statvfs vfs;

        return fstatvfs(fd, &vfs) == 0 && vfs.f_bavail > 0 && (vfs.f_files == 0 || vfs.f_favail > 0);
}

/* The mode of an entry whose other metadata failed: no set-id bit for an owner that it was not given for. */
static mode_t remaining_mode(int fd, const struct entry *want, unsigned flags)
{
        mode_t mode = want->mode | (flags & META_KEEP_ACCESS ? S_IRWXU : 0);
        struct entry now;

        if (entry_stat_fd(&now, fd) < 0 || now.uid != want->uid || now.gid != want->gid)
                mode &= ~(mode_t)(S_ISUID | S_ISGID);
        /* Its group bits are the mask of an ACL that may not be there: they are not for the group itself. */
        if (xattrs_find(&want->xattrs, "system.posix_acl_access"))
                mode &= ~(mode_t)S_IRWXG;
        return mode;
}

/* Metadata that one entry cannot have does not keep its content from being stored: tell, and set what remains. */
static int apply_metadata(struct put_dir *p, int fd, const struct entry *want, const struct entry *have, unsigned flags,
                          struct err *err)
{
        unsigned labels = p->shared->limits->xattr_system ? 0 : META_KEEP_LABELS;
        const char *failed;
        int r = meta_apply(fd, want, have, flags | labels, &failed);

        if (r == 0)
                return 0;
        if (r == -ENOSPC && has_space(p->fd))
                r = -E2BIG;
        err_destination_at(err, r, failed, p->path, want->name);
        if (err->kind == ERR_RUN)
                return r;
        report_item(p->shared->report, err);
        if (!S_ISLNK(want->mode))
                (void)meta_set_mode(fd, remaining_mode(fd, want, flags));
        return 0;
}

/* What the kernel gave a new file: attributes come from the directory (a default ACL, a label), to all alike. */
static int load_new_file(struct staged *s, struct entry *ret, const char **ret_failed)
{
        struct put_dir *p = s->dir;
        int r;

        if (p->gives_nothing) {
                *ret_failed = "read the metadata of";
                return entry_stat_fd(ret, s->fd);
        }
        r = entry_load_fd(ret, s->fd, s->name, p->from->arena, ret_failed);
        p->gives_nothing = r == 0 && ret->xattrs.count == 0;
        return r;
}

/* All metadata of a new inode, its times last. */
static int dress(struct staged *s, const struct entry *want, struct err *err)
{
        const struct limits *l = s->dir->shared->limits;
        const char *failed;
        struct entry have;
        int r;

        if (entry_is_file(want))
                r = load_new_file(s, &have, &failed);
        else
                r = entry_load_fd(&have, s->fd, s->name, s->dir->from->arena, &failed);
        if (r < 0)
                return fail(s, r, failed, err);
        s->ino = have.ino;
        /* Found by name: who may write in this directory could have put something else there. */
        if (!entry_is_file(want) &&
            ((have.mode ^ want->mode) & S_IFMT || have.nlink != 1 || (l->owner && have.uid != l->uid)))
                return fail(s, -ESTALE, "create", err);
        r = apply_metadata(s->dir, s->fd, want, &have, 0, err);
        if (r < 0)
                return r;
        r = meta_set_mtime(s->fd, want->mtime);
        return r < 0 ? fail(s, r, "set the times of", err) : 0;
}

/* ---- regular files ---- */

static void count_copied(void *context, uint64_t bytes)
{
        report_add(context, REPORT_COPIED_BYTES, bytes);
}

static bool may_reflink(const struct put_dir *p, uint64_t size)
{
        return size >= REFLINK_MIN && !atomic_load_explicit(&p->shared->no_reflink, memory_order_relaxed);
}

static bool reflink(struct put_dir *p, int from, int to)
{
        int r = content_reflink(from, to);

        if (r == -EXDEV || r == -EOPNOTSUPP)
                atomic_store(&p->shared->no_reflink, true);
        return r == 0;
}

/* The mode to be born with: for nobody else, unless all that it gives access to are those who are to have it. */
static mode_t birth_mode(const struct put_dir *p, const struct entry *want)
{
        const struct limits *l = p->shared->limits;
        bool is_final = want->uid == l->uid && want->gid == l->gid && p->gives_nothing;

        return is_final && want->xattrs.count == 0 ? want->mode & 0777 : 0600;
}

static int create_file(struct staged *s, const struct entry *want, struct err *err)
{
        const mode_t mode = birth_mode(s->dir, want);

        s->fd = openat(s->dir->fd, staged_name(s), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        s->exists = s->fd >= 0;
        return s->exists ? 0 : fail(s, -errno, "create", err);
}

/* One reading of the whole. Return 0, CONTENT_SHORT, or a negative errno with @err filled. */
static int read_once(struct staged *s, int from, const struct entry *e, struct err *err)
{
        struct put_dir *p = s->dir;
        const struct content_config config = {
                .from = from,
                .to = s->fd,
                .size = e->size,
                .has_holes = e->blocks * 512 < e->size,
                .behind = p->shared->behind,
                .progress = count_copied,
                .context = p->shared->report,
        };
        enum content_side side;
        int r;

        if (may_reflink(p, e->size) && reflink(p, from, s->fd))
                return 0;
        r = content_copy(&config, &side);
        if (r >= 0)
                return r;
        if (r == -ECANCELED && stop_requested())
                return stop_check(err);
        if (side == CONTENT_SIDE_FROM && r != -ENOMEM)
                return err_item_at(err, r, "read", p->path, s->name);
        return fail(s, r, "write", err);
}

/* Was its content the same from before the reading until now? Each change moves the ctime; the mtime of @before may
 * have been fitted to the destination. */
static bool is_steady(const struct entry *before, const struct entry *after)
{
        return before->size == after->size && timespec_compare(before->ctime, after->ctime) == 0;
}

/*
 * Read until it does not change meanwhile, three times at most. The metadata are those from before the last reading:
 * should the file have changed since, the next run sees that by its mtime.
 */
static int read_file(struct staged *s, int from, struct entry *e, struct err *err)
{
        struct put_dir *p = s->dir;
        const char *failed = "read the metadata of";
        struct entry now = { .ino = 0 };

        for (int i = 0;; i++) {
                int r = read_once(s, from, e, err), shorter = r;

                if (r < 0)
                        return r;
                r = entry_stat_fd(&now, from);
                if (r == 0 && shorter != CONTENT_SHORT && is_steady(e, &now))
                        return 0;
                if (r == 0 && i == READ_AGAIN_MAX) {
                        report_unsteady(p->shared->report, p->path, e->name);
                        return 0;
                }
                if (r == 0)
                        r = entry_load_fd(&now, from, e->name, p->from->arena, &failed);
                if (r < 0)
                        return err_item_at(err, r, failed, p->path, e->name);
                if (ftruncate(s->fd, 0) < 0)
                        return fail(s, -errno, "write", err);
                *e = now;
                limits_fit(p->shared->limits, e, p->shared->report, p->path);
        }
}

/* The old inode's content, without copying it. False when that is not possible: then it is read from the source. */
static bool share_old_content(struct staged *s, const struct entry *have)
{
        _cleanup_(fd_closep) int old = -1;
        struct entry now = { .ino = 0 };

        if (!may_reflink(s->dir, have->size))
                return false;
        old = fd_open_file_at(s->dir->fd, s->name);
        return old >= 0 && entry_stat_fd(&now, old) == 0 && entry_is_same_inode(&now, have) &&
               reflink(s->dir, old, s->fd);
}

static int fill_from_source(struct staged *s, struct entry *want, struct err *err)
{
        struct put_dir *p = s->dir;
        _cleanup_(fd_closep) int from = -1;
        int r = source_open(p->from, want, &from, err);

        if (r == SOURCE_VANISHED)
                return PUT_VANISHED;
        if (r == SOURCE_RENEWED)
                limits_fit(p->shared->limits, want, p->shared->report, p->path);
        if (r >= 0 && s->fd < 0)
                r = create_file(s, want, err);
        return r < 0 ? r : read_file(s, from, want, err);
}

/* The source is opened before anything is created: a file that cannot be read leaves no trace. */
static int stage_file(struct staged *s, struct entry *want, const struct entry *have, bool reuse, struct err *err)
{
        int r;

        if (have && reuse && may_reflink(s->dir, want->size)) {
                r = create_file(s, want, err);
                if (r < 0 || share_old_content(s, have))
                        return r;
        }
        return fill_from_source(s, want, err);
}

/* ---- everything else ---- */

static int find_node(struct staged *s, struct err *err)
{
        s->fd = openat(s->dir->fd, staged_name(s), O_PATH | O_NOFOLLOW | O_CLOEXEC);
        return s->fd < 0 ? fail(s, -errno, "create", err) : 0;
}

static int create_node(struct staged *s, const struct entry *want, struct err *err)
{
        struct put_dir *p = s->dir;
        enum report_lack lack = S_ISLNK(want->mode) ? REPORT_LACK_SYMLINK : REPORT_LACK_SPECIAL;
        int r;

        if (S_ISLNK(want->mode))
                r = symlinkat(want->target, p->fd, staged_name(s));
        else
                r = mknodat(p->fd, staged_name(s), want->mode & (S_IFMT | S_IRWXU), want->rdev);
        s->exists = r == 0;
        if (s->exists)
                return find_node(s, err);
        if (errno == EPERM || errno == EOPNOTSUPP || errno == EINVAL) {
                bool is_device = S_ISCHR(want->mode) || S_ISBLK(want->mode);

                report_lack(p->shared->report, lack,
                            is_device && !p->shared->limits->devices && p->shared->limits->accepted, p->path, s->name);
                return PUT_LACKING;
        }
        return fail(s, -errno, "create", err);
}

int put_entry(struct put_dir *p, struct entry *want, const struct entry *have, bool reuse, ino_t *ret_ino,
              struct err *err)
{
        struct staged s;
        int r;

        staged_init(&s, p, want->name, have != NULL);
        if (entry_is_file(want))
                r = stage_file(&s, want, have, reuse, err);
        else
                r = create_node(&s, want, err);
        if (r == 0)
                r = dress(&s, want, err);
        if (r == 0)
                r = staged_commit(&s, err);
        if (r == 0)
                *ret_ino = s.ino;
        else
                staged_abandon(&s);
        return r;
}

/* ---- hard links ---- */

static bool is_inode(int dirfd, const char *name, ino_t ino)
{
        struct entry e;

        return entry_stat(&e, dirfd, name) == 0 && e.ino == ino;
}

/* Make the staged name a link of @home. Return 0 or -errno. */
static int link_home(struct staged *s, const struct links_home *home)
{
        struct put_dir *p = s->dir;
        _cleanup_(fd_closep) int elsewhere = -1;
        int from = p->fd;

        if (!str_equal(home->directory, p->path)) {
                from = elsewhere = fd_open_below(p->shared->latest_fd, home->directory);
                if (elsewhere < 0)
                        return TAKE_FD(elsewhere);
        }
        if (linkat(from, home->name, p->fd, staged_name(s), 0) < 0)
                return -errno;
        s->exists = true;
        /* Somebody else may write in this tree: what was linked must be what is meant. */
        if (is_inode(p->fd, staged_name(s), home->ino))
                return 0;
        staged_abandon(s);
        return -ESTALE;
}

int put_link(struct put_dir *p, const char *name, const struct links_home *home, bool name_is_taken, struct err *err)
{
        struct staged s;
        int r;

        staged_init(&s, p, name, name_is_taken);
        r = link_home(&s, home);
        if (r == -EMLINK)
                return PUT_TOO_MANY_LINKS;
        if (r == -EPERM || r == -EOPNOTSUPP || r == -EXDEV || r == -EACCES) {
                report_lack(p->shared->report, REPORT_LACK_HARDLINK, false, p->path, name);
                return PUT_LACKING;
        }
        if (r < 0)
                return fail(&s, r, "link", err);
        r = staged_commit(&s, err);
        if (r < 0)
                staged_abandon(&s);
        return r;
}

/* ---- in place ---- */

int put_metadata(struct put_dir *p, const struct entry *want, const struct entry *have, struct err *err)
{
        _cleanup_(fd_closep) int fd = fd_open_file_at(p->fd, want->name);
        struct entry now = { .ino = 0 };

        if (fd < 0 || entry_stat_fd(&now, fd) < 0 || !entry_is_same_inode(&now, have) || now.nlink != 1)
                return PUT_NOT_IN_PLACE;
        return apply_metadata(p, fd, want, have, 0, err);
}

/* An ordinary user may have closed his own directory to himself. */
static int open_directory(struct put_dir *p, const char *name, const struct entry *have, int *ret_fd)
{
        bool closed = have && !p->shared->limits->privileged && (have->mode & S_IRWXU) != S_IRWXU;
        struct entry now = { .ino = 0 };
        int fd;

        if (closed && fchmodat(p->fd, name, (have->mode & 07777) | S_IRWXU, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        fd = fd_open_at(p->fd, name, O_DIRECTORY);
        if (fd < 0)
                return fd;
        if (have && (entry_stat_fd(&now, fd) < 0 || !entry_is_same_inode(&now, have))) {
                fd_close(fd);
                return -ESTALE;
        }
        *ret_fd = fd;
        return 0;
}

int put_directory(struct put_dir *p, const struct entry *want, const struct entry *have, bool adjust, ino_t *ret_ino,
                  struct err *err)
{
        unsigned flags = p->shared->limits->privileged ? 0 : META_KEEP_ACCESS;
        bool closed = have && flags && (have->mode & S_IRWXU) != S_IRWXU;
        _cleanup_(fd_closep) int fd = -1;
        struct entry now = { .ino = 0 };
        const char *failed = "open";
        int r;

        if (have)
                *ret_ino = have->ino;
        if (have && !adjust && !closed)
                return 0;
        if (!have && mkdirat(p->fd, want->name, S_IRWXU) < 0)
                return err_destination_at(err, -errno, "create directory", p->path, want->name);
        r = open_directory(p, want->name, have, &fd);
        if (r == 0)
                r = entry_load_fd(&now, fd, want->name, p->from->arena, &failed);
        if (r < 0)
                return err_destination_at(err, r, failed, p->path, want->name);
        *ret_ino = now.ino;
        return apply_metadata(p, fd, want, &now, flags, err);
}

int put_aside(struct put_dir *p, const char *name, char ret_name[TEMPORARY_SIZE], struct err *err)
{
        temporary_name(ret_name);
        if (renameat(p->fd, name, p->fd, ret_name) < 0)
                return err_destination_at(err, -errno, "replace", p->path, name);
        return 0;
}

int put_removed(struct put_dir *p, const char *name, struct err *err)
{
        if (unlinkat(p->fd, name, 0) < 0 && errno != ENOENT)
                return err_destination_at(err, -errno, "delete", p->path, name);
        return 0;
}
