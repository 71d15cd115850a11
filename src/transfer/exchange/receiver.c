/*
 * A directory that the sender tells of is made at once, and looked at: if its digest is equal all is done, else its
 * listing is asked for, brought in line with what is there, and the content of files asked for. Nothing waits for an
 * answer but the entry that needs it.
 *
 *      DIRECTORY  ->  equal            -> DONE
 *                 ->  WANT LISTING     -> LISTING -> WANT FILES, WANT DELTA, WANT HASH -> FILE ... -> DONE
 *                 ->  nothing there    -> WANT TREE -> LISTING, FILE ...                          -> DONE
 *      TREES      ->  equal            -> DONE
 *                 ->  WANT DIRECTORIES -> DIRECTORY ...
 */
#include "transfer/exchange/receiver.h"

#include "base/behind.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/report.h"
#include "base/stop.h"
#include "transfer/discard.h"
#include "transfer/exchange/channel.h"
#include "transfer/exchange/receiver_parts.h"
#include "transfer/limits.h"
#include "transfer/reconcile.h"

#include <errno.h>
#include <limits.h>

enum {
        TICK_US = 200000,
        NODES_MAX = 1000000,
        DEPTH_CHILDREN_MAX = INT32_MAX,
        LISTINGS_MAX = 256 * 1024 * 1024, /* bytes */
};

int receiver_refuse(struct err *err, const char *what)
{
        return err_runf(err, -EPROTO, "the client does not keep to the protocol: it sends %s", what);
}

int receiver_send(struct receiver *r, enum message_type type, uint64_t number, struct err *err)
{
        struct wire *w = channel_wire(r->config->channel);

        if (pack_varint(wire_begin(w, (uint8_t)type), number) < 0)
                return err_oom(err);
        return wire_end(w, err);
}

int receiver_breathe(struct receiver *r, struct err *err)
{
        uint64_t now = stop_now_us();

        if (now - r->ticked_us >= TICK_US) {
                r->ticked_us = now;
                if (r->config->tick)
                        r->config->tick(r->config->tick_context);
                if (stop_check(err) < 0 || channel_push(r->config->channel, err) < 0)
                        return err->code;
        }
        return channel_send(r->config->channel, false, err);
}

static void tick(void *context)
{
        struct receiver *r = context;
        ERR_LOCAL(err);

        r->ticked_us = stop_now_us();
        if (r->config->tick)
                r->config->tick(r->config->tick_context);
        if (channel_push(r->config->channel, &err) < 0)
                err_drop(&err, "what comes next on the channel fails as well");
}

/* ---- a directory ---- */

/* What a crew is told elsewhere: remember it for the directory that is being added; what goes, goes now. */
static int on_add(struct visit *v, const struct crew_child *child, struct visit_task *task, struct err *err)
{
        struct receiver *r = v->update->context;
        _cleanup_(freep) char *former = task->former;

        if (task->remove)
                return discard_at_once(v, child->name, former, err);
        r->added = *task;
        r->added_ino = child->ino[CREW_TO];
        r->is_added = true;
        return 0;
}

/* What DIRECTORY says. */
struct directory {
        uint64_t number, parent, children;
        unsigned flags;
        struct entry entry;
        const uint8_t *digest;
        struct receiver_links links;
};

static int parse_directory(struct receiver *r, struct unpack *u, struct directory *ret, struct err *err)
{
        struct message_place place;

        *ret = (struct directory){ .number = unpack_varint(u, UINT64_MAX) };
        ret->parent = unpack_varint(u, UINT64_MAX);
        ret->flags = unpack_u8(u);
        if (message_get_entry(u, &ret->entry, &place, &r->arena) < 0)
                return err_oom(err);
        if (ret->flags & MESSAGE_DIRECTORY_VANISHED)
                return unpack_end(u) ? 0 : receiver_refuse(err, "a directory that makes no sense");
        ret->digest = unpack_raw(u, MESSAGE_DIGEST_SIZE);
        ret->children = unpack_varint(u, DEPTH_CHILDREN_MAX);
        if (receiver_links_get(r, u, 0, &ret->links) < 0)
                return err_oom(err);
        if (!unpack_end(u) || !entry_is_dir(&ret->entry))
                return receiver_refuse(err, "a directory that makes no sense");
        receiver_fit(&ret->entry, &place);
        return 0;
}

/* Make it, or give it its metadata. Return 1 with @r->added filled in, 0 when that failed and was told, or a negative
 * errno.
 */
