/*
 * A local tree as a source. The filter sees names before anything is loaded; what borders on other filesystems is
 * recognised by st_dev, the destination by device and inode.
 */
#include "transfer/source.h"

#include "base/buf.h"
#include "base/directory.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mount.h"
#include "base/path.h"
#include "base/report.h"
#include "transfer/filter/filter.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

struct source {
        int root_fd;
        dev_t dev;
        const struct filter *filter;
        bool multi_fs;
        const struct source_avoid *avoid;
        struct report *report;
        uid_t user; /* as whom we read */
};

static const struct source_avoid nothing = { .parent_fd = -1 };

int source_new(struct source **ret, const struct source_config *config, struct err *err)
{
        _cleanup_(source_freep) struct source *s = calloc(1, sizeof(*s));
        struct entry root = { .dev = 0 };
        int r;

        if (!s)
                return err_oom(err);
        s->root_fd = fd_open_directory(config->path);
        r = s->root_fd < 0 ? s->root_fd : entry_stat_fd(&root, s->root_fd);
        if (r < 0)
                return err_run(err, r, "read the source directory", config->path);
        s->dev = root.dev;
        s->filter = config->filter;
        s->multi_fs = config->multi_fs;
        s->report = config->report;
        s->user = geteuid();
        s->avoid = config->avoid ? config->avoid : &nothing;
        *ret = TAKE(s);
        return 0;
}

struct source *source_free(struct source *s)
{
        if (!s)
                return NULL;
        fd_close(s->root_fd);
        free(s);
        return NULL;
}

int source_root_fd(const struct source *s)
{
        return s->root_fd;
}

bool source_takes_in(const struct source *s, dev_t dev)
{
        return s->multi_fs || dev == s->dev;
}

int source_list(struct source_dir *d, struct err *err)
{
        int r = listing_read(&d->listing, d->fd, d->arena);

        d->mark = arena_mark(d->arena);
        return r < 0 ? err_item_at(err, r, "read directory", d->path, "") : 0;
}

void source_close(struct source_dir *d)
{
        listing_deinit(&d->listing);
}

/* ---- what stays out ---- */

static bool is_directory(const struct source_dir *d, const struct listing_name *n)
{
        struct entry e;

        if (n->type != DT_UNKNOWN)
                return n->type == DT_DIR;
        return entry_stat(&e, d->fd, n->name) == 0 && entry_is_dir(&e);
}

static int is_excluded(const struct source_dir *d, const struct listing_name *n, bool is_dir, struct buf *path)
{
        buf_truncate(path, 0);
        if (buf_puts(path, d->path) < 0 || (path->size > 0 && buf_putc(path, '/') < 0) || buf_puts(path, n->name) < 0)
                return -ENOMEM;
        return filter_excludes(d->source->filter, path->data, is_dir);
}

static bool is_listed(const struct source_avoid *avoid, const struct entry *e)
{
        for (size_t i = 0; i < avoid->count; i++) {
                if (avoid->items[i].ino == e->ino && avoid->items[i].dev == e->dev)
                        return true;
        }
        return false;
}

int source_avoids(const struct source_avoid *avoid, const struct entry *e, int fd)
{
        _cleanup_(freep) char *name = NULL;
        struct entry above;
        int r;

        if (is_listed(avoid, e))
                return 1;
        if (!e->is_mount_point || avoid->parent_fd < 0)
                return 0;
        r = mount_is_of_entry_in(fd, avoid->parent_fd, &name);
        if (r <= 0 || entry_stat(&above, avoid->parent_fd, name) < 0)
                return r < 0 ? r : 0;
        return is_listed(avoid, &above);
}

int source_avoids_above(const struct source_avoid *avoid, int start_fd)
{
        _cleanup_(fd_closep) int fd = fcntl(start_fd, F_DUPFD_CLOEXEC, 0);
        bool is_root = false;
        int r = 0;

        while (r == 0 && !is_root) {
                struct entry e = { .ino = 0 };

                r = fd < 0 ? -errno : entry_stat_fd(&e, fd);
                if (r == 0)
                        r = source_avoids(avoid, &e, fd);
                if (r == 0)
                        r = directory_go_up(&fd, &e, &is_root);
        }
        return r;
}

void source_avoid_deinit(struct source_avoid *a)
{
        free(a->items);
        *a = (struct source_avoid){ .parent_fd = -1 };
}

