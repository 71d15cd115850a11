/*
 * Which blocks of the receiver's old file are in our new one (docs/rsync-protocol.md, section 7): a rolling checksum
 * finds candidates, the strong sums decide. Holds no descriptor: the content is fed from beginning to end.
 *
 * Memory: up to 24 bytes for a block, of RSYNC_TABLE_MAX blocks at most, and a window of 1.2 MiB at most, which depends
 * on the size of blocks. Blocks beyond that number are found only where they follow the one found before, or at their
 * own offset.
 */
#pragma once

#include "transfer/rsync/rsync_session.h"
#include "transfer/rsync/rsync_sums.h"

struct rsync_match;

enum { RSYNC_LITERAL_MAX = 32 * 1024 };

/* What the new file is made of, in its order. Both return 0 or a negative errno, which the matcher returns. */
struct rsync_match_target {
        int (*literal)(void *context, const void *data, size_t size); /* RSYNC_LITERAL_MAX bytes at most */
        int (*block)(void *context, uint32_t index, const void *data, size_t size); /* @data: what is in it */
        void *context;
};

/*
 * @sums are sane, and their data is borrowed for as long as it lives. All is literal without blocks, and without strong
 * sums, since nothing would tell that a block is the same. NULL when memory is short.
 */
struct rsync_match *rsync_match_new(const struct rsync_session *session, const struct rsync_sums *sums,
                                    const struct rsync_match_target *target);
struct rsync_match *rsync_match_free(struct rsync_match *m);
DEFINE_FREEP(struct rsync_match, rsync_match_free)

/*
 * The next piece of the content, of any size: there is always room, of which as much is filled as is read. Saves the
 * copy that rsync_match_feed() makes. Return 0, -ENOMEM, or what the target returned, then and ever after.
 */
void *rsync_match_room(struct rsync_match *m, size_t *ret_size);
int rsync_match_filled(struct rsync_match *m, size_t size);

int rsync_match_feed(struct rsync_match *m, const void *data, size_t size);
/* There is no more. */
int rsync_match_end(struct rsync_match *m);

/* Bytes that were literal, and that were found in blocks, so far. */
uint64_t rsync_match_literal_bytes(const struct rsync_match *m);
uint64_t rsync_match_matched_bytes(const struct rsync_match *m);

/*
 * What was spent on candidates that were none, in bytes that could have been summed up meanwhile: not much over
 * RSYNC_WASTE_FREE and RSYNC_WASTE_EACH for each byte of content. Sums that collide, by chance or on purpose, cost
 * matches when that is used up, but no more time.
 */
enum { RSYNC_WASTE_FREE = 4 * 1024 * 1024, RSYNC_WASTE_EACH = 64 };
uint64_t rsync_match_waste_bytes(const struct rsync_match *m);
