/*
 * A stack of directories, some workers, and the main thread, which waits for signals, ticks, and the end.
 *
 *      crew_add() --> stack --> visit() --> its children --> ... --> finish() --> finish() of the parent, if it was
 *                                                                                the last child --> ...
 *
 * After an error or a stop request directories are still taken from the stack, but only to be forgotten, so that all
 * memory and descriptors go the same way as after success.
 */
#include "base/crew.h"

#include "base/buf.h"
#include "base/crew_slots.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/stop.h"
#include "base/xattr_at.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

/* However few processors there are: these threads wait for disks. More measured no faster. */
enum { THREADS = 4, TICK_MS = 200 };

struct crew {
        const struct crew_config *config;
        pthread_mutex_t lock; /* guards stack, outstanding, error */
        pthread_cond_t changed;
        struct crew_dir *stack;
        uint64_t outstanding; /* directories not yet finished */
        struct err error;     /* the first */
        atomic_bool ended;    /* no more visits */
        int done_fd;          /* eventfd: wakes when all workers are through */
        unsigned workers_left;
        struct crew_slots slots;
};

int crew_fd(struct crew_worker *w, struct crew_dir *d, enum crew_tree tree)
{
        struct crew_slot *s = &d->slots[tree];
        int r;

        for (unsigned i = 0; i < w->pinned_count; i++) {
                if (w->pinned[i] == s)
                        return s->fd;
        }
        assert(w->pinned_count < ARRAY_SIZE(w->pinned));
        r = crew_slots_pin(&w->crew->slots, s, tree);
        if (r < 0)
                return r;
        w->pinned[w->pinned_count++] = s;
        return s->fd;
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
        crew_slots_close(&c->slots, d);
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
        crew_slots_unpin(&w->crew->slots, w->pinned, &w->pinned_count);
        if (w->arena.chunk)
                arena_release(&w->arena, mark);
}

static void return_access(struct crew *c, struct crew_dir *d)
{
        for (int i = 0; i < CREW_TREES; i++) {
                _cleanup_(buf_deinit) struct buf path = { .data = NULL };
                ERR_LOCAL(err);
                int r = crew_slots_return(&c->slots, &d->slots[i], (enum crew_tree)i);

                if (r == 0)
                        continue;
                (void)crew_path(d, &path);
                err_run_at(&err, r, "give back the mode of", buf_text(&path), "");
                end_early(c, &err);
        }
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
                return_access(c, d);
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

static bool is_through(struct crew *c)
{
        bool r;

        pthread_mutex_lock(&c->lock);
        r = c->workers_left == 0;
        pthread_mutex_unlock(&c->lock);
        return r;
}

/* Until all workers are through: signals, ticks. The eventfd only wakes, so that one that is lost costs a tick. */
static void watch(struct crew *c)
{
        struct pollfd polled[] = {
                { .fd = c->done_fd, .events = POLLIN },
                { .fd = stop_fd(), .events = POLLIN },
        };

        for (;;) {
                (void)poll(polled, ARRAY_SIZE(polled), TICK_MS);
                if (is_through(c))
                        return;
                stop_poll();
                if (c->config->tick)
                        c->config->tick(c->config->tick_context);
        }
}

static int run_workers(struct crew *c, struct err *err)
{
        struct crew_worker workers[THREADS];
        pthread_t threads[THREADS];
        unsigned wanted = c->config->threads > 0 ? c->config->threads : THREADS, started = 0;
        int r = 0;

        /* Started under the lock, so that the first ones do not see a count that is still growing. */
        pthread_mutex_lock(&c->lock);
        for (; started < wanted && started < THREADS; started++) {
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

/* Return 0 or -errno. */
static int root_slot_init(struct crew_slot *s, int fd)
{
        struct stat st;

        s->fd = fd;
        s->known = true;
        if (fd < 0)
                return 0;
        if (fstat(fd, &st) < 0)
                return -errno;
        s->dev = st.st_dev;
        s->ino = st.st_ino;
        s->mode = st.st_mode;
        return 0;
}

/* Return 0 or -errno. */
static int root_new(struct crew_dir **ret, const struct crew_config *config)
{
        const struct crew_child root = { .name = "", .data = config->root_data };
        struct crew_dir *d = dir_new(NULL, &root);
        int r = d ? 0 : -ENOMEM;

        for (int i = 0; r == 0 && i < CREW_TREES; i++)
                r = root_slot_init(&d->slots[i], config->root_fds[i]);
        if (r < 0) {
                free(d);
                return r;
        }
        *ret = d;
        return 0;
}

int crew_run(const struct crew_config *config, struct err *err)
{
        struct crew c = {
                .config = config,
                .lock = PTHREAD_MUTEX_INITIALIZER,
                .changed = PTHREAD_COND_INITIALIZER,
        };
        _cleanup_(fd_closep) int done_fd = eventfd(0, EFD_CLOEXEC);
        struct crew_dir *root;
        int r;

        crew_slots_init(&c.slots, config->descriptors, config->access);
        r = done_fd < 0 ? -EMFILE : root_new(&root, config);
        if (r < 0) {
                if (config->ops->forget)
                        config->ops->forget(config->root_data);
                return err_run(err, r, "start work", NULL);
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
