#include "transfer/rsync/rsync_sums.h"

bool rsync_sums_are_sane(const struct rsync_sums *s)
{
        return s->count <= INT32_MAX && s->block_size <= RSYNC_BLOCK_MAX && (s->count == 0 || s->block_size > 0) &&
               s->remainder <= s->block_size && s->strong_size <= RSYNC_STRONG_MAX;
}

uint64_t rsync_sums_size(const struct rsync_sums *s)
{
        return (uint64_t)s->count * (4 + s->strong_size);
}

uint32_t rsync_sums_block(const struct rsync_sums *s, uint32_t index)
{
        return s->remainder > 0 && index == s->count - 1 ? s->remainder : s->block_size;
}