/* Return 1, 0, or -ENOMEM. */
static int is_avoided(const struct source_dir *d, const struct entry *e)
{
        _cleanup_(fd_closep) int fd = -1;

        if (e->is_mount_point)
                fd = openat(d->fd, e->name, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
        return source_avoids(d->source->avoid, e, fd);
}

/* Subvolumes look like directories, but their content is easily believed to be part of the backup when it is not. */
static void tell_of_subvolume(const struct source_dir *d, const struct entry *e)
{
        enum { SUBVOLUME_INO = 256 };
        _cleanup_(fd_closep) int fd = -1;
        struct statfs fs;
        char shown[512];

        if (e->ino != SUBVOLUME_INO)
                return;
        fd = fd_open_at(d->fd, e->name, O_DIRECTORY);
        if (fd < 0 || fstatfs(fd, &fs) < 0 || fs.f_type != BTRFS_SUPER_MAGIC)
                return;
        path_show(d->path, e->name, shown, sizeof(shown));
        log_info("'%s' is a btrfs subvolume of its own and stays out; --multi-fs takes it in", shown);
}

/* A FUSE mount lets nobody in but its owner, not even root, and not even to look at its own metadata. */
static bool is_closed_mount(const struct source_dir *d, const char *name)
{
        _cleanup_(fd_closep) int fd = openat(d->fd, name, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);

        return fd >= 0 && mount_id(fd) != mount_id(d->fd);
}

struct entry source_closed_mount(const char *name)
{
        return (struct entry){ .name = name, .mode = S_IFDIR | S_IRWXU, .content_omitted = true };
}

static int look_at(struct source_dir *d, const struct listing_name *n, struct entry *ret, struct err *err)
{
        int r = entry_stat(ret, d->fd, n->name);

        if (r == -EACCES && n->type == DT_DIR && !d->source->multi_fs && is_closed_mount(d, n->name)) {
                *ret = source_closed_mount(n->name);
                return 0;
        }
        /* A name may be gone for a moment: then what has it now counts. */
        if (r == -ENOENT) {
                r = entry_stat(ret, d->fd, n->name);
                if (r == -ENOENT)
                        return SOURCE_VANISHED;
        }
        ret->name = n->name;
        if (r < 0)
                return err_item_at(err, r, "read the metadata of", d->path, n->name);
        if (entry_is_dir(ret) && ret->dev != d->dev && !d->source->multi_fs) {
                ret->content_omitted = true;
                tell_of_subvolume(d, ret);
        }
        return 0;
}

enum { LEFT_OUT = SOURCE_LATER + 1 };

/* Return as look_at(), or LEFT_OUT. */
static int look_at_wanted(struct source_dir *d, const struct listing_name *n, struct buf *path, struct entry *ret,
                          struct err *err)
{
        bool is_dir = is_directory(d, n);
        int out = is_excluded(d, n, is_dir, path), r = 0;

        if (out == 0)
                r = look_at(d, n, ret, err);
        /* There are patterns for directories alone, and it may have become one, or something else, since it was listed.
         */
        if (out == 0 && r == 0 && entry_is_dir(ret) != is_dir)
                out = is_excluded(d, n, !is_dir, path);
        if (out < 0)
                return err_oom(err);
        return out > 0 ? (int)LEFT_OUT : r;
}

int source_next(struct source_dir *d, struct entry *ret, struct err *err)
{
        _cleanup_(buf_deinit) struct buf path = { .data = NULL };
        int r;

        while (d->next < d->listing.count) {
                const struct listing_name *n = d->listing.names[d->next++];

                arena_release(d->arena, d->mark);
                r = look_at_wanted(d, n, &path, ret, err);
                if (r == LEFT_OUT)
                        continue;
                if (r == SOURCE_VANISHED)
                        report_vanished(d->source->report, d->path, n->name);
                else if (r < 0 || !entry_is_dir(ret))
                        return r;
                else if ((r = is_avoided(d, ret)) < 0)
                        return err_oom(err);
                /* A mount point is kept, empty, as others are. */
                else if (r == 0 || ret->is_mount_point) {
                        ret->content_omitted = ret->content_omitted || r > 0;
                        return 0;
                }
        }
        return SOURCE_END;
}

/* A change of metadata moves the ctime, so that what was listed needs to be read again only when that has moved. */
static bool is_as_listed(const struct entry *listed, const struct entry *now)
{
        return entry_is_same_inode(listed, now) && timespec_compare(listed->ctime, now->ctime) == 0 &&
               listed->size == now->size;
}

/*
 * What has the name of @e now, of one inode alone. Return 0; SOURCE_VANISHED, also for a directory that is not the one
 * that was listed, of which was not asked what keeps one out; or -errno.
 */
static int load_anew(struct source_dir *d, struct entry *e, const char **ret_failed)
{
        struct entry now;
        int r = entry_load_held(&now, d->fd, e->name, d->arena, ret_failed);

        if (r == -ENOENT)
                return SOURCE_VANISHED;
        if ((entry_is_dir(e) || entry_is_dir(&now)) && !entry_is_same_inode(e, &now) && now.mode != 0)
                return SOURCE_VANISHED;
        now.content_omitted = e->content_omitted;
        *e = now;
        return r;
}

/* What was loaded by its name: may it be of another inode than what was listed? Most entries have nothing to load. */
static bool may_be_mixed(const struct source_dir *d, const struct entry *e)
{
        struct entry now;

        if (!e->target && e->xattrs.count == 0)
                return false;
        return entry_stat(&now, d->fd, e->name) < 0 || !is_as_listed(e, &now);
}

int source_load_loosely(struct source_dir *d, struct entry *e, struct err *err)
{
        const char *failed;
        int r = entry_load_rest(e, d->fd, d->arena, &failed);

        if (r < 0)
                r = load_anew(d, e, &failed);
        return r < 0 ? err_item_at(err, r, failed, d->path, e->name) : r;
}

int source_settle(struct source_dir *d, struct entry *e, struct err *err)
{
        const char *failed;
        int r = may_be_mixed(d, e) ? load_anew(d, e, &failed) : 0;

        return r < 0 ? err_item_at(err, r, failed, d->path, e->name) : r;
}

int source_load(struct source_dir *d, struct entry *e, struct err *err)
{
        int r;

        if (!e->is_bare)
                return 0;
        r = source_load_loosely(d, e, err);
        return r == 0 ? source_settle(d, e, err) : r;
}

/* Who else may exchange what is in it? An ACL that lets somebody write has the mode's group bit for its mask. */
static void find_writers(struct source_dir *d)
{
        struct entry self;

        d->writers = SOURCE_WRITERS_OTHERS;
        if (entry_stat_fd(&self, d->fd) == 0 && (self.uid == 0 || self.uid == d->source->user) &&
            !(self.mode & (S_IWGRP | S_IWOTH)))
                d->writers = SOURCE_WRITERS_TRUSTED;
}

/* Where a special file can have taken the name since it was listed, the way is taken that costs three times more. */
static int open_file(struct source_dir *d, const char *name)
{
        if (d->writers == SOURCE_WRITERS_UNKNOWN)
                find_writers(d);
        return d->writers == SOURCE_WRITERS_TRUSTED ? fd_open_at(d->fd, name, 0) : fd_open_file_at(d->fd, name);
}

/* Is @code what comes of opening what is no file any more? Of devices and sockets it can be much. */
static bool has_turned(const struct source_dir *d, const char *name, int code)
{
        struct entry now;
        int r;

        if (code == -ENOENT || code == -ELOOP || code == -ENXIO || code == -EISDIR)
                return true;
        r = entry_stat(&now, d->fd, name);
        return r == -ENOENT || (r == 0 && !entry_is_file(&now));
}

int source_open(struct source_dir *d, struct entry *e, int *ret_fd, struct err *err)
{
        _cleanup_(fd_closep) int fd = open_file(d, e->name);
        const char *failed = "read the metadata of";
        struct entry now;
        int r;

        if (fd < 0 && has_turned(d, e->name, fd))
                return SOURCE_VANISHED;
        if (fd < 0)
                return err_item_at(err, fd, "open", d->path, e->name);
        r = entry_stat_fd(&now, fd);
        if (r == 0 && !entry_is_file(&now))
                return SOURCE_VANISHED;
        if (r == 0 && !e->is_bare && is_as_listed(e, &now)) {
                *ret_fd = TAKE_FD(fd);
                return 0;
        }
        if (r == 0)
                r = entry_load_rest_fd(&now, fd, d->arena, &failed);
        if (r < 0)
                return err_item_at(err, r, failed, d->path, e->name);
        now.name = e->name;
        *e = now;
        *ret_fd = TAKE_FD(fd);
        return SOURCE_RENEWED;
}

int source_may_open(struct source_dir *d, const struct entry *e, struct err *err)
{
        int r = faccessat(d->fd, e->name, R_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;

        if (r < 0 && has_turned(d, e->name, r))
                return SOURCE_VANISHED;
        return r < 0 ? err_item_at(err, r, "open", d->path, e->name) : 0;
}
