/*
 * A directory is read in pieces, so that what the receiver asks for does not wait for a large one. Its entries are
 * encoded as they come, into buffers that are used again and again; what they hold at the end is copied once, in the
 * size it has.
 *
 * Its own metadata are those of its parent's listing, unless they have changed since.
 */
#include "base/entry.h"
#include "base/err.h"
#include "base/report.h"
#include "transfer/exchange/pack.h"
#include "transfer/exchange/sender.h"
#include "transfer/exchange/sender_parts.h"
#include "transfer/limits.h"

#include <assert.h>
#include <errno.h>

enum {
        ENTRIES_A_STEP = 256,
        LINKS_MAX = 128 * 1024, /* bytes; with more of them the listing is needed */
};

/* ---- places ---- */

/* Return its number; 0 when there are too many of them. */
static int device_number(struct sender_devices *devices, dev_t dev, uint64_t *ret)
{
        for (size_t i = devices->count; i > 0; i--) {
                if (devices->items[i - 1] == dev) {
                        *ret = i + MESSAGE_DEVICE_GROUPS;
                        return 0;
                }
        }
        *ret = 0;
        if (devices->count == MESSAGE_DEVICE_MAX - MESSAGE_DEVICE_GROUPS)
                return 0;
        if (devices->count == devices->capacity) {
                size_t capacity = size_max(devices->capacity * 2, 8);
                dev_t *items = reallocarray(devices->items, capacity, sizeof(*items));

                if (!items)
                        return -ENOMEM;
                devices->items = items;
                devices->capacity = capacity;
        }
        devices->items[devices->count++] = dev;
        *ret = devices->count + MESSAGE_DEVICE_GROUPS;
        return 0;
}

/* ---- groups of hard links ---- */

struct group {
        struct chains_item item;
        uint32_t born;
        dev_t dev;
        ino_t ino;
        uint64_t number;
};

static uint64_t group_hash(const void *item)
{
        const struct group *g = item;
        uint64_t h = (g->ino ^ g->dev * 0x9e3779b97f4a7c15ULL) * 0xff51afd7ed558ccdULL;

        return h ^ h >> 32;
}

/* They are numbered from 1 on, which takes less of a message than an inode does. Return 0 or -ENOMEM. */
static int group_number(struct chains *groups, const struct entry *e, uint64_t *ret)
{
        const struct group wanted = {
                .born = e->born, .dev = e->dev, .ino = e->ino, .number = (uint64_t)groups->count + 1
        };
        struct group *g;

        if (!groups->hash)
                *groups = (struct chains){ .item_size = sizeof(struct group), .hash = group_hash };
        g = chains_first(groups, group_hash(&wanted));
        while (g && (g->dev != e->dev || g->ino != e->ino || !entry_born_together(g->born, e->born)))
                g = chains_next(groups, g);
        if (!g)
                g = chains_add(groups, &wanted);
        if (!g)
                return -ENOMEM;
        *ret = g->number;
        return 0;
}

static bool may_hide_a_change(const struct sender_config *c, const struct entry *e)
{
        return c->has_reference && timespec_compare(e->ctime, c->reference) >= 0;
}

int sender_read_place(struct sender *s, const struct entry *e, struct message_place *ret)
{
        const struct sender_config *c = s->config;
        bool compare = may_hide_a_change(c, e), linked = e->nlink > 1;

        *ret = (struct message_place){ .flags = entry_is_dir(e) && e->content_omitted ? MESSAGE_CONTENT_OMITTED : 0 };
        if (entry_is_dir(e) || (!linked && !compare && c->has_reference))
                return 0;
        ret->flags |= (compare ? MESSAGE_COMPARE : 0U) | (linked ? MESSAGE_LINKED : 0U);
        ret->device = MESSAGE_DEVICE_GROUPS;
        if (linked)
                return group_number(&s->read.groups, e, &ret->inode);
        ret->inode = e->ino;
        return device_number(&s->read.devices, e->dev, &ret->device);
}

