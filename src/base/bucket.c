/*
 * It holds what goes in a quarter of a second: enough that a pause of that length costs nothing, and little enough that
 * the link is not filled by one burst. A portion is what goes in a twentieth.
 */
#include "base/bucket.h"

enum { SECOND_US = 1000000, BURSTS_PER_SECOND = 4, PORTIONS_PER_SECOND = 20, PORTION_MIN = 256 };

/* Never less than a few portions, or the rounding of small ones would be the limit. */
static uint64_t capacity(const struct bucket *b)
{
        uint64_t size = b->rate / BURSTS_PER_SECOND, least = (uint64_t)2 * PORTION_MIN;

        return size > least ? size : least;
}

static uint64_t portion(const struct bucket *b)
{
        uint64_t size = b->rate / PORTIONS_PER_SECOND;

        return size > PORTION_MIN ? size : PORTION_MIN;
}

void bucket_init(struct bucket *b, uint64_t rate, uint64_t now_us)
{
        *b = (struct bucket){ .rate = rate, .filled_us = now_us };
        b->tokens = capacity(b);
}

static void fill(struct bucket *b, uint64_t now_us)
{
        uint64_t full_us = capacity(b) * SECOND_US / b->rate + 1, passed_us = now_us - b->filled_us, gained;

        gained = (passed_us < full_us ? passed_us : full_us) * b->rate + b->rest;
        b->filled_us = now_us;
        b->tokens += gained / SECOND_US;
        b->rest = gained % SECOND_US;
        if (b->tokens > capacity(b))
                b->tokens = capacity(b);
}

size_t bucket_allows(struct bucket *b, size_t wanted, uint64_t now_us)
{
        if (b->rate == 0)
                return wanted;
        fill(b, now_us);
        /* By portions: a byte at a time would cost more than it carries. */
        if (b->tokens < portion(b) && b->tokens < wanted)
                return 0;
        return b->tokens < wanted ? (size_t)b->tokens : wanted;
}

void bucket_take(struct bucket *b, size_t size)
{
        if (b->rate > 0)
                b->tokens -= size < b->tokens ? size : b->tokens;
}

uint64_t bucket_wait_us(const struct bucket *b)
{
        if (b->rate == 0 || b->tokens >= portion(b))
                return 0;
        return (portion(b) - b->tokens) * SECOND_US / b->rate + 1;
}
