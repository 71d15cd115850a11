/*
 * One content at a time comes in: FILE, then DATA and HOLE, then FILE END, after which the new inode gets its metadata
 * and its name, as transfer/put.c does with what it copies. What goes wrong with one file is told, the rest of its
 * content is passed over, and the exchange goes on.
 */
#include "base/behind.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/report.h"
#include "base/stop.h"
#include "transfer/exchange/receiver_parts.h"
#include "transfer/limits.h"
#include "transfer/put_file.h"
#include "transfer/reconcile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

enum {
        WINDOW = 8 * 1024 * 1024, /* as in base/content.c */
        TRIES = 3,
};

/* ---- the beginning ---- */

/* Is it a file that something waits for? Return 0 or -EPROTO. */
static int find_asker(struct receiver *r, uint64_t number, uint64_t index, struct err *err)
{
        struct receiver_content *c = &r->content;

        c->node = receiver_node_find(r, number);
        c->pending = c->node ? receiver_pending_find(c->node, index) : NULL;
        if (c->pending && c->pending->awaits != VISIT_AWAITS_CONTENT)
                c->pending = NULL;
        /* Of a whole directory all comes, also what is not needed after all. */
        if (!c->pending && !(c->node && c->node->is_whole))
                return receiver_refuse(err, "a file that was not asked for");
        return 0;
}

/* It has the name that was listed, and is still a file. */
static int check_entry(struct receiver *r, const struct entry *want, struct err *err)
{
        struct receiver_content *c = &r->content;
        struct message_place place;
        struct entry listed;
        size_t end;
        int code = receiver_entry_at(r, c->node, c->pending->offset, &listed, &place, &end, err);

        if (code < 0)
                return code;
        if (!entry_is_file(want) || !str_equal(listed.name, want->name))
                return receiver_refuse(err, "another file than the one that was asked for");
        return 0;
}

/* Where the delta is made: what it is made of is there already. */
static int begin_delta(struct receiver *r, struct err *err)
{
        struct receiver_content *c = &r->content;
        const struct delta_apply_config config = {
                .basis = c->basis,
                .to = c->staged.fd,
                .size = c->want->size,
                .seed = c->pending->seed,
                .has_holes = c->has_holes,
        };
        int code = delta_apply_new(&c->apply, &config);

        return code < 0 ? err_oom(err) : 0;
}

/* Make the new inode. Return 0 or a negative errno with @err filled. */
static int begin(struct receiver *r, struct err *err)
{
        struct receiver_content *c = &r->content;
        struct entry old;
        int code = receiver_visit(r, c->node, &c->visit, err);

        if (code < 0)
                return code;
        c->visit.from.arena = &c->arena;
        limits_fit(r->config->limits, c->want, r->config->report, c->visit.to.path);
        code = reconcile_load_old(&c->visit, c->want->name, &old, err);
        if (code < 0)
                return code;
        if (code > 0 && entry_is_dir(&old))
                return err_destination_at(err, -EISDIR, "replace", c->visit.to.path, c->want->name);
        code = staged_init(&c->staged, &c->visit.to, c->want->name, code > 0, err);
        if (code < 0)
                return code;
        if (c->is_delta)
                receiver_delta_open(r, &c->visit, c->want, &c->basis);
        code = put_file_create(&c->staged, c->want, err);
        return code == 0 && c->is_delta ? begin_delta(r, err) : code;
}

/* An error of this file alone is told, and what comes of it passed over. */
static int absorb(struct receiver *r, int code, struct err *err)
{
        struct receiver_content *c = &r->content;

        if (code < 0 && err->kind == ERR_ITEM) {
                report_item(r->config->report, err);
                c->is_dropped = true;
                return 0;
        }
        return code;
}

static void clear(struct receiver *r)
{
        struct receiver_content *c = &r->content;

        if (c->node && c->is_active) {
                c->node->is_pinned = false;
                c->node->gives_nothing = c->visit.to.gives_nothing;
        }
        delta_apply_free(c->apply);
        receiver_delta_stop_search(r);
        receiver_delta_close(&c->basis);
        staged_abandon(&c->staged);
        visit_deinit(&c->visit);
        arena_deinit(&c->arena);
        *c = (struct receiver_content){ .sum = c->sum, .basis = { .old = -1, .partial = -1 }, .staged = { .fd = -1 } };
}

/* A delta that nothing can be made of is not followed to where it asks for another signature: the sender would wait. */
static int decline(struct receiver *r, struct err *err)
{
        struct receiver_content *c = &r->content;

        if (!c->is_delta || c->has_answered || (!c->is_dropped && !c->is_bad))
                return 0;
        c->has_answered = true;
        return receiver_delta_decline(r, err);
}

