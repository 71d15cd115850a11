/*
 * Eight windows are looked at in one go, a lane for each, by what a byte that leaves and one that joins do to the sums:
 *
 *      plain[i]    = plain    + the sum of (in[j] - out[j])            over j <= i
 *      weighted[i] = weighted + the sum of (plain[j] - size * out[j])  over j <= i
 *
 * That is half as fast again as one by one. Only when the table may have any of them, they are looked at singly.
 */
#include "transfer/rsync/rsync_slide.h"

enum { STEPS = 8 };

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define HAS_SHUFFLE 1
#endif
#endif

#ifdef HAS_SHUFFLE

typedef unsigned char row __attribute__((vector_size(2 * STEPS)));
typedef int16_t lanes __attribute__((vector_size(2 * STEPS)));
typedef uint64_t words __attribute__((vector_size(2 * STEPS)));
typedef uint16_t sums __attribute__((vector_size(2 * STEPS)));
typedef uint32_t hashes __attribute__((vector_size(2 * STEPS))); /* of half of the windows */

static inline sums extend(const unsigned char *bytes)
{
        uint64_t word; /* what is written to memory in parts and read in one stops a CPU */
        row r;

        memcpy(&word, bytes, STEPS);
        r = (row)(words){ word, 0 };
        r = __builtin_shufflevector(r, r, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
        return (sums)((lanes)r >> 8);
}

/* Each lane becomes the sum of itself and all before it. */
static inline sums add_up(sums v)
{
        const sums zero = { 0 };

        v += __builtin_shufflevector(v, zero, 8, 0, 1, 2, 3, 4, 5, 6);
        v += __builtin_shufflevector(v, zero, 8, 8, 0, 1, 2, 3, 4, 5);
        v += __builtin_shufflevector(v, zero, 8, 8, 8, 8, 0, 1, 2, 3);
        return v;
}

static inline sums last(sums v)
{
        return __builtin_shufflevector(v, v, 7, 7, 7, 7, 7, 7, 7, 7);
}

static inline uint32_t bit(const struct rsync_table *t, uint32_t hash)
{
        return t->bits[hash / 32] >> hash % 32;
}

/* Out of the registers of vectors in as few steps as possible: these cost more than all the sums. */
static inline uint32_t bits_of(const struct rsync_table *t, hashes h)
{
        words w = (words)(h >> t->bit_shift);
        uint64_t a = w[0], b = w[1];

        return bit(t, (uint32_t)a) | bit(t, (uint32_t)(a >> 32)) | bit(t, (uint32_t)b) | bit(t, (uint32_t)(b >> 32));
}

/* rsync_table_may_have() of any. */
static inline bool may_have_any(const struct rsync_table *t, sums plain, sums weighted)
{
        sums high = plain * (uint16_t)RSYNC_TABLE_A + weighted * (uint16_t)RSYNC_TABLE_B;
        sums low = plain * (uint16_t)RSYNC_TABLE_C + weighted;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        sums swapped = low;

        low = high;
        high = swapped;
#endif
        return (bits_of(t, (hashes)__builtin_shufflevector(low, high, 0, 8, 1, 9, 2, 10, 3, 11)) |
                bits_of(t, (hashes)__builtin_shufflevector(low, high, 4, 12, 5, 13, 6, 14, 7, 15))) &
               1;
}

/* As far as the table has none. */
static const unsigned char *slide_many(const struct rsync_table *t, struct rsync_weak *w, uint32_t size,
                                       const unsigned char *at, const unsigned char *end)
{
        const struct rsync_table table = *t; /* in registers */
        sums plain = (sums){ 0 } + (uint16_t)w->plain, weighted = (sums){ 0 } + (uint16_t)w->weighted;

        for (; end - at >= STEPS; at += STEPS) {
                sums out = extend(at), in = extend(at + size);
                sums plain_after = plain + add_up(in - out);
                sums weighted_after = weighted + add_up(plain_after - out * (uint16_t)size);

                if (may_have_any(&table, plain_after, weighted_after))
                        break;
                plain = last(plain_after);
                weighted = last(weighted_after);
        }
        *w = (struct rsync_weak){ plain[0], weighted[0] };
        return at;
}

#else

static const unsigned char *slide_many(const struct rsync_table *t, struct rsync_weak *w, uint32_t size,
                                       const unsigned char *at, const unsigned char *end)
{
        (void)t;
        (void)w;
        (void)size;
        (void)end;
        return at;
}

#endif

const unsigned char *rsync_slide(const struct rsync_table *t, struct rsync_weak *w, uint32_t size,
                                 const unsigned char *at, const unsigned char *end)
{
        struct rsync_weak now;

        at = slide_many(t, w, size, at, end);
        now = *w;
        while (at < end) {
                now = rsync_weak_roll(now, size, (signed char)at[0], (signed char)at[size]);
                at++;
                if (rsync_table_may_have(t, rsync_weak_value(now)))
                        break;
        }
        *w = now;
        return at;
}
