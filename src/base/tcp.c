#include "base/tcp.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/stop.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

enum { SHOWN_MAX = 128 };

static struct addrinfo *addresses_free(struct addrinfo *list)
{
        if (list)
                freeaddrinfo(list);
        return NULL;
}
DEFINE_FREEP(struct addrinfo, addresses_free)

static int look_up(struct addrinfo **ret, const char *name, unsigned port, int family, int flags, struct err *err)
{
        struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = flags };
        char service[16], shown[SHOWN_MAX];
        int r;

        snprintf(service, sizeof(service), "%u", port);
        r = getaddrinfo(name, service, &hints, ret);
        if (r == 0)
                return 0;
        path_show(NULL, name, shown, sizeof(shown));
        return err_runf(err, r == EAI_SYSTEM ? errno_negative() : -EHOSTUNREACH, "cannot find the address of '%s': %s",
                        shown, r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
}

/* Kept as long as it is not known whether this is a peer that died or one that has nothing to say. */
static void set_options(int fd, const struct tcp_target *t)
{
        unsigned dead_after_ms = t->dead_after_s * 1000;
        int on = 1;

        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
        if (dead_after_ms > 0)
                (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_after_ms, sizeof(dead_after_ms));
}

static int bind_to(int fd, const struct tcp_target *t, int family, struct err *err)
{
        _cleanup_(addresses_freep) struct addrinfo *own = NULL;
        int r;

        if (!t->bind_address)
                return 0;
        r = look_up(&own, t->bind_address, 0, family, AI_PASSIVE, err);
        if (r < 0)
                return r;
        return bind(fd, own->ai_addr, own->ai_addrlen) < 0 ? err_run(err, -errno, "bind to", t->bind_address) : 0;
}

/* Wait for the outcome. Return 0; -ECANCELED with @err filled; or another negative errno without. */
static int wait_connected(int fd, unsigned timeout_s, struct err *err)
{
        int code = 0, r = stop_wait_for(fd, POLLOUT, stop_deadline_us(timeout_s), err);
        socklen_t size = sizeof(code);

        if (r == -ECANCELED)
                return r;
        if (r < 0) {
                err_drop(err, "the code says it");
                return r;
        }
        if (r == STOP_WAIT_TIMED_OUT)
                return -ETIMEDOUT;
        return getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0 ? -errno : -code;
}

/* Return a descriptor; -ECANCELED with @err filled; or another negative errno. */
static int connect_to(const struct addrinfo *a, const struct tcp_target *t, struct err *err)
{
        _cleanup_(fd_closep) int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
        int r;

        if (fd < 0)
                return -errno;
        r = bind_to(fd, t, a->ai_family, err);
        if (r < 0) {
                err_drop(err, "told with the other addresses");
                return r;
        }
        set_options(fd, t);
        if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
                r = errno == EINPROGRESS ? wait_connected(fd, t->timeout_s, err) : -errno;
                if (r < 0)
                        return r;
        }
        return TAKE_FD(fd);
}

static void note_failure(struct buf *tried, const struct addrinfo *a, int code)
{
        char address[NI_MAXHOST] = "?";

        (void)getnameinfo(a->ai_addr, a->ai_addrlen, address, sizeof(address), NULL, 0, NI_NUMERICHOST);
        /* Without memory the text is shorter. */
        (void)buf_printf(tried, "%s%s: %s", tried->size > 0 ? "; " : "", address, strerror(-code));
}

int tcp_connect(const struct tcp_target *target, struct err *err)
{
        _cleanup_(addresses_freep) struct addrinfo *list = NULL;
        _cleanup_(buf_deinit) struct buf tried = { .data = NULL };
        int r = look_up(&list, target->host, target->port, target->family, 0, err);
        char shown[SHOWN_MAX];

        if (r < 0)
                return r;
        for (const struct addrinfo *a = list; a; a = a->ai_next) {
                r = connect_to(a, target, err);
                if (r >= 0 || r == -ECANCELED)
                        return r;
                note_failure(&tried, a, r);
        }
        path_show(NULL, target->host, shown, sizeof(shown));
        return err_runf(err, r, "cannot connect to %s port %u (%s)", shown, target->port, buf_text(&tried));
}
