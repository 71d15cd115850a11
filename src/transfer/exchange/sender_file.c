/*
 * One content at a time: sent as it is, as a delta, or only its hash.
 *
 *      begin:  find the entry, open it                 FILE
 *      step:   a piece of data, or of a hole           DATA, HOLE
 *      end:    has it changed meanwhile? Then again,   FILE END
 *              twice at most
 *
 * What was announced in FILE is what is sent, whatever the file does: one that is shorter the third time, too, ends in
 * a hole. After a delta that was overtaken by a change the file goes whole.
 */
#include "base/content.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/report.h"
#include "base/stop.h"
#include "transfer/delta/delta.h"
#include "transfer/exchange/channel.h"
#include "transfer/exchange/pack.h"
#include "transfer/exchange/sender.h"
#include "transfer/exchange/sender_parts.h"
#include "transfer/exchange/sum.h"
#include "transfer/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>

enum {
        READ_AGAIN_MAX = 2,
        WINDOW = 8 * 1024 * 1024, /* bytes; as in base/content.c */
};

/* ---- messages ---- */

static int announce(struct sender *s, unsigned flags, struct err *err)
{
        struct sender_file *f = &s->file;
        struct buf *b = wire_begin(s->wire, MESSAGE_FILE);
        struct message_place place;

        if (sender_read_place(s, &f->entry, &place) < 0 || pack_varint(b, f->node->number) < 0 ||
            pack_varint(b, f->index) < 0 || pack_u8(b, (uint8_t)flags) < 0 ||
            message_put_entry(b, &f->entry, &place) < 0)
                return err_oom(err);
        return wire_end(s->wire, err);
}

/* A HASH always has a sum; of FILE END only what is whole, and no delta. */
static int tell_end(struct sender *s, enum message_outcome outcome, struct err *err)
{
        struct sender_file *f = &s->file;
        bool is_hash = f->kind == SENDER_FILE_HASH;
        struct buf *b = wire_begin(s->wire, is_hash ? MESSAGE_HASH : MESSAGE_FILE_END);
        uint8_t sum[SUM_SIZE] = { 0 };

        if (pack_varint(b, f->node->number) < 0 || pack_varint(b, f->index) < 0 || pack_u8(b, (uint8_t)outcome) < 0)
                return err_oom(err);
        if (outcome == MESSAGE_WHOLE)
                sum_end(f->sum, sum);
        if ((is_hash || (outcome == MESSAGE_WHOLE && f->kind != SENDER_FILE_DELTA)) &&
            buf_append(b, sum, sizeof(sum)) < 0)
                return err_oom(err);
        return wire_end(s->wire, err);
}

/* ---- its end ---- */

static void let_go(struct sender *s)
{
        struct sender_file *f = &s->file;

        /* What nobody else had use for is not left in memory. */
        if (f->at > 0 && !f->is_cached)
                (void)posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
        f->fd = fd_close(f->fd);
        f->delta = delta_make_free(f->delta);
        if (f->arena.chunk)
                arena_release(&f->arena, f->mark);
        f->node = NULL;
        f->ask = NULL;
}

static int end(struct sender *s, enum message_outcome outcome, struct err *err)
{
        int r = tell_end(s, outcome, err);

        let_go(s);
        return r;
}

static int be_lost(struct sender *s, struct err *err)
{
        if (err->kind != ERR_ITEM)
                return err->code;
        report_item(s->config->report, err);
        return end(s, MESSAGE_LOST, err);
}

static int fail(struct sender *s, int code, const char *operation, struct err *err)
{
        if (code == -ENOMEM)
                return err_oom(err);
        (void)err_item_at(err, code, operation, s->file.path.data, s->file.entry.name);
        return be_lost(s, err);
}

/* ---- reading it from its beginning ---- */

static void rewind_file(struct sender_file *f)
{
        bool has_holes = f->entry.blocks * 512 < f->entry.size;

        f->at = f->data_from = f->forgotten = 0;
        f->data_to = has_holes ? 0 : f->entry.size;
        f->is_short = false;
        sum_begin(f->sum);
}

