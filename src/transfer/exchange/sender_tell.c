/*
 * Directories that were read gather until there are enough of them, or nothing else is left to do. Then all are told
 * of, in the order of their numbers:
 *
 *      pending:  a          not complete: what is below it is still being read       DIRECTORY
 *                a/b  \     complete, and nothing of it must be listed,
 *                a/b/c >    and so is its neighbour                                  TREES of a/b and a/d
 *                a/d  /
 *                a/e        must be listed                                           DIRECTORY
 *                a/e/f      alone                                                    DIRECTORY
 */
#include "base/err.h"
#include "transfer/exchange/channel.h"
#include "transfer/exchange/pack.h"
#include "transfer/exchange/sender.h"
#include "transfer/exchange/sender_parts.h"

#include <assert.h>
#include <errno.h>

enum {
        LIMIT_FIRST = 256,
        EQUAL_MIN = 16,
        LINKS_MAX = 128 * 1024, /* bytes, of all that go together but the last */
        NOT_PLAIN = MESSAGE_DIRECTORY_MUST_LIST | MESSAGE_DIRECTORY_UNREADABLE | MESSAGE_DIRECTORY_OMITTED |
                    MESSAGE_DIRECTORY_VANISHED,
};

/* ---- gathering ---- */

void sender_tell_add(struct sender *s, struct sender_node *n)
{
        struct sender_tell *t = &s->tell;

        if (t->limit == 0)
                t->limit = LIMIT_FIRST;
        n->pending_at = t->count;
        n->tree_is_plain = n->parent && !(n->flags & NOT_PLAIN);
        t->pending[t->count++] = n;
        if (t->count >= t->limit || sender_node_is_whole(s, n))
                t->is_on = true;
}

void sender_tell_complete(struct sender *s, struct sender_node *n)
{
        if (n->told != SENDER_UNTOLD)
                return;
        n->tree_size = s->tell.count - n->pending_at;
        if (!n->tree_is_plain && n->parent)
                n->parent->tree_is_plain = false;
}

/* ---- how many go together ---- */

static void grow(struct sender_tell *t)
{
        t->limit = size_min(t->limit * 2, SENDER_TREES_MAX);
        t->equal = 0;
}

void sender_tell_done(struct sender *s, const struct sender_node *n)
{
        struct sender_tell *t = &s->tell;

        if (n->told == SENDER_IN_TREES || (!n->was_asked && !(n->flags & NOT_PLAIN) && ++t->equal >= EQUAL_MIN))
                grow(t);
}

void sender_tell_differs(struct sender *s)
{
        s->tell.limit = size_max(s->tell.limit / 4, 1);
        s->tell.equal = 0;
}

/* ---- messages ---- */

static int put_links(struct buf *b, const struct sender_node *n)
{
        int r = pack_varint(b, n->link_count);

        return r < 0 ? r : buf_append(b, n->links.data, n->links.size);
}

static int put_directory(struct buf *b, const struct sender_node *n, unsigned flags)
{
        int r = pack_varint(b, n->number);

        r = r < 0 ? r : pack_varint(b, n->parent ? n->parent->number : 0);
        r = r < 0 ? r : pack_u8(b, (uint8_t)flags);
        r = r < 0 ? r : buf_append(b, n->own.data, n->own.size);
        if (r < 0 || (flags & MESSAGE_DIRECTORY_VANISHED))
                return r;
        r = buf_append(b, n->digest, sizeof(n->digest));
        r = r < 0 ? r : pack_varint(b, n->subdirectories);
        return r < 0 ? r : put_links(b, n);
}

int sender_tell_one(struct sender *s, struct sender_node *n, struct err *err)
{
        const unsigned without_content = MESSAGE_DIRECTORY_VANISHED | MESSAGE_DIRECTORY_OMITTED;
        bool is_whole = !(n->flags & without_content) && sender_node_is_whole(s, n);
        unsigned flags = n->flags | (is_whole ? MESSAGE_DIRECTORY_WHOLE : 0U);

        if (put_directory(wire_begin(s->wire, MESSAGE_DIRECTORY), n, flags) < 0)
                return err_oom(err);
        n->told = SENDER_TOLD;
        if (wire_end(s->wire, err) < 0)
                return err->code;
        if (is_whole)
                return sender_ask_whole(s, n, err);
        /* There is nothing to ask. */
        if (flags & MESSAGE_DIRECTORY_VANISHED) {
                n->told = SENDER_DONE;
                sender_node_release(s, n);
        }
        return 0;
}

