/*
 * A slot that is open and not pinned is in the idle list. When too many are open the one that was idle longest is
 * closed; that is the one nearest to the root, since work goes on at the other end. Opening it again walks down from
 * its nearest open ancestor.
 */
#include "base/crew_slots.h"

#include "base/fd.h"
#include "base/meta.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { DESCRIPTORS_MAX = 1024, DESCRIPTORS_MIN = 4 * CREW_TREES };

static unsigned descriptor_limit(unsigned wanted)
{
        struct rlimit limit;
        rlim_t half;

        if (wanted > 0)
                return (unsigned)size_max(wanted, DESCRIPTORS_MIN);
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return DESCRIPTORS_MIN;
        half = limit.rlim_cur / 2;
        return half < DESCRIPTORS_MAX ? (unsigned)size_max((size_t)half, DESCRIPTORS_MIN) : DESCRIPTORS_MAX;
}

void crew_slots_init(struct crew_slots *c, unsigned wanted, const enum crew_access access[CREW_TREES])
{
        *c = (struct crew_slots){
                .lock = PTHREAD_MUTEX_INITIALIZER,
                .open_max = descriptor_limit(wanted),
                .access = access,
        };
}

/* ---- the idle list; all under the lock ---- */

static void idle_remove(struct crew_slots *c, struct crew_slot *s)
{
        if (s->older)
                s->older->newer = s->newer;
        else
                c->idle_oldest = s->newer;
        if (s->newer)
                s->newer->older = s->older;
        else
                c->idle_newest = s->older;
        s->older = s->newer = NULL;
}

static void idle_append(struct crew_slots *c, struct crew_slot *s)
{
        s->older = c->idle_newest;
        s->newer = NULL;
        if (c->idle_newest)
                c->idle_newest->newer = s;
        else
                c->idle_oldest = s;
        c->idle_newest = s;
}

static void slot_close(struct crew_slots *c, struct crew_slot *s)
{
        s->fd = fd_close(s->fd);
        c->open_count--;
}

static void close_idle(struct crew_slots *c, struct crew_slot *s)
{
        idle_remove(c, s);
        slot_close(c, s);
}

static void make_room(struct crew_slots *c)
{
        while (c->open_count >= c->open_max && c->idle_oldest)
                close_idle(c, c->idle_oldest);
}

static void pin(struct crew_slots *c, struct crew_slot *s)
{
        if (s->pins++ == 0 && s->dir->parent)
                idle_remove(c, s);
}

static void unpin(struct crew_slots *c, struct crew_slot *s)
{
        assert(s->pins > 0);
        /* The root's descriptors are borrowed: never idle, never closed here. */
        if (--s->pins == 0 && s->dir->parent)
                idle_append(c, s);
}

/* ---- opening ---- */

static bool is_closed(mode_t mode)
{
        return (mode & S_IRWXU) != S_IRWXU;
}

/* Is what was opened, or only found, the directory that is meant? Return 0 or -errno, with @st filled. */
static int look_at(const struct crew_slot *s, int fd, struct stat *st)
{
        if (fstat(fd, st) < 0)
                return -errno;
        return s->ino != 0 && (st->st_ino != s->ino || st->st_dev != s->dev) ? -ESTALE : 0;
}

static int open_as_it_is(const struct crew_slot *s, enum crew_tree tree, int parent_fd)
{
        return tree == CREW_FROM ? fd_open_at(parent_fd, s->dir->name, O_DIRECTORY)
                                 : fd_open_unmounted_at(parent_fd, s->dir->name, O_DIRECTORY);
}

