/*
 * A stack of directories, some workers, and the main thread, which waits for signals, ticks, and the end.
 *
 *      crew_add() --> stack --> visit() --> its children --> ... --> finish() --> finish() of the parent, if it was
 *                                                                                the last child --> ...
 *
 * After an error or a stop request directories are still taken from the stack, but only to be forgotten, so that all
 * memory and descriptors go the same way as after success.
 *
 * Descriptors: a slot that is open and not pinned is in the idle list. When too many are open the one that was idle
 * longest is closed; that is the one nearest to the root, since work goes on at the other end. Opening it again walks
 * down from its nearest open ancestor.
 */
#include "base/crew.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/stop.h"
#include "base/xattr_at.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { THREADS_MAX = 4, TICK_MS = 200, DESCRIPTORS_MAX = 1024, DESCRIPTORS_MIN = 4 * CREW_TREES };

struct crew {
        const struct crew_config *config;
        pthread_mutex_t lock; /* guards stack, outstanding, error */
        pthread_cond_t changed;
        struct crew_dir *stack;
        uint64_t outstanding; /* directories not yet finished */
        struct err error;     /* the first */
        atomic_bool ended;    /* no more visits */
        int done_fd;          /* eventfd: all workers are through */
        unsigned workers_left;

        pthread_mutex_t slots_lock; /* guards all slots, the idle list and open_count */
        struct crew_slot *idle_oldest, *idle_newest;
        unsigned open_count, open_max;
};

/* ---- the idle list; all under slots_lock ---- */

static void idle_remove(struct crew *c, struct crew_slot *s)
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

static void idle_append(struct crew *c, struct crew_slot *s)
{
        s->older = c->idle_newest;
        s->newer = NULL;
        if (c->idle_newest)
                c->idle_newest->newer = s;
        else
                c->idle_oldest = s;
        c->idle_newest = s;
}

static void slot_close(struct crew *c, struct crew_slot *s)
{
        s->fd = fd_close(s->fd);
        c->open_count--;
}

static void close_idle(struct crew *c, struct crew_slot *s)
{
        idle_remove(c, s);
        slot_close(c, s);
}

static void make_room(struct crew *c)
{
        while (c->open_count >= c->open_max && c->idle_oldest)
                close_idle(c, c->idle_oldest);
}

static void pin(struct crew *c, struct crew_slot *s)
{
        if (s->pins++ == 0 && s->dir->parent)
                idle_remove(c, s);
}

static void unpin(struct crew *c, struct crew_slot *s)
{
        assert(s->pins > 0);
        /* The root's descriptors are borrowed: never idle, never closed here. */
        if (--s->pins == 0 && s->dir->parent)
                idle_append(c, s);
}

/* ---- opening ---- */

/* Open the directory of @s below @parent_fd and see that it is the one that is meant. Return a descriptor or -errno. */
static int open_below(const struct crew_slot *s, int parent_fd, struct stat *st)
{
        bool is_source = s == &s->dir->slots[CREW_FROM];
        _cleanup_(fd_closep) int fd = is_source ? fd_open_at(parent_fd, s->dir->name, O_DIRECTORY)
                                                : fd_open_unmounted_at(parent_fd, s->dir->name, O_DIRECTORY);

        if (fd < 0)
                return TAKE_FD(fd);
        if (fstat(fd, st) < 0)
                return -errno;
        if (s->ino != 0 && (st->st_ino != s->ino || st->st_dev != s->dev))
                return -ESTALE;
        return TAKE_FD(fd);
}

static void slot_opened(struct crew *c, struct crew_slot *s, int fd, const struct stat *st)
{
        s->fd = fd;
        s->known = true;
        s->dev = st->st_dev;
        s->ino = st->st_ino;
        c->open_count++;
}

