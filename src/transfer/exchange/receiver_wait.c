/*
 * An entry waits for its content, for a hash, or for the leader of its group of hard links; then it is brought in line
 * from the beginning, with what is known by then. Content alone is put in place by receiver_file.c.
 */
#include "base/content.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/report.h"
#include "transfer/exchange/receiver_parts.h"
#include "transfer/links.h"
#include "transfer/reconcile.h"

#include <errno.h>
#include <fcntl.h>

enum { HASH_PIECE = 256 * 1024, PENDING_MAX = 8 * 1024 * 1024 };

struct receiver_pending *receiver_pending_find(struct receiver_node *n, uint64_t index)
{
        size_t from = 0, to = n->pending_count;

        while (from < to) {
                size_t middle = from + (to - from) / 2;

                if (n->pending[middle].index < index)
                        from = middle + 1;
                else
                        to = middle;
        }
        if (from == n->pending_count || n->pending[from].index != index)
                return NULL;
        return n->pending[from].awaits == VISIT_AWAITS_NOTHING ? NULL : &n->pending[from];
}

static void note(struct receiver_pending *p, const struct visit *v)
{
        p->awaits = (uint8_t)v->awaits;
        p->retyped = v->retyped;
        p->moves_group = v->moves_group;
        p->decision = v->decision;
        p->group = v->group;
}

int receiver_wait_for(struct receiver *r, struct receiver_node *n, uint32_t index, size_t offset, const struct visit *v,
                      struct err *err)
{
        struct receiver_pending *p;

        if (r->pending_count == PENDING_MAX)
                return receiver_refuse(err, "more at once than can be remembered");
        /* It doubles whenever it is full, which is when its size is a power of two. */
        if ((n->pending_count & (n->pending_count - 1)) == 0) {
                p = reallocarray(n->pending, n->pending_count ? 2 * n->pending_count : 1, sizeof(*p));
                if (!p)
                        return err_oom(err);
                n->pending = p;
        }
        p = &n->pending[n->pending_count++];
        *p = (struct receiver_pending){ .index = index, .offset = (uint32_t)offset };
        note(p, v);
        n->pending_left++;
        r->pending_count++;
        return 0;
}

/* ---- asking ---- */

static int send_range(struct receiver *r, struct receiver_node *n, uint32_t first, uint32_t count, struct err *err)
{
        struct wire *w = channel_wire(r->config->channel);
        struct buf *b = wire_begin(w, MESSAGE_WANT_FILES);

        if (pack_varint(b, n->number) < 0 || pack_varint(b, first) < 0 || pack_varint(b, count) < 0)
                return err_oom(err);
        return wire_end(w, err);
}

static int ask_hash(struct receiver *r, struct receiver_node *n, uint32_t index, struct err *err)
{
        struct wire *w = channel_wire(r->config->channel);
        struct buf *b = wire_begin(w, MESSAGE_WANT_HASH);

        if (pack_varint(b, n->number) < 0 || pack_varint(b, index) < 0)
                return err_oom(err);
        return wire_end(w, err);
}

int receiver_ask_whole(struct receiver *r, struct receiver_node *n, struct receiver_pending *p, struct err *err)
{
        p->is_delta = false;
        receiver_delta_forget(r, p);
        return send_range(r, n, p->index, 1, err);
}

static size_t follower_bucket(const struct links_group *g)
{
        return ((uintptr_t)g >> 4) % RECEIVER_BUCKETS;
}

static int add_follower(struct receiver *r, struct receiver_node *n, const struct receiver_pending *p, struct err *err)
{
        struct receiver_follower *f = malloc(sizeof(*f)), **bucket = &r->followers[follower_bucket(p->group)];

        if (!f)
                return err_oom(err);
        *f = (struct receiver_follower){ .next = *bucket, .node = n, .index = p->index };
        *bucket = f;
        return 0;
}