int receiver_on_file(struct receiver *r, struct unpack *u, struct err *err)
{
        struct receiver_content *c = &r->content;
        struct message_place place;
        uint64_t number, index;
        unsigned flags;
        int code;

        if (c->is_active)
                return receiver_refuse(err, "two files at a time");
        clear(r);
        number = unpack_varint(u, UINT64_MAX);
        index = unpack_varint(u, UINT32_MAX);
        flags = unpack_u8(u);
        c->want = arena_alloc(&c->arena, sizeof(*c->want));
        if (!c->want || message_get_entry(u, c->want, &place, &c->arena) < 0)
                return err_oom(err);
        if (!unpack_end(u) || place.flags & MESSAGE_UNREADABLE)
                return receiver_refuse(err, "a file that makes no sense");
        code = find_asker(r, number, index, err);
        if (code < 0)
                return code;
        receiver_fit(c->want, &place);
        c->index = (uint32_t)index;
        c->is_active = true;
        c->is_dropped = !c->pending;
        c->is_delta = flags & MESSAGE_FILE_DELTA;
        c->has_holes = flags & MESSAGE_FILE_HOLES;
        c->node->is_pinned = true;
        sum_begin(c->sum);
        if (c->is_dropped)
                return 0;
        code = check_entry(r, c->want, err);
        if (code == 0 && c->is_delta && !c->pending->is_delta)
                return receiver_refuse(err, "a delta that was not asked for");
        if (code == 0)
                code = absorb(r, begin(r, err), err);
        c->is_bad = c->is_delta && c->pending->is_cut_off;
        return code == 0 ? decline(r, err) : code;
}

/* ---- the content ---- */

