/*
 * Two ends of a conversation without descriptors: every message arrives as it was sent, however the bytes are cut;
 * what breaks a rule ends it with a message that says which.
 */
#include "base/err.h"
#include "scratch.h"
#include "transfer/exchange/pack.h"
#include "transfer/exchange/wire.h"

#include <errno.h>

static const struct wire_config with_zstd = { .program = "1.2", .features = WIRE_FEATURE_ZSTD, .level = 1 };
static const struct wire_config plain = { .program = "1.3", .level = 1 };

static struct wire *new_wire(const struct wire_config *config)
{
        struct err err = { .kind = ERR_NONE };
        struct wire *w;

        ck_assert_int_eq(wire_new(&w, config, &err), 0);
        return w;
}

static void put(struct wire *w, uint8_t type, const void *data, size_t size)
{
        struct err err = { .kind = ERR_NONE };

        ck_assert_int_eq(buf_append(wire_begin(w, type), data, size), 0);
        ck_assert_int_eq(wire_end(w, &err), 0);
}

static void flush(struct wire *w)
{
        struct err err = { .kind = ERR_NONE };

        ck_assert_int_eq(wire_flush(w, &err), 0);
}

/* Carry up to @most bytes. */
static size_t carry(struct wire *from, struct wire *to, size_t most)
{
        struct err err = { .kind = ERR_NONE };
        size_t size;
        const void *data = wire_output(from, &size);

        size = size_min(size, most);
        if (size > 0) {
                ck_assert_int_eq(wire_feed(to, data, size, &err), 0);
                wire_sent(from, size);
        }
        return size;
}

static int next(struct wire *w, struct wire_message *m)
{
        struct err err = { .kind = ERR_NONE };
        int r = wire_next(w, m, &err);

        ck_assert_msg(r >= 0, "%s", err.text);
        return r;
}

/* What @config's messages look like at the other end, when at most @piece bytes arrive at once. */
static void converse(const struct wire_config *config, size_t piece)
{
        struct wire *a = new_wire(config), *b = new_wire(&with_zstd);
        static char data[300 * 1000];
        struct wire_message m;
        size_t got = 0, sizes[] = { 0, 1, 100, 127, 128, 70000, 3, 299000, 5 };

        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (char)(i % 1000 < 500 ? 'a' : i * 7919 % 251);
        wire_compress(a, true);
        /* The features are known when the other hello has come. */
        while (carry(b, a, piece) > 0)
                ck_assert_int_eq(next(a, &m), 0);
        ck_assert_str_eq(wire_peer(a), "1.2");
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
                put(a, (uint8_t)(i + 1), data + i, sizes[i]);
        flush(a);
        while (carry(a, b, piece) > 0) {
                while (next(b, &m)) {
                        ck_assert_uint_lt(got, ARRAY_SIZE(sizes));
                        ck_assert_uint_eq(m.type, got + 1);
                        ck_assert_uint_eq(m.size, sizes[got]);
                        ck_assert(m.size == 0 || memcmp(m.data, data + got, m.size) == 0);
                        got++;
                }
        }
        ck_assert_uint_eq(got, ARRAY_SIZE(sizes));
        ck_assert(!wire_is_amid(b));
        ck_assert_str_eq(wire_peer(b), config->program);
        wire_free(a);
        wire_free(b);
}

START_TEST(messages_arrive_as_they_were_sent)
{
        converse(&with_zstd, 1 << 20);
        converse(&with_zstd, 4093);
        converse(&plain, 1 << 20);
        converse(&plain, 997);
}
END_TEST

START_TEST(bytes_may_come_one_by_one)
{
        struct wire *a = new_wire(&with_zstd), *b = new_wire(&with_zstd);
        struct wire_message m;

        put(a, 9, "payload", 7);
        flush(a);
        while (carry(a, b, 1) > 0) {
                if (next(b, &m)) {
                        ck_assert_uint_eq(m.type, 9);
                        ck_assert_mem_eq(m.data, "payload", 7);
                        ck_assert_uint_eq(carry(a, b, 1), 0);
                        wire_free(a);
                        wire_free(b);
                        return;
                }
                ck_assert(wire_is_amid(b) || wire_peer(b)[0]);
        }
        ck_abort_msg("the message has not arrived");
}
END_TEST

START_TEST(what_shrinks_is_compressed_and_what_does_not_is_not)
{
        struct wire *a = new_wire(&with_zstd), *b = new_wire(&with_zstd);
        static char zeros[100 * 1000], noise[100 * 1000];
        struct wire_message m;
        uint32_t seed = 1;
        size_t size;

        for (size_t i = 0; i < sizeof(noise); i++)
                noise[i] = (char)((seed = seed * 1664525 + 1013904223) >> 24);
        carry(b, a, SIZE_MAX);
        ck_assert_int_eq(next(a, &m), 0);
        carry(a, b, SIZE_MAX);
        wire_compress(a, true);
        put(a, 1, zeros, sizeof(zeros));
        flush(a);
        (void)wire_output(a, &size);
        ck_assert_uint_lt(size, 1000);
        wire_sent(a, size);
        for (int i = 0; i < 10; i++) {
                put(a, 1, noise, sizeof(noise));
                flush(a);
                (void)wire_output(a, &size);
                ck_assert_uint_lt(size, sizeof(noise) + 500);
                wire_sent(a, size);
        }
        wire_free(a);
        wire_free(b);
}
END_TEST

