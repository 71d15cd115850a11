/*
 * One loop for everything: poll() for what can be done now, do it, until what the caller waits for has come about.
 *
 * Compression pays when the link is the slower part, which shows by writes that would block: their share among the last
 * ones decides. A link that is fast for a while is given another try later.
 */
#include "transfer/channel.h"

#include "base/err.h"
#include "base/stop.h"
#include "transfer/bucket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

enum {
        READ_SIZE = 256 * 1024,
        UNSENT_MAX = 256 * 1024,
        IDLE_EVERY_MS = 1000,
        WRITES_JUDGED = 64, /* so many writes are looked at together; */
        BLOCKED_MIN = 8,    /* with so many that would have blocked, it is the link that is slow */
};

struct channel {
        struct channel_config config;
        struct wire *wire;
        struct buf unread; /* came while something was sent, or more than one packet at once */
        uint64_t received_bytes, sent_bytes;
        bool is_at_end; /* the peer sends nothing more */
        bool outlives_stop;
        struct bucket in_bucket, out_bucket;
        unsigned writes, blocked;
        void (*idle)(void *context);
        void *idle_context;
        uint64_t idled_us, idle_bytes; /* put in by it */
};

static int set_nonblocking(int fd)
{
        int flags = fcntl(fd, F_GETFL);

        return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int channel_new(struct channel **ret, const struct channel_config *config, struct err *err)
{
        _cleanup_(channel_freep) struct channel *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return err_oom(err);
        c->config = *config;
        r = wire_new(&c->wire, &config->wire, err);
        if (r < 0)
                return r;
        if (buf_reserve(&c->unread, READ_SIZE) < 0)
                return err_oom(err);
        if (set_nonblocking(config->in_fd) < 0 || set_nonblocking(config->out_fd) < 0)
                return err_run(err, -errno, "prepare the connection to the", config->peer);
        wire_compress(c->wire, !config->never_compress);
        bucket_init(&c->in_bucket, config->rate, stop_now_us());
        bucket_init(&c->out_bucket, config->rate, stop_now_us());
        *ret = TAKE(c);
        return 0;
}

struct channel *channel_free(struct channel *c)
{
        if (!c)
                return NULL;
        wire_free(c->wire);
        buf_deinit(&c->unread);
        free(c);
        return NULL;
}

void channel_set_timeout(struct channel *c, unsigned timeout_s)
{
        c->config.timeout_s = timeout_s;
}

void channel_outlive_stop(struct channel *c)
{
        c->outlives_stop = true;
        c->config.rate = 0;
        bucket_init(&c->in_bucket, 0, stop_now_us());
        bucket_init(&c->out_bucket, 0, stop_now_us());
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
        return c->received_bytes;
}

uint64_t channel_sent_bytes(const struct channel *c)
{
        return c->sent_bytes;
}

static int fail_gone(const struct channel *c, struct err *err)
{
        return err_runf(err, -ECONNRESET, "the connection to the %s has ended", c->config.peer);
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
        size_t size;
        const void *data = wire_output(c->wire, &size);
        ssize_t n;

        size = bucket_allows(&c->out_bucket, size, stop_now_us());
        if (size == 0)
                return 0;
        n = send(c->config.out_fd, data, size, MSG_NOSIGNAL);
        if (n < 0 && errno == ENOTSOCK)
                n = write(c->config.out_fd, data, size);
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
                return fail_gone(c, err);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
                return err_run(err, -errno, "write to the", c->config.peer);
        judge_link(c, n < (ssize_t)size);
        if (n > 0) {
                bucket_take(&c->out_bucket, (size_t)n);
                wire_sent(c->wire, (size_t)n);
                c->sent_bytes += (size_t)n;
        }
        return 0;
}

static int read_some(struct channel *c, struct err *err)
{
        size_t size = bucket_allows(&c->in_bucket, READ_SIZE, stop_now_us());
        ssize_t n;

        if (size == 0)
                return 0;
        if (c->unread.size > CHANNEL_WAITING_MAX)
                return err_runf(err, -EPROTO, "the %s sends without end", c->config.peer);
        if (buf_reserve(&c->unread, READ_SIZE) < 0)
                return err_oom(err);
        n = read(c->config.in_fd, c->unread.data + c->unread.size, size);
        if (n < 0 && errno == ECONNRESET)
                n = 0;
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : err_run(err, -errno, "read from the", c->config.peer);
        bucket_take(&c->in_bucket, (size_t)n);
        c->is_at_end = n == 0;
        c->unread.size += (size_t)n;
        c->received_bytes += (size_t)n;
        return 0;
}

/* Until a bucket has something again its descriptor is not watched. Return for how long, -1 if both may go. */
static int pause_ms(struct channel *c, struct pollfd *in, struct pollfd *out)
{
        uint64_t least_us = UINT64_MAX;

        if (in->fd >= 0 && bucket_allows(&c->in_bucket, READ_SIZE, stop_now_us()) == 0) {
                in->fd = -1;
                least_us = bucket_wait_us(&c->in_bucket);
        }
        if (out->fd >= 0 && bucket_allows(&c->out_bucket, unsent(c), stop_now_us()) == 0) {
                out->fd = -1;
                if (bucket_wait_us(&c->out_bucket) < least_us)
                        least_us = bucket_wait_us(&c->out_bucket);
        }
        return least_us == UINT64_MAX ? -1 : (int)(least_us / 1000) + 1;
}

static int least_ms(int a, int b)
{
        return a < 0 || (b >= 0 && b < a) ? b : a;
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
        struct pollfd fds[] = {
                { .fd = c->is_at_end ? -1 : c->config.in_fd, .events = POLLIN },
                { .fd = unsent(c) > 0 ? c->config.out_fd : -1, .events = POLLOUT },
                { .fd = c->outlives_stop ? -1 : stop_fd(), .events = POLLIN },
        };
        int nap = least_ms(pause_ms(c, &fds[0], &fds[1]), stop_left_ms(deadline_us)), n, r;

        n = poll(fds, ARRAY_SIZE(fds), least_ms(nap, c->idle ? IDLE_EVERY_MS : -1));
        r = c->outlives_stop ? 0 : stop_check(err);
        if (r < 0)
                return r;
        if (n == 0 && stop_left_ms(deadline_us) == 0)
                return err_runf(err, -ETIMEDOUT, "the %s has been silent for %u seconds", c->config.peer,
                                c->config.timeout_s);
        if (fds[0].revents)
                r = read_some(c, err);
        if (r == 0 && fds[1].revents)
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
        return (int64_t)(c->received_bytes + c->sent_bytes) - (int64_t)c->idle_bytes;
}

static struct silence silence_begin(const struct channel *c)
{
        return (struct silence){ .bytes = gone(c), .deadline_us = stop_deadline_us(c->config.timeout_s) };
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

        if (r != 0 || c->unread.size == 0)
                return r;
        r = wire_feed(c->wire, c->unread.data, c->unread.size, err);
        buf_truncate(&c->unread, 0);
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
                r = read_some(c, err);
        if (r == 0 && !wait) {
                r = next(c, ret, err);
                if (r == 0 && c->is_at_end && c->unread.size == 0)
                        return fail_gone(c, err);
                return r == 0 && unsent(c) > 0 ? write_some(c, err) : r;
        }
        while (r == 0) {
                if (c->is_at_end && c->unread.size == 0)
                        return fail_gone(c, err);
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
