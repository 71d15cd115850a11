/*
 * Frames: the stream of data and messages beside it share each direction of a connection (docs/rsync-protocol.md,
 * section 2). Holds no descriptor; what comes is fed, in pieces of any size.
 */
#pragma once

#include "base/buf.h"
#include "base/util.h"

struct err;

enum rsync_code {
        RSYNC_CODE_DATA = 0,
        RSYNC_CODE_ERROR_XFER = 1, /* something was not transferred: exit status 23 */
        RSYNC_CODE_INFO = 2,
        RSYNC_CODE_ERROR = 3,
        RSYNC_CODE_WARNING = 4,
        RSYNC_CODE_IO_ERROR = 22,
        RSYNC_CODE_IO_TIMEOUT = 33,
        RSYNC_CODE_NOOP = 42,
        RSYNC_CODE_ERROR_EXIT = 86,
        RSYNC_CODE_SUCCESS = 100,
        RSYNC_CODE_DELETED = 101,
        RSYNC_CODE_NO_SEND = 102,
};

enum {
        RSYNC_MESSAGE_MAX = 64 * 1024, /* bytes of what is not data */
        RSYNC_FRAME_MAX = 32 * 1024,   /* bytes of data in a frame that we write */
};

struct rsync_mux {
        struct buf stream; /* data that has come; who takes from its front says so by rsync_mux_used() */
        size_t used;       /* of it */

        /* A message has come, whole, with a NUL behind it; one with a number has the right size. Return 0 or a negative
         * errno with @err filled, which rsync_mux_feed() returns. */
        int (*hear)(void *context, enum rsync_code code, const void *data, size_t size, struct err *err);
        void *context;

        unsigned char head[4];  /* of the frame under way */
        size_t head_size, left; /* bytes of the head that are there, of the payload that are not */
        struct buf message;
};

void rsync_mux_deinit(struct rsync_mux *m);

/* Take all of it. Return 0; -EPROTO with @err filled for codes that are not of this protocol and for what has a wrong
 * size; or what `hear` returns. After an error there is nothing more to feed. */
int rsync_mux_feed(struct rsync_mux *m, const void *data, size_t size, struct err *err);

/* What is there of the stream; valid until the next call for it. */
const void *rsync_mux_data(const struct rsync_mux *m, size_t *ret_size);
void rsync_mux_used(struct rsync_mux *m, size_t size);

/* Append frames of @size bytes of data (none: a sign of life), or a message. Return 0 or -ENOMEM. */
int rsync_mux_put_data(struct buf *out, const void *data, size_t size);
int rsync_mux_put_message(struct buf *out, enum rsync_code code, const void *data, size_t size);
int rsync_mux_put_number(struct buf *out, enum rsync_code code, int32_t n);