/* ---- entries ---- */

static int add_link(struct sender_read *r, const struct message_place *place)
{
        struct sender_node *n = r->node;
        size_t index = n->entries;

        if (pack_varint(&r->links, index - r->last_link) < 0 || pack_varint(&r->links, place->inode) < 0)
                return -ENOMEM;
        r->last_link = index;
        n->link_count++;
        return 0;
}

static int add_child(struct sender *s, const struct entry *e, size_t encoded_at)
{
        struct buf *to = &s->walk.children;
        const struct sender_child child = {
                .dev = e->dev,
                .ino = e->ino,
                .ctime = e->ctime,
                .content_omitted = e->content_omitted,
                .name_size = strlen(e->name) + 1,
                .entry_size = s->read.listing.size - encoded_at,
        };

        s->read.node->subdirectories++;
        if (buf_append(to, &child, sizeof(child)) < 0 || buf_append(to, e->name, child.name_size) < 0)
                return -ENOMEM;
        return buf_append(to, s->read.listing.data + encoded_at, child.entry_size);
}

static int begin_entry(struct sender_read *r)
{
        const size_t at = r->listing.size;

        return r->node->entries % SENDER_MARK_EVERY == 0 ? buf_append(&r->marks, &at, sizeof(at)) : 0;
}

static int add_entry(struct sender *s, struct entry *e)
{
        struct sender_read *r = &s->read;
        struct sender_node *n = r->node;
        size_t at = r->listing.size;
        struct message_place place;

        limits_fit(s->config->limits, e, s->config->report, r->path.data);
        if (sender_read_place(s, e, &place) < 0 || begin_entry(r) < 0 ||
            message_put_entry(&r->listing, e, &place) < 0 || message_digest_add(r->digest, e) < 0)
                return -ENOMEM;
        if (place.flags & MESSAGE_COMPARE)
                n->flags |= MESSAGE_DIRECTORY_MUST_LIST;
        if ((place.flags & MESSAGE_LINKED) && add_link(r, &place) < 0)
                return -ENOMEM;
        if (entry_is_dir(e) && add_child(s, e, at) < 0)
                return -ENOMEM;
        n->entries++;
        return 0;
}

/* There is such a name: what the receiver has under it stays. */
static int add_unreadable(struct sender *s, const char *name, struct err *err)
{
        struct sender_read *r = &s->read;
        const struct entry e = { .name = name };

        report_item(s->config->report, err);
        r->node->flags |= MESSAGE_DIRECTORY_MUST_LIST;
        /* What is more than a name can hold is nothing that the receiver could have. */
        if (message_check_entry(&(struct entry){ .name = name, .mode = S_IFREG }) < 0)
                return 0;
        if (begin_entry(r) < 0 ||
            message_put_entry(&r->listing, &e, &(struct message_place){ .flags = MESSAGE_UNREADABLE }) < 0)
                return err_oom(err);
        r->node->entries++;
        return 0;
}

/* Return 0, SOURCE_VANISHED, or a negative errno with an ERR_ITEM. */
static int load(struct sender_read *r, struct entry *e, struct err *err)
{
        int code = source_load(&r->dir, e, err);

        if (code != 0)
                return code;
        code = message_check_entry(e);
        return code < 0 ? err_item_at(err, code, "send the metadata of", r->path.data, e->name) : 0;
}

static int read_entry(struct sender *s, bool *ret_more, struct err *err)
{
        struct sender_read *r = &s->read;
        struct entry e;
        int code = source_next(&r->dir, &e, err);

        *ret_more = code != SOURCE_END;
        if (code == SOURCE_END)
                return 0;
        if (code == 0)
                code = load(r, &e, err);
        if (code == SOURCE_VANISHED) {
                report_vanished(s->config->report, r->path.data, e.name);
                return 0;
        }
        if (code < 0)
                return err->kind == ERR_ITEM ? add_unreadable(s, e.name, err) : code;
        return add_entry(s, &e) < 0 ? err_oom(err) : 0;
}

