/*
 * Which blocks may have a given rolling checksum: a hash table over the sums of a request, with a bitmap in front, so
 * that for most of the sums that no block has, one load from a small piece of memory is all.
 */
#pragma once

#include "transfer/rsync/rsync_sums.h"

/* Further blocks are not in it: 2 TiB with the largest blocks. A block takes up to 24 bytes here. */
enum { RSYNC_TABLE_MAX = 16 * 1024 * 1024, RSYNC_TABLE_NONE = 0 };

struct rsync_table {
        unsigned bit_shift, head_shift;
        uint32_t *bits;
        uint32_t *heads, *next; /* numbers of blocks, from 1 */
};

/* Blocks of the full size, each of which is in it once if several are the same. Return 0 or -ENOMEM. */
int rsync_table_init(struct rsync_table *t, const struct rsync_sums *sums);
void rsync_table_deinit(struct rsync_table *t);

/*
 * No two sums have the same hash, and its upper bits depend on all of theirs. Only the lower halves of products count,
 * so that vectors of 16-bit lanes do for it (rsync_slide.c).
 */
enum { RSYNC_TABLE_A = 0x9e37, RSYNC_TABLE_B = 0x79b1, RSYNC_TABLE_C = 0x85ea };

static inline uint32_t rsync_table_hash(uint32_t weak)
{
        uint32_t plain = weak & 0xffff, weighted = weak >> 16;

        return (plain * RSYNC_TABLE_A + weighted * RSYNC_TABLE_B) << 16 | ((plain * RSYNC_TABLE_C + weighted) & 0xffff);
}

static inline bool rsync_table_may_have(const struct rsync_table *t, uint32_t weak)
{
        uint32_t bit = rsync_table_hash(weak) >> t->bit_shift;

        return t->bits[bit / 32] >> bit % 32 & 1;
}

/* One after the other, blocks whose sum may be @weak, as numbers from 1; RSYNC_TABLE_NONE: no more. */
static inline uint32_t rsync_table_first(const struct rsync_table *t, uint32_t weak)
{
        return t->heads[rsync_table_hash(weak) >> t->head_shift];
}

static inline uint32_t rsync_table_next(const struct rsync_table *t, uint32_t number)
{
        return t->next[number - 1];
}
