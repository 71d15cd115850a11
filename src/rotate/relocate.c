/* A handful of inodes in a run of years: a list behind one lock, which is also held while an inode is copied, so that
 * no two workers copy the same one. */
#include "rotate/relocate.h"

#include "base/arena.h"
#include "base/content.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/meta.h"
#include "base/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

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
        unsigned meta_flags;
};

int relocate_new(struct relocate **ret, int root_fd, unsigned meta_flags, struct err *err)
{
        struct relocate *r = calloc(1, sizeof(*r));

        if (!r)
                return err_oom(err);
        pthread_mutex_init(&r->lock, NULL);
        r->root_fd = root_fd;
        r->meta_flags = meta_flags;
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

/* ---- a copy of one inode under a temporary name ---- */

struct copy {
        int from_dirfd, to_dirfd;
        struct entry e; /* what is copied */
        unsigned meta_flags;
        struct arena *arena;
        char temporary[TEMPORARY_SIZE];
        int fd; /* of what is made: O_PATH for what is no regular file */
        ino_t ino;
};

/* Who may write in the directory could have put something else under the name that was looked at. */
static int open_same(const struct copy *c)
{
        _cleanup_(fd_closep) int fd = fd_open_file_at(c->from_dirfd, c->e.name);
        struct entry now = { .ino = 0 };
        int r = fd < 0 ? fd : entry_stat_fd(&now, fd);

        if (r < 0)
                return r;
        return entry_is_same_inode(&now, &c->e) ? TAKE_FD(fd) : -ESTALE;
}

static int copy_content(struct copy *c)
{
        const struct entry *e = &c->e;
        _cleanup_(fd_closep) int from = open_same(c);
        enum content_side side;

        if (from < 0)
                return TAKE_FD(from);
        c->fd = openat(c->to_dirfd, c->temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (c->fd < 0)
                return errno_negative();
        if (content_reflink(from, c->fd) == 0)
                return 0;
        return content_copy(
                &(struct content_config){
                        .from = from, .to = c->fd, .size = e->size, .has_holes = e->blocks * 512 < e->size },
                &side);
}

static int make_node(struct copy *c)
{
        const struct entry *e = &c->e;
        int r;

        if (S_ISLNK(e->mode))
                r = symlinkat(e->target, c->to_dirfd, c->temporary);
        else
                r = mknodat(c->to_dirfd, c->temporary, e->mode & (S_IFMT | S_IRWXU), e->rdev);
        if (r == 0)
                c->fd = openat(c->to_dirfd, c->temporary, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        return c->fd >= 0 ? 0 : errno_negative();
}

static int copy_metadata(struct copy *c)
{
        const char *failed;
        struct entry have;
        int r = entry_load_fd(&have, c->fd, c->temporary, c->arena, &failed);

        /* Found by name, as open_same() says. */
        if (r == 0 && ((have.mode ^ c->e.mode) & S_IFMT || have.nlink != 1))
                r = -ESTALE;
        if (r == 0)
                r = meta_apply(c->fd, &c->e, &have, c->meta_flags, &failed);
        c->ino = have.ino;
        return r == 0 ? meta_set_mtime(c->fd, c->e.mtime) : r;
}

/* The copy, under its temporary name. */
static int make_copy(struct copy *c)
{
        int r;

        temporary_name(c->temporary);
        c->fd = -1;
        r = entry_is_file(&c->e) ? copy_content(c) : make_node(c);
        if (r == 0)
                r = copy_metadata(c);
        /* The state says that all of `latest` is on the disk: so it has to be before it has its name. */
        if (r == 0 && entry_is_file(&c->e) && fsync(c->fd) < 0)
                r = errno_negative();
        fd_close(c->fd);
        return r;
}

/* Copy what @name is in one directory to the same name in another, or in the same. Return 0 or -errno. */
static int copy_name(struct copy *c, const char *name)
{
        const char *failed;
        int r = entry_load(&c->e, c->from_dirfd, name, c->arena, &failed);

        if (r < 0)
                return r;
        r = make_copy(c);
        if (r == 0 && renameat(c->to_dirfd, c->temporary, c->to_dirfd, name) < 0)
                r = errno_negative();
        if (r < 0)
                (void)unlinkat(c->to_dirfd, c->temporary, 0);
        return r;
}

int relocate_copy(struct relocate *r, int from_dirfd, int to_dirfd, const char *name, struct arena *arena)
{
        return copy_name(
                &(struct copy){
                        .from_dirfd = from_dirfd, .to_dirfd = to_dirfd, .meta_flags = r->meta_flags, .arena = arena },
                name);
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

static int make_new_inode(struct relocate *r, const struct relocate_place *p, ino_t ino, struct arena *arena)
{
        struct copy c = { .from_dirfd = p->dirfd, .to_dirfd = p->dirfd, .meta_flags = r->meta_flags, .arena = arena };
        int result = copy_name(&c, p->name);

        return result < 0 ? result : remember(r, ino, c.ino, p->path, p->name);
}

/* ---- the other names ---- */

/* Where the new inode has a name. */
struct home {
        int dirfd;
        const char *name;
        ino_t ino;
};

static int replace_link(const struct home *home, int dirfd, const char *name)
{
        char temporary[TEMPORARY_SIZE];
        struct entry e;
        int r;

        temporary_name(temporary);
        if (linkat(home->dirfd, home->name, dirfd, temporary, 0) < 0)
                return -errno;
        r = entry_stat(&e, dirfd, temporary);
        if (r == 0 && e.ino != home->ino)
                r = -ESTALE;
        if (r == 0 && renameat(dirfd, temporary, dirfd, name) < 0)
                r = errno_negative();
        if (r < 0)
                (void)unlinkat(dirfd, temporary, 0);
        return r;
}

/* The snapshot first: when `latest` then finds no room, all that is wrong is a link that is replaced next. */
static int follow(const struct relocate *r, const struct moved *m, const struct relocate_place *p)
{
        _cleanup_(fd_closep) int fd = fd_open_below(r->root_fd, m->path);
        const struct home home = { .dirfd = fd, .name = m->name, .ino = m->new_ino };
        int result = fd < 0 ? fd : replace_link(&home, p->to_dirfd, p->name);

        return result < 0 ? result : replace_link(&home, p->dirfd, p->name);
}

static int link_new(const struct relocate *r, const struct relocate_place *p, ino_t ino)
{
        const struct home home = { .dirfd = p->dirfd, .name = p->name, .ino = find(r, ino)->new_ino };

        return replace_link(&home, p->to_dirfd, p->name);
}

int relocate_name(struct relocate *r, const struct relocate_place *p, ino_t ino, struct arena *arena, struct err *err)
{
        const struct moved *m;
        int result;

        pthread_mutex_lock(&r->lock);
        m = find(r, ino);
        result = m ? follow(r, m, p) : -EMLINK;
        if (result == -EMLINK) {
                result = make_new_inode(r, p, ino, arena);
                if (result == 0)
                        result = link_new(r, p, ino);
                if (result == 0 && m)
                        result = RELOCATE_SPLIT;
        }
        pthread_mutex_unlock(&r->lock);
        return result < 0 ? err_run_at(err, result, "make another copy of", p->path, p->name) : result;
}
