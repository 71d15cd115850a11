/*
 * What the server sends: items that it has dealt with or wants, and the ends of phases. Bytes of which a request is not
 * complete stay where they are, and it is read again from its beginning when more has come.
 *
 *      lists' DONEs ... DONE (phase 0)   DONE (redo is over)   DONE (delayed updates)   [deleted] DONE   DONE
 *
 * Each but the last is answered; protocol 30 does without the last but one (docs/rsync-protocol.md, section 8).
 */
#include "base/err.h"
#include "base/report.h"
#include "transfer/rsync/rsync_entry.h"
#include "transfer/rsync/rsync_parts.h"
#include "transfer/rsync/rsync_retold.h"

#include <errno.h>
#include <stdio.h>

enum {
        SUMS_MAX = 1 << 30,  /* bytes; with more of them the file goes whole */
        SUMS_FREE = 1 << 20, /* bytes that are taken for files of any size */
        SUMS_PART = 16,      /* of the file's own size: a server's sums have a 35th of what they are of, at most */
        WISHES_MAX = 65536,  /* rsync takes no more attributes of a file */
        LINK_DONE = RSYNC_ITEM_NAME | RSYNC_ITEM_LOCAL,
};

static int refuse(const struct rsync_push *p, const char *what, struct err *err)
{
        return err_runf(err, -EPROTO, "%s: the server %s", p->config->peer, what);
}

/* ---- taking one apart ---- */

/* Are values of attributes asked for, or would they be? */
static bool has_wishes(const struct rsync_push *p, unsigned flags)
{
        bool optimised = p->talk.session.protocol >= 31 && !(p->talk.session.compat & RSYNC_COMPAT_LINKED_XATTRS);

        return flags & RSYNC_ITEM_XATTR && !p->dry_run && !(optimised && (flags & LINK_DONE) == LINK_DONE);
}

static void get_wishes(struct rsync_reader *r, struct rsync_request *q)
{
        unsigned count = 0;

        q->wishes = r->at;
        while (rsync_get_varint(r) != 0 && !r->is_broken)
                r->is_broken = ++count > WISHES_MAX;
        q->wishes_size = (size_t)(r->at - q->wishes);
}

/* More of them cost more than they can save. */
static bool are_too_many(struct rsync_push *p, const struct rsync_request *q, uint64_t size)
{
        struct rsync_item item;

        if (size <= SUMS_FREE || size > SUMS_MAX)
                return size > SUMS_MAX;
        return rsync_lists_find(p->lists, q->number, &item, &p->item_path) < 0 ||
               size > rsync_file_size(p, buf_text(&p->item_path)) / SUMS_PART;
}

static void get_sums(struct rsync_push *p, struct rsync_reader *r, struct rsync_request *q)
{
        struct rsync_sums *s = &q->sums;
        uint64_t size;

        s->count = (uint32_t)rsync_get_int(r);
        s->block_size = (uint32_t)rsync_get_int(r);
        s->strong_size = (uint32_t)rsync_get_int(r);
        s->remainder = (uint32_t)rsync_get_int(r);
        if (r->is_short || !rsync_sums_are_sane(s)) {
                r->is_broken = !r->is_short;
                return;
        }
        size = rsync_sums_size(s);
        if (are_too_many(p, q, size))
                q->sums_skipped = size;
        else
                s->data = rsync_get_bytes(r, (size_t)size);
}

static void get_request(struct rsync_push *p, struct rsync_reader *r, struct rsync_request *q)
{
        q->flags = rsync_get_short(r);
        if (q->flags & RSYNC_ITEM_BASIS)
                q->basis = rsync_get_byte(r);
        if (q->flags & RSYNC_ITEM_NAME)
                q->name = rsync_get_string(r, &q->name_size);
        if (has_wishes(p, q->flags))
                get_wishes(r, q);
        if (q->flags & RSYNC_ITEM_TRANSFER && !p->dry_run)
                get_sums(p, r, q);
}

/* ---- the answer ---- */