static int place_directory(struct receiver *r, struct receiver_node *parent, struct directory *d, struct err *err)
{
        struct visit v;
        int code = receiver_visit(r, parent, &v, err);

        r->is_added = false;
        if (code == 0)
                code = reconcile_entry(&v, &d->entry, parent->task.missing ? NULL : d->entry.name, err);
        if (code < 0)
                code = visit_absorb(&v, code, err);
        visit_deinit(&v);
        return code < 0 ? code : r->is_added;
}

/* Of a directory that could not be made or opened nothing below it can be brought in line. */
static int fail_directory(struct receiver *r, struct receiver_node *n, struct err *err)
{
        report_add(r->config->report, REPORT_UNSETTLED, 1);
        return receiver_node_fail(r, n, err);
}

static int ask_for_listing(struct receiver *r, struct receiver_node *n, const struct directory *d, bool is_empty,
                           struct err *err)
{
        bool is_partial = d->flags & MESSAGE_DIRECTORY_UNREADABLE;

        n->awaits_listing = true;
        n->may_remove = !is_partial;
        n->is_whole = d->flags & MESSAGE_DIRECTORY_WHOLE;
        if (n->is_whole)
                return 0;
        if (is_empty && !is_partial && !r->config->dry_run && !receiver_partial_is_in(r, n)) {
                n->is_whole = true;
                return receiver_send(r, MESSAGE_WANT_TREE, n->number, err);
        }
        return receiver_send(r, MESSAGE_WANT_LISTING, n->number, err);
}

/* Look at @n, which is open in @v. Return 0 or a negative errno with @err filled; what cannot be read shows again when
 * it is listed, and is not equal until then. */
static int look_at_node(struct receiver *r, struct visit *v, struct directory *d, struct receiver_look *ret,
                        bool *ret_is_known, struct err *err)
{
        int code;

        *ret = (struct receiver_look){ .is_empty = true };
        *ret_is_known = false;
        if (v->task->missing)
                return 0;
        code = receiver_look(r, v->to.fd, v->to.path, &d->links, ret, err);
        *ret_is_known = code == 0;
        ret->is_empty = ret->is_empty && code == 0;
        if (code < 0 && err->kind != ERR_NONE)
                return code;
        return code == -ENOMEM ? err_oom(err) : 0;
}

/* Return 1 when it is equal to what the sender has, 0 when not, or a negative errno with @err filled. */
static int is_equal(struct receiver *r, struct receiver_node *n, struct directory *d, struct receiver_look *look,
                    struct err *err)
{
        const unsigned listed = MESSAGE_DIRECTORY_MUST_LIST | MESSAGE_DIRECTORY_UNREADABLE | MESSAGE_DIRECTORY_WHOLE;
        struct visit v;
        bool is_known;
        int code = receiver_visit(r, n, &v, err);

        if (code == 0)
                code = look_at_node(r, &v, d, look, &is_known, err);
        if (code == 0 && is_known && !(d->flags & listed) && !look->is_suspect &&
            memcmp(look->digest, d->digest, MESSAGE_DIGEST_SIZE) == 0)
                code = receiver_check_links(r, &d->links, err);
        visit_deinit(&v);
        return code;
}

static int compare_directory(struct receiver *r, struct receiver_node *n, struct directory *d, struct err *err)
{
        struct receiver_look look = { .is_empty = false };
        int code;

        if (d->flags & MESSAGE_DIRECTORY_OMITTED)
                return n->task.missing ? receiver_node_done(r, n, err) : receiver_empty(r, n, err);
        code = is_equal(r, n, d, &look, err);
        if (code < 0 && err->kind == ERR_ITEM) {
                report_item(r->config->report, err);
                return fail_directory(r, n, err);
        }
        if (code < 0)
                return code;
        if (code == 0)
                return ask_for_listing(r, n, d, look.is_empty, err);
        report_add(r->config->report, REPORT_ENTRIES, look.entries);
        report_add(r->config->report, REPORT_BYTES, look.bytes);
        return receiver_node_done(r, n, err);
}

static int add_root(struct receiver *r, struct directory *d, struct err *err)
{
        struct receiver_node *n;
        int code;

        if (r->has_root || d->parent != 0 || d->flags & (MESSAGE_DIRECTORY_OMITTED | MESSAGE_DIRECTORY_VANISHED))
                return receiver_refuse(err, "a root that makes no sense");
        r->has_root = true;
        d->entry.name = "";
        n = receiver_node_add(r, 0, NULL, "");
        if (!n)
                return err_oom(err);
        n->fd = r->config->to_fd;
        n->children_left = n->children_untold = d->children;
        code = reconcile_root(&r->update, &d->entry, &r->arena, &n->task, err);
        return code < 0 ? code : compare_directory(r, n, d, err);
}

