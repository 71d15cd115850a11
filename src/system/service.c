/*
 *      main thread    READY   STATUS  STATUS ...                       STOPPING
 *      its own        WATCHDOG ... (half the interval)   EXTEND_TIMEOUT ... (while something lasts)
 *
 * The thread sleeps on a condition until the next message is due or something changes. That the main thread waits for
 * a disk is no reason to be killed by the watchdog: what cannot be cut short is not hurried either.
 */
#include "system/service.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#define US UINT64_C(1000000)

enum { STATUS_MAX = 512, PATIENCE_S = 5 };

/* How much more time is asked for, and how often: it may come late now and then. */
static const uint64_t extension_us = 60 * US, extend_every_us = 10 * US, status_every_us = US;

static struct {
        int fd; /* -1: nobody listens */
        atomic_bool is_deaf;
        struct sockaddr_un address;
        socklen_t address_size;

        /* Of the main thread alone. */
        char status[STATUS_MAX];
        uint64_t status_sent_us;

        bool has_thread;
        pthread_t thread;
        pthread_mutex_t lock; /* guards what follows */
        pthread_cond_t changed;
        bool ends, lasts;
        uint64_t watchdog_us;               /* 0: none */
        uint64_t next_ping_us, next_ask_us; /* when they are due */
} the_service = { .fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER };

static uint64_t now_us(void)
{
        struct timespec t = { .tv_sec = 0 };

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * US + (uint64_t)t.tv_nsec / 1000;
}

/* ---- messages ---- */

static void send_message(const char *message, int flags)
{
        ssize_t n;

        if (the_service.fd < 0)
                return;
        /* Who has not read for that long is not waited for again. */
        if (atomic_load(&the_service.is_deaf))
                flags |= MSG_DONTWAIT;
        n = sendto(the_service.fd, message, strlen(message), flags | MSG_NOSIGNAL,
                   (const struct sockaddr *)&the_service.address, the_service.address_size);
        if (n < 0 && errno == EAGAIN && !(flags & MSG_DONTWAIT))
                atomic_store(&the_service.is_deaf, true);
        if (n < 0)
                log_debug("cannot tell the service manager '%s': %s", message, strerror(errno));
}

int service_put_status(struct buf *out, const char *text)
{
        int r = buf_puts(out, "STATUS=");

        for (; *text && r == 0; text++)
                r = buf_putc(out, (char)((unsigned char)*text < ' ' ? ' ' : *text));
        return r;
}

/* An absolute path, or a name in the abstract namespace, which does not end in a NUL. */
static bool parse_address(const char *text)
{
        struct sockaddr_un *a = &the_service.address;
        size_t length = strlen(text);

        if ((*text != '/' && *text != '@') || length < 2 || length >= sizeof(a->sun_path))
                return false;
        a->sun_family = AF_UNIX;
        memcpy(a->sun_path, text, length + 1);
        the_service.address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
        if (*text == '@')
                a->sun_path[0] = '\0';
        else
                the_service.address_size++;
        return true;
}

