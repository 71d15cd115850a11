/*
 * The order keeps agents from half a question: first the socket, then the file that names it, written under a name that
 * they do not look at; and back in reverse. What a killed process leaves is ignored by agents, since PID= is gone.
 *
 * Anybody may read the question, so that agents of desktops find it; only root and we may write to the socket, and who
 * has sent an answer is told by the kernel.
 */
#include "storage/ask.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/stop.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* One datagram of an agent: a passphrase is shorter by far, a list of them may be long. */
enum { REPLY_SIZE_MAX = 4096 };

enum { NAME_SIZE = 32 };

struct question {
        int dirfd, socket_fd;
        uint64_t deadline_us;
        struct sockaddr_un address;
        /* Of the files in the directory; "" for what is not there. */
        char socket_name[NAME_SIZE], temporary_name[NAME_SIZE], name[NAME_SIZE];
};

/* ---- the question ---- */

static int open_socket(struct question *q, const struct ask_config *config, uint64_t random)
{
        size_t room = sizeof(q->address.sun_path);
        char name[NAME_SIZE];
        int on = 1;

        snprintf(name, sizeof(name), "sck.%016" PRIx64, random);
        q->address.sun_family = AF_UNIX;
        if ((size_t)snprintf(q->address.sun_path, room, "%s/%s", config->directory, name) >= room)
                return -ENAMETOOLONG;
        q->socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        /* unix(7): bind() makes the file with the mode of the socket, so there is no moment with another one. */
        if (q->socket_fd < 0 || setsockopt(q->socket_fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
            fchmod(q->socket_fd, 0600) < 0 ||
            bind(q->socket_fd, (const struct sockaddr *)&q->address, sizeof(q->address)) < 0)
                return -errno;
        memcpy(q->socket_name, name, sizeof(name));
        return 0;
}

/* A line break would let a value become a key, a backslash at its end would take the next line in. */
static bool is_harmful(const char *c)
{
        return (unsigned char)*c < 0x20 || (*c == '\\' && c[1] == '\0');
}

static int put_line(struct buf *text, const char *key, const char *value)
{
        int r = buf_printf(text, "%s=", key);

        for (; *value && r == 0; value++)
                r = is_harmful(value) ? buf_putc(text, '?') : buf_putc(text, *value);
        return r < 0 ? r : buf_putc(text, '\n');
}

static int compose(struct buf *text, const struct question *q, const struct ask_config *config)
{
        int r = buf_printf(text, "[Ask]\nPID=%d\nSocket=%s\nAcceptCached=0\nEcho=0\nNotAfter=%" PRIu64 "\n",
                           (int)getpid(), q->address.sun_path, q->deadline_us);

        if (r == 0)
                r = put_line(text, "Message", config->message);
        if (r == 0)
                r = buf_puts(text, "Icon=drive-harddisk\n");
        return r < 0 ? r : put_line(text, "Id", config->id);
}

static int write_question(struct question *q, const struct ask_config *config, uint64_t random)
{
        _cleanup_(buf_deinit) struct buf text = { .data = NULL };
        _cleanup_(fd_closep) int fd = -1;
        char name[NAME_SIZE];
        int r = compose(&text, q, config);

        if (r < 0)
                return r;
        snprintf(name, sizeof(name), "tmp.%016" PRIx64, random);
        fd = openat(q->dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        memcpy(q->temporary_name, name, sizeof(name));
        r = fd_write_full(fd, text.data, text.size);
        if (r < 0)
                return r;
        snprintf(name, sizeof(name), "ask.%016" PRIx64, random);
        if (fchmod(fd, 0644) < 0 || renameat(q->dirfd, q->temporary_name, q->dirfd, name) < 0)
                return -errno;
        memcpy(q->name, name, sizeof(name));
        q->temporary_name[0] = '\0';
        return 0;
}

static void withdraw(struct question *q)
{
        const char *const names[] = { q->name, q->temporary_name, q->socket_name };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (names[i][0])
                        (void)unlinkat(q->dirfd, names[i], 0);
        }
        q->socket_fd = fd_close(q->socket_fd);
        q->dirfd = fd_close(q->dirfd);
}

/* Return 0, ASK_NO_AGENTS, or a negative errno with @err filled. */
static int put_question(struct question *q, const struct ask_config *config, struct err *err)
{
        uint64_t random = 0;
        int r;

        q->dirfd = open(config->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (q->dirfd < 0)
                return errno == ENOENT ? ASK_NO_AGENTS : err_run(err, -errno, "open directory", config->directory);
        (void)getrandom(&random, sizeof(random), 0);
        q->deadline_us = stop_deadline_us(config->timeout_s);
        r = open_socket(q, config, random);
        if (r == 0)
                r = write_question(q, config, random);
        return r < 0 ? err_run(err, r, "ask for a passphrase in", config->directory) : 0;
}

/* ---- the answer ---- */

int ask_parse_reply(const char *data, size_t size, const char **ret_passphrase, size_t *ret_size)
{
        if (size == 0)
                return -EBADMSG;
        if (data[0] == '-')
                return ASK_CANCELLED;
        if (data[0] != '+')
                return -EBADMSG;
        *ret_passphrase = data + 1;
        *ret_size = strnlen(data + 1, size - 1);
        return ASK_ANSWERED;
}

/* Was it sent by root or by ourselves? The kernel says so, or nobody does. */
static bool is_trusted(struct msghdr *message)
{
        const struct cmsghdr *control = CMSG_FIRSTHDR(message);
        struct ucred sender;

        if (!control || control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_CREDENTIALS ||
            control->cmsg_len != CMSG_LEN(sizeof(sender)))
                return false;
        memcpy(&sender, CMSG_DATA(control), sizeof(sender));
        return sender.uid == 0 || sender.uid == geteuid();
}

/* Return the outcome, which is the caller's to deal with; or -EAGAIN when this was no answer. */
static int judge(struct msghdr *message, size_t size, struct secret *answer)
{
        const char *passphrase;
        size_t passphrase_size;
        int r;

        if (!is_trusted(message)) {
                log_warning("an answer to the question for a passphrase was not from root: ignored");
                return -EAGAIN;
        }
        if (message->msg_flags & MSG_TRUNC) {
                log_warning("an answer to the question for a passphrase was too long: ignored");
                return -EAGAIN;
        }
        r = ask_parse_reply(answer->data, size, &passphrase, &passphrase_size);
        if (r < 0) {
                log_warning("an answer to the question for a passphrase was not understood: ignored");
                return -EAGAIN;
        }
        if (r == ASK_ANSWERED)
                secret_keep(answer, (size_t)(passphrase - answer->data), passphrase_size);
        return r;
}

/* Take one datagram. No room for more than the sender: descriptors that he may have attached are dropped. */
static int receive(int socket_fd, struct secret *answer)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(struct ucred))];
        } control;
        struct iovec place = { .iov_base = answer->data, .iov_len = answer->capacity };
        struct msghdr message = {
                .msg_iov = &place, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
        };
        ssize_t size = recvmsg(socket_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

        if (size < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        return judge(&message, (size_t)size, answer);
}

static int wait_for_answer(struct question *q, struct secret *answer, struct err *err)
{
        for (;;) {
                int r = stop_wait(q->socket_fd, q->deadline_us, err);

                if (r != STOP_WAIT_READY)
                        return r == STOP_WAIT_TIMED_OUT ? ASK_TIMED_OUT : r;
                r = receive(q->socket_fd, answer);
                if (r >= 0)
                        return r;
                if (r != -EAGAIN)
                        return err_run(err, r, "receive a passphrase", NULL);
        }
}

int ask_agents(struct secret *ret, const struct ask_config *config, struct err *err)
{
        _cleanup_(withdraw) struct question q = { .dirfd = -1, .socket_fd = -1 };
        _cleanup_(secret_deinit) struct secret answer = { .data = NULL };
        int r = put_question(&q, config, err);

        if (r != 0)
                return r;
        if (secret_init(&answer, REPLY_SIZE_MAX) < 0)
                return err_oom(err);
        r = wait_for_answer(&q, &answer, err);
        if (r == ASK_ANSWERED) {
                *ret = answer;
                answer = (struct secret){ .data = NULL };
        }
        return r;
}
