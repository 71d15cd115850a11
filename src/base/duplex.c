/* poll() for what can be done now; what a rate forbids for a while is not polled for. */
#include "base/duplex.h"

#include "base/err.h"
#include "base/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

static int set_nonblocking(int fd)
{
        int flags = fcntl(fd, F_GETFL);

        return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int duplex_init(struct duplex *d, const struct duplex_config *config, struct err *err)
{
        *d = (struct duplex){ .config = *config };
        if (buf_reserve(&d->unread, DUPLEX_READ_SIZE) < 0)
                return err_oom(err);
        if (set_nonblocking(config->in_fd) < 0 || set_nonblocking(config->out_fd) < 0)
                return err_run(err, -errno, "prepare the connection to the", config->peer);
        bucket_init(&d->in_bucket, config->rate, stop_now_us());
        bucket_init(&d->out_bucket, config->rate, stop_now_us());
        return 0;
}

void duplex_deinit(struct duplex *d)
{
        buf_deinit(&d->unread);
}

void duplex_outlive_stop(struct duplex *d)
{
        d->outlives_stop = true;
        bucket_init(&d->in_bucket, 0, stop_now_us());
        bucket_init(&d->out_bucket, 0, stop_now_us());
}

int duplex_fail_gone(const struct duplex *d, struct err *err)
{
        return err_runf(err, -ECONNRESET, "the connection to the %s has ended", d->config.peer);
}

int duplex_read(struct duplex *d, struct err *err)
{
        size_t size = bucket_allows(&d->in_bucket, DUPLEX_READ_SIZE, stop_now_us());
        ssize_t n;

        if (size == 0)
                return 0;
        if (d->unread.size > d->config.waiting_max)
                return err_runf(err, -EPROTO, "the %s sends without end", d->config.peer);
        if (buf_reserve(&d->unread, DUPLEX_READ_SIZE) < 0)
                return err_oom(err);
        n = read(d->config.in_fd, d->unread.data + d->unread.size, size);
        if (n < 0 && errno == ECONNRESET)
                n = 0;
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : err_run(err, -errno, "read from the", d->config.peer);
        bucket_take(&d->in_bucket, (size_t)n);
        d->is_at_end = n == 0;
        d->unread.size += (size_t)n;
        d->received_bytes += (size_t)n;
        return 0;
}

int duplex_write(struct duplex *d, const void *data, size_t size, size_t *ret_written, struct err *err)
{
        ssize_t n;

        *ret_written = 0;
        size = bucket_allows(&d->out_bucket, size, stop_now_us());
        if (size == 0)
                return 0;
        n = send(d->config.out_fd, data, size, MSG_NOSIGNAL);
        if (n < 0 && errno == ENOTSOCK)
                n = write(d->config.out_fd, data, size);
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
                return duplex_fail_gone(d, err);
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : err_run(err, -errno, "write to the", d->config.peer);
        bucket_take(&d->out_bucket, (size_t)n);
        d->sent_bytes += (size_t)n;
        *ret_written = (size_t)n;
        return 0;
}

static int least_ms(int a, int b)
{
        return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* Until a bucket has something again its descriptor is not watched. Return for how long, -1 if both may go. */
static int pause_ms(struct duplex *d, struct pollfd *in, struct pollfd *out, size_t unsent)
{
        uint64_t least_us = UINT64_MAX;

        if (in->fd >= 0 && bucket_allows(&d->in_bucket, DUPLEX_READ_SIZE, stop_now_us()) == 0) {
                in->fd = -1;
                least_us = bucket_wait_us(&d->in_bucket);
        }
        if (out->fd >= 0 && bucket_allows(&d->out_bucket, unsent, stop_now_us()) == 0) {
                out->fd = -1;
                if (bucket_wait_us(&d->out_bucket) < least_us)
                        least_us = bucket_wait_us(&d->out_bucket);
        }
        return least_us == UINT64_MAX ? -1 : (int)(least_us / 1000) + 1;
}

int duplex_wait(struct duplex *d, size_t unsent, int nap_ms, uint64_t deadline_us, struct err *err)
{
        struct pollfd fds[] = {
                { .fd = d->is_at_end || d->is_full ? -1 : d->config.in_fd, .events = POLLIN },
                { .fd = unsent > 0 ? d->config.out_fd : -1, .events = POLLOUT },
                { .fd = d->outlives_stop ? -1 : stop_fd(), .events = POLLIN },
        };
        int n, r, most = least_ms(pause_ms(d, &fds[0], &fds[1], unsent), stop_left_ms(deadline_us));

        n = poll(fds, ARRAY_SIZE(fds), least_ms(most, nap_ms));
        r = d->outlives_stop ? 0 : stop_check(err);
        if (r < 0)
                return r;
        if (n == 0 && stop_left_ms(deadline_us) == 0)
                return err_runf(err, -ETIMEDOUT, "the %s has been silent for %u seconds", d->config.peer,
                                d->config.timeout_s);
        if (fds[0].revents && duplex_read(d, err) < 0)
                return err->code;
        return fds[1].revents ? DUPLEX_WRITABLE : 0;
}