/* ---- the directory itself ---- */

static int keep(struct sender_bytes *to, const struct buf *from)
{
        to->data = malloc(size_max(from->size, 1));
        if (!to->data)
                return -ENOMEM;
        if (from->size > 0)
                memcpy(to->data, from->data, from->size);
        to->size = from->size;
        return 0;
}

static int keep_marks(struct sender_node *n, const struct buf *marks)
{
        n->marks = malloc(size_max(marks->size, 1));
        if (!n->marks)
                return -ENOMEM;
        if (marks->size > 0)
                memcpy(n->marks, marks->data, marks->size);
        return 0;
}

/* Links are for a directory that needs no listing. */
static int keep_links(struct sender_read *r)
{
        struct sender_node *n = r->node;

        if (r->links.size > LINKS_MAX)
                n->flags |= MESSAGE_DIRECTORY_MUST_LIST;
        if (!(n->flags & MESSAGE_DIRECTORY_MUST_LIST))
                return keep(&n->links, &r->links);
        n->link_count = 0;
        return 0;
}

static void end(struct sender *s)
{
        struct sender_read *r = &s->read;

        source_close(&r->dir);
        if (r->arena.chunk)
                arena_release(&r->arena, r->mark);
        r->node = NULL;
}

/* All that is to be had of it is there. */
static int complete(struct sender *s, struct err *err)
{
        struct sender_read *r = &s->read;
        struct sender_node *n = r->node;

        message_digest_end(r->digest, n->digest);
        if (keep_links(r) < 0 || keep(&n->listing, &r->listing) < 0 || keep_marks(n, &r->marks) < 0)
                return err_oom(err);
        sender_node_count(s, n);
        end(s);
        sender_tell_add(s, n);
        return 0;
}

static int put_own(struct sender *s, const struct entry *e)
{
        struct sender_read *r = &s->read;

        buf_truncate(&r->own, 0);
        if (message_put_entry(&r->own, e, &(struct message_place){ .device = 0 }) < 0)
                return -ENOMEM;
        return keep(&r->node->own, &r->own);
}

/* What its parent's listing said of it. */
static int keep_listed(struct sender_read *r, const struct sender_child *child, const char *entry, struct err *err)
{
        const struct buf listed = { .data = (char *)entry, .size = child->entry_size };

        return keep(&r->node->own, &listed) < 0 ? err_oom(err) : 0;
}

static int load_root(struct sender *s, struct err *err)
{
        struct sender_read *r = &s->read;
        const char *failed;
        struct entry e;
        int code = entry_load_fd(&e, r->dir.fd, "", &r->arena, &failed);

        if (code == 0)
                limits_fit(s->config->limits, &e, s->config->report, "");
        e.name = MESSAGE_ROOT_NAME;
        if (code == 0)
                code = message_check_entry(&e);
        if (code < 0)
                return err_run(err, code, failed, "the source directory");
        r->dir.dev = e.dev;
        return put_own(s, &e) < 0 ? err_oom(err) : 0;
}

/* A change of metadata moves the ctime. What cannot be loaded again is taken as it was listed. */
static int load_own(struct sender *s, const struct sender_child *child, const char *entry, struct err *err)
{
        struct sender_read *r = &s->read;
        const char *failed;
        struct entry e;

        if (!child)
                return load_root(s, err);
        if (entry_stat_fd(&e, r->dir.fd) < 0 || timespec_compare(e.ctime, child->ctime) == 0)
                return keep_listed(r, child, entry, err);
        e.name = r->node->name;
        if (entry_load_rest_fd(&e, r->dir.fd, &r->arena, &failed) < 0 || message_check_entry(&e) < 0)
                return keep_listed(r, child, entry, err);
        limits_fit(s->config->limits, &e, s->unheard, r->path.data);
        return put_own(s, &e) < 0 ? err_oom(err) : 0;
}

