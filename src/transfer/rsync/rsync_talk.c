/*
 * What comes is taken all the time, since a server that cannot get rid of what it says does not take ours either; but
 * when megabytes of it wait it is the server's turn to take something. What goes is gathered, and goes when it can.
 */
#include "transfer/rsync/rsync_talk.h"

#include "base/err.h"
#include "base/stop.h"
#include "transfer/rsync/rsync_hello.h"

#include <errno.h>

enum {
        UNSENT_MAX = 256 * 1024,        /* bytes that wait to go, before we do so too */
        WAITING_MAX = 16 * 1024 * 1024, /* bytes of data that came, before no more of them are taken */
        HELLO_TIMEOUT_S = 60,           /* of silence before there are frames, if nothing else was said */
        PARTING_S = 2,                  /* for a server that has given up to take what is on its way */
        LOOK_US = 2000,
        TICK_US = 200000,
        IDLE_MS = 100,
        SECOND_US = 1000000,
};

/* ---- bytes ---- */

size_t rsync_talk_unsent(const struct rsync_talk *t)
{
        return t->out.size - t->out_used;
}

/* Data that has come. */
static size_t waiting(const struct rsync_talk *t)
{
        size_t size;

        (void)rsync_mux_data(&t->mux, &size);
        return size;
}

int rsync_talk_frame(struct rsync_talk *t, struct err *err)
{
        if (t->plain.size == 0)
                return 0;
        if (rsync_mux_put_data(&t->out, t->plain.data, t->plain.size) < 0)
                return err_oom(err);
        buf_truncate(&t->plain, 0);
        t->owed_bytes = t->duplex.sent_bytes + rsync_talk_unsent(t);
        return 0;
}

bool rsync_talk_owes(const struct rsync_talk *t)
{
        return t->plain.size > 0 || t->duplex.sent_bytes < t->owed_bytes;
}

void rsync_talk_excuse(struct rsync_talk *t)
{
        t->moved_us = stop_now_us();
}

int rsync_talk_tell(struct rsync_talk *t, enum rsync_code code, int32_t n, struct err *err)
{
        if (rsync_talk_frame(t, err) < 0)
                return err->code;
        return rsync_mux_put_number(&t->out, code, n) < 0 ? err_oom(err) : 0;
}

static int write_some(struct rsync_talk *t, struct err *err)
{
        size_t written;
        int r = duplex_write(&t->duplex, t->out.data + t->out_used, rsync_talk_unsent(t), &written, err);

        if (r < 0)
                return r;
        if (written > 0)
                t->sent_us = stop_now_us();
        t->out_used += written;
        /* There may always be something that is to go. */
        if (t->out_used >= rsync_talk_unsent(t)) {
                size_t left = rsync_talk_unsent(t);

                memmove(t->out.data, t->out.data + t->out_used, left);
                buf_truncate(&t->out, left);
                t->out_used = 0;
        }
        return 0;
}

static int absorb(struct rsync_talk *t, struct err *err)
{
        struct buf *unread = &t->duplex.unread;
        int r;

        if (unread->size == 0)
                return 0;
        r = rsync_mux_feed(&t->mux, unread->data, unread->size, err);
        buf_truncate(unread, 0);
        return r < 0 && err->code == -EPROTO ? err_context(err, t->config.peer) : r;
}

/* Read what it sent before the connection ended. */
static void drain(struct rsync_talk *t)
{
        while (!t->duplex.is_at_end && t->duplex.unread.size < UNSENT_MAX) {
                ERR_LOCAL(again);
                size_t before = t->duplex.unread.size;

                if (duplex_read(&t->duplex, &again) < 0 || t->duplex.unread.size == before) {
                        err_drop(&again, "nothing more is there");
                        break;
                }
        }
        t->duplex.is_at_end = true;
        buf_truncate(&t->out, 0);
        t->out_used = 0;
}

static int fail_move(const struct rsync_talk *t, struct err *err)
{
        return err->code == -ECANCELED || err->code == -ENOMEM ? err->code : err_context(err, t->config.peer);
}

/* It takes nothing more; what it sent before that may still be there. */
static int lose_connection(struct rsync_talk *t, struct err *err)
{
        if (err->code != -ECONNRESET)
                return fail_move(t, err);
        drain(t);
        err_drop(err, "it is told when all has been taken that came before");
        return absorb(t, err);
}

/* What came before the end, be it the goodbye, is to be taken first. Who does not in between two calls will not. */
static int end_connection(struct rsync_talk *t, struct err *err)
{
        size_t size = waiting(t);

        if (size > 0 && size != t->untaken) {
                t->untaken = size;
                return 0;
        }
        if (t->has_failed || *t->said || *t->farewell)
                return rsync_talk_failure(t, err);
        return err_runf(err, -ECONNRESET, "%s: the connection has ended", t->config.peer);
}

static int keep_alive(struct rsync_talk *t, struct err *err)
{
        if (t->keep_alive_s == 0 || rsync_talk_unsent(t) > 0 ||
            stop_now_us() - t->sent_us < (uint64_t)t->keep_alive_s * SECOND_US)
                return 0;
        return rsync_mux_put_data(&t->out, NULL, 0) < 0 ? err_oom(err) : 0;
}

/* Bytes that tell that the server is there. Signs of life that went do not. */
static uint64_t moved(const struct rsync_talk *t)
{
        const struct duplex *d = &t->duplex;

        return d->received_bytes + (d->sent_bytes < t->owed_bytes ? d->sent_bytes : t->owed_bytes);
}

