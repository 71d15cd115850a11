/* Messages that are no answers are dealt with on the way to one: news is told, what a sender still sends is passed
 * over. */
#include "far/far.h"

#include "base/err.h"
#include "progress.h"
#include "transfer/exchange/channel.h"

#include <errno.h>

enum {
        SILENCE_MAX_S = 10, /* of an agent that is told to end something */
        ALIVE_EVERY_S = 5,
};

bool far_is_of_connection(int code)
{
        return code == -ECONNRESET || code == -ETIMEDOUT || code == -EPROTO || code == -EPROTONOSUPPORT;
}

int far_fail_connection(struct far *f, int r, struct err *err)
{
        if (r == -ECANCELED)
                return r;
        f->is_broken = true;
        remote_news_end(&f->news);
        return remote_explain(f->remote, err);
}

static bool is_of_receiver(const struct wire_message *m)
{
        return m->type >= MESSAGE_DONE && m->type <= MESSAGE_RECEIVER_LAST;
}

static int say_alive(struct far *f, struct err *err)
{
        double now = progress_now();

        if (now - f->was_alive < ALIVE_EVERY_S)
                return 0;
        f->was_alive = now;
        (void)far_begin(f, MESSAGE_ALIVE);
        return wire_end(channel_wire(remote_channel(f->remote)), err);
}

void far_tick(void *far)
{
        struct far *f = far;
        ERR_LOCAL(err);

        if (f->news.in_step)
                progress_tick(f->news.progress);
        if (say_alive(f, &err) < 0)
                err_drop(&err, "memory that is short is short for more than this");
}

int far_hear(struct far *f, struct wire_message *ret, struct err *err)
{
        int r;

        do {
                r = channel_receive(remote_channel(f->remote), ret, true, err);
                if (r > 0)
                        r = remote_news_take(&f->news, ret, err);
                if (r == 0 && f->passes_over && is_of_receiver(ret))
                        r = 1;
        } while (r > 0);
        return r;
}

void far_cancel(struct far *f)
{
        double until = progress_now() + FAR_CANCEL_PATIENCE_S;
        struct channel *c = remote_channel(f->remote);
        struct wire_message m;
        ERR_LOCAL(err);
        int r;

        channel_outlive_stop(c);
        channel_set_timeout(c, SILENCE_MAX_S);
        f->passes_over = true;
        (void)wire_begin(channel_wire(c), MESSAGE_CANCEL);
        r = wire_end(channel_wire(c), &err);
        while (r >= 0 && progress_now() < until) {
                r = channel_receive(c, &m, true, &err);
                if (r > 0)
                        r = remote_news_take(&f->news, &m, &err);
                if (r == 0 && !is_of_receiver(&m))
                        break;
        }
        f->is_broken = r != 0;
        remote_news_end(&f->news);
        if (r < 0)
                err_drop(&err, "it is over, one way or the other");
}

struct buf *far_begin(struct far *f, enum message_type type)
{
        return wire_begin(channel_wire(remote_channel(f->remote)), (uint8_t)type);
}

int far_take_error(struct far *f, const struct wire_message *answer, struct err *err)
{
        ERR_LOCAL(said);

        if (answer->type != MESSAGE_ERROR)
                return 0;
        if (request_get_error(answer, &said, err) < 0)
                f->is_broken = true;
        else
                err_move(err, &said);
        return err_context(err, far_host(f));
}

int far_ask(struct far *f, int packed, struct wire_message *ret, struct err *err)
{
        struct channel *c = remote_channel(f->remote);
        int r = packed < 0 ? err_oom(err) : wire_end(channel_wire(c), err);

        if (r == 0)
                r = far_hear(f, ret, err);
        if (r == -ECANCELED)
                far_cancel(f);
        if (r < 0)
                return far_fail_connection(f, r, err);
        return far_take_error(f, ret, err);
}

int far_fail_answer(struct far *f, const char *to, struct err *err)
{
        f->is_broken = true;
        request_refuse(to, err);
        return err_context(err, far_host(f));
}