static int add_to_digest(struct sender_tell *t, const struct sender_node *n, unsigned depth)
{
        struct unpack u = unpack_begin(n->own.data, n->own.size);
        struct arena_mark mark = arena_mark(&t->arena);
        struct message_place place;
        struct entry e;
        int r = message_get_entry(&u, &e, &place, &t->arena);

        if (r == 0)
                r = message_digest_add_directory(t->digest, depth, &e, n->digest);
        if (t->arena.chunk)
                arena_release(&t->arena, mark);
        return r;
}

static int put_trees(struct sender_tell *t, struct buf *b, size_t count, size_t trees, const struct sender_node *last)
{
        struct sender_node *const *nodes = t->pending + t->told;
        uint8_t digest[MESSAGE_DIGEST_SIZE];
        int r = pack_varint(b, nodes[0]->number);

        message_digest_begin(t->digest);
        for (size_t i = 0; i < count && r == 0; i++)
                r = add_to_digest(t, nodes[i], nodes[i]->depth - nodes[0]->depth);
        message_digest_end(t->digest, digest);
        r = r < 0 ? r : pack_varint(b, nodes[0]->parent->number);
        r = r < 0 ? r : pack_varint(b, count);
        r = r < 0 ? r : pack_varint(b, trees);
        r = r < 0 ? r : pack_text(b, nodes[0]->name);
        r = r < 0 ? r : pack_text(b, last->name);
        r = r < 0 ? r : buf_append(b, digest, sizeof(digest));
        for (size_t i = 0; i < count && r == 0; i++)
                r = put_links(b, nodes[i]);
        return r;
}

static bool may_go_together(const struct sender_node *n)
{
        return n->tree_size > 0 && n->tree_is_plain;
}

static size_t links_of(struct sender_node *const *nodes, size_t count)
{
        size_t bytes = 0;

        for (size_t i = 0; i < count; i++)
                bytes += nodes[i]->links.size;
        return bytes;
}

/* The trees that follow one another from the next directory on. Return how many directories they are, 0 for none. */
static size_t find_trees(const struct sender_tell *t, size_t *ret_trees, const struct sender_node **ret_last)
{
        size_t at = t->told, links = 0;

        *ret_trees = 0;
        while (at < t->count) {
                struct sender_node *n = t->pending[at];
                size_t more;

                if (!may_go_together(n) || n->parent != t->pending[t->told]->parent)
                        break;
                more = links_of(t->pending + at, n->tree_size);
                if (links + more > LINKS_MAX)
                        break;
                links += more;
                at += n->tree_size;
                *ret_last = n;
                ++*ret_trees;
        }
        return at - t->told;
}

/* A single directory says as much by itself, and is asked for with less ado. */
static int tell_next(struct sender *s, struct err *err)
{
        struct sender_tell *t = &s->tell;
        const struct sender_node *last = NULL;
        size_t trees, count = 0;

        if (!sender_node_is_whole(s, t->pending[t->told]))
                count = find_trees(t, &trees, &last);
        if (count <= 1)
                return sender_tell_one(s, t->pending[t->told++], err);
        if (put_trees(t, wire_begin(s->wire, MESSAGE_TREES), count, trees, last) < 0)
                return err_oom(err);
        t->pending[t->told]->trees = (unsigned)count;
        for (size_t i = 0; i < count; i++)
                t->pending[t->told++]->told = SENDER_IN_TREES;
        return wire_end(s->wire, err);
}

int sender_tell_step(struct sender *s, struct err *err)
{
        struct sender_tell *t = &s->tell;
        int r = 0;

        while (r == 0 && t->told < t->count && !sender_ask_is_ready(s))
                r = tell_next(s, err);
        if (t->told == t->count) {
                t->told = t->count = 0;
                t->is_on = false;
        }
        return r;
}

void sender_tell_deinit(struct sender *s)
{
        message_digest_free(s->tell.digest);
        arena_deinit(&s->tell.arena);
}
