/*
 * What the receiver asks for is answered in its order, a piece at a time; the first in the queue is the one that is
 * being answered. All that it names is checked: it must be a directory that it was told of and has not done with.
 */
#include "base/err.h"
#include "transfer/exchange/channel.h"
#include "transfer/exchange/pack.h"
#include "transfer/exchange/sender.h"
#include "transfer/exchange/sender_parts.h"

#include <errno.h>

/* That wait beyond what an honest receiver can ask for: the content and the hash of each entry that it was told of. */
enum { ASKS_BEYOND = 16 * 1024 };

int sender_ask_refuse(struct err *err, const char *what)
{
        return err_runf(err, -EPROTO, "the other side breaks the protocol: it asks for %s", what);
}

/* ---- the queue ---- */

static struct sender_ask *ask_new(struct sender *s, enum sender_ask_kind kind, struct sender_node *n)
{
        struct sender_ask *a = calloc(1, sizeof(*a));

        if (!a)
                return NULL;
        a->kind = kind;
        a->node = n;
        n->was_asked = true;
        sender_node_hold(n);
        s->asks.count++;
        return a;
}

static void ask_free(struct sender *s, struct sender_ask *a)
{
        s->asks.count--;
        sender_signature_end(s, a);
        buf_deinit(&a->signature);
        sender_node_release(s, a->node);
        free(a);
}

/* Return it, or NULL with @err filled. */
static struct sender_ask *append(struct sender *s, enum sender_ask_kind kind, struct sender_node *n, struct err *err)
{
        struct sender_asks *q = &s->asks;
        struct sender_ask *a;

        if (q->count >= 2 * s->nodes.entries + ASKS_BEYOND) {
                (void)sender_ask_refuse(err, "too much at once");
                return NULL;
        }
        a = ask_new(s, kind, n);
        if (!a) {
                (void)err_oom(err);
                return NULL;
        }
        if (q->last)
                q->last->next = a;
        else
                q->first = a;
        q->last = a;
        return a;
}

static void remove_first(struct sender *s)
{
        struct sender_asks *q = &s->asks;
        struct sender_ask *a = q->first;

        q->first = a->next;
        if (!q->first)
                q->last = NULL;
        ask_free(s, a);
}

int sender_ask_whole(struct sender *s, struct sender_node *n, struct err *err)
{
        struct sender_ask *a = ask_new(s, SENDER_ASK_WHOLE, n);

        if (!a)
                return err_oom(err);
        a->end = n->entries;
        a->next = s->asks.first;
        s->asks.first = a;
        if (!s->asks.last)
                s->asks.last = a;
        return 0;
}

void sender_ask_deinit(struct sender *s)
{
        while (s->asks.first)
                remove_first(s);
}

/* ---- what is asked for ---- */

static struct sender_node *find(struct sender *s, uint64_t number, enum sender_told told, struct err *err)
{
        struct sender_node *n = sender_node_find(s, number);

        if (n && n->told == told)
                return n;
        (void)sender_ask_refuse(err, "a directory that it was not told of, or has done with");
        return NULL;
}

/* Between being told of them and asking it had no reason to say so twice, but that is no reason to fail. */
static int take_done(struct sender *s, uint64_t number, struct err *err)
{
        struct sender_node *n = sender_node_find(s, number);
        unsigned count;

        if (!n || n->told == SENDER_DONE)
                return number < s->nodes.next_number ? 0 : sender_ask_refuse(err, "a directory that does not exist");
        if (n->told == SENDER_UNTOLD || (n->told == SENDER_IN_TREES && n->trees == 0))
                return sender_ask_refuse(err, "the end of a directory that it was not told of");
        if (sender_signature_done(s, number, err) < 0)
                return err->code;
        sender_tell_done(s, n);
        count = n->told == SENDER_IN_TREES ? n->trees : 1;
        for (uint64_t i = 0; i < count; i++) {
                n = sender_node_find(s, number + i);
                n->told = SENDER_DONE;
                sender_node_release(s, n);
        }
        return 0;
}

/* They will be told of one by one, and can be asked for only then. */
static int take_directories(struct sender *s, uint64_t number, struct err *err)
{
        struct sender_node *n = find(s, number, SENDER_IN_TREES, err);
        struct sender_ask *a;

        if (!n)
                return err->code;
        if (n->trees == 0)
                return sender_ask_refuse(err, "trees that it was not told of");
        a = append(s, SENDER_ASK_DIRECTORIES, n, err);
        if (!a)
                return err->code;
        a->end = n->trees;
        n->trees = 0;
        for (size_t i = 0; i < a->end; i++) {
                n = sender_node_find(s, number + i);
                n->told = SENDER_UNTOLD;
                n->was_asked = true;
        }
        sender_tell_differs(s);
        return 0;
}

static int take_listing(struct sender *s, uint64_t number, enum sender_ask_kind kind, struct err *err)
{
        struct sender_node *n = find(s, number, SENDER_TOLD, err);
        struct sender_ask *a = n ? append(s, kind, n, err) : NULL;

        if (!a)
                return err->code;
        s->tell.equal = 0;
        if (kind == SENDER_ASK_WHOLE) {
                a->end = n->entries;
                sender_node_make_whole(s, n);
                /* What waits to be told of may be part of it, and goes at once. */
                s->tell.is_on = s->tell.count > 0;
        }
        return 0;
}

static int check_range(const struct sender_node *n, uint64_t first, uint64_t count, struct err *err)
{
        if (first < n->entries && count > 0 && count <= n->entries - first)
                return 0;
        return sender_ask_refuse(err, "an entry that does not exist");
}

