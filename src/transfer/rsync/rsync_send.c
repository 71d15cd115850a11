/*
 * Each entry goes three ways: over the wire, into the lists that the server's requests are looked up in, and, where
 * there is one, into the spool.
 */
#include "base/err.h"
#include "base/report.h"
#include "transfer/rsync/rsync_parts.h"

#include <errno.h>

int rsync_send_begin(struct rsync_push *p, int32_t *ret_parent, struct err *err)
{
        int32_t start;
        int r = rsync_lists_begin(p->lists, &start);

        if (r < 0)
                return err_run(err, r, "begin a list of files", NULL);
        rsync_encoder_begin(p->encoder, start);
        *ret_parent = start - 1;
        return 0;
}

/* ---- entries ---- */

static int fail_without_numbers(struct err *err)
{
        return err_runf(err, -EOVERFLOW, "the protocol of rsync has no numbers for so many files");
}

/* Return 0 with its number, or -errno: then it is nowhere. */
static int add(struct rsync_push *p, const struct rsync_place *place, const struct entry *e, int32_t *ret_number)
{
        struct buf *out = &p->talk.plain;
        size_t before = out->size;
        unsigned flags = place->flags | rsync_entry_set(e);
        int r = strlen(place->path) > RSYNC_PATH_MAX ? -ENAMETOOLONG : 0;

        if (r == 0)
                r = rsync_lists_add(p->lists, place->parent, place->name, e->mode, flags, ret_number);
        if (r < 0)
                return r;
        r = rsync_encoder_put(p->encoder, out, *place->path ? place->path : ".", e, place->flags);
        if (r < 0) {
                rsync_lists_take_back(p->lists);
                return r;
        }
        if (p->config->spool) {
                const struct rsync_spooled s = { .parent = place->parent,
                                                 .mode = e->mode,
                                                 .flags = flags,
                                                 .name = place->name,
                                                 .bytes = out->data + before,
                                                 .size = out->size - before };

                rsync_spool_put(p->config->spool, &s);
        }
        return 0;
}

int rsync_send_entry(struct rsync_push *p, const struct rsync_place *place, const struct entry *e, int32_t *ret_number,
                     struct err *err)
{
        int r = add(p, place, e, ret_number);

        if (r == -ENOMEM)
                return err_oom(err);
        if (r == -EOVERFLOW)
                return fail_without_numbers(err);
        if (r < 0) {
                (void)err_item_at(err, r, "send the metadata of", place->path, "");
                rsync_push_lose(p, err);
                return 0;
        }
        return 1;
}

int rsync_send_spooled(struct rsync_push *p, const struct rsync_spooled *s, struct err *err)
{
        int32_t number;
        int r = rsync_lists_add(p->lists, s->parent, s->name, s->mode, s->flags, &number);

        if (r == 0)
                r = buf_append(&p->talk.plain, s->bytes, s->size);
        if (r == -ENOMEM)
                return err_oom(err);
        return r < 0 ? err_run(err, r, "send once more the metadata of", s->name) : 0;
}

/* ---- the end ---- */

/* Servers of before 3.0.7 hear of an error by a message, which has to come before the end. */
static int tell_error(struct rsync_push *p, size_t end_at, struct err *err)
{
        struct buf *out = &p->talk.plain;
        char end[16];
        size_t size = out->size - end_at;

        memcpy(end, out->data + end_at, size);
        buf_truncate(out, end_at);
        if (rsync_talk_tell(&p->talk, RSYNC_CODE_IO_ERROR, (int32_t)p->io_error, err) < 0)
                return err->code;
        return buf_append(out, end, size) < 0 ? err_oom(err) : 0;
}

int rsync_send_end(struct rsync_push *p, struct err *err)
{
        size_t end_at = p->talk.plain.size;
        int r = rsync_lists_end(p->lists);

        p->io_error_told = p->io_error;
        if (r == 0)
                r = rsync_encoder_end(p->encoder, &p->talk.plain, p->io_error);
        if (r >= 0 && p->config->spool)
                rsync_spool_put_end(p->config->spool, p->io_error);
        if (r >= 0 && p->config->spool && p->is_told)
                rsync_spool_complete(p->config->spool);
        if (r == RSYNC_ENCODER_TELL)
                return tell_error(p, end_at, err);
        return r < 0 ? err_run(err, r, "end a list of files", NULL) : 0;
}

int rsync_send_next(struct rsync_push *p, unsigned *ret_flags, struct buf *path, struct err *err)
{
        int32_t directory = 0;
        int r = rsync_lists_next(p->lists, &directory, ret_flags, path);

        p->is_told = r == RSYNC_LISTS_END;
        if (r < 0 || rsync_put_index(&p->talk.plain, &p->out_index,
                                     p->is_told ? RSYNC_INDEX_LISTS_END : RSYNC_INDEX_LIST - directory) < 0)
                return err_oom(err);
        if (p->is_told && p->config->spool)
                rsync_spool_complete(p->config->spool);
        return !p->is_told;
}