static bool open_socket(void)
{
        const char *name = getenv("NOTIFY_SOCKET");
        const struct timeval patience = { .tv_sec = PATIENCE_S };

        if (!name || !*name)
                return false;
        if (!parse_address(name)) {
                log_debug("NOTIFY_SOCKET: '%s' is no address of a socket", name);
                return false;
        }
        the_service.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        /* A manager that does not read at all must not hold us up for good. */
        if (the_service.fd >= 0)
                (void)setsockopt(the_service.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        return the_service.fd >= 0;
}

/* ---- the thread ---- */

static bool parse_number(const char *text, uint64_t *ret)
{
        unsigned long long n;
        char *end;

        if (!text || *text < '0' || *text > '9')
                return false;
        errno = 0;
        n = strtoull(text, &end, 10);
        *ret = n;
        return errno == 0 && !*end;
}

uint64_t service_watchdog_us(const char *usec, const char *pid, pid_t self)
{
        uint64_t interval, whose;

        if (!parse_number(usec, &interval) || interval == UINT64_MAX)
                return 0;
        if (pid && (!parse_number(pid, &whose) || whose != (uint64_t)self))
                return 0;
        return interval;
}

/* Send what is due. Return when the next is, 0 for never. */
static uint64_t send_due(void)
{
        uint64_t now = now_us(), next = 0;
        char message[64];

        if (the_service.watchdog_us > 0 && now >= the_service.next_ping_us) {
                send_message("WATCHDOG=1", MSG_DONTWAIT);
                the_service.next_ping_us = now + the_service.watchdog_us / 2 + 1;
        }
        if (the_service.watchdog_us > 0)
                next = the_service.next_ping_us;
        if (!the_service.lasts)
                return next;
        if (now >= the_service.next_ask_us) {
                snprintf(message, sizeof(message), "EXTEND_TIMEOUT_USEC=%ju", (uintmax_t)extension_us);
                send_message(message, MSG_DONTWAIT);
                the_service.next_ask_us = now + extend_every_us;
        }
        return next == 0 || the_service.next_ask_us < next ? the_service.next_ask_us : next;
}

static void *attend(void *unused)
{
        (void)unused;
        pthread_mutex_lock(&the_service.lock);
        while (!the_service.ends) {
                uint64_t next = send_due();
                const struct timespec until = { .tv_sec = (time_t)(next / US), .tv_nsec = (long)(next % US * 1000) };

                if (next > 0)
                        pthread_cond_timedwait(&the_service.changed, &the_service.lock, &until);
                else
                        pthread_cond_wait(&the_service.changed, &the_service.lock);
        }
        pthread_mutex_unlock(&the_service.lock);
        return NULL;
}

static void start_thread(void)
{
        pthread_condattr_t monotonic;
        sigset_t all, before;
        int r;

        pthread_condattr_init(&monotonic);
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        pthread_cond_init(&the_service.changed, &monotonic);
        pthread_condattr_destroy(&monotonic);
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&the_service.thread, NULL, attend, NULL);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        the_service.has_thread = r == 0;
        if (r != 0)
                log_warning("no thread can be started to answer the watchdog of the service manager: %s", strerror(r));
}

/* ---- the main thread ---- */

void service_begin(void)
{
        if (!open_socket())
                return;
        the_service.watchdog_us = service_watchdog_us(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"), getpid());
        send_message("READY=1", 0);
        start_thread();
}

bool service_is_heard(void)
{
        return the_service.fd >= 0;
}

void service_status(const char *text, bool is_new)
{
        _cleanup_(buf_deinit) struct buf message = { .data = NULL };
        uint64_t now = now_us();

        if (the_service.fd < 0 || (!is_new && now < the_service.status_sent_us + status_every_us))
                return;
        if (service_put_status(&message, text) < 0 || str_equal(message.data, the_service.status))
                return;
        snprintf(the_service.status, sizeof(the_service.status), "%s", message.data);
        the_service.status_sent_us = now;
        send_message(message.data, MSG_DONTWAIT);
}

void service_lasts(bool lasts)
{
        if (!the_service.has_thread)
                return;
        pthread_mutex_lock(&the_service.lock);
        /* At once, since it may end in the next moment. */
        if (lasts && !the_service.lasts)
                the_service.next_ask_us = 0;
        the_service.lasts = lasts;
        pthread_cond_signal(&the_service.changed);
        pthread_mutex_unlock(&the_service.lock);
}

void service_stopping(void)
{
        send_message("STOPPING=1", 0);
}

void service_end(void)
{
        if (the_service.has_thread) {
                pthread_mutex_lock(&the_service.lock);
                the_service.ends = true;
                pthread_cond_signal(&the_service.changed);
                pthread_mutex_unlock(&the_service.lock);
                pthread_join(the_service.thread, NULL);
                pthread_cond_destroy(&the_service.changed);
                the_service.has_thread = false;
        }
        the_service.fd = fd_close(the_service.fd);
}
