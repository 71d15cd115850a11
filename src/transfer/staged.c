/*
 * Owner and mode are set only where they differ from what the kernel gave the new inode, which is read back: a default
 * ACL, a setgid directory or a security module may have had a say.
 */
#include "transfer/staged.h"

#include "base/arena.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/meta.h"
#include "base/report.h"
#include "transfer/limits.h"
#include "transfer/put.h"
#include "transfer/source.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

const char *staged_name(const struct staged *s)
{
        return s->temporary[0] ? s->temporary : s->name;
}

bool staged_is_closed(const struct put_dir *p)
{
        struct entry now;

        return entry_stat_fd(&now, p->fd) == 0 && now.takes_no_link;
}

int staged_init(struct staged *s, struct put_dir *p, const char *name, bool name_is_taken, struct err *err)
{
        *s = (struct staged){ .dir = p, .name = name, .fd = -1 };
        if (!name_is_taken)
                return 0;
        if (staged_is_closed(p)) {
                staged_fail(s, -EPERM, "replace", err);
                return err_hint(err, "the directory is immutable or append-only, see chattr(1)");
        }
        temporary_name(s->temporary);
        return 0;
}

int staged_fail(const struct staged *s, int code, const char *operation, struct err *err)
{
        return err_destination_at(err, code, operation, s->dir->path, s->name);
}

static void tell_of_leftover(const struct staged *s, int code)
{
        struct report *report = s->dir->shared->report;
        ERR_LOCAL(err);

        err_item_at(&err, code, "delete", s->dir->path, staged_name(s));
        report_item(report, &err);
        report_mark_leftovers(report);
}

void staged_abandon(struct staged *s)
{
        s->fd = fd_close(s->fd);
        /* The directory was closed meanwhile; other failures have ended the run already. */
        if (s->exists && unlinkat(s->dir->fd, staged_name(s), 0) < 0 && errno == EPERM)
                tell_of_leftover(s, -EPERM);
        s->exists = false;
}

int staged_commit(struct staged *s, struct err *err)
{
        int fd = TAKE_FD(s->fd);

        if (fd >= 0 && close(fd) < 0)
                return staged_fail(s, -errno, "write", err);
        if (s->temporary[0] && renameat(s->dir->fd, s->temporary, s->dir->fd, s->name) < 0)
                return staged_fail(s, -errno, "replace", err);
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

int staged_apply_metadata(struct put_dir *p, int fd, const struct entry *want, const struct entry *have, unsigned flags,
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
        if (r == -E2BIG)
                err_hint(err, "the destination's filesystem holds no more or no larger ones in one file");
        report_item(p->shared->report, err);
        return STAGED_LACKS;
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

int staged_dress(struct staged *s, const struct entry *want, struct err *err)
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
                return staged_fail(s, r, failed, err);
        s->ino = have.ino;
        /* Found by name: who may write in this directory could have put something else there. */
        if (!entry_is_file(want) &&
            ((have.mode ^ want->mode) & S_IFMT || have.nlink != 1 || (l->owner && have.uid != l->uid)))
                return staged_fail(s, -ESTALE, "create", err);
        r = staged_apply_metadata(s->dir, s->fd, want, &have, 0, err);
        if (r < 0)
                return r;
        s->lacks = r == STAGED_LACKS;
        r = meta_set_mtime(s->fd, want->mtime);
        return r < 0 ? staged_fail(s, r, "set the times of", err) : 0;
}
