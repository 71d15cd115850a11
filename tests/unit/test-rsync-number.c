/* Numbers as rsync writes them: the examples of docs/rsync-protocol.md in both directions, and what is not accepted. */
#include "base/buf.h"
#include "scratch.h"
#include "transfer/rsync/rsync_number.h"

struct example {
        int64_t number;
        const char *bytes;
        size_t size;
};

static const struct example varints[] = {
        { 0, "\0", 1 },
        { 127, "\x7f", 1 },
        { 128, "\x80\x80", 2 },
        { 152, "\x80\x98", 2 },
        { 664, "\x82\x98", 2 },
        { 5678, "\x96\x2e", 2 },
        { 16384, "\xc0\0\x40", 3 },
        { 0xfffffffe, "\xf0\xfe\xff\xff\xff", 5 },
};

static const struct example of_three[] = {
        { 0, "\0\0\0", 3 },
        { 7, "\0\7\0", 3 },
        { 4096, "\0\0\x10", 3 },
        { 7008, "\0\x60\x1b", 3 },
        { 8388608, "\x80\0\0\x80", 4 },
        { 1LL << 32, "\xc1\0\0\0\0", 5 },
};

static const struct example of_four[] = {
        { 1700000000, "\x65\0\xf1\x53", 4 },
        { 1LL << 32, "\x81\0\0\0\0", 5 },
        { -1, "\xf8\xff\xff\xff\xff\xff\xff\xff\xff", 9 },
        { INT64_MIN, "\xf8\0\0\0\0\0\0\0\x80", 9 },
};

static void check_varlongs(const struct example *examples, size_t count, unsigned least)
{
        for (size_t i = 0; i < count; i++) {
                _cleanup_(buf_deinit) struct buf b = { .data = NULL };
                struct rsync_reader r = rsync_read_begin(examples[i].bytes, examples[i].size);

                ck_assert_int_eq(rsync_put_varlong(&b, examples[i].number, least), 0);
                ck_assert_uint_eq(b.size, examples[i].size);
                ck_assert_mem_eq(b.data, examples[i].bytes, b.size);
                ck_assert_int_eq(rsync_get_varlong(&r, least), examples[i].number);
                ck_assert(rsync_read_is_good(&r) && r.at == r.end);
        }
}

START_TEST(varlongs_are_as_documented)
{
        check_varlongs(of_three, ARRAY_SIZE(of_three), 3);
        check_varlongs(of_four, ARRAY_SIZE(of_four), 4);
}
END_TEST

START_TEST(varints_are_as_documented)
{
        for (size_t i = 0; i < ARRAY_SIZE(varints); i++) {
                _cleanup_(buf_deinit) struct buf b = { .data = NULL };
                struct rsync_reader r = rsync_read_begin(varints[i].bytes, varints[i].size);

                ck_assert_int_eq(rsync_put_varint(&b, (uint32_t)varints[i].number), 0);
                ck_assert_uint_eq(b.size, varints[i].size);
                ck_assert_mem_eq(b.data, varints[i].bytes, b.size);
                ck_assert_uint_eq(rsync_get_varint(&r), (uint32_t)varints[i].number);
                ck_assert(rsync_read_is_good(&r) && r.at == r.end);
        }
}
END_TEST

static const struct example indices[] = {
        { 0, "\1", 1 },
        { 1, "\1", 1 },
        { 5, "\4", 1 },
        { 5, "\xfe\0\0", 3 },
        { RSYNC_INDEX_DONE, "\0", 1 },
        { 300, "\xfe\1\x27", 3 },
        { 299, "\xfe\x80\x2b\1\0", 5 },
        { 40000, "\xfe\x80\x40\x9c\0", 5 },
        { RSYNC_INDEX_LISTS_END, "\xff\1", 2 },
        { -101, "\xff\x63", 2 },
        { -102, "\xff\1", 2 },
        { RSYNC_INDEX_LISTS_END, "\xff\xfe\x80\2\0\0", 6 },
        { 40001, "\1", 1 },
};

