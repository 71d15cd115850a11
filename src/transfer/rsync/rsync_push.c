/*
 * One thread, and one loop, which does the first of these that can be done, and never much of it at a time:
 *
 *      the content of a file that was asked for            rsync_file.c
 *      what the server sent, and the answer to it          rsync_request.c, messages: rsync_hear.c
 *      read the next directory, as long as the server is not too far behind        rsync_walk.c
 *      wait
 *
 * What it makes of it is data, which is put into frames, which go when they can. What comes is taken all the time,
 * since a server that cannot get rid of its requests does not take our answers either.
 */
#include "transfer/rsync/rsync_push.h"

#include "base/err.h"
#include "base/report.h"
#include "base/stop.h"
#include "transfer/rsync/rsync_entry.h"
#include "transfer/rsync/rsync_hello.h"
#include "transfer/rsync/rsync_parts.h"
#include "transfer/rsync/rsync_token.h"

#include <errno.h>

enum {
        UNSENT_MAX = 256 * 1024,         /* bytes that wait to go, before we do so too */
        WAITING_MAX = 256 * 1024 * 1024, /* bytes that came and were not taken */
        ITEMS_AHEAD = 20000,             /* entries that the server was told of and is not done with */
        LOOK_US = 2000,
        TICK_US = 200000,
        IDLE_MS = 100,
        SECOND_US = 1000000,
};

/* ---- bytes ---- */

static size_t unsent(const struct rsync_push *p)
{
        return p->out.size - p->out_used;
}

int rsync_push_frame(struct rsync_push *p, struct err *err)
{
        if (p->plain.size == 0)
                return 0;
        if (rsync_mux_put_data(&p->out, p->plain.data, p->plain.size) < 0)
                return err_oom(err);
        buf_truncate(&p->plain, 0);
        return 0;
}

int rsync_push_tell(struct rsync_push *p, enum rsync_code code, int32_t n, struct err *err)
{
        if (rsync_push_frame(p, err) < 0)
                return err->code;
        return rsync_mux_put_number(&p->out, code, n) < 0 ? err_oom(err) : 0;
}

static int write_some(struct rsync_push *p, struct err *err)
{
        size_t written;
        int r = duplex_write(&p->duplex, p->out.data + p->out_used, unsent(p), &written, err);

        if (r < 0)
                return r;
        if (written > 0)
                p->sent_us = stop_now_us();
        p->out_used += written;
        if (unsent(p) == 0) {
                buf_truncate(&p->out, 0);
                p->out_used = 0;
        }
        return 0;
}

static int absorb(struct rsync_push *p, struct err *err)
{
        struct buf *unread = &p->duplex.unread;
        int r;

        if (unread->size == 0)
                return 0;
        r = rsync_mux_feed(&p->mux, unread->data, unread->size, err);
        buf_truncate(unread, 0);
        return r < 0 && err->code == -EPROTO ? err_context(err, p->config->peer) : r;
}

/* Words of the server may lie in what it sent before the connection ended. */
static int fail_connection(struct rsync_push *p, struct err *err)
{
        if (err->code != -ECONNRESET)
                return err->code;
        while (!p->duplex.is_at_end && p->duplex.unread.size < UNSENT_MAX) {
                ERR_LOCAL(again);
                size_t before = p->duplex.unread.size;

                if (duplex_read(&p->duplex, &again) < 0 || p->duplex.unread.size == before) {
                        err_drop(&again, "nothing more is there");
                        break;
                }
        }
        err_drop(err, "what it says is better");
        if (absorb(p, err) < 0)
                err_drop(err, "it is gone anyway");
        if (p->heard.has_failed || *p->heard.said || *p->heard.farewell)
                return rsync_hear_failure(p, err);
        return err_runf(err, -ECONNRESET, "%s: the connection has ended", p->config->peer);
}

static int keep_alive(struct rsync_push *p, struct err *err)
{
        if (p->keep_alive_s == 0 || unsent(p) > 0 || stop_now_us() - p->sent_us < (uint64_t)p->keep_alive_s * SECOND_US)
                return 0;
        return rsync_mux_put_data(&p->out, NULL, 0) < 0 ? err_oom(err) : 0;
}

