/*
 * What is there is read as the sender reads its source, and hashed alike. An inode with several names at the source
 * must be one inode here, too, for which the sender tells where its names stand.
 */
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/listing.h"
#include "base/path.h"
#include "base/report.h"
#include "transfer/exchange/receiver_parts.h"
#include "transfer/limits.h"
#include "transfer/links.h"
#include "transfer/suspect.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

/* ---- links ---- */

static int add_link(struct receiver *r, struct receiver_links *links, const struct receiver_link *link)
{
        size_t capacity = size_max(links->capacity * 2, 16);
        struct receiver_link *items;

        if (links->count == links->capacity) {
                items = arena_alloc(&r->arena, capacity * sizeof(*items));
                if (!items)
                        return -ENOMEM;
                if (links->count > 0)
                        memcpy(items, links->items, links->count * sizeof(*items));
                links->items = items;
                links->capacity = capacity;
        }
        links->items[links->count++] = *link;
        return 0;
}

int receiver_links_get(struct receiver *r, struct unpack *u, uint32_t directory, struct receiver_links *ret)
{
        uint64_t count = unpack_varint(u, UINT32_MAX), index = 0;
        int code = 0;

        /* Each takes two bytes at least. */
        if (count > (size_t)(u->end - u->data) / 2)
                u->broken = true;
        for (uint64_t i = 0; i < count && code == 0 && !u->broken; i++) {
                struct receiver_link link = { .directory = directory, .device = MESSAGE_DEVICE_GROUPS };
                uint64_t step = unpack_varint(u, UINT32_MAX);

                if (i > 0 && step == 0)
                        u->broken = true;
                link.index = index += step;
                link.inode = unpack_varint(u, UINT64_MAX);
                if (!u->broken)
                        code = add_link(r, ret, &link);
        }
        return code;
}

static void count_bytes(struct receiver *r, const struct receiver_link *link, struct links_group *group)
{
        if (!links_is_counted(r->update.links, group))
                report_add(r->config->report, REPORT_BYTES, link->size);
}

/* One name: does it fit to what is known of its group, which is known from it on? Return 1, 0, or -errno. */
static int check_link(struct receiver *r, const struct receiver_link *link, struct err *err)
{
        const struct links_file file = { .dev = link->device, .ino = link->inode };
        struct links *links = r->update.links;
        struct links_group *group;
        struct links_home home;
        int code;

        if (!link->name)
                return 0;
        code = links_claim(links, link->ino, link->device, link->inode, err);
        if (code <= 0)
                return code;
        code = links_try(links, &file, &group, &home, err);
        if (code == LINKS_FOLLOW && home.ino != link->ino)
                return 0;
        if (code == LINKS_BUSY || code < 0)
                return code < 0 ? code : 0;
        count_bytes(r, link, group);
        if (code == LINKS_FOLLOW)
                return 1;
        code = links_settle(links, group, link->ino, link->path, link->name, err);
        return code < 0 ? code : 1;
}

int receiver_check_links(struct receiver *r, const struct receiver_links *links, struct err *err)
{
        int code = 1;

        for (size_t i = 0; i < links->count && code > 0; i++)
                code = check_link(r, &links->items[i], err);
        return code;
}

/* ---- one directory ---- */

/* The link that the entry @index of the current directory is, if any; @next is where the search goes on. Is it one? */
static bool fill_in(struct receiver *r, struct receiver_links *links, size_t *next, uint32_t directory, uint64_t index,
                    const char *path, const struct entry *e)
{
        struct receiver_link *link = *next < links->count ? &links->items[*next] : NULL;

        if (!link || link->directory != directory || link->index != index)
                return false;
        (*next)++;
        link->path = path;
        link->name = arena_copy(&r->arena, e->name, strlen(e->name));
        link->ino = entry_is_dir(e) ? 0 : e->ino;
        link->size = entry_is_file(e) ? e->size : 0;
        if (entry_is_dir(e))
                link->name = NULL;
        return true;
}

/* What is looked at, and where. */
struct look {
        struct receiver *receiver;
        struct receiver_links *links; /* or NULL */
        size_t next_link;
        uint32_t directory;
};

/* Return 0 or -errno. */
static int look_at_entry(struct look *l, int fd, const char *path, uint64_t index, const struct listing_name *n,
                         struct receiver_look *ret)
{
        struct receiver *r = l->receiver;
        const char *failed;
        struct entry e;
        bool is_link;
        int code = entry_load(&e, fd, n->name, &r->arena, &failed);

        if (code == 0 && (e.is_mount_point || e.dev != r->update.to_dev))
                code = -EXDEV;
        if (code < 0)
                return code;
        limits_disregard(r->config->limits, &e);
        if (!entry_is_dir(&e))
                ret->entries++;
        is_link = l->links && fill_in(r, l->links, &l->next_link, l->directory, index, path, &e);
        if (entry_is_file(&e) && !is_link)
                ret->bytes += e.size;
        ret->is_suspect = ret->is_suspect || suspect_is(r->update.config, &e);
        return message_digest_add(r->digest, &e);
}

/* @names live in the receiver's arena. */
static int look(struct look *l, int fd, const char *path, const struct listing *names, struct receiver_look *ret,
                struct err *err)
{
        struct receiver *r = l->receiver;
        int code = 0;

        *ret = (struct receiver_look){ .is_empty = names->count == 0 };
        message_digest_begin(r->digest);
        for (size_t i = 0; i < names->count && code == 0; i++) {
                struct arena_mark mark = arena_mark(&r->arena);
                size_t links = l->next_link;

                code = look_at_entry(l, fd, path, i, names->names[i], ret);
                if (l->next_link == links) /* what was filled in stays */
                        arena_release(&r->arena, mark);
                if (code == 0)
                        code = receiver_breathe(r, err);
        }
        message_digest_end(r->digest, ret->digest);
        return code;
}