START_TEST(indices_are_told_relative_to_each_other)
{
        struct rsync_index to = RSYNC_INDEX_FRESH, from = RSYNC_INDEX_FRESH;

        for (size_t i = 0; i < ARRAY_SIZE(indices); i++) {
                _cleanup_(buf_deinit) struct buf b = { .data = NULL };
                struct rsync_reader r = rsync_read_begin(indices[i].bytes, indices[i].size);

                ck_assert_int_eq(rsync_put_index(&b, &to, (int32_t)indices[i].number), 0);
                ck_assert_uint_eq(b.size, indices[i].size);
                ck_assert_mem_eq(b.data, indices[i].bytes, b.size);
                ck_assert_int_eq(rsync_get_index(&r, &from), (int32_t)indices[i].number);
                ck_assert(rsync_read_is_good(&r) && r.at == r.end);
        }
}
END_TEST

/* What is cut off anywhere is short, moves nothing, and is right when it is read again. */
START_TEST(what_is_cut_off_is_short)
{
        struct rsync_index base = RSYNC_INDEX_FRESH;

        for (size_t size = 0; size < 5; size++) {
                struct rsync_reader r = rsync_read_begin("\xfe\x80\x40\x9c\0", size);

                ck_assert_int_eq(rsync_get_index(&r, &base), 0);
                ck_assert(r.is_short && !r.is_broken);
                ck_assert_int_eq(base.positive, -1);
                r = rsync_read_begin("\xf0\xfe\xff\xff\xff", size);
                ck_assert_uint_eq(rsync_get_varint(&r), 0);
                ck_assert(r.is_short && !r.is_broken);
        }
}
END_TEST

START_TEST(wrong_numbers_are_refused)
{
        struct rsync_index base = RSYNC_INDEX_FRESH;
        struct rsync_reader r = rsync_read_begin("\xf1\xfe\xff\xff\xff", 5); /* 33 bits */

        ck_assert_uint_eq(rsync_get_varint(&r), 0);
        ck_assert(r.is_broken);
        r = rsync_read_begin("\xf8\xfe\xff\xff\xff\xff", 6);
        ck_assert_uint_eq(rsync_get_varint(&r), 0);
        ck_assert(r.is_broken);
        r = rsync_read_begin("\xff\xff\1", 3);
        ck_assert_int_eq(rsync_get_index(&r, &base), 0);
        ck_assert(r.is_broken);
        ck_assert_int_eq(base.negative, 1);
        /* Past what a number can be. */
        base.positive = INT32_MAX;
        r = rsync_read_begin("\1", 1);
        ck_assert_int_eq(rsync_get_index(&r, &base), 0);
        ck_assert(r.is_broken);
}
END_TEST

START_TEST(strings_have_one_or_two_bytes_of_length)
{
        static const size_t sizes[] = { 0, 1, 127, 128, 300, RSYNC_STRING_MAX };
        char *text = calloc(1, RSYNC_STRING_MAX);

        ck_assert_ptr_nonnull(text);
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                _cleanup_(buf_deinit) struct buf b = { .data = NULL };
                struct rsync_reader r;
                size_t size;

                ck_assert_int_eq(rsync_put_string(&b, text, sizes[i]), 0);
                ck_assert_uint_eq(b.size, sizes[i] + (sizes[i] < 128 ? 1 : 2));
                r = rsync_read_begin(b.data, b.size);
                ck_assert_ptr_nonnull(rsync_get_string(&r, &size));
                ck_assert_uint_eq(size, sizes[i]);
                ck_assert(rsync_read_is_good(&r) && r.at == r.end);
        }
        free(text);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                varints_are_as_documented,
                varlongs_are_as_documented,
                indices_are_told_relative_to_each_other,
                what_is_cut_off_is_short,
                wrong_numbers_are_refused,
                strings_have_one_or_two_bytes_of_length,
        };

        return scratch_run("rsync-number", tests, ARRAY_SIZE(tests));
}
