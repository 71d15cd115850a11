/*
 * A conversation over a socket pair whose buffers are small: both sides talk at once, one of them goes away or falls
 * silent. The other side is a process of its own.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/stop.h"
#include "scratch.h"
#include "transfer/exchange/channel.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { MESSAGES = 400, MESSAGE_SIZE = 50000, SMALL_BUFFER = 8192 };

static struct channel *new_channel(int fd, unsigned timeout_s)
{
        const struct channel_config config = {
                .in_fd = fd,
                .out_fd = fd,
                .peer = "other side",
                .timeout_s = timeout_s,
                .wire = { .program = "1", .features = WIRE_FEATURE_ZSTD, .level = 1 },
        };
        struct err err = { .kind = ERR_NONE };
        struct channel *c;

        ck_assert_int_eq(channel_new(&c, &config, &err), 0);
        return c;
}

static void make_pair(int fds[2])
{
        int size = SMALL_BUFFER;

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        for (int i = 0; i < 2; i++)
                ck_assert_int_eq(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
}

static void fill(char *data, int number)
{
        for (int i = 0; i < MESSAGE_SIZE; i++)
                data[i] = (char)(i * number * 31 >> (number % 5));
}

/* Say much, and hear as much, in whatever order it comes. Return 0, or what has failed. */
static int talk(int fd)
{
        static char data[MESSAGE_SIZE], expected[MESSAGE_SIZE];
        _cleanup_(channel_freep) struct channel *c = new_channel(fd, 60);
        struct err err = { .kind = ERR_NONE };
        struct wire_message m;
        int heard = 0;

        for (int i = 0; i < MESSAGES; i++) {
                fill(data, i);
                if (buf_append(wire_begin(channel_wire(c), (uint8_t)i), data, MESSAGE_SIZE) < 0 ||
                    wire_end(channel_wire(c), &err) < 0 || channel_send(c, false, &err) < 0)
                        return 1;
        }
        if (channel_send(c, true, &err) < 0)
                return 2;
        for (; heard < MESSAGES && channel_receive(c, &m, true, &err) == 1; heard++) {
                fill(expected, heard);
                if (m.type != (uint8_t)heard || m.size != MESSAGE_SIZE || memcmp(m.data, expected, m.size) != 0)
                        return 3;
        }
        return heard == MESSAGES ? 0 : 4;
}

START_TEST(both_sides_may_talk_at_once)
{
        int fds[2], status;
        pid_t child;

        make_pair(fds);
        child = fork();
        if (child == 0) {
                close(fds[0]);
                _exit(talk(fds[1]));
        }
        close(fds[1]);
        ck_assert_int_eq(talk(fds[0]), 0);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
        close(fds[0]);
}
END_TEST

static int failure(struct channel *c, struct err *err)
{
        struct wire_message m;
        int r;

        *err = (struct err){ .kind = ERR_NONE };
        while ((r = channel_receive(c, &m, true, err)) > 0)
                continue;
        return r;
}

START_TEST(a_peer_that_goes_away_is_told)
{
        struct channel *c;
        struct err err;
        int fds[2];

        make_pair(fds);
        c = new_channel(fds[0], 0);
        /* In the middle of its hello. */
        ck_assert_int_eq(write(fds[1], "\x89RSBP", 5), 5);
        close(fds[1]);
        ck_assert_int_eq(failure(c, &err), -ECONNRESET);
        ck_assert_str_eq(err.text, "the connection to the other side has ended");
        err_clear(&err);
        ck_assert_int_eq(buf_append(wire_begin(channel_wire(c), 1), "x", 1), 0);
        ck_assert_int_eq(wire_end(channel_wire(c), &err), 0);
        ck_assert_int_eq(channel_send(c, true, &err), -ECONNRESET);
        channel_free(c);
        close(fds[0]);
}
END_TEST

START_TEST(silence_has_its_time)
{
        struct channel *c;
        struct err err;
        int fds[2];

        make_pair(fds);
        c = new_channel(fds[0], 1);
        ck_assert_int_eq(failure(c, &err), -ETIMEDOUT);
        ck_assert_str_eq(err.text, "the other side has been silent for 1 seconds");
        channel_free(c);
        close(fds[0]);
        close(fds[1]);
}
END_TEST

static void say_something(void *channel)
{
        struct err err = { .kind = ERR_NONE };

        ck_assert_int_eq(buf_puts(wire_begin(channel_wire(channel), 1), "alive"), 0);
        ck_assert_int_eq(wire_end(channel_wire(channel), &err), 0);
}

START_TEST(own_signs_of_life_do_not_break_the_silence)
{
        struct channel *c;
        struct err err;
        int fds[2];

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0); /* nothing fills it up */
        c = new_channel(fds[0], 3);
        channel_while_waiting(c, say_something, c);
        ck_assert_int_eq(failure(c, &err), -ETIMEDOUT);
        ck_assert_uint_gt(channel_sent_bytes(c), 20);
        channel_free(c);
        close(fds[0]);
        close(fds[1]);
}
END_TEST

