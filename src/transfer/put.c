/*
 * A new inode in four steps: create (without any permission but those it is to have), content, metadata, name.
 */
#include "transfer/put.h"

#include "base/arena.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/meta.h"
#include "base/report.h"
#include "base/temporary.h"
#include "transfer/decide.h"
#include "transfer/limits.h"
#include "transfer/links.h"
#include "transfer/put_file.h"
#include "transfer/source.h"
#include "transfer/staged.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* ---- links and special files ---- */

static int find_node(struct staged *s, struct err *err)
{
        s->fd = openat(s->dir->fd, staged_name(s), O_PATH | O_NOFOLLOW | O_CLOEXEC);
        return s->fd < 0 ? staged_fail(s, -errno, "create", err) : 0;
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
        r = -errno;
        if ((r == -EPERM && !staged_is_closed(p)) || r == -EOPNOTSUPP || r == -EINVAL) {
                bool is_device = S_ISCHR(want->mode) || S_ISBLK(want->mode);

                report_lack(p->shared->report, lack,
                            is_device && !p->shared->limits->devices && p->shared->limits->accepted, p->path, s->name);
                return PUT_LACKING;
        }
        return staged_fail(s, r, "create", err);
}

/*
 * The destination cannot hold all that @want has: is @have, whose content is the same, what came out again? To replace
 * it at each run would give each snapshot a copy of its own.
 */
static bool is_no_better(const struct staged *s, const struct entry *have)
{
        const char *failed;
        struct entry now;

        if (entry_load_fd(&now, s->fd, s->name, s->dir->from->arena, &failed) < 0)
                return false;
        now.target = have->target;
        return decide(&now, have, &(struct decide_hints){ .verify = false }).verdict == DECIDE_KEEP;
}

int put_entry(struct put_dir *p, struct entry *want, const struct entry *have, bool reuse, ino_t *ret_ino,
              struct err *err)
{
        struct staged s;
        int r = staged_init(&s, p, want->name, have != NULL, err);

        if (r == 0 && entry_is_file(want))
                r = put_file_content(&s, want, have, reuse, err);
        else if (r == 0)
                r = create_node(&s, want, err);
        if (r == 0)
                r = staged_dress(&s, want, err);
        if (r == 0 && s.lacks && have && reuse && is_no_better(&s, have)) {
                *ret_ino = have->ino;
                staged_abandon(&s);
                return PUT_TOLD;
        }
        if (r == 0)
                r = staged_commit(&s, err);
        if (r == 0)
                *ret_ino = s.ino;
        else
                staged_abandon(&s);
        return r == 0 && s.lacks && reuse ? PUT_TOLD : r;
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
        int r = staged_init(&s, p, name, name_is_taken, err);

        if (r < 0)
                return r;
        r = link_home(&s, home);
        if (r == -EMLINK)
                return PUT_TOO_MANY_LINKS;
        if ((r == -EPERM && !staged_is_closed(p)) || r == -EOPNOTSUPP || r == -EXDEV || r == -EACCES) {
                report_lack(p->shared->report, REPORT_LACK_HARDLINK, false, p->path, name);
                return PUT_LACKING;
        }
        if (r < 0)
                return staged_fail(&s, r, "link", err);
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
        int r;

        if (fd < 0 || entry_stat_fd(&now, fd) < 0 || !entry_is_same_inode(&now, have) || now.nlink != 1)
                return PUT_NOT_IN_PLACE;
        r = staged_apply_metadata(p, fd, want, have, 0, err);
        return r == STAGED_LACKS ? PUT_TOLD : r;
}

/* Is @fd what was looked at? Return 0 or -errno. */
static int check_same(int fd, const struct entry *have)
{
        struct entry now;
        int r = entry_stat_fd(&now, fd);

        return r < 0 || entry_is_same_inode(&now, have) ? r : -ESTALE;
}

/* An ordinary user may have closed his own directory to himself. Return 0 or -errno. */
static int open_up(const struct put_dir *p, const char *name, const struct entry *have)
{
        _cleanup_(fd_closep) int found = openat(p->fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int r = found < 0 ? -errno : check_same(found, have);

        return r < 0 ? r : meta_set_mode(found, have->mode | S_IRWXU);
}

/* @have is the directory as it was, closed or not, or NULL for a new one. Return a descriptor or -errno. */
static int open_directory(const struct put_dir *p, const char *name, const struct entry *have, bool closed)
{
        int r = closed ? open_up(p, name, have) : 0;
        _cleanup_(fd_closep) int fd = r < 0 ? r : fd_open_at(p->fd, name, O_DIRECTORY);

        if (fd >= 0 && have)
                r = check_same(fd, have);
        return r < 0 ? r : TAKE_FD(fd);
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
        /* A closed one is opened up by the crew, when it comes to work in it. */
        if (have && !adjust)
                return 0;
        if (!have && mkdirat(p->fd, want->name, S_IRWXU) < 0)
                return err_destination_at(err, -errno, "create directory", p->path, want->name);
        fd = open_directory(p, want->name, have, closed);
        r = fd < 0 ? fd : entry_load_fd(&now, fd, want->name, p->from->arena, &failed);
        if (r < 0)
                return err_destination_at(err, r, failed, p->path, want->name);
        *ret_ino = now.ino;
        r = staged_apply_metadata(p, fd, want, &now, flags, err);
        return r == STAGED_LACKS ? PUT_TOLD : r;
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
