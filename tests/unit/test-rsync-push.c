/* The phases of a push, with a server that a test plays: what is asked for again, does not come, or comes too early. */
#include "base/err.h"
#include "base/report.h"
#include "scratch.h"
#include "transfer/filter/filter.h"
#include "transfer/rsync/rsync_hello.h"
#include "transfer/rsync/rsync_mux.h"
#include "transfer/rsync/rsync_number.h"
#include "transfer/rsync/rsync_push.h"
#include "transfer/rsync/rsync_talk.h"
#include "transfer/source.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

enum { QUIET_MS = 150, ROOT = 0, FILE_NUMBER = 1, TRANSFER = 0x8000, TIME = 0x0008, IO_VANISHED = 2, DIGEST_SIZE = 16 };

static const char content[] = "hello";

/* ---- the client ---- */

struct client {
        pthread_t thread;
        int fd;
        char path[300];
        struct rsync_push_result result;
        struct err err;
        int code;
        uint64_t vanished;
};

static void *run_client(void *context)
{
        struct client *c = context;
        const struct rsync_arguments arguments = { .delete_missing = true, .destination = "module/" };
        const struct rsync_hello_config hello = {
                .is_daemon = true, .peer = "host::module", .module = "module", .user = "user", .arguments = &arguments
        };
        struct rsync_push_config config = {
                .in_fd = c->fd, .out_fd = c->fd, .peer = "host::module", .timeout_s = 20, .hello = &hello
        };
        struct source *source = NULL;
        struct filter *filter = NULL;

        if (report_new(&config.report, &(struct report_config){ .is_imagined = true }, &c->err) < 0 ||
            filter_new(&filter, c->path, &c->err) < 0 ||
            source_new(&source, &(struct source_config){ .path = c->path, .filter = filter, .report = config.report },
                       &c->err) < 0)
                abort();
        config.source = source;
        c->code = rsync_push(&config, &c->result, &c->err);
        c->vanished = report_vanished_count(config.report);
        source_free(source);
        filter_free(filter);
        report_free(config.report);
        close(c->fd);
        return NULL;
}

/* ---- the server ---- */

struct server {
        struct client client;
        int fd, tree_fd;
        struct rsync_mux mux;
        struct rsync_index index;
        enum rsync_code last_code; /* of the messages that came */
        int32_t last_number;
        size_t before_message; /* bytes of data that came before it */
        unsigned messages;
};

static int hear_message(void *context, enum rsync_code code, const void *data, size_t size, struct err *err)
{
        struct server *s = context;
        struct rsync_reader r = rsync_read_begin(data, size);

        (void)err;
        s->messages++;
        s->last_code = code;
        s->last_number = size >= 4 ? rsync_get_int(&r) : 0;
        (void)rsync_mux_data(&s->mux, &s->before_message);
        return 0;
}

/* What the client says until it is silent for a while; how many bytes of data there are. */
static size_t hear(struct server *s)
{
        struct pollfd poller = { .fd = s->fd, .events = POLLIN };
        struct err err = { .kind = ERR_NONE };
        char bytes[65536];
        size_t size;
        ssize_t n = 1;

        while (n > 0 && poll(&poller, 1, QUIET_MS) > 0) {
                n = recv(s->fd, bytes, sizeof(bytes), 0);
                if (n > 0)
                        ck_assert_int_eq(rsync_mux_feed(&s->mux, bytes, (size_t)n, &err), 0);
        }
        (void)rsync_mux_data(&s->mux, &size);
        return size;
}

static void forget(struct server *s)
{
        rsync_mux_used(&s->mux, hear(s));
}

static void say_raw(const struct server *s, const void *data, size_t size)
{
        ck_assert_int_eq(send(s->fd, data, size, MSG_NOSIGNAL), (ssize_t)size);
}

static void say(const struct server *s, struct buf *b)
{
        _cleanup_(buf_deinit) struct buf frames = { .data = NULL };

        ck_assert_int_eq(rsync_mux_put_data(&frames, b->data, b->size), 0);
        say_raw(s, frames.data, frames.size);
        buf_deinit(b);
        *b = (struct buf){ .data = NULL };
}

static void say_dones(const struct server *s, unsigned count)
{
        struct buf b = { .data = NULL };

        while (count-- > 0)
                ck_assert_int_eq(rsync_put_byte(&b, 0), 0);
        say(s, &b);
}

/* One that is answered with a message alone leaves the client's indices as they were. */
static void ask(struct server *s, int32_t number, unsigned flags, uint32_t count, uint32_t strong_size)
{
        struct buf b = { .data = NULL };
        int r = rsync_put_index(&b, &s->index, number) | rsync_put_short(&b, (uint16_t)flags);

        if (flags & TRANSFER) {
                r |= rsync_put_int(&b, (int32_t)count) | rsync_put_int(&b, count > 0 ? 700 : 0);
                r |= rsync_put_int(&b, (int32_t)strong_size) | rsync_put_int(&b, 0);
        }
        for (uint32_t i = 0; i < count * (4 + strong_size); i++)
                r |= rsync_put_byte(&b, (uint8_t)i);
        ck_assert_int_eq(r, 0);
        say(s, &b);
}