/* Large files do not push everything else out of memory: see base/content.c. */
static void flush_behind(struct receiver_content *c)
{
        if (c->at - c->flushed < 2 * (uint64_t)WINDOW)
                return;
        (void)sync_file_range(c->staged.fd, (off_t)c->flushed, WINDOW,
                              SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
        (void)posix_fadvise(c->staged.fd, (off_t)c->flushed, WINDOW, POSIX_FADV_DONTNEED);
        c->flushed += WINDOW;
        (void)sync_file_range(c->staged.fd, (off_t)c->flushed, WINDOW, SYNC_FILE_RANGE_WRITE);
}

static int write_data(struct receiver *r, const void *data, size_t size, struct err *err)
{
        struct receiver_content *c = &r->content;
        int code;

        if (size > c->want->size - c->at)
                return receiver_refuse(err, "more of a file than was announced");
        code = fd_pwrite_full(c->staged.fd, data, size, (off_t)c->at);
        if (code < 0)
                return staged_fail(&c->staged, code, "write", err);
        sum_data(c->sum, data, size);
        c->at += size;
        report_add(r->config->report, REPORT_COPIED_BYTES, size);
        flush_behind(c);
        return 0;
}

/* The bytes of a delta: they are what was read of the source for it. */
static int apply_data(struct receiver *r, const void *data, size_t size, struct err *err)
{
        struct receiver_content *c = &r->content;

        report_add(r->config->report, REPORT_COPIED_BYTES, size);
        while (size > 0 && !c->is_bad) {
                size_t used;
                int code = delta_apply_feed(c->apply, data, size, &used);

                data = (const char *)data + used;
                size -= used;
                if (code == DELTA_SEARCH) {
                        const struct delta_range range = delta_apply_range(c->apply);

                        c->has_answered = true;
                        code = receiver_delta_search(r, &range, err);
                        if (code < 0)
                                return code;
                        continue;
                }
                if (code == DELTA_GOOD || code == DELTA_MISMATCH)
                        return size == 0 ? 0 : receiver_refuse(err, "a delta that does not end");
                if (code == -EPROTO)
                        return receiver_refuse(err, "a delta that makes no sense");
                if (code == -ENOMEM)
                        return err_oom(err);
                if (code == -ECANCELED)
                        return stop_check(err) < 0 ? err->code : err_oom(err);
                if (code < 0 && delta_apply_failed(c->apply) == DELTA_SIDE_RESULT)
                        return staged_fail(&c->staged, code, "write", err);
                c->is_bad = code < 0; /* the old version cannot be read: all of the new one, then */
                if (code == 0)
                        code = receiver_breathe(r, err);
                if (code < 0 && !c->is_bad)
                        return code;
        }
        return 0;
}

int receiver_on_data(struct receiver *r, const void *data, size_t size, struct err *err)
{
        struct receiver_content *c = &r->content;
        int code;

        if (!c->is_active || size > MESSAGE_DATA_MAX)
                return receiver_refuse(err, "content of no file");
        if (c->is_dropped)
                return 0;
        c->came += size;
        code = absorb(r, c->is_delta ? apply_data(r, data, size, err) : write_data(r, data, size, err), err);
        return code == 0 ? decline(r, err) : code;
}

/* First the size: XFS would allocate what lies between two writes beyond the end. */
static int make_hole(struct receiver *r, uint64_t size, struct err *err)
{
        struct receiver_content *c = &r->content;

        if (!c->is_sized && ftruncate(c->staged.fd, (off_t)c->want->size) < 0)
                return staged_fail(&c->staged, -errno, "write", err);
        c->is_sized = true;
        sum_zeros(c->sum, size);
        c->at += size;
        return 0;
}

int receiver_on_hole(struct receiver *r, struct unpack *u, struct err *err)
{
        struct receiver_content *c = &r->content;
        uint64_t size = unpack_varint(u, INT64_MAX);

        if (!unpack_end(u) || !c->is_active || c->is_delta)
                return receiver_refuse(err, "a hole in no file");
        if (c->is_dropped)
                return 0;
        if (size > c->want->size - c->at)
                return receiver_refuse(err, "more of a file than was announced");
        return absorb(r, make_hole(r, size, err), err);
}

/* ---- the end ---- */

static bool is_right(const struct receiver_content *c, const uint8_t *hash)
{
        uint8_t own[SUM_SIZE];
        size_t used;

        if (c->is_delta)
                return !c->is_bad && delta_apply_feed(c->apply, "", 0, &used) == DELTA_GOOD;
        sum_end(c->sum, own);
        return hash && c->at == c->want->size && memcmp(own, hash, sizeof(own)) == 0;
}

/* Return 0 or a negative errno with @err filled. */
static int commit(struct receiver *r, ino_t *ret_ino, struct err *err)
{
        struct receiver_content *c = &r->content;
        int code = staged_dress(&c->staged, c->want, err);

        if (code < 0)
                return code;
        if (c->want->size < WINDOW)
                behind_follow(r->update.shared.behind, c->staged.fd, c->want->size);
        code = staged_commit(&c->staged, err);
        *ret_ino = c->staged.ino;
        return code;
}

/* What came is whole: put it in place. */
static int take(struct receiver *r, struct err *err)
{
        struct receiver_content *c = &r->content;
        ino_t ino = 0;
        int code = absorb(r, commit(r, &ino, err), err);

        if (code < 0)
                return code;
        if (c->is_dropped) {
                bool is_old_there = c->staged.temporary[0];

                staged_abandon(&c->staged);
                return receiver_pending_fail(r, c->node, c->pending, is_old_there, err);
        }
        c->visit.retyped = c->pending->retyped;
        reconcile_tell(&c->visit, c->want, &c->pending->decision);
        return receiver_pending_settle(r, c->node, c->pending, ino, c->want, err);
}

/* It is not what the sender has: once more, and all of it. */
static int try_again(struct receiver *r, struct err *err)
{
        struct receiver_content *c = &r->content;

        if (++c->pending->tries < TRIES)
                return receiver_ask_whole(r, c->node, c->pending, err);
        err_item_at(err, -EIO, "receive, the sums never agree,", c->visit.to.path, c->want->name);
        report_item(r->config->report, err);
        return receiver_pending_fail(r, c->node, c->pending, true, err);
}

static int end_whole(struct receiver *r, const uint8_t *hash, struct err *err)
{
        struct receiver_content *c = &r->content;

        if (!c->is_dropped && is_right(c, hash))
                return take(r, err);
        staged_abandon(&c->staged);
        if (!c->is_dropped)
                return try_again(r, err);
        return c->pending ? receiver_pending_fail(r, c->node, c->pending, true, err) : 0;
}

/* It did not come. */
static int end_without(struct receiver *r, unsigned outcome, struct err *err)
{
        struct receiver_content *c = &r->content;

        if (!c->pending)
                return 0;
        return receiver_pending_fail(r, c->node, c->pending, outcome == MESSAGE_LOST, err);
}

int receiver_on_file_end(struct receiver *r, struct unpack *u, struct err *err)
{
        struct receiver_content *c = &r->content;
        uint64_t number = unpack_varint(u, UINT64_MAX), index = unpack_varint(u, UINT32_MAX);
        unsigned outcome = unpack_u8(u);
        const uint8_t *hash = outcome == MESSAGE_WHOLE && !c->is_delta ? unpack_raw(u, MESSAGE_DIGEST_SIZE) : NULL;
        int code;

        if (!unpack_end(u) || outcome > MESSAGE_LOST || (!c->is_active && outcome < MESSAGE_VANISHED) ||
            (c->is_active && (c->node->number != number || c->index != index)))
                return receiver_refuse(err, "the end of no file");
        if (c->is_active) {
                c->node->is_pinned = false;
                c->node->gives_nothing = c->visit.to.gives_nothing;
        } else {
                code = find_asker(r, number, index, err);
                if (code < 0)
                        return code;
        }
        if (c->pending)
                receiver_delta_answered(r, c->pending);
        /* END may have come before that. */
        if (outcome == MESSAGE_LOST)
                report_mark_partial(r->config->report);
        /* While the directory is sure to be there. */
        if (outcome != MESSAGE_WHOLE)
                staged_abandon(&c->staged);
        if (outcome == MESSAGE_WHOLE)
                code = end_whole(r, hash, err);
        else if (outcome == MESSAGE_CHANGED)
                code = 0;
        else
                code = end_without(r, outcome, err);
        c->is_active = false;
        clear(r);
        return code;
}

void receiver_content_deinit(struct receiver *r, int code)
{
        if (code == -ECONNRESET || code == -ETIMEDOUT || code == -ECANCELED)
                receiver_partial_keep(r);
        clear(r);
        sum_free(r->content.sum);
}
