/* The sum of a content: the same however it is cut, and wherever its holes are; another one for anything else. */
#include "scratch.h"
#include "transfer/exchange/sum.h"

enum { SIZE = 1024 * 1024 + 4711 };

static char content[SIZE];

static void fill_content(void)
{
        memset(content, 0, sizeof(content));
        for (size_t i = 100000; i < 400000; i++)
                content[i] = (char)(i * 31 + i / 251);
        content[SIZE - 1] = 'x';
}

/* Cut by @step bytes, which grow; with zeros as holes, or not. */
static void sum_of(const char *data, size_t size, size_t step, bool holes, uint8_t ret[SUM_SIZE])
{
        _cleanup_(sum_freep) struct sum *s = sum_new();

        ck_assert_ptr_nonnull(s);
        for (size_t at = 0; at < size;) {
                size_t piece = size_min(step++, size - at);
                bool is_zero = holes;

                for (size_t i = 0; i < piece && is_zero; i++)
                        is_zero = data[at + i] == 0;
                if (is_zero)
                        sum_zeros(s, piece);
                else
                        sum_data(s, data + at, piece);
                at += piece;
        }
        sum_end(s, ret);
}

START_TEST(pieces_and_holes_make_no_difference)
{
        const size_t steps[] = { 1, 4096, 65536, 65537, 300000, SIZE };
        uint8_t whole[SUM_SIZE], other[SUM_SIZE];

        fill_content();
        sum_of(content, SIZE, SIZE, false, whole);
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                sum_of(content, SIZE, steps[i], false, other);
                ck_assert_mem_eq(whole, other, SUM_SIZE);
                sum_of(content, SIZE, steps[i], true, other);
                ck_assert_mem_eq(whole, other, SUM_SIZE);
        }
}
END_TEST

START_TEST(each_change_makes_another_sum)
{
        const size_t places[] = { 0, 65535, 65536, 100000, 399999, 700000, SIZE - 2, SIZE - 1 };
        uint8_t whole[SUM_SIZE], other[SUM_SIZE];

        fill_content();
        sum_of(content, SIZE, 4096, true, whole);
        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                content[places[i]] ^= 1;
                sum_of(content, SIZE, 4096, true, other);
                content[places[i]] ^= 1;
                ck_assert_msg(memcmp(whole, other, SUM_SIZE) != 0, "byte %zu", places[i]);
        }
        /* The same block elsewhere. */
        memmove(content + 131072, content + 65536, 400000);
        memset(content + 65536, 0, 65536);
        sum_of(content, SIZE, 4096, true, other);
        ck_assert(memcmp(whole, other, SUM_SIZE) != 0);
}
END_TEST

START_TEST(a_hole_of_a_tebibyte_costs_nothing)
{
        _cleanup_(sum_freep) struct sum *s = sum_new();
        uint8_t a[SUM_SIZE], b[SUM_SIZE];

        ck_assert_ptr_nonnull(s);
        sum_data(s, "x", 1);
        sum_zeros(s, UINT64_C(1) << 40);
        sum_data(s, "y", 1);
        sum_end(s, a);
        sum_begin(s);
        sum_data(s, "x", 1);
        sum_zeros(s, (UINT64_C(1) << 40) + 1);
        sum_data(s, "y", 1);
        sum_end(s, b);
        ck_assert(memcmp(a, b, SUM_SIZE) != 0);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                pieces_and_holes_make_no_difference,
                each_change_makes_another_sum,
                a_hole_of_a_tebibyte_costs_nothing,
        };

        return scratch_run("sum", tests, ARRAY_SIZE(tests));
}
