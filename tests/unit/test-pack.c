/* Numbers, bytes and names as they stand on the wire: table tests of both directions, and what is not accepted. */
#include "base/buf.h"
#include "scratch.h"
#include "transfer/exchange/pack.h"

static const struct {
        uint64_t number;
        const char *bytes;
        size_t size;
} varints[] = {
        { 0, "\0", 1 },
        { 1, "\1", 1 },
        { 127, "\x7f", 1 },
        { 128, "\x80\1", 2 },
        { 300, "\xac\2", 2 },
        { 1ULL << 32, "\x80\x80\x80\x80\x10", 5 },
        { UINT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 10 },
};

START_TEST(varints_are_leb128)
{
        for (size_t i = 0; i < ARRAY_SIZE(varints); i++) {
                _cleanup_(buf_deinit) struct buf b = { .data = NULL };
                struct unpack u = unpack_begin(varints[i].bytes, varints[i].size);

                ck_assert_int_eq(pack_varint(&b, varints[i].number), 0);
                ck_assert_uint_eq(b.size, varints[i].size);
                ck_assert_mem_eq(b.data, varints[i].bytes, b.size);
                ck_assert_uint_eq(unpack_varint(&u, UINT64_MAX), varints[i].number);
                ck_assert(unpack_end(&u));
        }
}
END_TEST

START_TEST(wrong_varints_are_refused)
{
        static const struct {
                const char *bytes;
                size_t size;
                uint64_t max;
        } wrong[] = {
                { "", 0, UINT64_MAX },
                { "\x80", 1, UINT64_MAX },
                { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\2", 10, UINT64_MAX },
                { "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\1", 11, UINT64_MAX },
                { "\x80\1", 2, 127 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                struct unpack u = unpack_begin(wrong[i].bytes, wrong[i].size);

                ck_assert_uint_eq(unpack_varint(&u, wrong[i].max), 0);
                ck_assert(u.broken);
                /* It stays broken, and nothing more is read. */
                ck_assert_uint_eq(unpack_u8(&u), 0);
                ck_assert(!unpack_end(&u));
        }
}
END_TEST

START_TEST(everything_comes_back_as_it_was)
{
        static const int64_t numbers[] = { 0, -1, 1, 63, -64, 64, INT64_MAX, INT64_MIN };
        const struct timespec time = { .tv_sec = -5, .tv_nsec = 999999999 };
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        _cleanup_(freep) char *text = NULL;
        struct timespec again;
        struct unpack u;
        size_t size;
        const void *data;

        ck_assert_int_eq(pack_u8(&b, 200), 0);
        ck_assert_int_eq(pack_u32(&b, 0x89abcdef), 0);
        ck_assert_int_eq(pack_u64(&b, 0x0123456789abcdefULL), 0);
        ck_assert_mem_eq(b.data, "\xc8\xef\xcd\xab\x89\xef\xcd\xab\x89\x67\x45\x23\x01", 13);
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
                ck_assert_int_eq(pack_signed(&b, numbers[i]), 0);
        ck_assert_int_eq(pack_time(&b, time), 0);
        ck_assert_int_eq(pack_bytes(&b, "a\0b", 3), 0);
        ck_assert_int_eq(pack_text(&b, "text"), 0);
        ck_assert_int_eq(pack_text(&b, NULL), 0);

        u = unpack_begin(b.data, b.size);
        ck_assert_uint_eq(unpack_u8(&u), 200);
        ck_assert_uint_eq(unpack_u32(&u), 0x89abcdef);
        ck_assert_uint_eq(unpack_u64(&u), 0x0123456789abcdefULL);
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
                ck_assert_int_eq(unpack_signed(&u), numbers[i]);
        again = unpack_time(&u);
        ck_assert_int_eq(again.tv_sec, time.tv_sec);
        ck_assert_int_eq(again.tv_nsec, time.tv_nsec);
        data = unpack_bytes(&u, 3, &size);
        ck_assert_uint_eq(size, 3);
        ck_assert_mem_eq(data, "a\0b", 3);
        text = unpack_text(&u, 4);
        ck_assert_str_eq(text, "text");
        free(text);
        text = unpack_text(&u, 4);
        ck_assert_str_eq(text, "");
        ck_assert(unpack_end(&u));
}
END_TEST

START_TEST(nothing_is_read_behind_the_last_byte)
{
        char *exact = malloc(4); /* which the address sanitizer watches */
        _cleanup_(freep) char *text = NULL;
        struct unpack u;

        ck_assert_ptr_nonnull(exact);
        memcpy(exact, "\3abc", 4);
        u = unpack_begin(exact, 4);
        text = unpack_text(&u, 9);
        free(exact);
        ck_assert_str_eq(text, "abc");
        ck_assert(unpack_end(&u));
}
END_TEST

START_TEST(what_is_too_long_or_no_text_is_refused)
{
        struct unpack u = unpack_begin("\3abc", 4);
        size_t size;

        ck_assert_ptr_null(unpack_text(&u, 2));
        ck_assert(u.broken);
        u = unpack_begin("\3a\0c", 4);
        ck_assert_ptr_null(unpack_text(&u, 9));
        u = unpack_begin("\4abc", 4);
        ck_assert_ptr_null(unpack_bytes(&u, 9, &size));
        ck_assert_uint_eq(size, 0);
        /* Nanoseconds of a whole second. */
        u = unpack_begin("\0\x80\x94\xeb\xdc\3", 6);
        unpack_time(&u);
        ck_assert(u.broken);
        u = unpack_begin("abc", 3);
        ck_assert_ptr_nonnull(unpack_raw(&u, 2));
        ck_assert(!unpack_end(&u));
}
END_TEST

START_TEST(a_name_is_one_component)
{
        static const struct {
                const char *name;
                size_t size;
                bool is_name;
        } names[] = {
                { "a", 1, true },  { "..a", 3, true },  { "\n", 1, true },       { "...", 3, true },
                { "", 0, false },  { ".", 1, false },   { "..", 2, false },      { "a/b", 3, false },
                { "/", 1, false }, { "a\0", 2, false }, { "../../x", 7, false },
        };
        char name[257];

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                ck_assert_msg(unpack_is_name(names[i].name, names[i].size) == names[i].is_name, "%s", names[i].name);
        memset(name, 'x', sizeof(name));
        ck_assert(unpack_is_name(name, 255));
        ck_assert(!unpack_is_name(name, 256));
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                varints_are_leb128,
                wrong_varints_are_refused,
                everything_comes_back_as_it_was,
                nothing_is_read_behind_the_last_byte,
                what_is_too_long_or_no_text_is_refused,
                a_name_is_one_component,
        };

        return scratch_run("pack", tests, ARRAY_SIZE(tests));
}