static int be_gone(struct sender *s, const struct sender_child *child, const char *entry, struct err *err)
{
        struct sender_read *r = &s->read;

        r->node->flags = MESSAGE_DIRECTORY_VANISHED;
        report_vanished(s->config->report, r->path.data, "");
        if (child && !r->node->own.data && keep_listed(r, child, entry, err) < 0)
                return err->code;
        return complete(s, err);
}

/* Return 0, SENDER_GONE, or a negative errno with @err filled. */
static int open_directory(struct sender *s, struct err *err)
{
        struct sender_read *r = &s->read;
        int fd, code = sender_node_open(s, r->node, &fd);

        if (code == -ENOMEM)
                return err_oom(err);
        if (code < 0)
                return err_item_at(err, code, "read directory", r->path.data, "");
        r->dir = (struct source_dir){
                .source = s->config->source, .fd = fd, .dev = r->node->dev, .path = r->path.data, .arena = &r->arena
        };
        return code;
}

/* Return as open_directory(). */
static int list(struct sender_read *r, struct err *err)
{
        int code = source_list(&r->dir, err);

        if (code == -ENOENT && r->node->parent) {
                err_drop(err, "it went away after it was opened");
                return SENDER_GONE;
        }
        return code;
}

static int begin(struct sender *s, struct sender_node *n, struct err *err)
{
        struct sender_read *r = &s->read;

        r->node = n;
        r->dir = (struct source_dir){ .fd = -1 };
        r->mark = arena_mark(&r->arena);
        r->last_link = 0;
        buf_truncate(&r->listing, 0);
        buf_truncate(&r->links, 0);
        buf_truncate(&r->marks, 0);
        message_digest_begin(r->digest);
        n->flags = s->config->has_reference ? 0 : MESSAGE_DIRECTORY_MUST_LIST;
        return sender_node_path(n, &r->path) < 0 ? err_oom(err) : 0;
}

/* Nothing can be concluded from what is missing. */
static int be_unreadable(struct sender *s, struct err *err)
{
        if (err->kind != ERR_ITEM)
                return err->code;
        report_item(s->config->report, err);
        s->read.node->flags |= MESSAGE_DIRECTORY_UNREADABLE | MESSAGE_DIRECTORY_MUST_LIST;
        return 0;
}

int sender_read_begin(struct sender *s, struct sender_node *n, const struct sender_child *child, const char *entry,
                      struct err *err)
{
        struct sender_read *r = &s->read;
        int code = begin(s, n, err);

        if (code < 0)
                return code;
        if (child && child->content_omitted) {
                n->flags = MESSAGE_DIRECTORY_OMITTED;
                code = keep_listed(r, child, entry, err);
                return code < 0 ? code : complete(s, err);
        }
        code = open_directory(s, err);
        if (code < 0) {
                if (!child || be_unreadable(s, err) < 0 || keep_listed(r, child, entry, err) < 0)
                        return err->code;
                return complete(s, err);
        }
        if (code == 0)
                code = load_own(s, child, entry, err);
        if (code == 0)
                code = list(r, err);
        if (code == SENDER_GONE)
                return be_gone(s, child, entry, err);
        return code < 0 ? be_unreadable(s, err) : 0;
}

int sender_read_step(struct sender *s, struct err *err)
{
        bool more = true;
        int code = 0;

        for (int i = 0; i < ENTRIES_A_STEP && more && code == 0; i++)
                code = read_entry(s, &more, err);
        return code == 0 && !more ? complete(s, err) : code;
}

void sender_read_deinit(struct sender *s)
{
        struct sender_read *r = &s->read;

        source_close(&r->dir);
        arena_deinit(&r->arena);
        message_digest_free(r->digest);
        buf_deinit(&r->path);
        buf_deinit(&r->own);
        buf_deinit(&r->listing);
        buf_deinit(&r->links);
        buf_deinit(&r->marks);
        free(r->devices.items);
        chains_deinit(&r->groups);
}
