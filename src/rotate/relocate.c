/* A handful of inodes in a run of years: a list behind one lock, which is also held while an inode is copied, so that
 * no two workers copy the same one. */
#include "rotate/relocate.h"

#include "base/arena.h"
#include "base/content.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/meta.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

static const char temporary[] = ".rsync-system-backup.tmp-relocated";

struct moved {
        struct moved *next;
        ino_t old_ino, new_ino;
        char *path; /* the directory where the new inode has a name; */
        char *name; /* and that name */
};

struct relocate {
        pthread_mutex_t lock; /* guards list */
        struct moved *list;
        int root_fd;
};

int relocate_new(struct relocate **ret, int root_fd, struct err *err)
{
        struct relocate *r = calloc(1, sizeof(*r));

        if (!r)
                return err_oom(err);
        pthread_mutex_init(&r->lock, NULL);
        r->root_fd = root_fd;
        *ret = r;
        return 0;
}

struct relocate *relocate_free(struct relocate *r)
{
        if (!r)
                return NULL;
        while (r->list) {
                struct moved *next = r->list->next;

                free(r->list->path);
                free(r->list->name);
                free(r->list);
                r->list = next;
        }
        pthread_mutex_destroy(&r->lock);
        free(r);
        return NULL;
}

static const struct moved *find(const struct relocate *r, ino_t ino)
{
        const struct moved *m = r->list;

        while (m && m->old_ino != ino)
                m = m->next;
        return m;
}

bool relocate_has(struct relocate *r, ino_t ino)
{
        bool found;

        pthread_mutex_lock(&r->lock);
        found = find(r, ino) != NULL;
        pthread_mutex_unlock(&r->lock);
        return found;
}

bool relocate_any(struct relocate *r)
{
        bool any;

        pthread_mutex_lock(&r->lock);
        any = r->list != NULL;
        pthread_mutex_unlock(&r->lock);
        return any;
}

/* ---- a copy of one inode under the temporary name ---- */

static int copy_content(int from, int to, const struct entry *e)
{
        enum content_side side;

        if (content_reflink(from, to) == 0)
                return 0;
        return content_copy(
                &(struct content_config){
                        .from = from, .to = to, .size = e->size, .has_holes = e->blocks * 512 < e->size },
                &side);
}

static int copy_metadata(int dirfd, int fd, const struct entry *e, struct arena *arena)
{
        const struct meta_place place = { .fd = fd, .dirfd = dirfd, .name = temporary };
        const char *failed;
        struct entry have;
        int r = fd >= 0 ? entry_load_fd(&have, fd, temporary, arena, &failed)
                        : entry_load(&have, dirfd, temporary, arena, &failed);

        if (r == 0)
                r = meta_apply(&place, e, &have, 0, &failed);
        return r == 0 ? meta_set_mtime(&place, e->mtime) : r;
}

static int copy_file(int dirfd, int to_dirfd, const struct entry *e, struct arena *arena)
{
        _cleanup_(fd_closep) int from = fd_open_at(dirfd, e->name, 0), to = -1;
        int r;

        if (from < 0)
                return from;
        to = openat(to_dirfd, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (to < 0)
                return -errno;
        r = copy_content(from, to, e);
        if (r == 0)
                r = copy_metadata(to_dirfd, to, e, arena);
        /* The state says that all of `latest` is on the disk: so it has to be before it has its name. */
        if (r == 0 && fsync(to) < 0)
                r = errno_negative();
        return r;
}

static int copy_inode(int dirfd, int to_dirfd, const struct entry *e, struct arena *arena)
{
        int r;

        if (entry_is_file(e))
                return copy_file(dirfd, to_dirfd, e, arena);
        if (S_ISLNK(e->mode))
                r = symlinkat(e->target, to_dirfd, temporary);
        else
                r = mknodat(to_dirfd, temporary, e->mode & (S_IFMT | S_IRWXU), e->rdev);
        return r < 0 ? -errno : copy_metadata(to_dirfd, -1, e, arena);
}

int relocate_copy(int from_dirfd, int to_dirfd, const char *name, struct arena *arena)
{
        const char *failed;
        struct entry e;
        int r = entry_load(&e, from_dirfd, name, arena, &failed);

        if (r == 0)
                r = copy_inode(from_dirfd, to_dirfd, &e, arena);
        if (r == 0)
                r = renameat(to_dirfd, temporary, to_dirfd, name) < 0 ? -errno : 0;
        if (r < 0)
                (void)unlinkat(to_dirfd, temporary, 0);
        return r;
}

static int remember(struct relocate *r, ino_t old_ino, ino_t new_ino, const char *path, const char *name)
{
        struct moved *m = calloc(1, sizeof(*m));

        if (!m)
                return -ENOMEM;
        *m = (struct moved){
                .next = r->list, .old_ino = old_ino, .new_ino = new_ino, .path = strdup(path), .name = strdup(name)
        };
        if (!m->path || !m->name) {
                free(m->path);
                free(m->name);
                free(m);
                return -ENOMEM;
        }
        r->list = m;
        return 0;
}

static int make_new_inode(struct relocate *r, int dirfd, const char *path, const char *name, ino_t ino,
                          struct arena *arena)
{
        const char *failed;
        struct entry e, made = { .ino = 0 };
        int result = entry_load(&e, dirfd, name, arena, &failed);

        (void)unlinkat(dirfd, temporary, 0);
        if (result == 0)
                result = copy_inode(dirfd, dirfd, &e, arena);
        if (result == 0)
                result = entry_stat(&made, dirfd, temporary);
        if (result == 0)
                result = renameat(dirfd, temporary, dirfd, name) < 0 ? -errno : 0;
        if (result < 0)
                (void)unlinkat(dirfd, temporary, 0);
        return result < 0 ? result : remember(r, ino, made.ino, path, name);
}

/* ---- the other names ---- */

static int replace_link(int from_dirfd, const char *from_name, int to_dirfd, const char *to_name)
{
        (void)unlinkat(to_dirfd, temporary, 0);
        if (linkat(from_dirfd, from_name, to_dirfd, temporary, 0) < 0)
                return -errno;
        if (renameat(to_dirfd, temporary, to_dirfd, to_name) < 0) {
                int code = -errno;

                (void)unlinkat(to_dirfd, temporary, 0);
                return code;
        }
        return 0;
}

/* The snapshot first: when `latest` then finds no room, all that is wrong is a link that is replaced next. */
static int follow(const struct relocate *r, const struct moved *m, const struct relocate_place *p)
{
        _cleanup_(fd_closep) int home = fd_open_below(r->root_fd, m->path);
        int result = home < 0 ? home : replace_link(home, m->name, p->to_dirfd, p->name);

        return result < 0 ? result : replace_link(home, m->name, p->dirfd, p->name);
}

int relocate_name(struct relocate *r, const struct relocate_place *p, ino_t ino, struct arena *arena, struct err *err)
{
        const struct moved *m;
        int result;

        pthread_mutex_lock(&r->lock);
        m = find(r, ino);
        result = m ? follow(r, m, p) : -EMLINK;
        if (result == -EMLINK) {
                result = make_new_inode(r, p->dirfd, p->path, p->name, ino, arena);
                if (result == 0)
                        result = replace_link(p->dirfd, p->name, p->to_dirfd, p->name);
                if (result == 0 && m)
                        result = RELOCATE_SPLIT;
        }
        pthread_mutex_unlock(&r->lock);
        return result < 0 ? err_run_at(err, result, "make another copy of", p->path, p->name) : result;
}
