/*
 * The content of a file as it goes over the wire: literal bytes, plain or compressed, and numbers of blocks
 * (docs/rsync-protocol.md, section 7). One writer serves all files of a connection, one after the other.
 */
#pragma once

#include "base/util.h"
#include "transfer/rsync/rsync_session.h"

struct buf;
struct rsync_token;

/* @level: of the compressor's own scale, 0: its default. NULL when memory is short. */
struct rsync_token *rsync_token_new(enum rsync_compression compression, int level);
struct rsync_token *rsync_token_free(struct rsync_token *t);
DEFINE_FREEP(struct rsync_token, rsync_token_free)

/* A file begins. */
void rsync_token_begin(struct rsync_token *t);
/* Append to @out; what is not complete yet may be held back until the next block or the end. Return 0 or -ENOMEM. */
int rsync_token_literal(struct rsync_token *t, struct buf *out, const void *data, size_t size);
int rsync_token_block(struct rsync_token *t, struct buf *out, uint32_t index);
int rsync_token_end(struct rsync_token *t, struct buf *out);
