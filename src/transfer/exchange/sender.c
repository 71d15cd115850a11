/*
 * One thread, and one loop, which does the first of these that can be done, and never much of it at a time:
 *
 *      what was asked for, in its order        sender_ask.c       contents: sender_file.c, sender_signature.c
 *      tell of directories, if enough of them are pending          sender_tell.c
 *      read the next one, if the window permits                    sender_walk.c, sender_read.c
 *      tell of what is pending
 *      END
 *      wait for a message
 *
 * Between them the messages that have come are taken, some hundred times a second: looking for them makes a packet of
 * what was put in until then, and many small packets are dear.
 *
 *      walk -> read -> pending -> told -> (asked for -> answered) -> DONE
 *
 * A directory is in sender_node.c from the beginning to the end of this.
 */
#include "transfer/exchange/sender.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/report.h"
#include "base/stop.h"
#include "transfer/exchange/channel.h"
#include "transfer/exchange/pack.h"
#include "transfer/exchange/sender_parts.h"
#include "transfer/exchange/sum.h"


enum { LOOK_US = 2000, TICK_US = 200000 };

/* ---- messages ---- */

static int take(struct sender *s, const struct wire_message *m, struct err *err)
{
        int r;

        if (m->type >= MESSAGE_DONE && m->type <= MESSAGE_RECEIVER_LAST)
                return sender_ask_take(s, m, err);
        r = s->config->other(s->config->context, m, err);
        s->is_over = r == SENDER_END;
        return r == SENDER_END ? 0 : r;
}

/* All that are there; with @wait there will be one. */
static int take_messages(struct sender *s, bool wait, struct err *err)
{
        struct wire_message m;
        int r;

        do {
                r = channel_receive(s->config->channel, &m, wait, err);
                if (r == 1)
                        r = take(s, &m, err) < 0 ? err->code : 1;
                wait = false;
        } while (r == 1 && !s->is_over);
        return r < 0 ? r : 0;
}

static int look_around(struct sender *s, struct err *err)
{
        const struct sender_config *c = s->config;
        uint64_t now = stop_now_us();
        int r;

        if (now - s->looked_us < LOOK_US)
                return 0;
        if (c->tick && now - s->ticked_us >= TICK_US) {
                c->tick(c->tick_context);
                s->ticked_us = now;
        }
        r = stop_check(err);
        if (r == 0)
                r = take_messages(s, false, err);
        s->looked_us = stop_now_us();
        return r;
}

/* ---- the loop ---- */

static bool has_room(const struct sender *s)
{
        return s->nodes.count < MESSAGE_WINDOW_DIRECTORIES && s->nodes.bytes < MESSAGE_WINDOW_BYTES;
}

/* More may gather, as long as the receiver has enough to do with what it was told of. */
static bool is_receiver_busy(const struct sender *s)
{
        return s->nodes.count >= s->tell.count + SENDER_TREES_MAX;
}

static int tell_end(struct sender *s, struct err *err)
{
        s->has_ended = true;
        if (pack_u8(wire_begin(s->wire, MESSAGE_END), report_is_partial(s->config->report)) < 0)
                return err_oom(err);
        return wire_end(s->wire, err);
}

static int step(struct sender *s, struct err *err)
{
        if (s->file.node && sender_file_is_waiting(s))
                return take_messages(s, true, err);
        if (sender_ask_is_ready(s))
                return sender_ask_step(s, err);
        if (s->tell.is_on)
                return sender_tell_step(s, err);
        if (!sender_walk_is_over(s) && (s->read.node || has_room(s)))
                return sender_walk_step(s, err);
        if (s->tell.count > 0 && (sender_walk_is_over(s) || !is_receiver_busy(s)))
                return sender_tell_step(s, err);
        if (sender_walk_is_over(s) && !s->has_ended)
                return tell_end(s, err);
        return take_messages(s, true, err);
}

static int run(struct sender *s, struct err *err)
{
        int r = 0;

        while (r == 0 && !s->is_over) {
                r = step(s, err);
                if (r == 0)
                        r = channel_send(s->config->channel, false, err);
                if (r == 0 && !s->is_over)
                        r = look_around(s, err);
        }
        return r;
}

/* ---- the whole ---- */

static int init(struct sender *s, struct err *err)
{
        s->wire = channel_wire(s->config->channel);
        s->file.fd = -1;
        s->read.digest = message_digest_new();
        s->tell.digest = message_digest_new();
        s->file.sum = sum_new();
        sender_node_init(s);
        if (!s->read.digest || !s->tell.digest || !s->file.sum)
                return err_oom(err);
        return report_new(&s->unheard, &(struct report_config){ .is_imagined = true }, err);
}

static void deinit(struct sender *s)
{
        sender_file_deinit(s);
        sender_ask_deinit(s);
        sender_tell_deinit(s);
        sender_read_deinit(s);
        sender_walk_deinit(s);
        sender_node_deinit(s);
        report_free(s->unheard);
        free(s);
}

int sender_run(const struct sender_config *config, struct err *err)
{
        struct sender *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return err_oom(err);
        s->config = config;
        r = init(s, err);
        if (r == 0)
                r = run(s, err);
        deinit(s);
        return r;
}