int receiver_look(struct receiver *r, int fd, const char *path, struct receiver_links *links, struct receiver_look *ret,
                  struct err *err)
{
        struct look l = { .receiver = r, .links = links };
        struct listing names = { .names = NULL };
        int code = listing_read(&names, fd, &r->arena);

        if (code == 0)
                code = look(&l, fd, path, &names, ret, err);
        listing_deinit(&names);
        return code;
}

/* ---- trees ---- */

struct trees_look {
        struct look look;
        const struct receiver_trees *trees;
        uint64_t entries, bytes;
        struct err *err; /* filled when the exchange is to end */
};

enum { TREE_DEPTH_MAX = 256 }; /* a descriptor each, and a piece of the stack */
enum { IS_OTHER = -ESTALE };   /* whatever the reason is, the directories are told one by one then */

static int look_at_tree(struct trees_look *t, int parent, const char *above, const char *name, unsigned depth);

static bool is_directory(int fd, const struct listing_name *n)
{
        struct entry e;

        if (n->type != DT_UNKNOWN)
                return n->type == DT_DIR;
        return entry_stat(&e, fd, n->name) == 0 && entry_is_dir(&e);
}

static int look_at_children(struct trees_look *t, int fd, const char *path, const struct listing *names, unsigned depth)
{
        int code = 0;

        for (size_t i = 0; i < names->count && code == 0; i++) {
                if (is_directory(fd, names->names[i]))
                        code = look_at_tree(t, fd, path, names->names[i]->name, depth + 1);
        }
        return code;
}

/* The directory @fd, which is counted, and all below it. */
static int look_below(struct trees_look *t, int fd, const char *path, const char *name, unsigned depth)
{
        struct receiver *r = t->look.receiver;
        struct listing names = { .names = NULL };
        struct receiver_look found;
        const char *failed;
        struct entry self;
        int code = entry_load_fd(&self, fd, name, &r->arena, &failed);

        if (code == 0 && (self.is_mount_point || self.dev != r->update.to_dev))
                code = IS_OTHER;
        if (code == 0)
                code = listing_read(&names, fd, &r->arena);
        if (code == 0)
                code = look(&t->look, fd, path, &names, &found, t->err);
        if (code == 0 && found.is_suspect)
                code = IS_OTHER;
        if (code == 0) {
                limits_disregard(r->config->limits, &self);
                t->entries += found.entries + 1;
                t->bytes += found.bytes;
                code = message_digest_add_directory(r->trees_digest, depth, &self, found.digest);
        }
        t->look.directory++;
        if (code == 0)
                code = look_at_children(t, fd, path, &names, depth);
        listing_deinit(&names);
        return code;
}

static int look_at_tree(struct trees_look *t, int parent, const char *above, const char *name, unsigned depth)
{
        struct receiver *r = t->look.receiver;
        struct arena_mark mark = arena_mark(&r->arena);
        _cleanup_(freep) char *joined = path_join(above, name);
        char *path = joined ? arena_copy(&r->arena, joined, strlen(joined)) : NULL;
        _cleanup_(fd_closep) int fd = -1;
        int code;

        if (!path)
                return -ENOMEM;
        if (t->look.directory >= t->trees->directories || depth >= TREE_DEPTH_MAX)
                return IS_OTHER;
        fd = fd_open_unmounted_at(parent, name, O_DIRECTORY);
        code = fd < 0 ? IS_OTHER : look_below(t, fd, path, name, depth);
        if (t->trees->links.count == 0)
                arena_release(&r->arena, mark);
        return code;
}

/* All trees from the first name to the last. */
static int look_at_all(struct trees_look *t, int fd, const char *path)
{
        const struct receiver_trees *trees = t->trees;
        struct listing names = { .names = NULL };
        uint64_t count = 0;
        int code = listing_read(&names, fd, &t->look.receiver->arena);

        for (size_t i = 0; i < names.count && code == 0; i++) {
                const struct listing_name *n = names.names[i];

                if (strcmp(n->name, trees->first) < 0 || strcmp(n->name, trees->last) > 0 || !is_directory(fd, n))
                        continue;
                count++;
                code = look_at_tree(t, fd, path, n->name, 0);
        }
        listing_deinit(&names);
        return code == 0 && (count != trees->trees || t->look.directory != trees->directories) ? IS_OTHER : code;
}

int receiver_look_at_trees(struct receiver *r, struct receiver_trees *trees, struct err *err)
{
        struct trees_look t = { .look = { .receiver = r, .links = &trees->links }, .trees = trees, .err = err };
        uint8_t digest[MESSAGE_DIGEST_SIZE];
        struct visit v;
        int code = receiver_visit_closed(r, trees->parent, &v, err), fd;

        if (code == 0) {
                message_digest_begin(r->trees_digest);
                fd = trees->parent->task.missing ? -1 : receiver_node_fd(r, trees->parent);
                code = fd < 0 ? IS_OTHER : look_at_all(&t, fd, v.to.path);
                message_digest_end(r->trees_digest, digest);
                if (code == 0)
                        code = memcmp(digest, trees->digest, sizeof(digest)) == 0;
                else if (err->kind == ERR_NONE)
                        code = code == -ENOMEM ? err_oom(err) : 0;
        }
        if (code > 0)
                code = receiver_check_links(r, &trees->links, err);
        if (code > 0) {
                report_add(r->config->report, REPORT_ENTRIES, t.entries);
                report_add(r->config->report, REPORT_BYTES, t.bytes);
        }
        visit_deinit(&v);
        return code;
}
