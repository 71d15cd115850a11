/*
 *      command's stdout, stderr -> [libssh's buffers] -> down -> near ==socketpair== caller
 *      command's stdin          <- [libssh's output]  <-  up  <- near
 *
 * One loop does what can be done without waiting, both ways, and then waits for any of its descriptors. What it has
 * learned of libssh 0.10 the hard way:
 *
 *  - Only a read with a large count makes the window large; but every read also makes it larger again when it has
 * become small, whether or not anybody takes the bytes. So nothing is read, standard error neither, while `down` is
 * full.
 *  - A write when the window is empty waits inside libssh.
 *  - The socket is set to blocking when the connection is established.
 *  - ssh_send_keepalive() does not wait in a session that does not block, and sends nothing while an answer is due; one
 *    more call takes notice of an answer. Whether there was one is told by the count of bytes that arrived: any call of
 *    libssh may read them.
 */
#include "transfer/ssh/ssh_bridge.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/stop.h"

#include <fcntl.h>
#include <libssh/callbacks.h>
#include <libssh/server.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>

enum {
        WINDOW_SIZE = 8 * 1024 * 1024,
        DOWN_SIZE = WINDOW_SIZE,
        UP_SIZE = 1024 * 1024,
        NEAR_SIZE = 1024 * 1024,     /* what the socketpair holds, where that is permitted (net.core.wmem_max) */
        PIECE_SIZE = 256 * 1024,     /* carried in one direction before the other one has its turn */
        PACKETS_AT_ONCE = 64,        /* reads of libssh from its socket, 4 KiB each */
        HOARD_MAX = 4 * WINDOW_SIZE, /* in libssh's buffers; only a server that ignores the window gets there */
        LINE_MAX_SIZE = 1024,
};

struct queue {
        char *data;
        size_t start, end, capacity;
};

struct ssh_bridge {
        struct ssh_bridge_config config;
        struct ssh_channel_callbacks_struct callbacks;
        ssh_event event;
        pthread_t thread;
        bool is_joined;
        int near;               /* -1 when it is closed */
        int wake, ended;        /* eventfd: the thread is to end; has ended */
        atomic_bool is_to_stop; /* set before `wake` */

        struct queue up, down;
        bool near_ended, near_gone; /* the caller writes no more; has closed */
        bool told_end, passed_end;  /* ... we told the server; the server's end was passed to the caller */
        bool is_lost;
        size_t taken;                        /* bytes since the window was made large */
        struct ssh_counter_struct counts[2]; /* libssh's: bytes of the socket, and of what is in its packets */
        uint64_t heard_bytes;                /* how many had arrived when that was looked at last */
        uint64_t heard_ms;                   /* when the server last said something */
        uint64_t asked_ms;                   /* when it was last asked to, 0 when it has answered */
        char line[LINE_MAX_SIZE];
        size_t line_size, head_size;
        struct ssh_bridge_end end;
};

/* ---- queues ---- */

static size_t queue_size(const struct queue *q)
{
        return q->end - q->start;
}

static size_t queue_room(const struct queue *q)
{
        return q->capacity - q->end;
}

/* Make room at the end, cheaply: only what is left of the front is moved, when it is little. */
static void queue_tidy(struct queue *q)
{
        if (q->start == q->end) {
                q->start = q->end = 0;
        } else if (q->start >= q->capacity / 2) {
                memmove(q->data, q->data + q->start, queue_size(q));
                q->end -= q->start;
                q->start = 0;
        }
}

/* ---- the end ---- */