/* It was there when its parent was read. What `latest` has of it stays. */
static int pass_vanished(struct receiver *r, struct receiver_node *parent, const struct directory *d, struct err *err)
{
        struct entry now;
        int fd = parent->task.missing || parent->is_failed ? -1 : receiver_node_fd(r, parent);
        int code = receiver_send(r, MESSAGE_DONE, d->number, err);

        if (fd >= 0 && entry_stat(&now, fd, d->entry.name) == 0)
                report_add(r->config->report, REPORT_UNSETTLED, 1);
        return code < 0 ? code : receiver_node_less(r, parent, 1, err);
}

static int add_child(struct receiver *r, struct receiver_node *parent, struct directory *d, struct err *err)
{
        struct receiver_node *n;
        int code = parent->is_failed ? 0 : place_directory(r, parent, d, err);

        if (code < 0)
                return code;
        n = receiver_node_add(r, d->number, parent, d->entry.name);
        if (!n)
                return err_oom(err);
        n->children_left = n->children_untold = d->children;
        if (parent->is_failed)
                return receiver_node_fail(r, n, err);
        if (code == 0)
                return fail_directory(r, n, err);
        n->task = r->added;
        n->task.former = NULL;
        n->ino = r->added_ino;
        return compare_directory(r, n, d, err);
}

static int on_directory(struct receiver *r, struct unpack *u, struct err *err)
{
        struct receiver_node *parent;
        struct directory d;
        int code = parse_directory(r, u, &d, err);

        if (code < 0)
                return code;
        if (d.number == 0)
                return add_root(r, &d, err);
        parent = receiver_node_find(r, d.parent);
        if (!parent || parent->children_untold == 0 || receiver_node_find(r, d.number) || r->node_count > NODES_MAX)
                return receiver_refuse(err, "a directory that belongs nowhere");
        parent->children_untold--;
        if (d.flags & MESSAGE_DIRECTORY_VANISHED)
                return pass_vanished(r, parent, &d, err);
        return add_child(r, parent, &d, err);
}

/* ---- trees ---- */

static const char *get_name(struct receiver *r, struct unpack *u)
{
        size_t size;
        const void *data = unpack_bytes(u, NAME_MAX, &size);

        if (!data || !unpack_is_name(data, size)) {
                u->broken = true;
                return "";
        }
        return arena_copy(&r->arena, data, size);
}

static int on_trees(struct receiver *r, struct unpack *u, struct err *err)
{
        struct receiver_trees t = { .parent = NULL };
        uint64_t number = unpack_varint(u, UINT64_MAX);
        int code = 0;

        t.parent = receiver_node_find(r, unpack_varint(u, UINT64_MAX));
        t.directories = unpack_varint(u, MESSAGE_TREES_MAX);
        t.trees = unpack_varint(u, MESSAGE_TREES_MAX);
        t.first = get_name(r, u);
        t.last = get_name(r, u);
        t.digest = unpack_raw(u, MESSAGE_DIGEST_SIZE);
        for (uint32_t i = 0; i < t.directories && code == 0 && !u->broken; i++)
                code = receiver_links_get(r, u, i, &t.links);
        if (code < 0 || !t.first || !t.last)
                return err_oom(err);
        if (!unpack_end(u) || !t.parent || t.trees == 0 || t.trees > t.directories)
                return receiver_refuse(err, "trees that make no sense");
        if (t.trees > t.parent->children_untold)
                return receiver_refuse(err, "more directories than there are");
        code = t.parent->is_failed ? 1 : receiver_look_at_trees(r, &t, err);
        if (code < 0)
                return code;
        if (code == 0)
                return receiver_send(r, MESSAGE_WANT_DIRECTORIES, number, err);
        t.parent->children_untold -= t.trees;
        code = receiver_send(r, MESSAGE_DONE, number, err);
        return code < 0 ? code : receiver_node_less(r, t.parent, t.trees, err);
}

/* ---- messages ---- */

static int on_listing(struct receiver *r, struct unpack *u, struct err *err)
{
        struct receiver_node *n = receiver_node_find(r, unpack_varint(u, UINT64_MAX));
        bool is_last = unpack_u8(u) == 0;
        size_t size = (size_t)(u->end - u->data);

        if (u->broken || !n || !n->awaits_listing)
                return receiver_refuse(err, "a listing that was not asked for");
        if (size > LISTINGS_MAX - r->listing_bytes)
                return receiver_refuse(err, "more at once than can be remembered");
        if (buf_append(&n->listing, u->data, size) < 0)
                return err_oom(err);
        r->listing_bytes += size;
        return is_last ? receiver_list(r, n, err) : 0;
}