static int take_files(struct sender *s, struct unpack *u, enum sender_ask_kind kind, struct err *err)
{
        struct sender_node *n = find(s, unpack_varint(u, UINT64_MAX), SENDER_TOLD, err);
        uint64_t first = unpack_varint(u, UINT64_MAX);
        uint64_t count = kind == SENDER_ASK_FILES ? unpack_varint(u, UINT64_MAX) : 1;
        struct sender_ask *a;

        if (!n || (!u->broken && check_range(n, first, count, err) < 0))
                return err->code;
        if (u->broken)
                return 0;
        a = append(s, kind, n, err);
        if (!a)
                return err->code;
        a->index = (size_t)first;
        a->end = (size_t)(first + count);
        return 0;
}

static int take_delta(struct sender *s, struct unpack *u, struct err *err)
{
        uint64_t number = unpack_varint(u, UINT64_MAX), index = unpack_varint(u, UINT64_MAX);
        bool more = unpack_u8(u);
        size_t size = (size_t)(u->end - u->data);

        return u->broken ? 0 : sender_signature_take(s, number, index, more, unpack_raw(u, size), size, err);
}

struct sender_ask *sender_ask_delta(struct sender *s, uint64_t number, uint64_t index, struct err *err)
{
        struct sender_node *n = find(s, number, SENDER_TOLD, err);
        struct sender_ask *a;

        if (!n || check_range(n, index, 1, err) < 0)
                return NULL;
        a = append(s, SENDER_ASK_DELTA, n, err);
        if (a) {
                a->index = (size_t)index;
                a->end = a->index + 1;
        }
        return a;
}

int sender_ask_take(struct sender *s, const struct wire_message *m, struct err *err)
{
        struct unpack u = unpack_begin(m->data, m->size);
        int r;

        switch (m->type) {
        case MESSAGE_DONE:
                r = take_done(s, unpack_varint(&u, UINT64_MAX), err);
                break;
        case MESSAGE_WANT_DIRECTORIES:
                r = take_directories(s, unpack_varint(&u, UINT64_MAX), err);
                break;
        case MESSAGE_WANT_LISTING:
                r = take_listing(s, unpack_varint(&u, UINT64_MAX), SENDER_ASK_LISTING, err);
                break;
        case MESSAGE_WANT_TREE:
                r = take_listing(s, unpack_varint(&u, UINT64_MAX), SENDER_ASK_WHOLE, err);
                break;
        case MESSAGE_WANT_FILES:
                r = take_files(s, &u, SENDER_ASK_FILES, err);
                break;
        case MESSAGE_WANT_DELTA:
                r = take_delta(s, &u, err);
                break;
        case MESSAGE_WANT_HASH:
                r = take_files(s, &u, SENDER_ASK_HASH, err);
                break;
        default:
                return err_runf(err, -EPROTO, "the other side breaks the protocol: a message of type %u", m->type);
        }
        if (r == 0 && !unpack_end(&u))
                return err_runf(err, -EPROTO,
                                "the other side breaks the protocol: a message that is too long or short");
        return r;
}

/* ---- answering ---- */

/* As many entries as go into one message. Return where they end. */
static size_t find_piece(const struct sender_node *n, size_t at)
{
        struct unpack u = unpack_begin(n->listing.data + at, n->listing.size - at);
        size_t end = at;

        if (n->listing.size - at <= MESSAGE_DATA_MAX)
                return n->listing.size;
        do {
                message_pass_entry(&u);
                if ((size_t)(u.data - (const unsigned char *)n->listing.data) - at > MESSAGE_DATA_MAX && end > at)
                        break;
                end = (size_t)(u.data - (const unsigned char *)n->listing.data);
        } while (end - at < MESSAGE_DATA_MAX && end < n->listing.size);
        return end;
}

static int send_listing(struct sender *s, struct sender_ask *a, struct err *err)
{
        const struct sender_node *n = a->node;
        struct buf *b = wire_begin(s->wire, MESSAGE_LISTING);
        size_t end = find_piece(n, a->listing_at);

        a->is_listed = end == n->listing.size;
        if (pack_varint(b, n->number) < 0 || pack_u8(b, !a->is_listed) < 0 ||
            buf_append(b, n->listing.data + a->listing_at, end - a->listing_at) < 0)
                return err_oom(err);
        a->listing_at = end;
        return wire_end(s->wire, err);
}

static int send_directory(struct sender *s, struct sender_ask *a, struct err *err)
{
        return sender_tell_one(s, sender_node_find(s, a->node->number + a->index++), err);
}

static int begin_file(struct sender *s, struct sender_ask *a, struct err *err)
{
        static const enum sender_file_kind kinds[] = {
                [SENDER_ASK_WHOLE] = SENDER_FILE_CONTENT,
                [SENDER_ASK_FILES] = SENDER_FILE_CONTENT,
                [SENDER_ASK_DELTA] = SENDER_FILE_DELTA,
                [SENDER_ASK_HASH] = SENDER_FILE_HASH,
        };

        return sender_file_begin(s, kinds[a->kind], a, a->index++, err);
}

static bool wants_listing(const struct sender_ask *a)
{
        return (a->kind == SENDER_ASK_LISTING || a->kind == SENDER_ASK_WHOLE) && !a->is_listed;
}

bool sender_ask_is_ready(const struct sender *s)
{
        return s->asks.first && !sender_file_is_waiting(s);
}

int sender_ask_step(struct sender *s, struct err *err)
{
        struct sender_ask *a = s->asks.first;
        int r;

        if (s->file.node)
                return sender_file_step(s, err);
        if (wants_listing(a))
                r = send_listing(s, a, err);
        else if (a->index == a->end)
                r = 0;
        else
                return a->kind == SENDER_ASK_DIRECTORIES ? send_directory(s, a, err) : begin_file(s, a, err);
        if (r == 0 && !wants_listing(a) && a->index == a->end)
                remove_first(s);
        return r;
}