/* Open @s, which was closed to make room, and the closed ones on the way to it. Under slots_lock. */
static int reopen(struct crew *c, struct crew_slot *s, enum crew_tree tree)
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
                fd = open_below(way[i], parent->fd, &st);
                unpin(c, parent);
                if (fd < 0)
                        return fd;
                slot_opened(c, way[i], fd, &st);
                idle_append(c, way[i]);
                /* The beginning of a long way would push out what is open of the other tree. */
                if (i > 0 && length - i > c->open_max / 4)
                        close_idle(c, parent);
        }
        return 0;
}

/* Have @s open and pinned; it was open before, or is opened as a descendant of open ones. Under slots_lock. */
static int pin_open(struct crew *c, struct crew_slot *s, enum crew_tree tree)
{
        int r = s->fd < 0 ? reopen(c, s, tree) : 0;

        if (r == 0)
                pin(c, s);
        return r;
}

/* The first time: nobody else knows this directory yet, so that the kernel need not be called under the lock. */
static int open_first(struct crew *c, struct crew_slot *s, enum crew_tree tree)
{
        struct crew_slot *parent = &s->dir->parent->slots[tree];
        struct stat st;
        int fd;

        pthread_mutex_lock(&c->slots_lock);
        fd = pin_open(c, parent, tree);
        pthread_mutex_unlock(&c->slots_lock);
        if (fd < 0)
                return fd;
        fd = open_below(s, parent->fd, &st);
        pthread_mutex_lock(&c->slots_lock);
        unpin(c, parent);
        if (fd >= 0) {
                make_room(c);
                slot_opened(c, s, fd, &st);
                s->pins = 1;
        }
        pthread_mutex_unlock(&c->slots_lock);
        return fd < 0 ? fd : 0;
}

int crew_fd(struct crew_worker *w, struct crew_dir *d, enum crew_tree tree)
{
        struct crew_slot *s = &d->slots[tree];
        struct crew *c = w->crew;
        int r = 1;

        for (unsigned i = 0; i < w->pinned_count; i++) {
                if (w->pinned[i] == s)
                        return s->fd;
        }
        assert(w->pinned_count < ARRAY_SIZE(w->pinned));
        pthread_mutex_lock(&c->slots_lock);
        if (s->known)
                r = pin_open(c, s, tree);
        pthread_mutex_unlock(&c->slots_lock);
        if (r > 0)
                r = open_first(c, s, tree);
        if (r < 0)
                return r;
        w->pinned[w->pinned_count++] = s;
        return s->fd;
}

static void unpin_all(struct crew_worker *w)
{
        struct crew *c = w->crew;

        pthread_mutex_lock(&c->slots_lock);
        while (w->pinned_count > 0)
                unpin(c, w->pinned[--w->pinned_count]);
        pthread_mutex_unlock(&c->slots_lock);
}

static void close_slots(struct crew *c, struct crew_dir *d)
{
        pthread_mutex_lock(&c->slots_lock);
        for (int i = 0; i < CREW_TREES; i++) {
                struct crew_slot *s = &d->slots[i];

                if (s->fd < 0 || !d->parent)
                        continue;
                close_idle(c, s);
        }
        pthread_mutex_unlock(&c->slots_lock);
}

/* ---- directories ---- */

static struct crew_dir *dir_new(struct crew_dir *parent, const struct crew_child *child)
{
        size_t length = strlen(child->name);
        struct crew_dir *d = calloc(1, sizeof(*d) + length + 1);

        if (!d)
                return NULL;
        d->parent = parent;
        d->data = child->data;
        memcpy(d->name, child->name, length);
        atomic_init(&d->open_children, 1);
        for (int i = 0; i < CREW_TREES; i++)
                d->slots[i] = (struct crew_slot){ .dir = d, .fd = -1, .dev = child->dev[i], .ino = child->ino[i] };
        return d;
}

static void dir_forget(struct crew *c, struct crew_dir *d)
{
        close_slots(c, d);
        if (c->config->ops->forget)
                c->config->ops->forget(d->data);
        free(d);
}

static void push(struct crew *c, struct crew_dir *d)
{
        pthread_mutex_lock(&c->lock);
        d->next = c->stack;
        c->stack = d;
        c->outstanding++;
        pthread_cond_signal(&c->changed);
        pthread_mutex_unlock(&c->lock);
}

