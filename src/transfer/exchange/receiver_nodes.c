/*
 * A directory is finished when its own work is done and all below it is finished: then its times are set, as the crew's
 * finish does. Descriptors are opened from the parent's, and those that were not used for long are closed.
 */
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/meta.h"
#include "transfer/exchange/receiver_parts.h"
#include "transfer/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { OPEN_MAX_NODES = 256 };

static struct receiver_node **bucket_of(struct receiver *r, uint64_t number)
{
        return &r->buckets[number % RECEIVER_BUCKETS];
}

struct receiver_node *receiver_node_find(const struct receiver *r, uint64_t number)
{
        struct receiver_node *n = r->buckets[number % RECEIVER_BUCKETS];

        while (n && n->number != number)
                n = n->next;
        return n;
}

struct receiver_node *receiver_node_add(struct receiver *r, uint64_t number, struct receiver_node *parent,
                                        const char *name)
{
        size_t size = strlen(name) + 1;
        struct receiver_node *n = calloc(1, sizeof(*n) + size), **bucket = bucket_of(r, number);

        if (!n)
                return NULL;
        memcpy(n->name, name, size);
        n->number = number;
        n->parent = parent;
        n->fd = -1;
        n->next = *bucket;
        *bucket = n;
        r->node_count++;
        if (!parent)
                r->root = n;
        return n;
}

/* ---- descriptors ---- */

static void unlist(struct receiver *r, struct receiver_node *n)
{
        *(n->newer ? &n->newer->older : &r->newest) = n->older;
        *(n->older ? &n->older->newer : &r->oldest) = n->newer;
        n->newer = n->older = NULL;
        r->open_count--;
}

static void list_newest(struct receiver *r, struct receiver_node *n)
{
        n->older = r->newest;
        *(r->newest ? &r->newest->newer : &r->oldest) = n;
        r->newest = n;
        r->open_count++;
}

static void close_node(struct receiver *r, struct receiver_node *n)
{
        if (n->fd < 0 || !n->parent) /* the root is borrowed */
                return;
        unlist(r, n);
        n->fd = fd_close(n->fd);
}

static void close_oldest(struct receiver *r)
{
        struct receiver_node *n = r->oldest, *newer;

        for (; n && r->open_count > OPEN_MAX_NODES; n = newer) {
                newer = n->newer;
                if (!n->is_pinned && n != r->newest)
                        close_node(r, n);
        }
}

/* An ordinary user's own, which he closed to himself. */
static int open_up(const struct receiver *r, const struct receiver_node *n)
{
        const int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        _cleanup_(fd_closep) int found = openat(n->parent->fd, n->name, flags);
        struct entry now = { .ino = 0 };
        int code = found < 0 ? -errno : entry_stat_fd(&now, found);

        if (code == 0 && (now.dev != r->update.to_dev || now.ino != n->ino))
                code = -ESTALE;
        return code < 0 ? code : meta_set_mode(found, (now.mode & 07777) | S_IRWXU);
}

static bool needs_access(const struct receiver *r)
{
        return !r->config->limits->privileged && !r->config->dry_run;
}

static int open_node(const struct receiver *r, const struct receiver_node *n)
{
        int fd = fd_open_unmounted_at(n->parent->fd, n->name, O_DIRECTORY);
        struct entry now = { .ino = 0 };
        int code;

        if (fd == -EACCES && needs_access(r)) {
                code = open_up(r, n);
                fd = code < 0 ? code : fd_open_unmounted_at(n->parent->fd, n->name, O_DIRECTORY);
        }
        if (fd < 0)
                return fd;
        code = entry_stat_fd(&now, fd);
        if (code == 0 && (now.dev != r->update.to_dev || now.ino != n->ino))
                code = -ESTALE;
        if (code == 0 && needs_access(r) && (now.mode & S_IRWXU) != S_IRWXU)
                code = meta_set_mode(fd, (now.mode & 07777) | S_IRWXU);
        if (code == 0)
                return fd;
        fd_close(fd);
        return code;
}

int receiver_node_fd(struct receiver *r, struct receiver_node *n)
{
        struct receiver_node *next = n;

        if (n->fd >= 0 && n->parent) {
                unlist(r, n);
                list_newest(r, n);
        }
        if (n->fd >= 0)
                return n->fd;
        n->below = NULL;
        for (; next->parent && next->parent->fd < 0; next = next->parent)
                next->parent->below = next;
        if (!next->parent)
                return -ESTALE;
        for (; next; next = next->below) {
                int fd = open_node(r, next);

                if (fd < 0)
                        return fd;
                next->fd = fd;
                list_newest(r, next);
                close_oldest(r);
        }
        return n->fd;
}