/* It has changed, and so has what is to be kept of it. */
static int read_again(struct sender *s, struct err *err)
{
        struct sender_file *f = &s->file;
        const char *failed, *name = f->entry.name;
        int r = tell_end(s, MESSAGE_CHANGED, err);

        if (r < 0)
                return r;
        f->kind = SENDER_FILE_CONTENT;
        f->delta = delta_make_free(f->delta);
        f->attempt++;
        r = entry_load_fd(&f->entry, f->fd, name, &f->arena, &failed);
        if (r == 0)
                r = message_check_entry(&f->entry);
        if (r < 0)
                return fail(s, r, failed, err);
        limits_fit(s->config->limits, &f->entry, s->unheard, f->path.data);
        rewind_file(f);
        return announce(s, 0, err);
}

/* Was its content the same from before the reading until now? Each change moves the ctime. */
static int is_steady(const struct sender_file *f)
{
        struct entry now;
        int r = f->is_short ? 0 : entry_stat_fd(&now, f->fd);

        if (r < 0 || f->is_short)
                return r;
        return now.size == f->entry.size && timespec_compare(now.ctime, f->entry.ctime) == 0;
}

static int end_of_content(struct sender *s, struct err *err)
{
        struct sender_file *f = &s->file;
        int steady = is_steady(f);

        if (steady < 0)
                return fail(s, steady, "read the metadata of", err);
        if (!steady && f->kind == SENDER_FILE_HASH)
                return end(s, MESSAGE_CHANGED, err);
        if (!steady && f->attempt < READ_AGAIN_MAX)
                return read_again(s, err);
        if (!steady)
                report_unsteady(s->config->report, f->path.data, f->entry.name);
        return end(s, MESSAGE_WHOLE, err);
}

/* ---- pieces ---- */

static int find_data(struct sender_file *f)
{
        return f->at < f->data_to ? 0 : content_next_data(f->fd, f->at, f->entry.size, &f->data_from, &f->data_to);
}

static int pass_hole(struct sender *s, struct err *err)
{
        struct sender_file *f = &s->file;
        uint64_t size = f->data_from - f->at;

        sum_zeros(f->sum, size);
        f->at += size;
        if (f->kind == SENDER_FILE_HASH)
                return 0;
        return pack_varint(wire_begin(s->wire, MESSAGE_HOLE), size) < 0 ? err_oom(err) : wire_end(s->wire, err);
}

/* The first piece, before reading ahead has brought anything: if it can be had without a disk, it was there. */
static ssize_t read_at(struct sender_file *f, void *data, size_t size)
{
        struct iovec piece = { .iov_base = data, .iov_len = size };

        if (f->at == 0 && f->attempt == 0 && f->entry.size < WINDOW) {
                f->is_cached = preadv2(f->fd, &piece, 1, 0, RWF_NOWAIT) == (ssize_t)size;
                if (f->is_cached)
                        return (ssize_t)size;
        }
        return fd_pread_full(f->fd, data, size, (off_t)f->at);
}

static void forget_behind(struct sender_file *f)
{
        if (f->entry.size < WINDOW || f->at - f->forgotten < WINDOW)
                return;
        (void)posix_fadvise(f->fd, (off_t)f->forgotten, (off_t)(f->at - f->forgotten), POSIX_FADV_DONTNEED);
        f->forgotten = f->at;
}

/* It has become shorter. The last time what is missing is a hole. */
static int be_short(struct sender *s, struct err *err)
{
        struct sender_file *f = &s->file;

        f->is_short = true;
        if (f->kind == SENDER_FILE_HASH || f->attempt < READ_AGAIN_MAX)
                return end_of_content(s, err);
        f->data_from = f->data_to = f->entry.size;
        return 0;
}

