/*
 * The source is opened before anything is created: a file that cannot be read leaves no trace. What changes while it is
 * read is read again.
 */
#include "transfer/put_file.h"

#include "base/content.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/report.h"
#include "base/stop.h"
#include "transfer/limits.h"
#include "transfer/put.h"
#include "transfer/source.h"
#include "transfer/staged.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { READ_AGAIN_MAX = 2, REFLINK_MIN = 256 * 1024 };

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

int put_file_create(struct staged *s, const struct entry *want, struct err *err)
{
        const mode_t mode = birth_mode(s->dir, want);

        s->fd = openat(s->dir->fd, staged_name(s), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        s->exists = s->fd >= 0;
        return s->exists ? 0 : staged_fail(s, -errno, "create", err);
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
        return staged_fail(s, r, "write", err);
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
                        return staged_fail(s, -errno, "write", err);
                *e = now;
                limits_fit(p->shared->limits, e, p->shared->report, p->path);
        }
}

/* What is near is read rather than what is far. */
static bool copy_old_content(struct staged *s, int old, const struct entry *have)
{
        const struct content_config config = {
                .from = old,
                .to = s->fd,
                .size = have->size,
                .has_holes = have->blocks * 512 < have->size,
                .behind = s->dir->shared->behind,
        };
        enum content_side side;

        return content_copy(&config, &side) == 0;
}

/* The old inode's content, without the source. False when that is not possible: then it is read from there. */
static bool share_old_content(struct staged *s, const struct entry *have)
{
        _cleanup_(fd_closep) int old = fd_open_file_at(s->dir->fd, s->name);
        struct entry now = { .ino = 0 };

        if (old < 0 || entry_stat_fd(&now, old) < 0 || !entry_is_same_inode(&now, have))
                return false;
        return (may_reflink(s->dir, have->size) && reflink(s->dir, old, s->fd)) ||
               (s->dir->from->is_remote && copy_old_content(s, old, have));
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
                r = put_file_create(s, want, err);
        return r < 0 ? r : read_file(s, from, want, err);
}

int put_file_content(struct staged *s, struct entry *want, const struct entry *have, bool reuse, struct err *err)
{
        int r;

        if (have && reuse && (may_reflink(s->dir, want->size) || s->dir->from->is_remote)) {
                r = put_file_create(s, want, err);
                if (r < 0 || share_old_content(s, have))
                        return r;
        }
        return s->dir->from->is_remote ? PUT_LATER : fill_from_source(s, want, err);
}
