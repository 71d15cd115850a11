/*
 * A receiver that asks for anything: the sender of a small tree must end, and without having read beyond what came or
 * lost memory. The first byte says after how many messages of the sender it begins to ask; then come messages: a byte
 * of type, two of size, the payload.
 */
#include "base/err.h"
#include "base/report.h"
#include "transfer/exchange/channel.h"
#include "transfer/exchange/message.h"
#include "transfer/exchange/sender.h"
#include "transfer/filter/filter.h"
#include "transfer/limits.h"
#include "transfer/source.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define TREE "/tmp/rsync-system-backup-fuzz-sender"

enum { LARGE = 300000 };

static struct limits limits;

struct peer {
        int fd;
        const uint8_t *data;
        size_t size;
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void make_file(const char *path, size_t size)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        static char bytes[LARGE];

        for (size_t i = 0; i < size; i++)
                bytes[i] = (char)(i * i >> 3);
        if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
                abort();
        close(fd);
}

static void make_tree(void)
{
        (void)mkdir(TREE, 0755);
        (void)mkdir(TREE "/a", 0755);
        (void)mkdir(TREE "/a/b", 0755);
        (void)mkdir(TREE "/a/c", 0755);
        make_file(TREE "/empty", 0);
        make_file(TREE "/large", LARGE);
        make_file(TREE "/a/small", 1000);
        (void)link(TREE "/a/small", TREE "/a/b/other");
        (void)symlink("small", TREE "/a/symlink");
}

/* The same each time, and left there: fuzzers run side by side. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
        struct err err = { .kind = ERR_NONE };
        int fd;

        (void)argc;
        (void)argv;
        if (access(TREE "/a/symlink", F_OK) != 0)
                make_tree();
        fd = open(TREE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || limits_probe(&limits, fd, true, true, &err) < 0)
                abort();
        close(fd);
        return 0;
}

static struct channel *new_channel(int fd)
{
        const struct channel_config config = {
                .in_fd = fd, .out_fd = fd, .peer = "peer", .timeout_s = 10, .wire = { .program = "1" }
        };
        struct err err = { .kind = ERR_NONE };
        struct channel *c;

        if (channel_new(&c, &config, &err) < 0)
                abort();
        return c;
}

static void put_messages(struct channel *c, const uint8_t *data, size_t size)
{
        struct err err = { .kind = ERR_NONE };

        while (size >= 3) {
                size_t n = size_min(data[1] | (size_t)data[2] << 8, size - 3);

                if (buf_append(wire_begin(channel_wire(c), data[0]), data + 3, n) < 0 ||
                    wire_end(channel_wire(c), &err) < 0)
                        abort();
                data += 3 + n;
                size -= 3 + n;
        }
        (void)channel_send(c, true, &err);
        err_drop(&err, "the sender may have ended");
}

static void *receive(void *context)
{
        struct peer *p = context;
        struct channel *c = new_channel(p->fd);
        struct err err = { .kind = ERR_NONE };
        struct wire_message m = { .type = 0 };

        for (unsigned left = p->data[0]; left > 0 && m.type != MESSAGE_END; left--) {
                if (channel_receive(c, &m, true, &err) != 1)
                        break;
        }
        put_messages(c, p->data + 1, p->size - 1);
        (void)shutdown(p->fd, SHUT_WR);
        while (err.kind == ERR_NONE && channel_receive(c, &m, true, &err) == 1)
                continue;
        err_drop(&err, "the sender has ended");
        channel_free(c);
        return NULL;
}

static int on_other(void *context, const struct wire_message *m, struct err *err)
{
        (void)context;
        return m->type == MESSAGE_OK ? SENDER_END : err_runf(err, -EPROTO, "a message of type %u", m->type);
}

static void run(int fd, bool has_reference)
{
        struct sender_config config = { .limits = &limits,
                                        .has_reference = has_reference,
                                        .reference = { .tv_sec = INT32_MAX },
                                        .other = on_other };
        struct err err = { .kind = ERR_NONE };
        struct source *source;
        struct filter *filter;

        config.channel = new_channel(fd);
        if (report_new(&config.report, &(struct report_config){ .is_imagined = true }, &err) < 0 ||
            filter_new(&filter, TREE, &err) < 0 ||
            source_new(&source, &(struct source_config){ .path = TREE, .filter = filter, .report = config.report },
                       &err) < 0)
                abort();
        config.source = source;
        if ((sender_run(&config, &err) < 0) != (err.kind != ERR_NONE))
                abort();
        err_drop(&err, "that it is one is what counts");
        source_free(source);
        filter_free(filter);
        report_free(config.report);
        channel_free(config.channel);
        close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct peer peer = { .data = data, .size = size };
        pthread_t thread;
        int fds[2];

        if (size < 1)
                return 0;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                abort();
        peer.fd = fds[0];
        if (pthread_create(&thread, NULL, receive, &peer) != 0)
                abort();
        run(fds[1], data[0] & 1);
        pthread_join(thread, NULL);
        close(fds[0]);
        return 0;
}