static int send_piece(struct sender *s, struct err *err)
{
        struct sender_file *f = &s->file;
        bool is_hash = f->kind == SENDER_FILE_HASH;
        uint64_t left = f->data_to - f->at;
        size_t want = left < MESSAGE_DATA_MAX ? (size_t)left : MESSAGE_DATA_MAX;
        struct buf *b = is_hash ? &f->piece : wire_begin(s->wire, MESSAGE_DATA);
        ssize_t n;

        buf_truncate(b, 0);
        if (buf_reserve(b, want) < 0)
                return err_oom(err);
        n = read_at(f, b->data, want);
        if (n < 0)
                return fail(s, (int)n, "read", err);
        b->size = (size_t)n;
        sum_data(f->sum, b->data, b->size);
        f->at += b->size;
        forget_behind(f);
        if (!is_hash && n > 0 && wire_end(s->wire, err) < 0)
                return err->code;
        return (size_t)n < want ? be_short(s, err) : 0;
}

static int step_content(struct sender *s, struct err *err)
{
        struct sender_file *f = &s->file;
        int r;

        if (f->at == f->entry.size)
                return end_of_content(s, err);
        r = find_data(f);
        if (r < 0)
                return fail(s, r, "read", err);
        return f->at < f->data_from ? pass_hole(s, err) : send_piece(s, err);
}

/* ---- a delta ---- */

static size_t unfed(const struct sender_ask *a)
{
        return a->signature.size - a->fed;
}

bool sender_file_is_waiting(const struct sender *s)
{
        const struct sender_file *f = &s->file;

        return f->node && f->kind == SENDER_FILE_DELTA && unfed(f->ask) == 0 && f->ask->signatures < 2 &&
               delta_make_want(f->delta) == DELTA_WANT_FEED;
}

static int fail_delta(struct sender *s, int code, struct err *err)
{
        if (code == DELTA_SHORT) {
                s->file.is_short = true;
                return read_again(s, err);
        }
        if (code == -EPROTO)
                return sender_ask_refuse(err, "a delta by what is no signature");
        if (code == -ECANCELED && stop_requested())
                return stop_check(err);
        return fail(s, code, "read", err);
}

static int feed_delta(struct sender *s, struct err *err)
{
        struct sender_ask *a = s->file.ask;
        size_t used = 0;
        int r;

        if (unfed(a) == 0) /* the receiver has no use for it any more */
                return end(s, MESSAGE_WHOLE, err);
        r = delta_make_feed(s->file.delta, a->signature.data + a->fed, size_min(unfed(a), MESSAGE_DATA_MAX), &used);
        sender_signature_used(s, a, used);
        return r == 0 ? 0 : fail_delta(s, r, err);
}

static int read_delta(struct sender *s, struct err *err)
{
        struct buf *b = wire_begin(s->wire, MESSAGE_DATA);
        size_t size = 0;
        int r;

        if (buf_reserve(b, MESSAGE_DATA_MAX) < 0)
                return err_oom(err);
        r = delta_make_read(s->file.delta, b->data, MESSAGE_DATA_MAX, &size);
        b->size = size;
        if (size > 0 && wire_end(s->wire, err) < 0)
                return err->code;
        return r == 0 ? 0 : fail_delta(s, r, err);
}

static int step_delta(struct sender *s, struct err *err)
{
        switch (delta_make_want(s->file.delta)) {
        case DELTA_WANT_FEED:
                return feed_delta(s, err);
        case DELTA_WANT_READ:
                return read_delta(s, err);
        default:
                return end_of_content(s, err);
        }
}

int sender_file_step(struct sender *s, struct err *err)
{
        return s->file.kind == SENDER_FILE_DELTA ? step_delta(s, err) : step_content(s, err);
}

/* ---- beginning ---- */

static int find_directory(struct sender *s, struct err *err)
{
        struct sender_file *f = &s->file;
        int fd, r = sender_node_open(s, f->node, &fd);

        if (f->dir.source == NULL || f->number != f->node->number) {
                if (sender_node_path(f->node, &f->path) < 0)
                        return err_oom(err);
                f->number = f->node->number;
                f->dir = (struct source_dir){
                        .source = s->config->source, .dev = f->node->dev, .path = f->path.data, .arena = &f->arena
                };
        }
        f->dir.fd = fd;
        if (r == -ENOMEM)
                return err_oom(err);
        return r < 0 ? err_item_at(err, r, "open", f->path.data, f->entry.name) : r;
}