/* Return 1 when it is to be asked for whole, 0 when it was asked for otherwise, or a negative errno. */
static int ask_for_content(struct receiver *r, struct receiver_node *n, struct receiver_pending *p, struct err *err)
{
        struct message_place place;
        struct entry want;
        size_t end;
        int code = receiver_entry_at(r, n, p->offset, &want, &place, &end, err);

        if (code < 0)
                return code;
        if (n->is_whole && !(place.flags & MESSAGE_LINKED) && p->tries == 0)
                return 0; /* it is on its way */
        code = receiver_delta_queue(r, n, p, &want, err);
        return code < 0 ? code : !code;
}

static int ask_one(struct receiver *r, struct receiver_node *n, struct receiver_pending *p, struct err *err)
{
        switch (p->awaits) {
        case VISIT_AWAITS_CONTENT:
                return ask_for_content(r, n, p, err);
        case VISIT_AWAITS_HASH:
                return ask_hash(r, n, p->index, err);
        case VISIT_AWAITS_LEADER:
                return add_follower(r, n, p, err);
        default:
                return 0;
        }
}

int receiver_ask(struct receiver *r, struct receiver_node *n, struct err *err)
{
        struct arena_mark mark = arena_mark(&r->arena);
        uint32_t first = 0, count = 0;

        for (size_t i = 0; i < n->pending_count; i++) {
                struct receiver_pending *p = &n->pending[i];
                int code = ask_one(r, n, p, err);

                arena_release(&r->arena, mark);
                if (code > 0 && count > 0 && first + count != p->index) {
                        code = send_range(r, n, first, count, err) < 0 ? err->code : 1;
                        count = 0;
                }
                if (code < 0)
                        return code;
                if (code > 0 && count++ == 0)
                        first = p->index;
                code = receiver_breathe(r, err);
                if (code < 0)
                        return code;
        }
        return count > 0 ? send_range(r, n, first, count, err) : 0;
}

/* ---- going on ---- */

static int let_followers_go_on(struct receiver *r, const struct links_group *group, struct err *err);

int receiver_pending_end(struct receiver *r, struct receiver_node *n, struct receiver_pending *p, struct err *err)
{
        p->awaits = VISIT_AWAITS_NOTHING;
        receiver_delta_forget(r, p);
        if (--n->pending_left > 0)
                return 0;
        return receiver_node_done(r, n, err);
}

int receiver_pending_fail(struct receiver *r, struct receiver_node *n, struct receiver_pending *p, bool unsettled,
                          struct err *err)
{
        struct links_group *group = p->moves_group || p->awaits == VISIT_AWAITS_LEADER ? NULL : p->group;
        int code;

        if (unsettled)
                report_add(r->config->report, REPORT_UNSETTLED, 1);
        if (group)
                links_fail(r->update.links, group);
        code = receiver_pending_end(r, n, p, err);
        return code < 0 || !group ? code : let_followers_go_on(r, group, err);
}

/* Return 0 or a negative errno. */
static int settle_group(struct receiver *r, struct receiver_pending *p, const struct visit *v, ino_t ino,
                        const struct entry *want, bool is_same, struct err *err)
{
        struct links *links = r->update.links;
        int code;

        if (p->moves_group) {
                code = links_move(links, p->group, ino, v->to.path, want->name, err);
                if (code == LINKS_SPLIT)
                        report_lack(r->config->report, REPORT_LACK_HARDLINK, false, v->to.path, want->name);
                return code < 0 ? code : 0;
        }
        if (is_same)
                return links_settle(links, p->group, ino, v->to.path, want->name, err);
        links_fail(links, p->group);
        return 0;
}