/* Wait for something to come or go, @nap_ms at most (-1: no limit), and let it. */
static int move(struct rsync_talk *t, int nap_ms, struct err *err)
{
        uint64_t before = moved(t), deadline_us = 0;
        unsigned timeout_s = t->duplex.config.timeout_s;
        int r;

        /* Only who waits can be kept waiting. */
        if (timeout_s > 0 && nap_ms != 0)
                deadline_us = t->moved_us + (uint64_t)timeout_s * SECOND_US;
        r = duplex_wait(&t->duplex, rsync_talk_unsent(t), nap_ms, deadline_us, err);
        if (r == DUPLEX_WRITABLE)
                r = write_some(t, err);
        if (moved(t) != before)
                t->moved_us = stop_now_us();
        return r;
}

static int exchange(struct rsync_talk *t, int nap_ms, struct err *err)
{
        int r = 0;

        if (t->duplex.is_at_end && !t->is_over && !t->has_failed)
                return end_connection(t, err);
        r = keep_alive(t, err);
        if (r < 0)
                return r;
        r = move(t, nap_ms, err);
        return r < 0 ? lose_connection(t, err) : absorb(t, err);
}

int rsync_talk_exchange(struct rsync_talk *t, int nap_ms, struct err *err)
{
        t->duplex.is_full = false;
        return exchange(t, nap_ms, err);
}

/* The same when nothing is awaited but that something goes. */
static int let_go(struct rsync_talk *t, int nap_ms, struct err *err)
{
        t->duplex.is_full = waiting(t) > WAITING_MAX;
        return exchange(t, nap_ms, err);
}

int rsync_talk_flush(struct rsync_talk *t, struct err *err)
{
        uint64_t until_us = stop_deadline_us(PARTING_S);
        int r = rsync_talk_frame(t, err);

        while (r == 0 && rsync_talk_unsent(t) > 0 && !t->duplex.is_at_end &&
               (!t->has_failed || stop_now_us() < until_us))
                r = let_go(t, IDLE_MS, err);
        return r;
}

void rsync_talk_tick(struct rsync_talk *t)
{
        if (!t->config.tick || stop_now_us() - t->ticked_us < TICK_US)
                return;
        t->config.tick(t->config.tick_context);
        t->ticked_us = stop_now_us();
}

int rsync_talk_breathe(struct rsync_talk *t, struct err *err)
{
        int r = 0;

        if (t->plain.size >= RSYNC_FRAME_MAX)
                r = rsync_talk_frame(t, err);
        if (rsync_talk_unsent(t) > UNSENT_MAX)
                rsync_talk_excuse(t);
        while (r == 0 && rsync_talk_unsent(t) > UNSENT_MAX && !t->has_failed) {
                rsync_talk_tick(t);
                r = let_go(t, IDLE_MS, err);
        }
        if (r == 0 && stop_now_us() - t->looked_us >= LOOK_US) {
                rsync_talk_tick(t);
                r = let_go(t, 0, err);
                t->looked_us = stop_now_us();
        }
        return r;
}

/* ---- the beginning ---- */

/* Hand it what has come, and take what it has to say. Return as rsync_hello_feed(). */
static int feed_hello(struct rsync_talk *t, struct rsync_hello *h, struct err *err)
{
        struct buf *output = rsync_hello_output(h), *unread = &t->duplex.unread;
        size_t used = 0;
        int r = rsync_hello_feed(h, unread->data, unread->size, &used, err);

        memmove(unread->data, unread->data + used, unread->size - used);
        buf_truncate(unread, unread->size - used);
        if (r >= 0 && output->size > 0 && buf_append(&t->out, output->data, output->size) < 0)
                return err_oom(err);
        buf_truncate(output, 0);
        return r;
}

static int say_hello(struct rsync_talk *t, struct rsync_hello *h, struct err *err)
{
        int r;

        while ((r = feed_hello(t, h, err)) == 0) {
                /* A password may have been asked for. */
                rsync_talk_excuse(t);
                if (t->duplex.is_at_end)
                        return rsync_hello_end(h, err);
                r = move(t, -1, err);
                if (r == -ECONNRESET) {
                        err_drop(err, "what it says is better");
                        drain(t);
                } else if (r < 0)
                        return fail_move(t, err);
        }
        return r == RSYNC_HELLO_DONE ? 0 : r;
}

int rsync_talk_begin(struct rsync_talk *t, const struct rsync_talk_config *config, struct err *err)
{
        const struct duplex_config duplex = { .in_fd = config->in_fd,
                                              .out_fd = config->out_fd,
                                              .peer = "server",
                                              .timeout_s = config->timeout_s ? config->timeout_s : HELLO_TIMEOUT_S,
                                              .rate = config->rate,
                                              .waiting_max = WAITING_MAX };
        unsigned timeout_s = config->hello->arguments->timeout_s;
        _cleanup_(rsync_hello_freep) struct rsync_hello *hello = NULL;
        int r;

        *t = (struct rsync_talk){ .config = *config, .mux.hear = rsync_talk_hear, .mux.context = t };
        t->moved_us = t->sent_us = stop_now_us();
        r = duplex_init(&t->duplex, &duplex, err);
        if (r == 0)
                r = rsync_hello_new(&hello, config->hello, err);
        if (r == 0)
                r = say_hello(t, hello, err);
        if (r < 0)
                return r;
        t->session = *rsync_hello_session(hello);
        t->duplex.config.timeout_s = config->timeout_s;
        if (timeout_s > 0)
                t->keep_alive_s = (unsigned)size_max(timeout_s / 2, 1);
        return 0;
}

void rsync_talk_deinit(struct rsync_talk *t)
{
        rsync_mux_deinit(&t->mux);
        duplex_deinit(&t->duplex);
        buf_deinit(&t->plain);
        buf_deinit(&t->out);
}