/* What was sent of the file: its index in so many bytes, flags, the head of the sums, content and digest. */
static size_t answer_size(size_t index_size)
{
        return index_size + 2 + 16 + 4 + strlen(content) + 4 + DIGEST_SIZE;
}

/* Until the list was heard. */
static void begin(struct server *s, int protocol)
{
        static const char end_of_arguments[2];
        int fds[2];
        char bytes[1000], greeting[100];
        size_t size = 0;

        *s = (struct server){ .mux.hear = hear_message, .mux.context = s, .index = RSYNC_INDEX_FRESH };
        s->tree_fd = scratch_directory();
        snprintf(s->client.path, sizeof(s->client.path), "/proc/self/fd/%d/tree", s->tree_fd);
        close(scratch_subdirectory(s->tree_fd, "tree"));
        scratch_file(s->tree_fd, "tree/file", content, strlen(content));
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        s->fd = fds[0];
        s->client.fd = fds[1];
        ck_assert_int_eq(pthread_create(&s->client.thread, NULL, run_client, &s->client), 0);
        /* Flags without lists of names: a single list, MD5. */
        snprintf(greeting, sizeof(greeting), "@RSYNCD: %d.0\n@RSYNCD: OK\n\x3e\x01", protocol);
        say_raw(s, greeting, strlen(greeting));
        say_raw(s, "\0\0\0", 3);
        while (!memmem(bytes, size, end_of_arguments, 2)) {
                ck_assert_uint_lt(size, sizeof(bytes));
                ck_assert_int_eq(recv(s->fd, bytes + size, 1, 0), 1);
                size++;
        }
        forget(s);
}

/* It is over: what the client came to. */
static int end(struct server *s)
{
        (void)shutdown(s->fd, SHUT_WR);
        pthread_join(s->client.thread, NULL);
        close(s->fd);
        close(s->tree_fd);
        rsync_mux_deinit(&s->mux);
        err_drop(&s->client.err, "its code tells");
        return s->client.code;
}

/* What is left when all was asked for; returns how many bytes of data came for it. */
static size_t goodbye(struct server *s)
{
        size_t size;

        say_dones(s, 4);
        size = hear(s);
        say_dones(s, 1);
        return size;
}

/* ---- cases ---- */

START_TEST(a_file_is_sent_again)
{
        struct server s;

        begin(&s, 31);
        ask(&s, FILE_NUMBER, TRANSFER, 0, 0);
        ck_assert_uint_eq(hear(&s), answer_size(1));
        forget(&s);
        say_dones(&s, 1);
        ck_assert_uint_eq(hear(&s), 1);
        forget(&s);
        /* What came was wrong: all bytes of the sums, this time. The same index takes three bytes. */
        ask(&s, FILE_NUMBER, TRANSFER, 2, 16);
        ck_assert_uint_eq(hear(&s), answer_size(3));
        forget(&s);
        say_dones(&s, 3);
        ck_assert_uint_eq(hear(&s), 3);
        say_dones(&s, 1);
        ck_assert_int_eq(end(&s), 0);
        ck_assert_uint_eq(s.client.result.literal_bytes, 2 * strlen(content));
        ck_assert(!s.client.result.is_partial);
}
END_TEST

START_TEST(no_content_is_wanted_when_it_was_sent_again)
{
        struct server s;

        begin(&s, 31);
        say_dones(&s, 2);
        /* But what is told of it is answered. */
        ask(&s, ROOT, TIME, 0, 0);
        ck_assert_uint_eq(hear(&s), 2 + 1 + 2);
        ask(&s, FILE_NUMBER, TRANSFER, 0, 0);
        ck_assert_int_eq(end(&s), -EPROTO);
}
END_TEST

START_TEST(what_has_vanished_is_told_before_the_end)
{
        struct server s;

        begin(&s, 31);
        ck_assert_int_eq(unlinkat(s.tree_fd, "tree/file", 0), 0);
        ask(&s, FILE_NUMBER, TRANSFER, 0, 0);
        ck_assert_uint_eq(hear(&s), 0);
        ck_assert_int_eq(s.last_code, RSYNC_CODE_NO_SEND);
        ck_assert_int_eq(s.last_number, FILE_NUMBER);
        ck_assert_uint_eq(goodbye(&s), 4);
        ck_assert_uint_eq(s.messages, 2);
        ck_assert_int_eq(s.last_code, RSYNC_CODE_IO_ERROR);
        ck_assert_int_eq(s.last_number, IO_VANISHED);
        ck_assert_uint_eq(s.before_message, 2);
        ck_assert_int_eq(end(&s), 0);
        ck_assert_uint_eq(s.client.vanished, 1);
        ck_assert(!s.client.result.is_partial);
}
END_TEST

