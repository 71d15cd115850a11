/*
 * One loop for everything: wait for what can be done now, do it, until what the caller waits for has come about.
 *
 * Compression pays when the link is the slower part, which shows by writes that would block: their share among the last
 * ones decides. A link that is fast for a while is given another try later.
 */
#include "transfer/exchange/channel.h"

#include "base/duplex.h"
#include "base/err.h"
#include "base/stop.h"

enum {
        UNSENT_MAX = 256 * 1024,
        IDLE_EVERY_MS = 1000,
        WRITES_JUDGED = 64, /* so many writes are looked at together; */
        BLOCKED_MIN = 8,    /* with so many that would have blocked, it is the link that is slow */
};

struct channel {
        struct channel_config config;
        struct duplex duplex;
        struct wire *wire;
        unsigned writes, blocked;
        void (*idle)(void *context);
        void *idle_context;
        uint64_t idled_us, idle_bytes; /* put in by it */
};

int channel_new(struct channel **ret, const struct channel_config *config, struct err *err)
{
        const struct duplex_config duplex = { .in_fd = config->in_fd,
                                              .out_fd = config->out_fd,
                                              .peer = config->peer,
                                              .timeout_s = config->timeout_s,
                                              .rate = config->rate,
                                              .waiting_max = CHANNEL_WAITING_MAX };
        _cleanup_(channel_freep) struct channel *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return err_oom(err);
        c->config = *config;
        r = wire_new(&c->wire, &config->wire, err);
        if (r == 0)
                r = duplex_init(&c->duplex, &duplex, err);
        if (r < 0)
                return r;
        wire_compress(c->wire, !config->never_compress);
        *ret = TAKE(c);
        return 0;
}

struct channel *channel_free(struct channel *c)
{
        if (!c)
                return NULL;
        wire_free(c->wire);
        duplex_deinit(&c->duplex);
        free(c);
        return NULL;
}

void channel_set_timeout(struct channel *c, unsigned timeout_s)
{
        c->duplex.config.timeout_s = timeout_s;
}

void channel_outlive_stop(struct channel *c)
{
        c->config.rate = 0;
        duplex_outlive_stop(&c->duplex);
}

void channel_while_waiting(struct channel *c, void (*idle)(void *context), void *context)
{
        c->idle = idle;
        c->idle_context = context;
}

struct wire *channel_wire(struct channel *c)
{
        return c->wire;
}

uint64_t channel_received_bytes(const struct channel *c)
{
        return c->duplex.received_bytes;
}

uint64_t channel_sent_bytes(const struct channel *c)
{
        return c->duplex.sent_bytes;
}

/* ---- both directions, without waiting ---- */

static void judge_link(struct channel *c, bool would_block)
{
        c->writes++;
        c->blocked += would_block;
        if (c->writes < WRITES_JUDGED || c->config.never_compress || c->config.always_compress || c->config.rate > 0)
                return;
        wire_compress(c->wire, c->blocked >= BLOCKED_MIN);
        c->writes = c->blocked = 0;
}

static size_t unsent(const struct channel *c)
{
        size_t size;

        (void)wire_output(c->wire, &size);
        return size;
}

static int write_some(struct channel *c, struct err *err)
{
        size_t size, written;
        const void *data = wire_output(c->wire, &size);
        int r = duplex_write(&c->duplex, data, size, &written, err);

        if (r < 0)
                return r;
        judge_link(c, written < size);
        if (written > 0)
                wire_sent(c->wire, written);
        return 0;
}

static int idle(struct channel *c, struct err *err)
{
        size_t before;
        int r;

        if (!c->idle || stop_now_us() - c->idled_us < (uint64_t)IDLE_EVERY_MS * 1000)
                return 0;
        c->idled_us = stop_now_us();
        r = wire_flush(c->wire, err);
        if (r < 0)
                return r;
        before = unsent(c);
        c->idle(c->idle_context);
        r = wire_flush(c->wire, err);
        c->idle_bytes += unsent(c) - before;
        return r;
}

/* Wait until something can be done, and do it. @deadline_us as of stop_deadline_us(). */
static int work(struct channel *c, uint64_t deadline_us, struct err *err)
{
        int r = duplex_wait(&c->duplex, unsent(c), c->idle ? IDLE_EVERY_MS : -1, deadline_us, err);

        if (r == DUPLEX_WRITABLE)
                r = write_some(c, err);
        return r == 0 ? idle(c, err) : r;
}

/* ---- for the caller ---- */

/* Silence: what ends it is what has gone either way; that we are there ourselves says nothing of the peer. */
struct silence {
        int64_t bytes;
        uint64_t deadline_us;
};

/* What idle() puts in counts less than nothing until it has gone. */
static int64_t gone(const struct channel *c)
{
        return (int64_t)(c->duplex.received_bytes + c->duplex.sent_bytes) - (int64_t)c->idle_bytes;
}

static struct silence silence_begin(const struct channel *c)
{
        return (struct silence){ .bytes = gone(c), .deadline_us = stop_deadline_us(c->duplex.config.timeout_s) };
}

static int work_in_silence(struct channel *c, struct silence *s, struct err *err)
{
        int r = work(c, s->deadline_us, err);

        if (gone(c) > s->bytes)
                *s = silence_begin(c);
        return r;
}

/* Hand what has come to the wire. Return as wire_next(). */
static int next(struct channel *c, struct wire_message *ret, struct err *err)
{
        int r = wire_next(c->wire, ret, err);

        if (r != 0 || c->duplex.unread.size == 0)
                return r;
        r = wire_feed(c->wire, c->duplex.unread.data, c->duplex.unread.size, err);
        buf_truncate(&c->duplex.unread, 0);
        return r < 0 ? r : wire_next(c->wire, ret, err);
}

int channel_receive(struct channel *c, struct wire_message *ret, bool wait, struct err *err)
{
        struct silence silence = silence_begin(c);
        int r = next(c, ret, err);

        /* Nothing is awaited of a peer that has not been told yet. */
        if (r == 0)
                r = wire_flush(c->wire, err);
        if (r == 0 && !wait)
                r = duplex_read(&c->duplex, err);
        if (r == 0 && !wait) {
                r = next(c, ret, err);
                if (r == 0 && c->duplex.is_at_end && c->duplex.unread.size == 0)
                        return duplex_fail_gone(&c->duplex, err);
                return r == 0 && unsent(c) > 0 ? write_some(c, err) : r;
        }
        while (r == 0) {
                if (c->duplex.is_at_end && c->duplex.unread.size == 0)
                        return duplex_fail_gone(&c->duplex, err);
                r = work_in_silence(c, &silence, err);
                if (r == 0)
                        r = next(c, ret, err);
        }
        return r;
}

int channel_send(struct channel *c, bool all, struct err *err)
{
        struct silence silence = silence_begin(c);
        int r = all ? wire_flush(c->wire, err) : 0;

        while (r == 0 && unsent(c) > (all ? 0 : UNSENT_MAX))
                r = work_in_silence(c, &silence, err);
        return r;
}

int channel_push(struct channel *c, struct err *err)
{
        int r = wire_flush(c->wire, err);

        return r == 0 && unsent(c) > 0 ? write_some(c, err) : r;
}