int receiver_pending_settle(struct receiver *r, struct receiver_node *n, struct receiver_pending *p, ino_t ino,
                            const struct entry *want, struct err *err)
{
        struct links_group *group = p->group;
        struct message_place place;
        struct entry listed;
        struct visit v;
        size_t end;
        int code;

        if (!group)
                return receiver_pending_end(r, n, p, err);
        /* Another file may have taken its name meanwhile: then that one is stored, and stands for nobody else. */
        code = receiver_entry_at(r, n, p->offset, &listed, &place, &end, err);
        if (code < 0)
                return code;
        code = receiver_visit_closed(r, n, &v, err);
        if (code == 0)
                code = settle_group(r, p, &v, ino, want, entry_is_same_inode(want, &listed), err);
        visit_deinit(&v);
        if (code == 0)
                code = receiver_pending_end(r, n, p, err);
        return code < 0 ? code : let_followers_go_on(r, group, err);
}

/* Return as reconcile_entry(), with errors of the entry told. */
static int repeat(struct receiver *r, struct receiver_node *n, struct receiver_pending *p, enum visit_content content,
                  struct visit *v, struct err *err)
{
        struct message_place place;
        struct entry want;
        size_t end;
        int code = receiver_entry_at(r, n, p->offset, &want, &place, &end, err);

        if (code < 0)
                return code;
        code = receiver_visit(r, n, v, err);
        v->is_repeated = true;
        v->retyped = p->retyped;
        v->content = content;
        if (code == 0)
                code = reconcile_entry(v, &want, n->task.missing ? NULL : want.name, err);
        if (code < 0 && err->kind == ERR_ITEM)
                report_add(r->config->report, REPORT_UNSETTLED, 1);
        return code < 0 ? visit_absorb(v, code, err) : code;
}

/* More is known of @p now: bring it in line. */
static int go_on(struct receiver *r, struct receiver_node *n, struct receiver_pending *p, enum visit_content content,
                 struct err *err)
{
        struct links_group *led = p->awaits == VISIT_AWAITS_LEADER ? NULL : p->group;
        struct visit v = { .update = &r->update };
        int code;

        /* It will lead again, at once. */
        if (led)
                links_fail(r->update.links, led);
        code = repeat(r, n, p, content, &v, err);
        if (code == RECONCILE_LATER) {
                note(p, &v);
                code = ask_one(r, n, p, err);
                if (code > 0)
                        code = receiver_ask_whole(r, n, p, err);
                led = p->group == led ? NULL : led;
        } else if (code == 0) {
                code = receiver_pending_end(r, n, p, err);
        }
        visit_deinit(&v);
        return code < 0 || !led ? code : let_followers_go_on(r, led, err);
}

/* Those that wait for @group, taken out of the table. */
static struct receiver_follower *take_followers(struct receiver *r, const struct links_group *group)
{
        struct receiver_follower **at = &r->followers[follower_bucket(group)], *taken = NULL;

        while (*at) {
                struct receiver_follower *f = *at;
                struct receiver_pending *p = receiver_pending_find(f->node, f->index);

                if (!p || p->group != group) {
                        at = &f->next;
                        continue;
                }
                *at = f->next;
                f->next = taken;
                taken = f;
        }
        return taken;
}

static int let_followers_go_on(struct receiver *r, const struct links_group *group, struct err *err)
{
        struct receiver_follower *f = take_followers(r, group), *next;
        int code = 0;

        for (; f; f = next) {
                struct receiver_pending *p = code == 0 ? receiver_pending_find(f->node, f->index) : NULL;

                next = f->next;
                if (p)
                        code = go_on(r, f->node, p, VISIT_CONTENT_UNKNOWN, err);
                if (code == 0)
                        code = receiver_breathe(r, err);
                free(f);
        }
        return code;
}

void receiver_followers_deinit(struct receiver *r)
{
        for (size_t i = 0; i < RECEIVER_BUCKETS; i++) {
                for (struct receiver_follower *f = r->followers[i], *next; f; f = next) {
                        next = f->next;
                        free(f);
                }
        }
}

/* ---- hashes ---- */

