/* Frames in both directions: the examples of docs/rsync-protocol.md, cut anywhere, and what is not accepted. */
#include "base/err.h"
#include "scratch.h"
#include "transfer/rsync/rsync_mux.h"

/* What was heard: "CODE:text;". */
static struct buf heard;

static int hear(void *context, enum rsync_code code, const void *data, size_t size, struct err *err)
{
        ck_assert_ptr_eq(context, &heard);
        ck_assert_int_eq(((const char *)data)[size], '\0');
        ck_assert_int_eq(buf_printf(&heard, "%d:", (int)code), 0);
        ck_assert_int_eq(buf_append(&heard, data, size), 0);
        ck_assert_int_eq(buf_putc(&heard, ';'), 0);
        return size == 4 && memcmp(data, "stop", 4) == 0 ? err_runf(err, -ECANCELED, "enough") : 0;
}

static struct rsync_mux fresh(void)
{
        buf_truncate(&heard, 0);
        return (struct rsync_mux){ .hear = hear, .context = &heard };
}

static const char conversation[] = "\3\0\0\x6c"
                                   "old"
                                   "\3\0\0\7"
                                   "\1\x08\0"
                                   "\0\0\0\7" /* a sign of life */
                                   "\4\0\0\x28\x4d\0\0\0"
                                   "\6\0\0\x0a"
                                   "sorry\n"
                                   "\0\0\0\x0b" /* a warning without words */
                                   "\2\0\0\7"
                                   "xy"
                                   "\0\0\0\x31"
                                   "\0\0\0\x5d"
                                   "\4\0\0\x5d\4\0\0\0";

static void check_conversation(size_t piece)
{
        static const char expected[] = "101:old;33:\x4d\0\0\0;3:sorry\n;4:;42:;86:;86:\4\0\0\0;";
        struct rsync_mux m = fresh();
        struct err err = { .kind = ERR_NONE };
        size_t total = sizeof(conversation) - 1, size;

        for (size_t at = 0; at < total; at += piece)
                ck_assert_int_eq(rsync_mux_feed(&m, conversation + at, size_min(piece, total - at), &err), 0);
        ck_assert_uint_eq(heard.size, sizeof(expected) - 1);
        ck_assert_mem_eq(heard.data, expected, heard.size);
        ck_assert_mem_eq(rsync_mux_data(&m, &size), "\1\x08\0xy", 5);
        ck_assert_uint_eq(size, 5);
        rsync_mux_used(&m, 2);
        ck_assert_mem_eq(rsync_mux_data(&m, &size), "\0xy", 3);
        ck_assert_uint_eq(size, 3);
        rsync_mux_deinit(&m);
}

START_TEST(messages_and_data_come_apart_wherever_they_are_cut)
{
        for (size_t piece = 1; piece < sizeof(conversation); piece++)
                check_conversation(piece);
}
END_TEST

START_TEST(what_is_not_of_this_protocol_is_refused)
{
        static const char *const wrong[] = {
                /* Codes below the first one, */
                "\1\0\0\6",
                "\1\0\0\0",
                /* that are between rsync's own processes, */
                "\1\0\0\x0c",
                "\1\0\0\x0f",
                "\4\0\0\x10",
                "\x08\0\0\x11",
                /* and unknown ones. */
                "\1\0\0\xff",
                /* A message of 65,537 bytes. */
                "\1\0\1\x09",
                /* Numbers of other sizes. */
                "\3\0\0\x1d",
                "\5\0\0\x28",
                "\0\0\0\x6d",
                "\1\0\0\x31",
                "\3\0\0\x5d",
        };

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                struct rsync_mux m = fresh();
                struct err err = { .kind = ERR_NONE };

                ck_assert_int_eq(rsync_mux_feed(&m, wrong[i], 3, &err), 0);
                ck_assert_int_eq(rsync_mux_feed(&m, wrong[i] + 3, 1, &err), -EPROTO);
                ck_assert_int_eq(err.kind, ERR_RUN);
                ck_assert_uint_eq(heard.size, 0);
                rsync_mux_deinit(&m);
        }
}
END_TEST