static int on_end(struct receiver *r, struct unpack *u, struct err *err)
{
        bool is_partial = unpack_u8(u) != 0;

        if (!unpack_end(u) || !r->has_root || r->has_ended)
                return receiver_refuse(err, "an end of nothing");
        r->has_ended = true;
        if (is_partial)
                report_mark_partial(r->config->report);
        return 0;
}

/* Until a content has ended it alone is heard of: what it is for is sure to stay. */
static bool is_amid_content(const struct receiver *r, unsigned type)
{
        return r->content.is_active && type >= MESSAGE_DIRECTORY && type <= MESSAGE_SENDER_LAST &&
               type != MESSAGE_DATA && type != MESSAGE_HOLE && type != MESSAGE_FILE_END;
}

static int on_message(struct receiver *r, const struct wire_message *m, struct err *err)
{
        struct unpack u = unpack_begin(m->data, m->size);

        if (is_amid_content(r, m->type))
                return receiver_refuse(err, "something else amid the content of a file");
        switch (m->type) {
        case MESSAGE_DIRECTORY:
                return on_directory(r, &u, err);
        case MESSAGE_TREES:
                return on_trees(r, &u, err);
        case MESSAGE_LISTING:
                return on_listing(r, &u, err);
        case MESSAGE_FILE:
                return receiver_on_file(r, &u, err);
        case MESSAGE_DATA:
                return receiver_on_data(r, m->data, m->size, err);
        case MESSAGE_HOLE:
                return receiver_on_hole(r, &u, err);
        case MESSAGE_FILE_END:
                return receiver_on_file_end(r, &u, err);
        case MESSAGE_HASH:
                return receiver_on_hash(r, &u, err);
        case MESSAGE_END:
                return on_end(r, &u, err);
        default:
                return r->config->other(r->config->context, m, err);
        }
}

/* ---- the whole ---- */

static bool is_complete(const struct receiver *r)
{
        return r->has_ended && !r->root;
}

static int step(struct receiver *r, struct err *err)
{
        struct channel *c = r->config->channel;
        int signing = receiver_delta_sign(r, err);
        struct wire_message m;
        int code = signing < 0 ? signing : channel_receive(c, &m, signing == 0, err);

        if (code > 0)
                code = on_message(r, &m, err);
        arena_release(&r->arena, (struct arena_mark){ .chunk = NULL });
        return code == 0 ? receiver_breathe(r, err) : code;
}

static int init(struct receiver *r, const struct receiver_config *config, struct err *err)
{
        r->config = config;
        r->update_config = (struct update_config){
                .to_fd = config->to_fd,
                .to_is_new = config->to_is_new,
                .limits = config->limits,
                .report = config->report,
                .dry_run = config->dry_run,
                .has_reference = config->has_reference,
                .reference = { .tv_sec = 1 }, /* see receiver_fit() */
                .has_suspect = config->has_suspect,
                .suspect = config->suspect,
                .tick = tick,
                .tick_context = r,
        };
        r->update = (struct update){
                .config = &r->update_config,
                .shared = { .latest_fd = config->to_fd, .limits = config->limits, .report = config->report },
                .links = config->links,
                .add = on_add,
                .context = r,
        };
        r->signing.basis = r->content.basis = (struct delta_basis){ .old = -1, .partial = -1 };
        r->content.staged.fd = -1;
        r->content.sum = sum_new();
        r->digest = message_digest_new();
        r->trees_digest = message_digest_new();
        if (!r->content.sum || !r->digest || !r->trees_digest)
                return err_oom(err);
        return behind_new(&r->update.shared.behind, err);
}

static void deinit(struct receiver *r, int code)
{
        receiver_content_deinit(r, code);
        receiver_delta_deinit(r);
        receiver_followers_deinit(r);
        receiver_nodes_deinit(r);
        behind_free(r->update.shared.behind);
        message_digest_free(r->digest);
        message_digest_free(r->trees_digest);
        arena_deinit(&r->arena);
        free(r);
}

int receiver_run(const struct receiver_config *config, struct err *err)
{
        struct receiver *r = calloc(1, sizeof(*r));
        int code = r ? init(r, config, err) : err_oom(err);

        if (!r)
                return code;
        receiver_partials_find(r);
        while (code == 0 && !is_complete(r))
                code = step(r, err);
        deinit(r, code);
        return code;
}
