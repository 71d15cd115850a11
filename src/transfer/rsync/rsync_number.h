/*
 * Numbers and strings as the rsync protocol writes them, protocols 30 to 32 (docs/rsync-protocol.md, section 1).
 *
 * A reader that was given too few bytes is short: what was read so far means nothing, and is read again from the
 * beginning when more has come. One that was given what cannot be is broken. Either way it returns zeroes; who reads
 * asks once, in the end.
 */
#pragma once

#include "base/util.h"

struct buf;

/* All return 0 or -ENOMEM. Numbers are little-endian. */
int rsync_put_byte(struct buf *b, uint8_t n);
int rsync_put_short(struct buf *b, uint16_t n);
int rsync_put_int(struct buf *b, int32_t n);
int rsync_put_varint(struct buf *b, uint32_t n);
int rsync_put_varlong(struct buf *b, int64_t n, unsigned least); /* in at least so many bytes */
int rsync_put_string(struct buf *b, const void *data, size_t size); /* "vstring": at most RSYNC_STRING_MAX bytes */

enum { RSYNC_STRING_MAX = 0x7fff };

/* What numbers of items are told relative to; each direction of a connection has its own. */
struct rsync_index {
        int32_t positive, negative;
};

#define RSYNC_INDEX_FRESH ((struct rsync_index){ .positive = -1, .negative = 1 })

/* Numbers that stand for no item. */
enum {
        RSYNC_INDEX_DONE = -1,
        RSYNC_INDEX_LISTS_END = -2,
        RSYNC_INDEX_DELETED = -3,
        RSYNC_INDEX_LIST = -101, /* less the number of the directory that the list is of */
};

int rsync_put_index(struct buf *b, struct rsync_index *base, int32_t n);

struct rsync_reader {
        const unsigned char *at, *end; /* what is left; borrowed */
        bool is_short, is_broken;
};

struct rsync_reader rsync_read_begin(const void *data, size_t size);

uint8_t rsync_get_byte(struct rsync_reader *r);
uint16_t rsync_get_short(struct rsync_reader *r);
int32_t rsync_get_int(struct rsync_reader *r);
uint32_t rsync_get_varint(struct rsync_reader *r); /* more than 32 bits break it */
int64_t rsync_get_varlong(struct rsync_reader *r, unsigned least);
const void *rsync_get_string(struct rsync_reader *r, size_t *ret_size);     /* borrowed */
const void *rsync_get_bytes(struct rsync_reader *r, size_t size); /* borrowed; NULL when there are not as many */
/* @base is changed only when the whole number was there. */
int32_t rsync_get_index(struct rsync_reader *r, struct rsync_index *base);

/* Was everything there, and right, so far? */
bool rsync_read_is_good(const struct rsync_reader *r);