START_TEST(version_30_ends_earlier)
{
        struct server s;

        begin(&s, 30);
        ask(&s, FILE_NUMBER, TRANSFER, 0, 0);
        forget(&s);
        say_dones(&s, 3);
        ck_assert_uint_eq(hear(&s), 3);
        say_dones(&s, 1);
        ck_assert_int_eq(end(&s), 0);
        ck_assert_uint_eq(s.client.result.literal_bytes, strlen(content));
}
END_TEST

START_TEST(a_goodbye_comes_last)
{
        struct server s;

        /* Neither before all was answered, */
        begin(&s, 31);
        ask(&s, FILE_NUMBER, TRANSFER, 0, 0);
        say_dones(&s, 5);
        ck_assert_int_eq(end(&s), -EPROTO);
        /* ... nor not at all, */
        begin(&s, 31);
        say_dones(&s, 4);
        hear(&s);
        ck_assert_int_eq(end(&s), -ECONNRESET);
        /* but together with the end of the connection. */
        begin(&s, 31);
        ck_assert_uint_eq(goodbye(&s), 4);
        ck_assert_int_eq(end(&s), 0);
}
END_TEST

START_TEST(errors_of_the_server_make_it_partial)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        struct server s;

        begin(&s, 31);
        ck_assert_int_eq(rsync_mux_put_number(&b, RSYNC_CODE_IO_ERROR, 1), 0);
        say_raw(&s, b.data, b.size);
        goodbye(&s);
        ck_assert_int_eq(end(&s), 0);
        ck_assert(s.client.result.is_partial);
}
END_TEST

START_TEST(numbers_that_were_not_told_are_refused)
{
        const struct {
                int32_t number;
                unsigned flags;
        } wrong[] = { { 2, TIME }, { 2, TRANSFER }, { ROOT, TRANSFER }, { INT32_MAX, TIME } };

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                struct server s;

                begin(&s, 31);
                ask(&s, wrong[i].number, wrong[i].flags, 0, 0);
                hear(&s);
                ck_assert_int_eq(end(&s), -EPROTO);
        }
}
END_TEST

/* ---- what a server says ---- */

START_TEST(what_is_in_the_way_is_told_by_all_servers)
{
        static const struct {
                const char *words;
                int code;
                const char *hint; /* "": none */
        } said[] = {
                /* 3.0.9 */
                { "rsync: mkdir \"m/x\" (in m) failed: File exists (17)", -EEXIST, "symbolic link that leads nowhere" },
                { "rsync: mkdir \"m/x\" (in m) failed: No such file or directory (2)", -ENOENT,
                  "must be there already" },
                { "rsync: mkdir \"m/x\" (in m) failed: Permission denied (13)", -EACCES, "" },
                { "rsync: ERROR: cannot stat destination \"m/x/\" (in m): Not a directory (20)", -ENOTDIR,
                  "is a file" },
                { "rsync: change_dir \"/m/x\" (in m) failed: Not a directory (20)", -ENOTDIR, "is a file" },
                { "rsync: recv_generator: mkdir \"m/x\" (in m) failed: File exists (17)", -EIO, "" },
                /* 3.5.0 */
                { "rsync: [Receiver] mkdir \"m/x\" (in m) failed: File exists (17)", -EEXIST, "is a file" },
                { "rsync: [Receiver] mkdir \"m/x\" (in m) failed: Not a directory (20)", -ENOTDIR, "is a file" },
                { "rsync: [Receiver] mkdir \"m/x/\" failed: No such file or directory (2)", -ENOENT, "lead somewhere" },
                { "rsync: [Receiver] mkdir \"m/x/\" failed: No space left on device (28)", -ENOSPC, "disk is full" },
                { "rsync: [sender] change_dir \"m/x\" failed: Too many levels of symbolic links (40)", -ELOOP,
                  "is a file" },
                { "rsync: [sender] change_dir \"m/x\" failed: Permission denied (13)", -EACCES, "" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
                struct err err = { .kind = ERR_NONE };

                ck_assert_int_eq(rsync_talk_blame("host", said[i].words, &err), said[i].code);
                ck_assert_ptr_nonnull(strstr(err.text, said[i].words));
                ck_assert_msg(*said[i].hint ? !!strstr(err.hint, said[i].hint) : !*err.hint, "%s: %s", said[i].words,
                              err.hint);
        }
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                a_file_is_sent_again,
                no_content_is_wanted_when_it_was_sent_again,
                what_has_vanished_is_told_before_the_end,
                version_30_ends_earlier,
                a_goodbye_comes_last,
                errors_of_the_server_make_it_partial,
                numbers_that_were_not_told_are_refused,
                what_is_in_the_way_is_told_by_all_servers,
        };

        return scratch_run("rsync-push", tests, ARRAY_SIZE(tests));
}