static const char HELLO[] = "\x89RSBP\r\n\x1a\1\0\1\0\1\0\0\0\0031.2";
enum { HELLO_SIZE = sizeof(HELLO) - 1 };

/* Feed a hello with something of it changed, or what follows it. */
static struct err refusal(const void *data, size_t size, bool after_hello)
{
        struct wire *w = new_wire(&with_zstd);
        struct err err = { .kind = ERR_NONE };
        struct wire_message m;
        int r = 0;

        if (after_hello)
                ck_assert_int_eq(wire_feed(w, HELLO, HELLO_SIZE, &err), 0);
        ck_assert_int_eq(wire_feed(w, data, size, &err), 0);
        while ((r = wire_next(w, &m, &err)) > 0)
                continue;
        ck_assert_msg(r < 0, "it is accepted");
        wire_free(w);
        return err;
}

START_TEST(what_a_login_script_prints_is_shown)
{
        struct err err = refusal("Welcome to \x1b[31mserver\r\nhave fun", 32, false);

        ck_assert_int_eq(err.code, -EPROTO);
        ck_assert_ptr_nonnull(strstr(err.text, "'Welcome to \\033[31mserver'"));
        ck_assert_ptr_nonnull(strstr(err.hint, "login script"));
}
END_TEST

START_TEST(empty_lines_before_that_are_passed_over)
{
        struct err err = refusal("\r\n\n  usage: thing\nmore", 22, false);

        ck_assert_ptr_nonnull(strstr(err.text, "'usage: thing'"));
}
END_TEST

START_TEST(other_versions_are_named)
{
        char hello[HELLO_SIZE];
        struct err err;

        memcpy(hello, HELLO, HELLO_SIZE);
        hello[8] = 2;
        hello[10] = 7;
        err = refusal(hello, HELLO_SIZE, false);
        ck_assert_int_eq(err.code, -EPROTONOSUPPORT);
        ck_assert_ptr_nonnull(strstr(err.text, "rsync-system-backup 1.2) speaks versions 2 to 7"));
        hello[8] = 0;
        hello[10] = 0;
        err = refusal(hello, HELLO_SIZE, false);
        ck_assert_int_eq(err.code, -EPROTONOSUPPORT);
}
END_TEST

START_TEST(broken_packets_are_refused)
{
        static const struct {
                const char *bytes;
                size_t size;
        } broken[] = {
                { "\0\0\0\0", 4 },      /* empty */
                { "\1\0\x10\0", 4 },    /* too long */
                { "\1\0\0\2x", 5 },     /* a flag that nobody knows */
                { "\1\0\0\0x", 5 },     /* a message without a length */
                { "\3\0\0\0\1\2x", 7 }, /* a message that is cut off */
                { "\5\0\0\1hello", 9 }, /* no zstd */
                { "\x0b\0\0\0\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 15 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
                struct err err = refusal(broken[i].bytes, broken[i].size, true);

                ck_assert_int_eq(err.code, -EPROTO);
                ck_assert_ptr_nonnull(strstr(err.text, "breaks the protocol"));
        }
}
END_TEST

/* A bomb: a few bytes that would become many. */
START_TEST(a_packet_stays_small_when_decompressed)
{
        static const char frame[] = "\x28\xb5\x2f\xfd\0\x58";
        _cleanup_(buf_deinit) struct buf bomb = { .data = NULL }, packet = { .data = NULL };
        struct err err;

        /* RFC 8878: blocks of one repeated byte, 128 KiB each. */
        ck_assert_int_eq(buf_append(&bomb, frame, 6), 0);
        for (int i = 0; i < 64; i++)
                ck_assert_int_eq(buf_append(&bomb, "\2\0\x10x", 4), 0);
        ck_assert_int_eq(pack_u32(&packet, (uint32_t)bomb.size | 1 << 24), 0);
        ck_assert_int_eq(buf_append(&packet, bomb.data, bomb.size), 0);
        err = refusal(packet.data, packet.size, true);
        ck_assert_int_eq(err.code, -EPROTO);
        ck_assert_ptr_nonnull(strstr(err.text, "too large"));
}
END_TEST

START_TEST(compression_that_was_not_agreed_on_is_refused)
{
        struct wire *a = new_wire(&with_zstd), *b = new_wire(&plain);
        struct err err = { .kind = ERR_NONE };
        struct wire_message m;

        carry(a, b, SIZE_MAX);
        ck_assert_int_eq(wire_feed(b, "\5\0\0\1hello", 9, &err), 0);
        ck_assert_int_eq(wire_next(b, &m, &err), -EPROTO);
        wire_free(a);
        wire_free(b);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                messages_arrive_as_they_were_sent,
                bytes_may_come_one_by_one,
                what_shrinks_is_compressed_and_what_does_not_is_not,
                what_a_login_script_prints_is_shown,
                empty_lines_before_that_are_passed_over,
                other_versions_are_named,
                broken_packets_are_refused,
                a_packet_stays_small_when_decompressed,
                compression_that_was_not_agreed_on_is_refused,
        };

        return scratch_run("wire", tests, ARRAY_SIZE(tests));
}
