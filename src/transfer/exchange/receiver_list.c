/*
 * A listing and what is there are gone through side by side, as transfer/update.c does. Directories have messages of
 * their own: here they are names that stay.
 */
#include "base/entry.h"
#include "base/err.h"
#include "base/listing.h"
#include "base/report.h"
#include "transfer/discard.h"
#include "transfer/exchange/receiver_parts.h"
#include "transfer/limits.h"
#include "transfer/reconcile.h"

#include <errno.h>

void receiver_fit(struct entry *e, const struct message_place *place)
{
        e->blocks = e->size / 512 + 1;
        /* What transfer/reconcile asks of it: is it before the reference time, which stands for COMPARE here? */
        e->ctime = (struct timespec){ .tv_sec = place->flags & MESSAGE_COMPARE ? 1 : 0 };
}

int receiver_entry_at(struct receiver *r, struct receiver_node *n, size_t offset, struct entry *ret,
                      struct message_place *ret_place, size_t *ret_end, struct err *err)
{
        struct unpack u = unpack_begin(n->listing.data + offset, n->listing.size - offset);

        if (message_get_entry(&u, ret, ret_place, &r->arena) < 0)
                return err_oom(err);
        if (u.broken)
                return receiver_refuse(err, "a listing that makes no sense");
        receiver_fit(ret, ret_place);
        *ret_end = (size_t)((const char *)u.data - n->listing.data);
        return 0;
}

/* There is such a name, and no more is known: what `latest` has of it stays. */
static int keep_unreadable(struct visit *v, const char *name, struct err *err)
{
        int code = discard_passed(v, name, err);

        if (code > 0)
                report_add(v->update->config->report, REPORT_UNSETTLED, 1);
        return code < 0 ? code : 0;
}

/* Return as reconcile_entry(). */
static int merge_entry(struct visit *v, struct entry *want, struct err *err)
{
        int there = discard_passed(v, want->name, err);
        int code = there < 0 ? there : reconcile_entry(v, want, there ? want->name : NULL, err);

        if (code < 0 && there > 0)
                report_add(v->update->config->report, REPORT_UNSETTLED, 1);
        return code < 0 ? visit_absorb(v, code, err) : code;
}

/* Listings are sorted: that each name is there once is what deleting relies on. */
static int check_order(struct buf *before, const char *name, uint32_t index, struct err *err)
{
        if (index > 0 && strcmp(buf_text(before), name) >= 0)
                return receiver_refuse(err, "a listing that is not sorted");
        buf_truncate(before, 0);
        return buf_puts(before, name) < 0 ? err_oom(err) : 0;
}

static int merge_one(struct receiver *r, struct receiver_node *n, struct visit *v, uint32_t index, size_t *at,
                     struct buf *before, struct err *err)
{
        struct message_place place;
        struct entry want;
        size_t offset = *at;
        int code = receiver_entry_at(r, n, offset, &want, &place, at, err);

        if (code == 0)
                code = check_order(before, want.name, index, err);
        if (code < 0)
                return code;
        if (place.flags & MESSAGE_UNREADABLE)
                return keep_unreadable(v, want.name, err);
        if (entry_is_dir(&want)) {
                code = discard_passed(v, want.name, err);
                return code < 0 ? code : 0;
        }
        code = merge_entry(v, &want, err);
        return code == RECONCILE_LATER ? receiver_wait_for(r, n, index, offset, v, err) : code;
}

static int merge(struct receiver *r, struct receiver_node *n, struct visit *v, struct err *err)
{
        struct arena_mark mark = arena_mark(&r->arena);
        _cleanup_(buf_deinit) struct buf before = { .data = NULL };
        size_t at = 0;
        int code = 0;

        for (uint32_t index = 0; at < n->listing.size && code == 0; index++) {
                code = merge_one(r, n, v, index, &at, &before, err);
                arena_release(&r->arena, mark);
                if (code == 0)
                        code = receiver_breathe(r, err);
        }
        return code < 0 ? code : discard_passed(v, NULL, err);
}

/* List what is there. Return 0, 1 when that failed, which was told, or a negative errno. */
static int list_old(struct receiver *r, struct receiver_node *n, struct visit *v, struct err *err)
{
        int code = receiver_visit(r, n, v, err);

        if (code == 0 && !n->task.missing)
                code = listing_read(&v->old, v->to.fd, &r->arena);
        if (code < 0 && err->kind == ERR_NONE)
                err_destination_at(err, code, "read directory", v->to.path, "");
        if (code == 0)
                return 0;
        report_add(r->config->report, REPORT_UNSETTLED, 1);
        code = visit_absorb(v, code, err);
        return code < 0 ? code : 1;
}

int receiver_list(struct receiver *r, struct receiver_node *n, struct err *err)
{
        struct visit v;
        bool was_pinned = n->is_pinned;
        int code;

        n->awaits_listing = false;
        code = list_old(r, n, &v, err);
        if (code == 0) {
                /* What is there stays, but whether it is right nobody has seen. */
                if (!n->may_remove && v.old.count > 0)
                        report_add(r->config->report, REPORT_UNSETTLED, 1);
                n->is_pinned = true;
                code = merge(r, n, &v, err);
                n->is_pinned = was_pinned;
                n->gives_nothing = v.to.gives_nothing;
        } else if (code > 0) {
                visit_deinit(&v);
                return receiver_node_fail(r, n, err);
        }
        visit_deinit(&v);
        if (code < 0)
                return code;
        return n->pending_left > 0 ? receiver_ask(r, n, err) : receiver_node_done(r, n, err);
}

int receiver_empty(struct receiver *r, struct receiver_node *n, struct err *err)
{
        struct visit v;
        int code = list_old(r, n, &v, err);

        if (code == 0) {
                v.may_remove = true;
                code = discard_passed(&v, NULL, err);
        } else if (code > 0) {
                visit_deinit(&v);
                return receiver_node_fail(r, n, err);
        }
        visit_deinit(&v);
        return code < 0 ? code : receiver_node_done(r, n, err);
}