/* Wait for something to come or go, @nap_ms at most (-1: no limit), and let it. */
static int move(struct rsync_push *p, int nap_ms, struct err *err)
{
        uint64_t moved = p->duplex.received_bytes + p->duplex.sent_bytes, deadline_us = 0;
        unsigned timeout_s = p->duplex.config.timeout_s;
        int r;

        if (timeout_s > 0)
                deadline_us = p->moved_us + (uint64_t)timeout_s * SECOND_US;
        r = duplex_wait(&p->duplex, unsent(p), nap_ms, deadline_us, err);
        if (r == DUPLEX_WRITABLE)
                r = write_some(p, err);
        if (p->duplex.received_bytes + p->duplex.sent_bytes != moved)
                p->moved_us = stop_now_us();
        return r;
}

static int exchange(struct rsync_push *p, int nap_ms, struct err *err)
{
        int r = keep_alive(p, err);

        if (r == 0)
                r = move(p, nap_ms, err);
        if (r == 0)
                r = absorb(p, err);
        if (r == 0 && p->duplex.is_at_end && !p->is_over && !p->heard.has_failed)
                r = duplex_fail_gone(&p->duplex, err);
        return r < 0 ? fail_connection(p, err) : 0;
}

static void tick(struct rsync_push *p)
{
        if (!p->config->tick || stop_now_us() - p->ticked_us < TICK_US)
                return;
        p->config->tick(p->config->tick_context);
        p->ticked_us = stop_now_us();
}

int rsync_push_breathe(struct rsync_push *p, struct err *err)
{
        int r = 0;

        if (p->plain.size >= RSYNC_FRAME_MAX)
                r = rsync_push_frame(p, err);
        while (r == 0 && unsent(p) > UNSENT_MAX) {
                tick(p);
                r = exchange(p, IDLE_MS, err);
        }
        if (r == 0 && stop_now_us() - p->looked_us >= LOOK_US) {
                tick(p);
                r = exchange(p, 0, err);
                p->looked_us = stop_now_us();
        }
        return r;
}

void rsync_push_lose(struct rsync_push *p, struct err *err)
{
        p->io_error |= RSYNC_IO_GENERAL;
        report_item(p->config->report, err);
}

/* ---- the loop ---- */

static bool may_walk(const struct rsync_push *p)
{
        return !p->walk.is_over && rsync_lists_count(p->lists) < ITEMS_AHEAD;
}

/* Nothing can be done but to wait; if nothing comes of that, the server may need more lists than we thought. */
static int wait(struct rsync_push *p, struct err *err)
{
        uint64_t before = p->duplex.received_bytes;
        int r = rsync_push_frame(p, err);

        tick(p);
        if (r == 0)
                r = exchange(p, IDLE_MS, err);
        if (r == 0 && !p->walk.is_over && unsent(p) == 0 && p->duplex.received_bytes == before)
                r = rsync_walk_step(p, err);
        return r;
}

static int step(struct rsync_push *p, struct err *err)
{
        /* With one list alone the server asks for nothing before it is there. */
        bool is_alone = !(p->session.compat & RSYNC_COMPAT_INCREMENTAL);
        int r;

        if (p->file.fd >= 0)
                return rsync_file_step(p, err);
        r = rsync_request_step(p, err);
        if (r != 0)
                return r < 0 ? r : 0;
        return may_walk(p) || (is_alone && !p->walk.is_over) ? rsync_walk_step(p, err) : wait(p, err);
}

static int run(struct rsync_push *p, struct err *err)
{
        int r = 0;

        while (r == 0 && !p->is_over && !p->heard.has_failed) {
                r = step(p, err);
                if (r == 0 && !p->is_over)
                        r = rsync_push_breathe(p, err);
        }
        if (r == 0 && p->heard.has_failed) {
                while (r == 0 && unsent(p) > 0 && !p->duplex.is_at_end)
                        r = exchange(p, IDLE_MS, err);
                if (r < 0)
                        err_drop(err, "it has given up before");
                r = rsync_hear_failure(p, err);
        }
        return r;
}

