/*
 * An rsync daemon that says anything: a push of a small tree to it must end, with the tree as it was, no descriptor
 * left open, and an error unless the daemon said goodbye. The first byte says how (see SETUP_*). Without SETUP_RAW the
 * daemon begins well, hears the lists, and then says the rest of the input, in frames of its own or, with SETUP_STREAM,
 * as data; with it the second byte says how much of the rest comes before the lists were heard.
 * With SETUP_PATIENT the last bytes, which may be the goodbye, come when all before was answered.
 */
#include "base/err.h"
#include "base/report.h"
#include "transfer/filter/filter.h"
#include "transfer/rsync/rsync_hello.h"
#include "transfer/rsync/rsync_mux.h"
#include "transfer/rsync/rsync_push.h"
#include "transfer/source.h"
#include "tree.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define TREE "/tmp/rsync-system-backup-fuzz-rsync-push"

enum {
        SETUP_RAW = 1,
        SETUP_STREAM = 2,
        SETUP_INCREMENTAL = 4,
        SETUP_COMPRESS = 8,
        SETUP_DRY_RUN = 16,
        SETUP_PROTOCOL = 32, /* times 0 to 2 below the latest */
        SETUP_PATIENT = 128,
        SETUPS = 256,
        LAST_SIZE = 5, /* a frame of one byte */
        LARGE = 40000,
        QUIET_MS = 20,
};

struct peer {
        int fd;
        const uint8_t *data;
        size_t size, early; /* so much of it comes at once */
        size_t awaited;     /* bytes that are heard before the rest; 0: until it is quiet */
        size_t heard;
        bool is_patient, only_listens;
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t awaited[SETUPS];
static int tree_fd;

static void must(bool is_so)
{
        if (!is_so)
                abort();
}

/* ---- the tree: the same each time, and left there, since fuzzers run side by side ---- */

static void make_file(const char *path, size_t size)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        static char bytes[LARGE];

