/*
 * While something is done the channel is served by the ticks of the progress: what is to be told goes out, a CANCEL
 * comes in, or the client's end, and becomes a stop request. During an exchange the channel is the receiver's; a CANCEL
 * comes by agent_other() then. A stop ends what is being done with -ECANCELED, which is answered like any error.
 */
#include "agent/agent_parts.h"

#include "base/stop.h"
#include "progress.h"
#include "transfer/exchange/channel.h"
#include "transfer/exchange/request.h"

#include <errno.h>
#include <poll.h>

void agent_lose_client(struct agent *a, struct err *err)
{
        a->is_alone = true;
        agent_news_close(a->news);
        stop_request("the loss of the client");
        if (a->failure->kind == ERR_NONE)
                err_move(a->failure, err);
        else
                err_drop(err, "the first error is the one that counts");
}

/* What waits to be read counts: who works may be too busy to read it. */
static bool has_more(const struct agent *a)
{
        struct pollfd in = { .fd = a->in_fd, .events = POLLIN };

        return poll(&in, 1, 0) > 0;
}

int agent_check_client(struct agent *a, struct err *err)
{
        uint64_t bytes = channel_received_bytes(a->channel);
        double now = progress_now();

        if (a->heard == 0 || bytes != a->heard_bytes) {
                a->heard_bytes = bytes;
                a->heard = now;
        }
        if (now - a->heard < AGENT_SILENCE_S || has_more(a))
                return 0;
        return err_runf(err, -ETIMEDOUT, "the client has been silent for %d seconds", AGENT_SILENCE_S);
}

bool agent_is_of_sender(const struct wire_message *m)
{
        return m->type >= MESSAGE_DIRECTORY && m->type <= MESSAGE_SENDER_LAST;
}

/* A message that comes while a request is being worked on. */
static int take_meanwhile(struct agent *a, const struct wire_message *m, struct err *err)
{
        if (m->type == MESSAGE_ALIVE)
                return 0;
        if (m->type == MESSAGE_CANCEL) {
                stop_request("the client");
                return 0;
        }
        if (a->passes_over && agent_is_of_sender(m))
                return 0;
        return err_runf(err, -EPROTO, "the client breaks the protocol: message %u while it waits for an answer",
                        m->type);
}

static int serve(struct agent *a, struct err *err)
{
        struct wire_message m;
        int r = agent_check_client(a, err);

        if (r == 0)
                r = agent_news_tell(a->news, a->channel, a->report, false, err);
        if (r < 0 || a->in_exchange)
                return r;
        r = channel_send(a->channel, true, err);
        while (r == 0 && (r = channel_receive(a->channel, &m, false, err)) == 1)
                r = take_meanwhile(a, &m, err);
        return r;
}

void agent_tick(void *agent)
{
        struct agent *a = agent;
        ERR_LOCAL(err);

        if (a->is_alone || stop_requested() || serve(a, &err) == 0)
                return;
        if (err.code == -ECANCELED)
                err_drop(&err, "who works notices the stop");
        else
                agent_lose_client(a, &err);
}

void agent_step(void *agent, int step, uint64_t expected)
{
        struct agent *a = agent;

        agent_news_step(a->news, step, expected);
}

int agent_other(void *agent, const struct wire_message *m, struct err *err)
{
        int r = take_meanwhile(agent, m, err);

        return r == 0 ? stop_check(err) : r;
}

/* ---- answers ---- */

struct buf *agent_begin_answer(struct agent *a, enum message_type type, struct err *err)
{
        /* Should he be there all the same, after a sleep say, the end of the connection has him connect again: an ERROR
         * would be our last word. */
        if (a->is_alone) {
                err_runf(err, -ECONNRESET, "the client is gone");
                return NULL;
        }
        if (stop_requested()) {
                channel_outlive_stop(a->channel);
                channel_set_timeout(a->channel, AGENT_GOODBYE_S);
        }
        if (agent_news_tell(a->news, a->channel, a->report, true, err) < 0)
                return NULL;
        return wire_begin(channel_wire(a->channel), (uint8_t)type);
}

int agent_end_answer(struct agent *a, int packed, struct err *err)
{
        int r = packed < 0 ? err_oom(err) : wire_end(channel_wire(a->channel), err);

        return r < 0 ? r : channel_send(a->channel, true, err);
}

int agent_answer(struct agent *a, enum message_type type, struct err *err)
{
        struct buf *b = agent_begin_answer(a, type, err);

        return b ? agent_end_answer(a, 0, err) : err->code;
}

int agent_answer_error(struct agent *a, struct err *said, struct err *err)
{
        struct buf *b = agent_begin_answer(a, MESSAGE_ERROR, err);
        int packed = b ? request_put_error(b, said) : 0;

        err_drop(said, "the client is told");
        return b ? agent_end_answer(a, packed, err) : err->code;
}