int crew_add(struct crew_worker *w, struct crew_dir *parent, const struct crew_child *child, struct err *err)
{
        struct crew_dir *d = dir_new(parent, child);

        if (!d) {
                if (w->crew->config->ops->forget)
                        w->crew->config->ops->forget(child->data);
                return err_oom(err);
        }
        atomic_fetch_add(&parent->open_children, 1);
        push(w->crew, d);
        return 0;
}

int crew_path(const struct crew_dir *d, struct buf *ret)
{
        size_t length = 0, at;

        for (const struct crew_dir *p = d; p->parent; p = p->parent)
                length += strlen(p->name) + (p->parent->parent ? 1 : 0);
        buf_truncate(ret, 0);
        if (buf_reserve(ret, length) < 0)
                return -ENOMEM;
        at = ret->size = length;
        ret->data[length] = '\0';
        for (const struct crew_dir *p = d; p->parent; p = p->parent) {
                size_t part = strlen(p->name);

                at -= part;
                memcpy(ret->data + at, p->name, part);
                if (p->parent->parent)
                        ret->data[--at] = '/';
        }
        return 0;
}

void *crew_context(const struct crew_worker *w)
{
        return w->crew->config->context;
}

int crew_check(struct crew_worker *w, struct err *err)
{
        int r = stop_check(err);

        if (r == 0 && atomic_load_explicit(&w->crew->ended, memory_order_relaxed))
                r = err_runf(err, -ECANCELED, "ended because of another error");
        return r;
}

/* ---- workers ---- */

/* Keep the first error: those that follow are its echo. */
static void end_early(struct crew *c, struct err *err)
{
        pthread_mutex_lock(&c->lock);
        if (c->error.kind == ERR_NONE)
                err_move(&c->error, err);
        else
                err_drop(err, "the first error ends the job");
        atomic_store(&c->ended, true);
        pthread_mutex_unlock(&c->lock);
}

static void work_on(struct crew_worker *w, struct crew_dir *d,
                    int (*function)(struct crew_worker *, struct crew_dir *, struct err *))
{
        struct arena_mark mark = arena_mark(&w->arena);
        ERR_LOCAL(err);
        int r = stop_requested() ? stop_check(&err) : function(w, d, &err);

        if (r < 0)
                end_early(w->crew, &err);
        d->skip_finish = r != 0;
        unpin_all(w);
        if (w->arena.chunk)
                arena_release(&w->arena, mark);
}

/* The directory and then each ancestor whose last child this was. */
static void complete(struct crew_worker *w, struct crew_dir *d)
{
        struct crew *c = w->crew;
        uint64_t completed = 0;

        while (d && atomic_fetch_sub(&d->open_children, 1) == 1) {
                struct crew_dir *parent = d->parent;

                if (c->config->ops->finish && !d->skip_finish && !atomic_load(&c->ended))
                        work_on(w, d, c->config->ops->finish);
                dir_forget(c, d);
                completed++;
                d = parent;
        }
        pthread_mutex_lock(&c->lock);
        c->outstanding -= completed;
        if (c->outstanding == 0)
                pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->lock);
}

static struct crew_dir *pop(struct crew *c)
{
        struct crew_dir *d;

        pthread_mutex_lock(&c->lock);
        while (!c->stack && c->outstanding > 0)
                pthread_cond_wait(&c->changed, &c->lock);
        d = c->stack;
        if (d)
                c->stack = d->next;
        pthread_mutex_unlock(&c->lock);
        return d;
}

static void *worker_main(void *argument)
{
        struct crew_worker *w = argument;
        struct crew *c = w->crew;
        struct crew_dir *d;
        bool last;

        xattr_at_own_cwd();
        while ((d = pop(c))) {
                if (!atomic_load(&c->ended))
                        work_on(w, d, c->config->ops->visit);
                else
                        d->skip_finish = true;
                complete(w, d);
        }
        arena_deinit(&w->arena);
        pthread_mutex_lock(&c->lock);
        last = --c->workers_left == 0;
        pthread_mutex_unlock(&c->lock);
        if (last)
                (void)eventfd_write(c->done_fd, 1);
        return NULL;
}