static int put_value(struct rsync_push *p, const struct xattr *x, uint32_t wish)
{
        if (rsync_put_varint(&p->talk.plain, wish) < 0 ||
            rsync_put_varint(&p->talk.plain, x ? (uint32_t)x->size : 0) < 0)
                return -ENOMEM;
        return x ? buf_append(&p->talk.plain, x->value, x->size) : 0;
}

/* Is what the numbers were told for not what is there now? Of a directory that can only be told by one that is missing.
 */
static bool has_other_attributes(struct rsync_push *p, const struct rsync_request *q, const struct entry *e,
                                 bool is_missing)
{
        struct rsync_item item;

        if (rsync_lists_find(p->lists, q->number, &item, &p->item_path) != 0)
                return false;
        if (item.is_between)
                return is_missing;
        return item.flags >> RSYNC_ENTRY_SET_SHIFT != rsync_entry_set(e) >> RSYNC_ENTRY_SET_SHIFT;
}

/* Each number is relative to the one before. An entry that is gone has no attributes any more. */
static int put_values(struct rsync_push *p, const struct rsync_request *q, const struct entry *e, struct err *err)
{
        struct rsync_reader r = rsync_read_begin(q->wishes, q->wishes_size);
        const struct xattr *x = NULL;
        bool is_missing = false;
        uint32_t number = 0, wish;
        size_t found = 0;
        int code = 0;

        while (code == 0 && (wish = rsync_get_varint(&r)) != 0) {
                number += wish;
                x = e ? rsync_entry_xattr(e, number) : NULL;
                is_missing = is_missing || (e && !x);
                if (x && ++found > e->xattrs.count)
                        return refuse(p, "wants the same attributes again and again", err);
                code = put_value(p, x, wish);
        }
        if (code < 0 || rsync_put_byte(&p->talk.plain, 0) < 0)
                return err_oom(err);
        if (e && q->wishes_size > 1 && has_other_attributes(p, q, e, is_missing))
                report_unsteady(p->config->report, NULL, buf_text(&p->item_path));
        else if (is_missing) {
                (void)err_item_at(err, -ENODATA, "read an attribute of", buf_text(&p->item_path), "");
                rsync_push_lose(p, err);
        }
        return 0;
}

static int put_head(struct rsync_push *p, const struct rsync_request *q)
{
        struct buf *b = &p->talk.plain;

        if (rsync_put_index(b, &p->out_index, q->number) < 0 || rsync_put_short(b, (uint16_t)q->flags) < 0)
                return -ENOMEM;
        if (q->flags & RSYNC_ITEM_BASIS && rsync_put_byte(b, q->basis) < 0)
                return -ENOMEM;
        return q->flags & RSYNC_ITEM_NAME ? rsync_put_string(b, q->name, q->name_size) : 0;
}

static int put_sum_head(struct rsync_push *p, const struct rsync_sums *s)
{
        const uint32_t numbers[] = { s->count, s->block_size, s->strong_size, s->remainder };
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(numbers) && r == 0; i++)
                r = rsync_put_int(&p->talk.plain, (int32_t)numbers[i]);
        return r;
}

int rsync_request_echo(struct rsync_push *p, const struct rsync_request *q, const struct entry *e, struct err *err)
{
        int r;

        if (put_head(p, q) < 0)
                return err_oom(err);
        r = has_wishes(p, q->flags) ? put_values(p, q, e, err) : 0;
        if (r == 0 && q->flags & RSYNC_ITEM_TRANSFER && !p->dry_run && put_sum_head(p, &q->sums) < 0)
                return err_oom(err);
        return r;
}

/* ---- what is told of it ---- */