        for (size_t i = 0; i < size; i++)
                bytes[i] = (char)(i * i >> 3);
        must(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
        close(fd);
}

static void make_tree(void)
{
        static const char value[100];

        (void)mkdir(TREE, 0755);
        (void)mkdir(TREE "/a", 0755);
        (void)mkdir(TREE "/a/b", 0755);
        (void)mkdir(TREE "/c", 0755);
        make_file(TREE "/empty", 0);
        make_file(TREE "/large", LARGE);
        make_file(TREE "/a/small", 1000);
        (void)setxattr(TREE "/a/small", "user.one", value, sizeof(value), 0);
        (void)setxattr(TREE "/a/small", "user.two", value, sizeof(value) / 2, 0);
        (void)link(TREE "/a/small", TREE "/a/b/other");
        (void)symlink("small", TREE "/a/symlink");
}

/* ---- the daemon ---- */

/* Return false when the client has ended. */
static bool hear(struct peer *p, int wait_ms)
{
        struct pollfd poller = { .fd = p->fd, .events = POLLIN };
        static _Thread_local char bytes[65536];
        ssize_t n;

        if (poll(&poller, 1, wait_ms) <= 0)
                return false;
        n = recv(p->fd, bytes, sizeof(bytes), 0);
        p->heard += n > 0 ? (size_t)n : 0;
        return n > 0;
}

static void say(struct peer *p, size_t size)
{
        while (size > 0) {
                ssize_t n = send(p->fd, p->data, size, MSG_NOSIGNAL);

                if (n <= 0)
                        return;
                p->data += n;
                p->size -= (size_t)n;
                size -= (size_t)n;
        }
}

static void *serve(void *context)
{
        struct peer *p = context;

        say(p, p->early);
        while ((p->awaited == 0 || p->heard < p->awaited) && hear(p, p->only_listens ? 10 * QUIET_MS : QUIET_MS))
                continue;
        if (p->is_patient && p->size > LAST_SIZE) {
                say(p, p->size - LAST_SIZE);
                while (hear(p, QUIET_MS))
                        continue;
        }
        say(p, p->size);
        (void)shutdown(p->fd, SHUT_WR);
        while (hear(p, -1))
                continue;
        return NULL;
}

/* A good beginning, and what follows it. */
static void compose(struct buf *b, unsigned setup, const uint8_t *data, size_t size, size_t *ret_early)
{
        static const char *const greetings[] = { "@RSYNCD: 32.0 sha256 md5\n", "@RSYNCD: 31.0\n", "@RSYNCD: 30.0\n" };
        unsigned age = setup % SETUP_PATIENT / SETUP_PROTOCOL % ARRAY_SIZE(greetings);
        bool has_names = age == 0, is_incremental = setup & SETUP_INCREMENTAL;
        unsigned char compat = is_incremental ? 0x3f : 0x3e;
        int r = buf_puts(b, greetings[age]) | buf_puts(b, "Welcome!\n@RSYNCD: OK\n");

        if (has_names)
                r |= buf_append(b, is_incremental ? "\x81\xff" : "\x81\xfe", 2) | buf_puts(b, "\x03md5");
        else
                r |= buf_append(b, &compat, 1);
        if (has_names && setup & SETUP_COMPRESS)
                r |= buf_puts(b, "\x05zlibx");
        r |= buf_append(b, "\1\0\0\0", 4);
        *ret_early = b->size;
        if (setup & SETUP_STREAM && setup & SETUP_PATIENT && size > 1) {
                r |= rsync_mux_put_data(b, data, size - 1);
                data += size - 1;
                size = 1;
        }
        r |= setup & SETUP_STREAM ? rsync_mux_put_data(b, data, size) : buf_append(b, data, size);
        must(r == 0);
}

/* ---- the client ---- */

static int push(int fd, unsigned setup)
{
        const struct rsync_arguments arguments = { .incremental = setup & SETUP_INCREMENTAL,
                                                   .compress = setup & SETUP_COMPRESS,
                                                   .dry_run = setup & SETUP_DRY_RUN,
                                                   .delete_missing = true,
                                                   .destination = "module/" };
        const struct rsync_hello_config hello = {
                .is_daemon = true, .peer = "host::module", .module = "module", .user = "user", .arguments = &arguments
        };
        struct rsync_push_config config = {
                .in_fd = fd, .out_fd = fd, .peer = "host::module", .timeout_s = 20, .hello = &hello
        };
        struct err err = { .kind = ERR_NONE };
        struct rsync_push_result result;
        struct source *source = NULL;
        struct filter *filter = NULL;
        int r;

        must(report_new(&config.report, &(struct report_config){ .is_imagined = true }, &err) == 0 &&
             filter_new(&filter, TREE, &err) == 0);
        must(source_new(&source, &(struct source_config){ .path = TREE, .filter = filter, .report = config.report },
                        &err) == 0);
        config.source = source;
        r = rsync_push(&config, &result, &err);
        must((r < 0) == (err.kind != ERR_NONE) && r != -ETIMEDOUT && (r == 0 || *err.text));
        err_drop(&err, "that it is one is what counts");
        source_free(source);
        filter_free(filter);
        report_free(config.report);
        return r;
}

static int converse(struct peer *p, unsigned setup)
{
        pthread_t thread;
        int fds[2], r;

        must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        p->fd = fds[0];
        must(pthread_create(&thread, NULL, serve, p) == 0);
        r = push(fds[1], setup);
        close(fds[1]);
        pthread_join(thread, NULL);
        close(fds[0]);
        return r;
}

/* How much is said by one who has told all of its lists? */
static void measure(unsigned setup)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        struct peer p = { .only_listens = true };

        compose(&b, setup, NULL, 0, &p.early);
        p.data = (const uint8_t *)b.data;
        p.size = p.early;
        must(converse(&p, setup) < 0);
        awaited[setup] = p.heard;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
        (void)argc;
        (void)argv;
        if (access(TREE "/a/symlink", F_OK) != 0)
                make_tree();
        tree_fd = open(TREE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        must(tree_fd >= 0);
        return 0;
}

static int free_descriptor(void)
{
        int fd = fcntl(0, F_DUPFD_CLOEXEC, 3);

        close(fd);
        return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        struct peer p = { .heard = 0 };
        int descriptor = free_descriptor();
        uint64_t before;
        unsigned setup;

        if (size < 2)
                return 0;
        setup = data[0];
        p.is_patient = setup & SETUP_PATIENT;
        before = tree_fingerprint(tree_fd);
        if (setup & SETUP_RAW) {
                p.early = size_min(data[1], size - 2);
                p.data = data + 2;
                p.size = size - 2;
        } else {
                if (awaited[setup] == 0)
                        measure(setup);
                compose(&b, setup, data + 1, size - 1, &p.early);
                p.data = (const uint8_t *)b.data;
                p.size = b.size;
                p.awaited = awaited[setup];
        }
        (void)converse(&p, setup);
        must(before == tree_fingerprint(tree_fd) && descriptor == free_descriptor());
        return 0;
}