START_TEST(asking_without_waiting_does_not_block)
{
        struct channel *a, *b;
        struct wire_message m;
        struct err err = { .kind = ERR_NONE };
        int fds[2];

        make_pair(fds);
        a = new_channel(fds[0], 60);
        b = new_channel(fds[1], 60);
        ck_assert_int_eq(channel_receive(a, &m, false, &err), 0);
        ck_assert_int_eq(buf_append(wire_begin(channel_wire(b), 5), "hello", 5), 0);
        ck_assert_int_eq(wire_end(channel_wire(b), &err), 0);
        ck_assert_int_eq(channel_send(b, true, &err), 0);
        ck_assert_int_eq(channel_receive(a, &m, false, &err), 1);
        ck_assert_uint_eq(m.type, 5);
        ck_assert_mem_eq(m.data, "hello", 5);
        ck_assert_int_eq(channel_receive(a, &m, false, &err), 0);
        ck_assert_uint_eq(channel_received_bytes(a), channel_sent_bytes(b));
        channel_free(a);
        channel_free(b);
        close(fds[0]);
        close(fds[1]);
}
END_TEST

START_TEST(what_was_put_in_goes_out_while_nothing_is_waited_for)
{
        struct channel *a, *b;
        struct wire_message m;
        struct err err = { .kind = ERR_NONE };
        int fds[2];

        make_pair(fds);
        a = new_channel(fds[0], 60);
        b = new_channel(fds[1], 60);
        ck_assert_int_eq(buf_append(wire_begin(channel_wire(b), 5), "hello", 5), 0);
        ck_assert_int_eq(wire_end(channel_wire(b), &err), 0);
        ck_assert_int_eq(channel_receive(b, &m, false, &err), 0);
        ck_assert_int_eq(channel_receive(a, &m, true, &err), 1);
        ck_assert_mem_eq(m.data, "hello", 5);
        channel_free(a);
        channel_free(b);
        close(fds[0]);
        close(fds[1]);
}
END_TEST

START_TEST(a_peer_that_is_gone_is_told_without_waiting_too)
{
        struct err err = { .kind = ERR_NONE };
        struct wire_message m;
        struct channel *a, *b;
        int fds[2], r;

        make_pair(fds);
        a = new_channel(fds[0], 60);
        b = new_channel(fds[1], 60);
        ck_assert_int_eq(buf_append(wire_begin(channel_wire(b), 5), "bye", 3), 0);
        ck_assert_int_eq(wire_end(channel_wire(b), &err), 0);
        ck_assert_int_eq(channel_send(b, true, &err), 0);
        channel_free(b);
        close(fds[1]);
        /* What it said before comes first. */
        ck_assert_int_eq(channel_receive(a, &m, false, &err), 1);
        while ((r = channel_receive(a, &m, false, &err)) == 0)
                continue;
        ck_assert_int_eq(r, -ECONNRESET);
        channel_free(a);
        close(fds[0]);
}
END_TEST

enum { RATE = 400000, RATED_MESSAGES = 10 };

static struct channel *new_rated_channel(int fd, uint64_t rate)
{
        const struct channel_config config = {
                .in_fd = fd, .out_fd = fd, .peer = "other side", .wire = { .program = "1" }, .rate = rate
        };
        struct err err = { .kind = ERR_NONE };
        struct channel *c;

        ck_assert_int_eq(channel_new(&c, &config, &err), 0);
        return c;
}

static int say_some(struct channel *c)
{
        static char data[MESSAGE_SIZE];
        struct err err = { .kind = ERR_NONE };

        for (int i = 0; i < RATED_MESSAGES; i++) {
                if (buf_append(wire_begin(channel_wire(c), 1), data, MESSAGE_SIZE) < 0 ||
                    wire_end(channel_wire(c), &err) < 0)
                        return 1;
        }
        return channel_send(c, true, &err) < 0;
}

/* How many seconds half a megabyte takes. */
static double time_rated(uint64_t sender_rate, uint64_t receiver_rate)
{
        struct err err = { .kind = ERR_NONE };
        uint64_t before = stop_deadline_us(1000);
        struct wire_message m;
        struct channel *c;
        int fds[2], status;
        pid_t child;

        make_pair(fds);
        child = fork();
        if (child == 0)
                _exit(say_some(new_rated_channel(fds[0], sender_rate)));
        c = new_rated_channel(fds[1], receiver_rate);
        for (int i = 0; i < RATED_MESSAGES; i++)
                ck_assert_int_eq(channel_receive(c, &m, true, &err), 1);
        channel_free(c);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
        close(fds[0]);
        close(fds[1]);
        return (double)(stop_deadline_us(1000) - before) / 1e6;
}

START_TEST(a_rate_is_kept_in_both_directions)
{
        /* Less a burst of a quarter of a second. */
        ck_assert_double_lt(time_rated(0, 0), 0.5);
        ck_assert_double_ge(time_rated(RATE, 0), 0.95);
        ck_assert_double_ge(time_rated(0, RATE), 0.95);
        ck_assert_double_lt(time_rated(RATE, RATE), 4);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                both_sides_may_talk_at_once,
                a_peer_that_goes_away_is_told,
                silence_has_its_time,
                own_signs_of_life_do_not_break_the_silence,
                asking_without_waiting_does_not_block,
                what_was_put_in_goes_out_while_nothing_is_waited_for,
                a_peer_that_is_gone_is_told_without_waiting_too,
                a_rate_is_kept_in_both_directions,
        };

        signal(SIGPIPE, SIG_IGN);
        return scratch_run("channel", tests, ARRAY_SIZE(tests));
}