static unsigned reasons(unsigned flags, mode_t mode)
{
        static const struct {
                unsigned flag, why;
        } known[] = {
                { RSYNC_ITEM_TIME, REPORT_WHY_MTIME },  { RSYNC_ITEM_PERMS, REPORT_WHY_MODE },
                { RSYNC_ITEM_OWNER, REPORT_WHY_OWNER }, { RSYNC_ITEM_GROUP, REPORT_WHY_GROUP },
                { RSYNC_ITEM_ACL, REPORT_WHY_ACL },     { RSYNC_ITEM_XATTR, REPORT_WHY_XATTRS },
        };
        unsigned why = 0;

        if (flags & RSYNC_ITEM_CHANGE)
                why |= S_ISLNK(mode) ? REPORT_WHY_TARGET : S_ISREG(mode) ? REPORT_WHY_CONTENT : REPORT_WHY_DEVICE;
        /* Of a symlink it tells something else. */
        if (flags & RSYNC_ITEM_SIZE && S_ISREG(mode))
                why |= REPORT_WHY_SIZE;

        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
                why |= flags & known[i].flag ? known[i].why : 0;
        return why;
}

static void tell(struct rsync_push *p, const struct rsync_request *q, mode_t mode)
{
        struct report *report = p->config->report;
        const char *path = buf_text(&p->item_path);
        unsigned why = q->flags & RSYNC_ITEM_NEW ? 0 : reasons(q->flags, mode);
        bool is_link = q->flags & RSYNC_ITEM_NAME && q->flags & RSYNC_ITEM_LOCAL;

        if (is_link && q->name_size == 0)
                return; /* it was linked already */
        if (p->config->retold && rsync_retold_has(p->config->retold, path))
                return;
        if (is_link) {
                report_add(report, REPORT_LINKED, 1);
                report_change(report, REPORT_VERB_LINKED, NULL, path, false, 0);
        } else if (q->flags & RSYNC_ITEM_NEW) {
                report_add(report, REPORT_NEW, 1);
                report_change(report, REPORT_VERB_NEW, NULL, path, S_ISDIR(mode), 0);
        } else if (q->flags & (RSYNC_ITEM_TRANSFER | RSYNC_ITEM_LOCAL)) {
                report_add(report, REPORT_CHANGED, 1);
                report_change(report, REPORT_VERB_CHANGED, NULL, path, false, why);
        } else if (why) {
                report_add(report, REPORT_METADATA, 1);
                report_change(report, REPORT_VERB_METADATA, NULL, path, S_ISDIR(mode), why);
        }
}

/* ---- items ---- */

/* No content goes, but there may be values of attributes; or what would go is counted. */
static int answer_item(struct rsync_push *p, const struct rsync_request *q, bool is_known, struct err *err)
{
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        bool is_imagined = q->flags & RSYNC_ITEM_TRANSFER;
        struct entry e;
        int r;

        if (q->wishes_size <= 1 && !is_imagined)
                return rsync_request_echo(p, q, NULL, err);
        if (!is_known)
                return refuse(p, "wants attributes of what it was done with", err);
        r = rsync_file_load(p, buf_text(&p->item_path), &arena, &e, err);
        if (r < 0 && err->kind != ERR_ITEM)
                return r;
        if (r < 0)
                rsync_push_lose(p, err);
        if (r == SOURCE_VANISHED)
                rsync_push_vanish(p, NULL, buf_text(&p->item_path));
        if (r == 0 && is_imagined)
                report_add(p->config->report, REPORT_COPIED_BYTES, e.size);
        return rsync_request_echo(p, q, r == 0 ? &e : NULL, err);
}

/* What belongs to a list that the server was done with may be told of afterwards, but no content is wanted then. */
static int on_item(struct rsync_push *p, const struct rsync_request *q, struct err *err)
{
        struct rsync_item item = { .mode = 0 };
        int r = rsync_lists_find(p->lists, q->number, &item, &p->item_path);
        bool is_wanted = q->flags & RSYNC_ITEM_TRANSFER, is_known = r == 0;

        if (r == -ENOMEM)
                return err_oom(err);
        if (!rsync_lists_has_told(p->lists, q->number))
                return refuse(p, "has a number for what it was not told of", err);
        if (is_wanted && (!is_known || !S_ISREG(item.mode) || p->dones >= 2))
                return refuse(p, "asked for the content of what has none", err);
        if (is_wanted && !p->dry_run) {
                r = rsync_file_begin(p, q, buf_text(&p->item_path), err);
                is_known = is_known && p->file.fd >= 0;
        } else
                r = answer_item(p, q, is_known, err);
        if (r == 0 && p->dones == 0 && is_known)
                tell(p, q, item.mode);
        return r;
}