/* ---- beginning and end ---- */

/* Hand it what has come, and take what it has to say. Return as rsync_hello_feed(). */
static int feed_hello(struct rsync_push *p, struct rsync_hello *h, struct err *err)
{
        struct buf *output = rsync_hello_output(h), *unread = &p->duplex.unread;
        size_t used = 0;
        int r = rsync_hello_feed(h, unread->data, unread->size, &used, err);

        memmove(unread->data, unread->data + used, unread->size - used);
        buf_truncate(unread, unread->size - used);
        if (r >= 0 && output->size > 0 && buf_append(&p->out, output->data, output->size) < 0)
                return err_oom(err);
        buf_truncate(output, 0);
        return r;
}

static int say_hello(struct rsync_push *p, struct rsync_hello *h, struct err *err)
{
        int r;

        while ((r = feed_hello(p, h, err)) == 0) {
                r = p->duplex.is_at_end ? rsync_hello_end(h, err) : move(p, -1, err);
                if (r < 0)
                        break;
        }
        return r == RSYNC_HELLO_DONE ? 0 : r;
}

static int begin(struct rsync_push *p, const struct rsync_hello *h, struct err *err)
{
        const struct rsync_arguments *a = p->config->hello->arguments;

        p->session = *rsync_hello_session(h);
        p->result->session = p->session;
        p->dry_run = a->dry_run;
        p->in_index = p->out_index = RSYNC_INDEX_FRESH;
        p->encoder = rsync_encoder_new(&p->session);
        p->lists = rsync_lists_new(p->session.compat & RSYNC_COMPAT_INCREMENTAL);
        if (!p->encoder || !p->lists || rsync_file_init(p) < 0)
                return err_oom(err);
        if (a->timeout_s > 0)
                p->keep_alive_s = size_max(a->timeout_s / 2, 1);
        /* No rules: what is excluded is deleted. */
        if (a->delete_missing && rsync_put_int(&p->plain, 0) < 0)
                return err_oom(err);
        return 0;
}

static int push(struct rsync_push *p, struct err *err)
{
        const struct rsync_push_config *c = p->config;
        const struct duplex_config duplex = { .in_fd = c->in_fd,
                                              .out_fd = c->out_fd,
                                              .peer = c->peer,
                                              .timeout_s = c->timeout_s,
                                              .rate = c->rate,
                                              .waiting_max = WAITING_MAX };
        _cleanup_(rsync_hello_freep) struct rsync_hello *hello = NULL;
        int r = duplex_init(&p->duplex, &duplex, err);

        p->moved_us = p->sent_us = stop_now_us();
        if (r == 0)
                r = rsync_hello_new(&hello, c->hello, err);
        if (r == 0)
                r = say_hello(p, hello, err);
        if (r == 0)
                r = begin(p, hello, err);
        return r == 0 ? run(p, err) : r;
}

int rsync_push(const struct rsync_push_config *config, struct rsync_push_result *ret, struct err *err)
{
        struct rsync_push p = { .config = config, .result = ret, .mux.hear = rsync_hear };
        int r;

        *ret = (struct rsync_push_result){ .sent_bytes = 0 };
        p.mux.context = &p;
        p.file.fd = p.file.dir_fd = -1;
        r = push(&p, err);
        rsync_hear_pass(&p);
        ret->sent_bytes = p.duplex.sent_bytes;
        ret->received_bytes = p.duplex.received_bytes;
        ret->is_partial = ret->is_partial || p.io_error & RSYNC_IO_GENERAL;
        rsync_file_deinit(&p);
        rsync_walk_deinit(&p);
        rsync_encoder_free(p.encoder);
        rsync_lists_free(p.lists);
        rsync_mux_deinit(&p.mux);
        duplex_deinit(&p.duplex);
        buf_deinit(&p.plain);
        buf_deinit(&p.out);
        buf_deinit(&p.item_path);
        return r;
}