/* Return 0, SOURCE_VANISHED, or a negative errno with @err filled. */
static int open_file(struct sender *s, struct err *err)
{
        struct sender_file *f = &s->file;
        int r = find_directory(s, err);

        if (r != 0)
                return r == SENDER_GONE ? SOURCE_VANISHED : r;
        f->entry.is_bare = true;
        r = source_open(&f->dir, &f->entry, &f->fd, err);
        if (r < 0 || r == SOURCE_VANISHED)
                return r;
        r = message_check_entry(&f->entry);
        if (r < 0)
                return err_item_at(err, r, "send the metadata of", f->path.data, f->entry.name);
        limits_fit(s->config->limits, &f->entry, s->unheard, f->path.data);
        return 0;
}

/* The signature was made for a file of the size that was listed. */
static int begin_delta(struct sender *s, const struct entry *listed, struct err *err)
{
        struct sender_file *f = &s->file;
        const struct delta_make_config config = { .fd = f->fd,
                                                  .size = f->entry.size,
                                                  .has_holes = f->entry.blocks * 512 < f->entry.size };

        if (listed->size != f->entry.size) {
                f->kind = SENDER_FILE_CONTENT;
                return 0;
        }
        return delta_make_new(&f->delta, &config) < 0 ? err_oom(err) : 0;
}

/* Whatever a delta is made of, what is a hole here shall be one there. */
static unsigned delta_flags(const struct sender_file *f)
{
        return MESSAGE_FILE_DELTA | (f->entry.blocks * 512 < f->entry.size ? MESSAGE_FILE_HOLES : 0);
}

static int begin(struct sender *s, const struct entry *listed, struct err *err)
{
        struct sender_file *f = &s->file;
        bool is_same = listed->size == f->entry.size && timespec_compare(listed->mtime, f->entry.mtime) == 0;
        int r = 0;

        rewind_file(f);
        if (f->kind == SENDER_FILE_HASH)
                return is_same ? 0 : end(s, MESSAGE_CHANGED, err);
        if (f->kind == SENDER_FILE_DELTA)
                r = begin_delta(s, listed, err);
        return r < 0 ? r : announce(s, f->kind == SENDER_FILE_DELTA ? delta_flags(f) : 0, err);
}

static bool is_wanted(const struct sender_ask *a, const struct entry *e, const struct message_place *place)
{
        if (!entry_is_file(e) || (place->flags & MESSAGE_UNREADABLE))
                return false;
        return a->kind != SENDER_ASK_WHOLE || !(place->flags & MESSAGE_LINKED);
}

int sender_file_begin(struct sender *s, enum sender_file_kind kind, struct sender_ask *a, size_t index, struct err *err)
{
        struct sender_file *f = &s->file;
        struct message_place place;
        struct entry listed;
        int r;

        f->mark = arena_mark(&f->arena);
        f->node = a->node;
        f->index = index;
        f->kind = kind;
        f->ask = a;
        f->attempt = 0;
        f->at = 0;
        f->is_cached = false;
        r = sender_node_entry(f->node, index, &f->arena, &listed, &place, err);
        if (r < 0)
                return r;
        if (!is_wanted(a, &listed, &place)) {
                let_go(s);
                return a->kind == SENDER_ASK_WHOLE ? 0 : sender_ask_refuse(err, "the content of what is no file");
        }
        f->entry = listed;
        r = open_file(s, err);
        if (r == SOURCE_VANISHED) {
                report_vanished(s->config->report, f->path.data, listed.name);
                return end(s, MESSAGE_VANISHED, err);
        }
        return r < 0 ? be_lost(s, err) : begin(s, &listed, err);
}

void sender_file_deinit(struct sender *s)
{
        struct sender_file *f = &s->file;

        f->fd = fd_close(f->fd);
        f->delta = delta_make_free(f->delta);
        sum_free(f->sum);
        arena_deinit(&f->arena);
        buf_deinit(&f->piece);
        buf_deinit(&f->path);
}