static uint64_t now_ms(void)
{
        struct timespec now = { .tv_sec = 0 };

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void lose(struct ssh_bridge *b, const char *why)
{
        if (b->is_lost)
                return;
        b->is_lost = true;
        path_show(NULL, why && *why ? why : "the connection was closed", b->end.why, sizeof(b->end.why));
}

static void lose_by_library(struct ssh_bridge *b)
{
        lose(b, ssh_get_error(b->config.session));
}

static void note_status(ssh_session session, ssh_channel channel, int status, void *context)
{
        struct ssh_bridge *b = context;

        (void)session;
        (void)channel;
        b->end.status = status;
}

static void note_signal(ssh_session session, ssh_channel channel, const char *signal, int core, const char *message,
                        const char *language, void *context)
{
        struct ssh_bridge *b = context;

        (void)session;
        (void)channel;
        (void)core;
        (void)message;
        (void)language;
        path_show(NULL, signal, b->end.signal, sizeof(b->end.signal));
}

/* ---- standard error ---- */

/* Keep the last lines: the oldest go when there is no room. */
static void keep_line(struct ssh_bridge *b, const char *line)
{
        size_t size = strlen(b->end.said), more = strlen(line);

        if (more + 2 > sizeof(b->end.said)) {
                line += more + 2 - sizeof(b->end.said);
                more = sizeof(b->end.said) - 2;
        }
        while (size > 0 && size + more + 2 > sizeof(b->end.said)) {
                const char *newline = memchr(b->end.said, '\n', size);
                size_t gone = newline ? (size_t)(newline - b->end.said) + 1 : size;

                memmove(b->end.said, b->end.said + gone, size - gone + 1);
                size -= gone;
        }
        snprintf(b->end.said + size, sizeof(b->end.said) - size, "%s%s", size > 0 ? "\n" : "", line);
}

static void finish_line(struct ssh_bridge *b)
{
        b->line[b->line_size] = '\0';
        if (b->line_size > 0 && b->line[b->line_size - 1] == '\r')
                b->line[b->line_size - 1] = '\0';
        b->line_size = 0;
        if (!*b->line)
                return;
        if (!*b->end.first)
                path_show(NULL, b->line, b->end.first, sizeof(b->end.first));
        keep_line(b, b->line);
        if (b->config.hear)
                b->config.hear(b->config.context, b->line);
}

/* A line that is too long comes in pieces. */
static void hear_bytes(struct ssh_bridge *b, const char *data, size_t size)
{
        for (size_t i = 0; i < size; i++) {
                if (data[i] == '\n' || b->line_size == sizeof(b->line) - 1)
                        finish_line(b);
                if (data[i] != '\n' && data[i] != '\0')
                        b->line[b->line_size++] = data[i];
        }
}

static bool read_stderr(struct ssh_bridge *b)
{
        char piece[4096];
        int n;

        if (queue_room(&b->down) == 0 || ssh_channel_poll(b->config.channel, 1) <= 0)
                return false;
        n = ssh_channel_read_timeout(b->config.channel, piece, sizeof(piece), 1, 0);
        if (n > 0)
                hear_bytes(b, piece, (size_t)n);
        return n > 0;
}

/* ---- from the channel to the caller ---- */

static void note_head(struct ssh_bridge *b, const char *data, size_t size)
{
        size_t more = size_min(size, sizeof(b->end.head) - 1 - b->head_size);

        memcpy(b->end.head + b->head_size, data, more);
        b->head_size += more;
}

/* How much to ask for: all of the window when half of it is used, else so little that it stays as it is. */
static size_t count_to_read(const struct ssh_bridge *b)
{
        if (b->taken >= WINDOW_SIZE / 2 && queue_room(&b->down) == DOWN_SIZE)
                return WINDOW_SIZE;
        return size_min(queue_room(&b->down), PIECE_SIZE);
}

static bool read_channel(struct ssh_bridge *b)
{
        size_t count = count_to_read(b);
        char *at = b->down.data + b->down.end;
        int n;

        if (count == 0 || ssh_channel_is_eof(b->config.channel))
                return false;
        n = ssh_channel_read_timeout(b->config.channel, at, (uint32_t)count, 0, 0);
        if (n == SSH_ERROR && !ssh_channel_is_closed(b->config.channel))
                lose_by_library(b);
        if (n <= 0)
                return false;
        b->taken = count == WINDOW_SIZE ? (size_t)n : b->taken + (size_t)n;
        note_head(b, at, (size_t)n);
        b->down.end += (size_t)n;
        return true;
}

static void drop_near(struct ssh_bridge *b)
{
        b->near_gone = b->near_ended = true;
        b->down.start = b->down.end = 0;
}

static bool write_near(struct ssh_bridge *b)
{
        ssize_t n;

        if (b->near_gone)
                b->down.start = b->down.end = 0;
        if (queue_size(&b->down) == 0)
                return false;
        n = send(b->near, b->down.data + b->down.start, queue_size(&b->down), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
                drop_near(b);
        if (n <= 0)
                return false;
        b->down.start += (size_t)n;
        queue_tidy(&b->down);
        return true;
}

/* Nothing more will come from the server. */
static bool is_at_end(const struct ssh_bridge *b)
{
        return b->is_lost || ssh_channel_is_eof(b->config.channel) || ssh_channel_is_closed(b->config.channel);
}

static void pass_end(struct ssh_bridge *b)
{
        if (b->passed_end || !is_at_end(b) || queue_size(&b->down) > 0)
                return;
        b->passed_end = true;
        (void)shutdown(b->near, SHUT_WR);
}

/* ---- from the caller to the channel ---- */

static bool read_near(struct ssh_bridge *b)
{
        size_t room = queue_room(&b->up);
        ssize_t n;

        if (b->near_ended || room == 0)
                return false;
        n = recv(b->near, b->up.data + b->up.end, size_min(room, PIECE_SIZE), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                b->near_ended = true;
        if (n <= 0)
                return false;
        b->up.end += (size_t)n;
        return true;
}

static bool write_channel(struct ssh_bridge *b)
{
        size_t size = size_min(queue_size(&b->up), PIECE_SIZE);
        int n;

        size = size_min(size, ssh_channel_window_size(b->config.channel));
        if (size == 0)
                return false;
        n = ssh_channel_write(b->config.channel, b->up.data + b->up.start, (uint32_t)size);
        if (n < 0) {
                if (!ssh_is_connected(b->config.session))
                        lose_by_library(b);
                /* The command has closed its input: nobody wants the rest. */
                b->up.start = b->up.end = 0;
                b->near_ended = true;
                (void)shutdown(b->near, SHUT_RD);
                return false;
        }
        b->up.start += (size_t)n;
        queue_tidy(&b->up);
        return n > 0;
}

static void tell_end(struct ssh_bridge *b)
{
        if (b->told_end || !b->near_ended || queue_size(&b->up) > 0)
                return;
        b->told_end = true;
        if (ssh_channel_send_eof(b->config.channel) == SSH_ERROR && !ssh_is_connected(b->config.session))
                lose_by_library(b);
}

/* ---- the loop ---- */

/* Let libssh take what has arrived and send what is left over. */
static void handle_packets(struct ssh_bridge *b)
{
        for (int i = 0; i < PACKETS_AT_ONCE && !b->is_lost; i++) {
                int r = ssh_event_dopoll(b->event, 0);

                if (r == SSH_ERROR)
                        lose_by_library(b);
                if (r != SSH_OK)
                        return;
        }
        if (ssh_channel_poll(b->config.channel, 0) > HOARD_MAX)
                lose(b, "the server sends more than it may");
}

/* As much as can be done without waiting. Return whether anything was. */
static bool carry(struct ssh_bridge *b)
{
        bool has_done = false;

        if (!b->is_lost) {
                has_done |= read_channel(b);
                has_done |= read_stderr(b);
                has_done |= read_near(b);
                has_done |= write_channel(b);
                tell_end(b);
        }
        has_done |= write_near(b);
        pass_end(b);
        return has_done;
}

/* Nothing is left to do: all is passed on, and either there is no connection or the channel is closed on both sides. */
static bool is_over(const struct ssh_bridge *b)
{
        if (atomic_load(&b->is_to_stop))
                return true;
        return b->passed_end && (b->is_lost || ssh_channel_is_closed(b->config.channel));
}

/* Ask for a word when there was none for a while. Return how long to wait for it, in milliseconds. */
static int watch_over(struct ssh_bridge *b)
{
        uint64_t now = now_ms(), grace = b->config.dead_after_ms - b->config.alive_interval_ms, due;
        char why[64];

        if (b->counts[0].in_bytes != b->heard_bytes) {
                b->heard_bytes = b->counts[0].in_bytes;
                b->heard_ms = now;
                b->asked_ms = 0;
        }
        if (b->config.alive_interval_ms == 0 || b->is_lost)
                return -1;
        due = b->asked_ms ? b->asked_ms + grace : b->heard_ms + b->config.alive_interval_ms;
        if (now < due)
                return (int)(due - now);
        if (b->asked_ms) {
                snprintf(why, sizeof(why), "the server has not answered for %u s", b->config.dead_after_ms / 1000);
                lose(b, why);
                return 0;
        }
        (void)ssh_send_keepalive(b->config.session);
        (void)ssh_send_keepalive(b->config.session);
        b->asked_ms = now;
        return (int)grace;
}

static short near_events(const struct ssh_bridge *b)
{
        short events = 0;

        if (b->near_gone)
                return 0;
        if (!b->near_ended && queue_room(&b->up) > 0)
                events |= POLLIN;
        if (queue_size(&b->down) > 0)
                events |= POLLOUT;
        return events;
}

/* A socketpair whose other end is closed is ready for everything, always: it is only watched where that helps. */
static void wait_for_any(struct ssh_bridge *b, bool may_wait)
{
        short events = near_events(b), writes = 0;
        int timeout = watch_over(b);
        struct pollfd watched[] = { { .fd = b->is_lost ? -1 : b->config.fd, .events = POLLIN },
                                    { .fd = events ? b->near : -1, .events = events },
                                    { .fd = b->wake, .events = POLLIN } };

        if (!b->is_lost && ssh_get_poll_flags(b->config.session) & SSH_WRITE_PENDING)
                writes = POLLOUT;
        watched[0].events = (short)(watched[0].events | writes);
        if (poll(watched, ARRAY_SIZE(watched), may_wait ? timeout : 0) < 0)
                return;
        if (watched[0].revents)
                handle_packets(b);
}

static void *pump(void *context)
{
        struct ssh_bridge *b = context;
        uint64_t one = 1;

        while (!is_over(b)) {
                bool has_done = carry(b);

                /* What was done may be all there is. */
                if (!is_over(b))
                        wait_for_any(b, !has_done);
        }
        if (b->line_size > 0)
                finish_line(b);
        (void)shutdown(b->near, SHUT_RDWR);
        (void)!write(b->ended, &one, sizeof(one));
        return NULL;
}

/* ---- starting and stopping ---- */

static struct ssh_bridge *bridge_free(struct ssh_bridge *b)
{
        if (!b)
                return NULL;
        if (b->event)
                ssh_event_free(b->event);
        ssh_set_counters(b->config.session, NULL, NULL);
        fd_close(b->near);
        fd_close(b->wake);
        fd_close(b->ended);
        free(b->up.data);
        free(b->down.data);
        free(b);
        return NULL;
}
DEFINE_FREEP(struct ssh_bridge, bridge_free)

static int queue_init(struct queue *q, size_t capacity)
{
        q->capacity = capacity;
        q->data = malloc(capacity);
        return q->data ? 0 : -ENOMEM;
}

static int open_descriptors(struct ssh_bridge *b, int *ret_far, struct err *err)
{
        int ends[2], room = NEAR_SIZE;

        b->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        b->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (b->wake < 0 || b->ended < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
                return err_run(err, -errno, "open a pair of sockets", NULL);
        b->near = ends[0];
        *ret_far = ends[1];
        (void)setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
        (void)setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
        return 0;
}

static int listen_to_library(struct ssh_bridge *b, struct err *err)
{
        b->callbacks.userdata = b;
        b->callbacks.channel_exit_status_function = note_status;
        b->callbacks.channel_exit_signal_function = note_signal;
        ssh_callbacks_init(&b->callbacks);
        b->event = ssh_event_new();
        if (!b->event || ssh_event_add_session(b->event, b->config.session) != SSH_OK ||
            ssh_add_channel_callbacks(b->config.channel, &b->callbacks) != SSH_OK)
                return err_oom(err);
        ssh_set_counters(b->config.session, &b->counts[0], &b->counts[1]);
        (void)fcntl(b->config.fd, F_SETFL, O_NONBLOCK);
        return 0;
}

/* Signals are for the main thread. */
static int start_thread(struct ssh_bridge *b)
{
        sigset_t all, before;
        int r;

        sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        r = -pthread_create(&b->thread, NULL, pump, b);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        return r;
}

int ssh_bridge_start(struct ssh_bridge **ret, const struct ssh_bridge_config *config, int *ret_fd, struct err *err)
{
        _cleanup_(bridge_freep) struct ssh_bridge *b = calloc(1, sizeof(*b));
        _cleanup_(fd_closep) int far = -1;
        int r;

        if (!b)
                return err_oom(err);
        b->config = *config;
        b->near = b->wake = b->ended = -1;
        b->end.status = -1;
        b->taken = WINDOW_SIZE;
        b->heard_ms = now_ms();
        if (queue_init(&b->up, UP_SIZE) < 0 || queue_init(&b->down, DOWN_SIZE) < 0)
                return err_oom(err);
        r = open_descriptors(b, &far, err);
        if (r == 0)
                r = listen_to_library(b, err);
        if (r < 0)
                return r;
        r = start_thread(b);
        if (r < 0) {
                (void)ssh_remove_channel_callbacks(b->config.channel, &b->callbacks);
                return err_run(err, r, "start a thread", NULL);
        }
        *ret_fd = TAKE_FD(far);
        *ret = TAKE(b);
        return 0;
}

static void join(struct ssh_bridge *b)
{
        if (!b->is_joined)
                (void)pthread_join(b->thread, NULL);
        b->is_joined = true;
}

int ssh_bridge_wait(struct ssh_bridge *b, unsigned timeout_s, struct ssh_bridge_end *ret, struct err *err)
{
        int r = stop_wait_for(b->ended, POLLIN, stop_deadline_us(timeout_s), err);

        if (r < 0)
                return r;
        if (r == STOP_WAIT_TIMED_OUT)
                return SSH_BRIDGE_STILL_RUNNING;
        join(b);
        *ret = b->end;
        return 0;
}

struct ssh_bridge *ssh_bridge_stop(struct ssh_bridge *b)
{
        uint64_t one = 1;

        if (!b)
                return NULL;
        atomic_store(&b->is_to_stop, true);
        (void)!write(b->wake, &one, sizeof(one));
        join(b);
        (void)ssh_remove_channel_callbacks(b->config.channel, &b->callbacks);
        return bridge_free(b);
}