/* ---- visits ---- */

/* Trees may be deep: without recursion. */
static int put_path(const struct receiver_node *n, struct buf *path)
{
        size_t size = 0;
        char *at;

        for (const struct receiver_node *up = n; up->parent; up = up->parent)
                size += strlen(up->name) + 1;
        if (size == 0)
                return buf_puts(path, "");
        if (buf_reserve(path, size) < 0)
                return -ENOMEM;
        path->size = size - 1;
        at = path->data + size;
        *--at = '\0';
        for (; n->parent; n = n->parent) {
                at -= strlen(n->name);
                memcpy(at, n->name, strlen(n->name));
                if (n->parent->parent)
                        *--at = '/';
        }
        return 0;
}

int receiver_visit_closed(struct receiver *r, struct receiver_node *n, struct visit *v, struct err *err)
{
        *v = (struct visit){ .update = &r->update, .task = &n->task, .may_remove = n->may_remove };
        v->from = (struct source_dir){ .fd = -1, .arena = &r->arena, .is_remote = true };
        v->to = (struct put_dir){ .shared = &r->update.shared, .fd = -1, .from = &v->from };
        if (put_path(n, &v->path) < 0)
                return err_oom(err);
        v->to.path = v->from.path = buf_text(&v->path);
        v->to.gives_nothing = n->gives_nothing;
        return 0;
}

int receiver_visit(struct receiver *r, struct receiver_node *n, struct visit *v, struct err *err)
{
        int code = receiver_visit_closed(r, n, v, err);

        if (code < 0 || n->task.missing)
                return code;
        v->to.fd = receiver_node_fd(r, n);
        return v->to.fd < 0 ? err_destination_at(err, v->to.fd, "open directory", v->to.path, "") : 0;
}

/* ---- the end of a directory ---- */

static void forget_listing(struct receiver *r, struct receiver_node *n)
{
        r->listing_bytes -= n->listing.size;
        r->pending_count -= n->pending_count;
        buf_deinit(&n->listing);
        free(TAKE(n->pending));
        n->pending_count = 0;
}

static void forget(struct receiver *r, struct receiver_node *n)
{
        struct receiver_node **at = bucket_of(r, n->number);

        while (*at != n)
                at = &(*at)->next;
        *at = n->next;
        r->node_count--;
        close_node(r, n);
        if (r->root == n)
                r->root = NULL;
        forget_listing(r, n);
        free(n);
}

static int finish(struct receiver *r, struct receiver_node *n, struct err *err)
{
        struct visit v;
        int code = receiver_visit_closed(r, n, &v, err);

        if (code == 0)
                code = visit_finish(&v, r->config->dry_run ? -1 : receiver_node_fd(r, n), err);
        visit_deinit(&v);
        return code;
}

/* Those that have nothing left to do, from here upwards. */
static int finish_upwards(struct receiver *r, struct receiver_node *n, struct err *err)
{
        while (n && n->is_done && n->children_left == 0) {
                struct receiver_node *parent = n->parent;
                int code = n->is_failed ? 0 : finish(r, n, err);

                if (code < 0)
                        return code;
                forget(r, n);
                n = parent;
                if (n)
                        n->children_left--;
        }
        return 0;
}

int receiver_node_done(struct receiver *r, struct receiver_node *n, struct err *err)
{
        int code = receiver_send(r, MESSAGE_DONE, n->number, err);

        if (code < 0)
                return code;
        n->is_done = true;
        forget_listing(r, n);
        return finish_upwards(r, n, err);
}

int receiver_node_less(struct receiver *r, struct receiver_node *n, uint64_t count, struct err *err)
{
        n->children_left -= count;
        return finish_upwards(r, n, err);
}

int receiver_node_fail(struct receiver *r, struct receiver_node *n, struct err *err)
{
        n->is_failed = true;
        return receiver_node_done(r, n, err);
}

void receiver_nodes_deinit(struct receiver *r)
{
        for (size_t i = 0; i < RECEIVER_BUCKETS; i++) {
                while (r->buckets[i])
                        forget(r, r->buckets[i]);
        }
}