START_TEST(who_hears_may_end_it)
{
        struct rsync_mux m = fresh();
        struct err err = { .kind = ERR_NONE };

        ck_assert_int_eq(rsync_mux_feed(&m, "\4\0\0\x0astop\1\0\0\7x", 13, &err), -ECANCELED);
        ck_assert_str_eq(err.text, "enough");
        ck_assert_str_eq(buf_text(&heard), "3:stop;");
        rsync_mux_deinit(&m);
}
END_TEST

/* A stream that is used more slowly than it comes is not lost, moved or kept for ever. */
START_TEST(what_was_used_is_given_back)
{
        enum { ROUNDS = 2000, SIZE = 100, WAITING = 5000 };
        struct rsync_mux m = fresh();
        struct err err = { .kind = ERR_NONE };
        unsigned char frame[4 + SIZE] = { SIZE, 0, 0, 7 }, next = 0;
        const unsigned char *data;
        size_t size;

        for (unsigned round = 0; round < ROUNDS; round++) {
                memset(frame + 4, (int)(round & 0xff), SIZE);
                ck_assert_int_eq(rsync_mux_feed(&m, frame, sizeof(frame), &err), 0);
                data = rsync_mux_data(&m, &size);
                while (size > WAITING) {
                        if (data[0] != next || data[SIZE - 1] != next)
                                ck_abort_msg("%u instead of %u", data[0], next);
                        rsync_mux_used(&m, SIZE);
                        data = rsync_mux_data(&m, &size);
                        next++;
                }
        }
        ck_assert_uint_eq(size, WAITING);
        ck_assert_uint_lt(m.stream.capacity, 8 * WAITING);
        rsync_mux_deinit(&m);
}
END_TEST

START_TEST(frames_are_put_as_documented)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };

        ck_assert_int_eq(rsync_mux_put_data(&b, "\0\0", 2), 0);
        ck_assert_int_eq(rsync_mux_put_data(&b, NULL, 0), 0);
        ck_assert_int_eq(rsync_mux_put_message(&b, RSYNC_CODE_ERROR_EXIT, NULL, 0), 0);
        ck_assert_int_eq(rsync_mux_put_number(&b, RSYNC_CODE_NO_SEND, 0x01020304), 0);
        ck_assert_uint_eq(b.size, 6 + 4 + 4 + 8);
        ck_assert_mem_eq(b.data, "\2\0\0\7\0\0\0\0\0\7\0\0\0\x5d\4\0\0\x6d\4\3\2\1", b.size);
}
END_TEST

START_TEST(much_data_makes_many_frames)
{
        enum { TOTAL = 2 * RSYNC_FRAME_MAX + 1 };
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        struct rsync_mux m = fresh();
        struct err err = { .kind = ERR_NONE };
        char *data = calloc(1, TOTAL);
        size_t size;

        ck_assert_ptr_nonnull(data);
        data[TOTAL - 1] = 'x';
        ck_assert_int_eq(rsync_mux_put_data(&b, data, TOTAL), 0);
        ck_assert_uint_eq(b.size, TOTAL + 3 * 4);
        ck_assert_int_eq(rsync_mux_feed(&m, b.data, b.size, &err), 0);
        ck_assert_mem_eq(rsync_mux_data(&m, &size), data, TOTAL);
        ck_assert_uint_eq(size, TOTAL);
        rsync_mux_deinit(&m);
        free(data);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                messages_and_data_come_apart_wherever_they_are_cut,
                what_is_not_of_this_protocol_is_refused,
                who_hears_may_end_it,
                what_was_used_is_given_back,
                frames_are_put_as_documented,
                much_data_makes_many_frames,
        };
        int r = scratch_run("rsync-mux", tests, ARRAY_SIZE(tests));

        buf_deinit(&heard);
        return r;
}
