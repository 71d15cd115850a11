/*
 * The rolling checksum of blocks (docs/rsync-protocol.md, section 7): two sums of signed bytes, modulo 2^16 each. The
 * first adds up the bytes, the second the first one's values on the way from the last byte to each.
 */
#pragma once

#include "base/util.h"

/* Both as they are computed; only their lower halves count. */
struct rsync_weak {
        uint32_t plain, weighted;
};

struct rsync_weak rsync_weak_of(const void *data, size_t size);

/* As it stands on the wire. */
static inline uint32_t rsync_weak_value(struct rsync_weak w)
{
        return (w.plain & 0xffff) | w.weighted << 16;
}

/* A window of @size bytes moves by one: @out leaves it in front, @in joins it at the end. */
static inline struct rsync_weak rsync_weak_roll(struct rsync_weak w, uint32_t size, signed char out, signed char in)
{
        w.plain += (uint32_t)in - (uint32_t)out;
        w.weighted += w.plain - size * (uint32_t)out;
        return w;
}