/* ---- phases ---- */

static unsigned dones_expected(const struct rsync_push *p)
{
        return p->talk.session.protocol >= 31 ? 5 : 4;
}

static int answer_done(struct rsync_push *p, struct err *err)
{
        return rsync_put_index(&p->talk.plain, &p->out_index, RSYNC_INDEX_DONE) < 0 ? err_oom(err) : 0;
}

/* Of a list, as long as there are more of them; the last one's is the end of the first phase. */
static int on_done(struct rsync_push *p, struct err *err)
{
        int r = 0;

        if (!p->is_told && !rsync_push_is_incremental(p))
                return refuse(p, "ended what has not begun", err);
        if (p->dones == 0) {
                r = rsync_push_is_incremental(p) ? rsync_lists_done(p->lists) : RSYNC_LISTS_END;
                if (r < 0)
                        return refuse(p, "ended a list that there is not", err);
                p->dones = r == RSYNC_LISTS_END;
                return answer_done(p, err);
        }
        p->dones++;
        if (p->dones == 3 && p->io_error != p->io_error_told) {
                r = rsync_talk_tell(&p->talk, RSYNC_CODE_IO_ERROR, (int32_t)p->io_error, err);
                p->io_error_told = p->io_error;
        }
        p->talk.is_over = p->dones == dones_expected(p);
        if (p->talk.is_over && (!p->is_told || rsync_talk_owes(&p->talk)))
                return refuse(p, "said goodbye before it had all that it asked for", err);
        return r < 0 || p->talk.is_over ? r : answer_done(p, err);
}

/* Files, directories, symlinks, devices, others. What was told one by one is counted already. */
static int on_deleted(struct rsync_push *p, struct rsync_reader *r, struct err *err)
{
        uint64_t n = 0;

        if (p->has_counts)
                return refuse(p, "told twice how much was deleted", err);

        for (int i = 0; i < 5; i++)
                n += rsync_get_varint(r);
        if (!rsync_read_is_good(r))
                return 0;
        p->has_counts = true;
        if (n > p->deleted)
                report_add(p->config->report, REPORT_DELETED, n - p->deleted);
        return 1;
}

static void skip_sums(struct rsync_push *p)
{
        size_t size;

        (void)rsync_mux_data(&p->talk.mux, &size);
        if (size > p->sums_to_skip)
                size = (size_t)p->sums_to_skip;
        rsync_mux_used(&p->talk.mux, size);
        p->sums_to_skip -= size;
}

/* Return 1, 0 when it is not all there, or a negative errno with @err filled. */
static int take(struct rsync_push *p, struct rsync_reader *r, struct err *err)
{
        struct rsync_request q = { .number = rsync_get_index(r, &p->in_index) };
        int code;

        if (!rsync_read_is_good(r))
                return 0;
        rsync_talk_pass(&p->talk);
        if (q.number == RSYNC_INDEX_DONE)
                return on_done(p, err) < 0 ? err->code : 1;
        if (q.number == RSYNC_INDEX_DELETED)
                return on_deleted(p, r, err);
        if (q.number < 0)
                return refuse(p, "sent a number that means nothing", err);
        get_request(p, r, &q);
        if (!rsync_read_is_good(r))
                return 0;
        p->sums_to_skip = q.sums_skipped;
        code = on_item(p, &q, err);
        return code < 0 ? code : 1;
}

int rsync_request_step(struct rsync_push *p, struct err *err)
{
        const struct rsync_index before = p->in_index;
        struct rsync_reader r;
        const void *data;
        size_t size;
        int code;

        skip_sums(p);
        data = rsync_mux_data(&p->talk.mux, &size);
        if (size == 0)
                return 0;
        r = rsync_read_begin(data, size);
        code = take(p, &r, err);
        if (r.is_broken)
                return refuse(p, "sent what is no request", err);
        if (code == 0)
                p->in_index = before;
        if (code > 0)
                rsync_mux_used(&p->talk.mux, (size_t)(r.at - (const unsigned char *)data));
        return code;
}
