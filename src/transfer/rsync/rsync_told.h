/*
 * What was told of before is told of by its number (docs/rsync-protocol.md, section 5): ACLs of either kind, and sets
 * of extended attributes. A literal is known by a digest that nobody can forge. The first RSYNC_TOLD_MAX of them are
 * remembered, at 40 bytes each; others are told of in full each time, which is right, too.
 */
#pragma once

#include "base/util.h"
#include "transfer/chains.h"

struct buf;

enum { RSYNC_TOLD_MAX = 65536, RSYNC_TOLD_SHORT = 64 };

struct rsync_told {
        struct chains literals;
        uint32_t count; /* of literals that were told of, remembered or not */

        /* The one that was told of last, since most files have what their neighbour has, which is nothing. */
        uint32_t last; /* its number from 1, 0: there is none, or it was not short */
        unsigned char last_data[RSYNC_TOLD_SHORT];
        size_t last_size;
};

void rsync_told_init(struct rsync_told *t);
void rsync_told_deinit(struct rsync_told *t);

/*
 * Append to @out the number of the literal of these bytes, or, the first time, a zero and the literal. Return 0,
 * -ENOMEM, or -EOVERFLOW when there are more literals than numbers.
 */
int rsync_told_put(struct rsync_told *t, struct buf *out, const void *data, size_t size);