/* Add the data from @at to @end. Return 0 or -errno. */
static int add_stretch(struct receiver *r, int fd, struct sum *sum, char *data, uint64_t at, uint64_t end,
                       struct err *err)
{
        int code = 0;

        while (at < end && code == 0) {
                size_t want = end - at < HASH_PIECE ? (size_t)(end - at) : HASH_PIECE;
                ssize_t n = fd_pread_full(fd, data, want, (off_t)at);

                if (n < (ssize_t)want)
                        return n < 0 ? (int)n : -ESTALE;
                sum_data(sum, data, want);
                at += want;
                code = receiver_breathe(r, err);
        }
        return code;
}

/* Return 0, -errno, or another negative number with @err filled. */
static int sum_file(struct receiver *r, int fd, uint64_t size, uint8_t ret[SUM_SIZE], struct err *err)
{
        _cleanup_(freep) char *data = malloc(HASH_PIECE);
        _cleanup_(sum_freep) struct sum *sum = sum_new();
        uint64_t at = 0, from, to;
        int code = data && sum ? 0 : err_oom(err);

        while (at < size && code == 0) {
                code = content_next_data(fd, at, size, &from, &to);
                if (code == 0) {
                        sum_zeros(sum, from - at);
                        code = add_stretch(r, fd, sum, data, from, to, err);
                        at = to;
                }
        }
        if (code == 0)
                sum_end(sum, ret);
        return code;
}

/* Is what is there the same? A file that cannot be read is not. Return 0 or a negative errno with @err filled. */
static int compare(struct receiver *r, struct receiver_node *n, const struct entry *want, const uint8_t sum[SUM_SIZE],
                   enum visit_content *ret, struct err *err)
{
        uint8_t own[SUM_SIZE];
        _cleanup_(fd_closep) int fd = -1;
        struct entry now;
        int dirfd = receiver_node_fd(r, n), code;

        *ret = VISIT_CONTENT_OTHER;
        fd = dirfd < 0 ? dirfd : fd_open_file_at(dirfd, want->name);
        if (fd < 0 || entry_stat_fd(&now, fd) < 0 || now.size != want->size)
                return 0;
        if (r->config->has_suspect) /* from the disk, not from memory */
                (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        code = sum_file(r, fd, now.size, own, err);
        if (code < 0)
                return err->kind == ERR_NONE ? 0 : code;
        if (memcmp(own, sum, sizeof(own)) == 0)
                *ret = VISIT_CONTENT_EQUAL;
        report_add(r->config->report, REPORT_COMPARED_BYTES, now.size);
        return 0;
}

int receiver_on_hash(struct receiver *r, struct unpack *u, struct err *err)
{
        struct receiver_node *n = receiver_node_find(r, unpack_varint(u, UINT64_MAX));
        uint64_t index = unpack_varint(u, UINT32_MAX);
        unsigned outcome = unpack_u8(u);
        const uint8_t *hash = unpack_raw(u, MESSAGE_DIGEST_SIZE);
        struct receiver_pending *p = n ? receiver_pending_find(n, index) : NULL;
        enum visit_content content = VISIT_CONTENT_UNKNOWN;
        struct message_place place;
        struct entry want;
        size_t end;
        int code;

        if (!unpack_end(u) || !p || p->awaits != VISIT_AWAITS_HASH || outcome > MESSAGE_LOST)
                return receiver_refuse(err, "a hash that was not asked for");
        if (outcome == MESSAGE_LOST) /* see receiver_on_file_end() */
                report_mark_partial(r->config->report);
        if (outcome == MESSAGE_VANISHED || outcome == MESSAGE_LOST)
                return receiver_pending_fail(r, n, p, outcome == MESSAGE_LOST, err);
        code = receiver_entry_at(r, n, p->offset, &want, &place, &end, err);
        if (code == 0)
                code = compare(r, n, &want, hash, &content, err);
        return code < 0 ? code : go_on(r, n, p, content, err);
}