/* ---- the main thread ---- */

static unsigned thread_count(const struct crew_config *config)
{
        cpu_set_t cpus;
        int n = 1;

        if (config->threads > 0)
                return config->threads < THREADS_MAX ? config->threads : THREADS_MAX;
        if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
                n = CPU_COUNT(&cpus);
        return n < THREADS_MAX ? (unsigned)n : THREADS_MAX;
}

static unsigned descriptor_limit(const struct crew_config *config)
{
        struct rlimit limit;
        rlim_t half;

        if (config->descriptors > 0)
                return (unsigned)size_max(config->descriptors, DESCRIPTORS_MIN);
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return DESCRIPTORS_MIN;
        half = limit.rlim_cur / 2;
        return half < DESCRIPTORS_MAX ? (unsigned)size_max((size_t)half, DESCRIPTORS_MIN) : DESCRIPTORS_MAX;
}

/* Until all workers are through: signals, ticks. */
static void watch(struct crew *c)
{
        struct pollfd polled[] = {
                { .fd = c->done_fd, .events = POLLIN },
                { .fd = stop_fd(), .events = POLLIN },
        };

        for (;;) {
                (void)poll(polled, ARRAY_SIZE(polled), TICK_MS);
                if (polled[0].revents & POLLIN)
                        return;
                stop_poll();
                if (c->config->tick)
                        c->config->tick(c->config->tick_context);
        }
}

static int run_workers(struct crew *c, struct err *err)
{
        struct crew_worker workers[THREADS_MAX];
        pthread_t threads[THREADS_MAX];
        unsigned wanted = thread_count(c->config), started = 0;
        int r = 0;

        /* Started under the lock, so that the first ones do not see a count that is still growing. */
        pthread_mutex_lock(&c->lock);
        for (; started < wanted; started++) {
                workers[started] = (struct crew_worker){ .crew = c, .index = started };
                r = pthread_create(&threads[started], NULL, worker_main, &workers[started]);
                if (r != 0)
                        break;
        }
        c->workers_left = started;
        pthread_mutex_unlock(&c->lock);
        if (started == 0)
                return err_run(err, -r, "start a thread", NULL);
        watch(c);
        for (unsigned i = 0; i < started; i++)
                pthread_join(threads[i], NULL);
        return 0;
}

static struct crew_dir *root_new(const struct crew_config *config)
{
        const struct crew_child root = { .name = "", .data = config->root_data };
        struct crew_dir *d = dir_new(NULL, &root);

        for (int i = 0; d && i < CREW_TREES; i++) {
                d->slots[i].fd = config->root_fds[i];
                d->slots[i].known = true;
        }
        return d;
}

int crew_run(const struct crew_config *config, struct err *err)
{
        struct crew c = {
                .config = config,
                .lock = PTHREAD_MUTEX_INITIALIZER,
                .changed = PTHREAD_COND_INITIALIZER,
                .slots_lock = PTHREAD_MUTEX_INITIALIZER,
                .open_max = descriptor_limit(config),
        };
        _cleanup_(fd_closep) int done_fd = eventfd(0, EFD_CLOEXEC);
        struct crew_dir *root;
        int r;

        root = root_new(config);
        if (done_fd < 0 || !root) {
                if (config->ops->forget)
                        config->ops->forget(config->root_data);
                free(root);
                return err_run(err, done_fd < 0 ? -EMFILE : -ENOMEM, "start work", NULL);
        }
        c.done_fd = done_fd;
        c.outstanding = 1;
        c.stack = root;
        r = run_workers(&c, err);
        if (r < 0) {
                dir_forget(&c, root);
                return r;
        }
        return c.error.kind == ERR_NONE ? 0 : err_move(err, &c.error);
}
