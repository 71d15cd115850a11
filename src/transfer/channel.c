/*
 * One loop for everything: poll() for what can be done now, do it, until what the caller waits for has come about.
 *
 * Compression pays when the link is the slower part, which shows by writes that would block: their share among the last
 * ones decides. A link that is fast for a while is given another try later.
 */
#include "transfer/channel.h"

#include "base/err.h"
#include "base/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

enum {
        READ_SIZE = 256 * 1024,
        UNSENT_MAX = 256 * 1024,
        WRITES_JUDGED = 64, /* so many writes are looked at together; */
        BLOCKED_MIN = 8,    /* with so many that would have blocked, it is the link that is slow */
};

struct channel {
        struct channel_config config;
        struct wire *wire;
        struct buf unread; /* came while something was sent, or more than one packet at once */
        uint64_t received_bytes, sent_bytes;
        bool is_at_end; /* the peer sends nothing more */
        unsigned writes, blocked;
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
        if (c->writes < WRITES_JUDGED || c->config.never_compress || c->config.always_compress)
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
        ssize_t n = send(c->config.out_fd, data, size, MSG_NOSIGNAL);

        if (n < 0 && errno == ENOTSOCK)
                n = write(c->config.out_fd, data, size);
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
                return fail_gone(c, err);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
                return err_run(err, -errno, "write to the", c->config.peer);
        judge_link(c, n < (ssize_t)size);
        if (n > 0) {
                wire_sent(c->wire, (size_t)n);
                c->sent_bytes += (size_t)n;
        }
        return 0;
}

static int read_some(struct channel *c, struct err *err)
{
        ssize_t n;

        if (c->unread.size > CHANNEL_WAITING_MAX)
                return err_runf(err, -EPROTO, "the %s sends without end", c->config.peer);
        if (buf_reserve(&c->unread, READ_SIZE) < 0)
                return err_oom(err);
        n = read(c->config.in_fd, c->unread.data + c->unread.size, READ_SIZE);
        if (n < 0 && errno == ECONNRESET)
                n = 0;
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : err_run(err, -errno, "read from the", c->config.peer);
        c->is_at_end = n == 0;
        c->unread.size += (size_t)n;
        c->received_bytes += (size_t)n;
        return 0;
}

/* Wait until something can be done, and do it. @deadline_us as of stop_deadline_us(). */
static int work(struct channel *c, uint64_t deadline_us, struct err *err)
{
        struct pollfd fds[] = {
                { .fd = c->is_at_end ? -1 : c->config.in_fd, .events = POLLIN },
                { .fd = unsent(c) > 0 ? c->config.out_fd : -1, .events = POLLOUT },
                { .fd = stop_fd(), .events = POLLIN },
        };
        int n = poll(fds, ARRAY_SIZE(fds), stop_left_ms(deadline_us)), r = stop_check(err);

        if (r < 0)
                return r;
        if (n == 0)
                return err_runf(err, -ETIMEDOUT, "the %s has been silent for %u seconds", c->config.peer,
                                c->config.timeout_s);
        if (fds[0].revents)
                r = read_some(c, err);
        if (r == 0 && fds[1].revents)
                r = write_some(c, err);
        return r;
}

/* ---- for the caller ---- */

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
        uint64_t deadline_us = stop_deadline_us(c->config.timeout_s), before;
        int r = next(c, ret, err);

        /* Nothing is awaited of a peer that has not been told yet. */
        if (r == 0)
                r = wire_flush(c->wire, err);
        if (r == 0 && !wait)
                r = read_some(c, err);
        if (r == 0 && !wait)
                return next(c, ret, err);
        while (r == 0) {
                if (c->is_at_end && c->unread.size == 0)
                        return fail_gone(c, err);
                before = c->received_bytes + c->sent_bytes;
                r = work(c, deadline_us, err);
                if (c->received_bytes + c->sent_bytes > before)
                        deadline_us = stop_deadline_us(c->config.timeout_s);
                if (r == 0)
                        r = next(c, ret, err);
        }
        return r;
}

int channel_send(struct channel *c, bool all, struct err *err)
{
        uint64_t deadline_us = stop_deadline_us(c->config.timeout_s), before;
        int r = all ? wire_flush(c->wire, err) : 0;

        while (r == 0 && unsent(c) > (all ? 0 : UNSENT_MAX)) {
                before = c->received_bytes + c->sent_bytes;
                r = work(c, deadline_us, err);
                if (c->received_bytes + c->sent_bytes > before)
                        deadline_us = stop_deadline_us(c->config.timeout_s);
        }
        return r;
}