/* What cannot be opened is found, and opened up. Return a descriptor or -errno. */
static int open_up(const struct crew_slot *s, enum crew_tree tree, int parent_fd, struct stat *st)
{
        _cleanup_(fd_closep) int found = openat(parent_fd, s->dir->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int r = found < 0 ? -errno : look_at(s, found, st);

        if (r < 0)
                return r;
        return meta_set_mode(found, st->st_mode | S_IRWXU) < 0 ? -EACCES : open_as_it_is(s, tree, parent_fd);
}

/*
 * Open the directory of @s below @parent_fd and see that it is the one that is meant; @st tells what it was before it
 * was opened up. Return a descriptor or -errno.
 */
static int open_below(const struct crew_slots *c, const struct crew_slot *s, enum crew_tree tree, int parent_fd,
                      struct stat *st)
{
        bool as_it_is = c->access[tree] == CREW_ACCESS_AS_IT_IS;
        _cleanup_(fd_closep) int fd = open_as_it_is(s, tree, parent_fd);
        struct stat now;
        int r;

        *st = (struct stat){ .st_mode = 0 };
        if (fd == -EACCES && !as_it_is)
                fd = open_up(s, tree, parent_fd, st);
        r = fd < 0 ? fd : look_at(s, fd, &now);
        if (r == 0 && !as_it_is && is_closed(now.st_mode))
                r = meta_set_mode(fd, now.st_mode | S_IRWXU);
        if (r < 0)
                return r;
        if (st->st_mode == 0)
                *st = now;
        return TAKE_FD(fd);
}

static void slot_opened(struct crew_slots *c, struct crew_slot *s, enum crew_tree tree, int fd, const struct stat *st)
{
        s->fd = fd;
        c->open_count++;
        if (s->known)
                return;
        s->known = true;
        s->dev = st->st_dev;
        s->ino = st->st_ino;
        s->mode = st->st_mode;
        s->lent = c->access[tree] == CREW_ACCESS_LENT && is_closed(st->st_mode);
}

/* Open @s, which was closed to make room, and the closed ones on the way to it. Under the lock. */
static int reopen(struct crew_slots *c, struct crew_slot *s, enum crew_tree tree)
{
        _cleanup_(freep) struct crew_slot **way = NULL;
        size_t length = 0, at;

        for (struct crew_dir *d = s->dir; d->slots[tree].fd < 0; d = d->parent)
                length++;
        way = reallocarray(NULL, length, sizeof(struct crew_slot *));
        if (!way)
                return -ENOMEM;
        at = length;
        for (struct crew_dir *d = s->dir; d->slots[tree].fd < 0; d = d->parent)
                way[--at] = &d->slots[tree];
        for (size_t i = 0; i < length; i++) {
                struct crew_slot *parent = &way[i]->dir->parent->slots[tree];
                struct stat st;
                int fd;

                pin(c, parent);
                make_room(c);
                fd = open_below(c, way[i], tree, parent->fd, &st);
                unpin(c, parent);
                if (fd < 0)
                        return fd;
                slot_opened(c, way[i], tree, fd, &st);
                idle_append(c, way[i]);
                /* The beginning of a long way would push out what is open of the other tree. */
                if (i > 0 && length - i > c->open_max / 4)
                        close_idle(c, parent);
        }
        return 0;
}

/* Have @s open and pinned; it was open before, or is opened as a descendant of open ones. Under the lock. */
static int pin_open(struct crew_slots *c, struct crew_slot *s, enum crew_tree tree)
{
        int r = s->fd < 0 ? reopen(c, s, tree) : 0;

        if (r == 0)
                pin(c, s);
        return r;
}

/* The first time: nobody else knows this directory yet, so that the kernel need not be called under the lock. */
static int open_first(struct crew_slots *c, struct crew_slot *s, enum crew_tree tree)
{
        struct crew_slot *parent = &s->dir->parent->slots[tree];
        struct stat st;
        int fd;

        pthread_mutex_lock(&c->lock);
        fd = pin_open(c, parent, tree);
        pthread_mutex_unlock(&c->lock);
        if (fd < 0)
                return fd;
        fd = open_below(c, s, tree, parent->fd, &st);
        pthread_mutex_lock(&c->lock);
        unpin(c, parent);
        if (fd >= 0) {
                make_room(c);
                slot_opened(c, s, tree, fd, &st);
                s->pins = 1;
        }
        pthread_mutex_unlock(&c->lock);
        return fd < 0 ? fd : 0;
}

int crew_slots_pin(struct crew_slots *c, struct crew_slot *s, enum crew_tree tree)
{
        int r = 1;

        pthread_mutex_lock(&c->lock);
        if (s->known)
                r = pin_open(c, s, tree);
        pthread_mutex_unlock(&c->lock);
        return r > 0 ? open_first(c, s, tree) : r;
}

void crew_slots_unpin(struct crew_slots *c, struct crew_slot **pinned, unsigned *count)
{
        pthread_mutex_lock(&c->lock);
        while (*count > 0)
                unpin(c, pinned[--*count]);
        pthread_mutex_unlock(&c->lock);
}

int crew_slots_return(struct crew_slots *c, struct crew_slot *s, enum crew_tree tree)
{
        int r;

        if (!s->lent)
                return 0;
        s->lent = false;
        r = crew_slots_pin(c, s, tree);
        if (r == 0) {
                r = meta_set_mode(s->fd, s->mode);
                crew_slots_unpin(c, &s, &(unsigned){ 1 });
        }
        return r;
}

void crew_slots_close(struct crew_slots *c, struct crew_dir *d)
{
        pthread_mutex_lock(&c->lock);
        for (int i = 0; i < CREW_TREES; i++) {
                if (d->slots[i].fd >= 0 && d->parent)
                        close_idle(c, &d->slots[i]);
        }
        pthread_mutex_unlock(&c->lock);
}
