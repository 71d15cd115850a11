/* The operations of a delta as they come to be: neighbours that belong together become one. */
#pragma once

#include "transfer/delta/delta.h"
#include "transfer/delta/delta_format.h"

enum {
        DELTA_PENDING_MAX = 64 * 1024,
        /* What must be free before something is put in: all that is pending, and the operations for it. */
        DELTA_EMIT_ROOM = 2 * DELTA_PENDING_MAX,
        DELTA_EMIT_SIZE = 2 * DELTA_EMIT_ROOM,
};

struct delta_emit {
        unsigned char *out; /* DELTA_EMIT_SIZE bytes */
        size_t out_from, out_to;
        unsigned char *pending; /* DELTA_PENDING_MAX bytes that will be sent as they are */
        size_t pending_size;
        uint64_t pending_at; /* their offset in the new version */
        enum delta_op run;   /* what is not written yet, since it may go on: DELTA_END if nothing */
        uint64_t run_at, run_size;
        struct delta_stats stats;
};

int delta_emit_init(struct delta_emit *e);
void delta_emit_deinit(struct delta_emit *e);

bool delta_emit_has_room(const struct delta_emit *e);
/* @at counts for DELTA_COPY and DELTA_ASK only. */
void delta_emit_run(struct delta_emit *e, enum delta_op op, uint64_t at, uint64_t size);
/* @size bytes, DELTA_PENDING_MAX at most, that are at @at in the new version. Whole units of zeros become DELTA_ZERO.
 */
void delta_emit_data(struct delta_emit *e, uint64_t at, const void *data, size_t size);
/* Write what is not written yet. */
void delta_emit_flush(struct delta_emit *e);
void delta_emit_end(struct delta_emit *e, uint64_t size, const unsigned char digest[DELTA_DIGEST_SIZE]);
/* Take what is written out. Return the number of bytes. */
size_t delta_emit_take(struct delta_emit *e, void *data, size_t size);
