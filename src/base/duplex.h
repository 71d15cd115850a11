/*
 * Two descriptors to a peer (a socket, a pair of pipes), both directions at once: what has come waits in a buffer, what
 * is to go is the caller's. Neither direction ever waits for the other; rates and silence are watched here.
 */
#pragma once

#include "base/bucket.h"
#include "base/buf.h"
#include "base/util.h"

struct err;

enum { DUPLEX_READ_SIZE = 256 * 1024 }; /* bytes that are read at once, at most */

struct duplex_config {
        int in_fd, out_fd;  /* borrowed; may be one; made non-blocking */
        const char *peer;   /* who is there, for messages: "server" */
        unsigned timeout_s; /* of silence while something is awaited; 0: wait for ever */
        uint64_t rate;      /* bytes a second that go at most, in each direction; 0: no limit */
        size_t waiting_max; /* bytes that may have come and not been taken: more is an error */
};

struct duplex {
        struct duplex_config config;
        struct buf unread; /* came, and was not taken yet */
        uint64_t received_bytes, sent_bytes;
        bool is_at_end; /* the peer sends nothing more */
        bool outlives_stop;
        bool is_full; /* set by the caller: what comes stays where it is for now */
        struct bucket in_bucket, out_bucket;
};

int duplex_init(struct duplex *d, const struct duplex_config *config, struct err *err);
void duplex_deinit(struct duplex *d);

/* A stop request is being answered: from now on nothing ends because of it, and nothing waits for a limit of the rate.
 */
void duplex_outlive_stop(struct duplex *d);

/* Read what is there, which may be nothing. Return 0 or a negative errno with @err filled. */
int duplex_read(struct duplex *d, struct err *err);

/*
 * Write as much of it as goes without waiting. Return 0 with *ret_written set, or a negative errno with @err filled:
 * -ECONNRESET when the peer is gone.
 */
int duplex_write(struct duplex *d, const void *data, size_t size, size_t *ret_written, struct err *err);

/*
 * Wait until something can be read or, with @unsent bytes that are to go, written, at most @nap_ms (-1: no limit) and
 * until the deadline (of stop_deadline_us()); then read what has come. Return 0 or DUPLEX_WRITABLE, or a negative errno
 * with @err filled: -ETIMEDOUT when the deadline is over, -ECANCELED after a stop request (noticed on the main thread).
 */
enum { DUPLEX_WRITABLE = 1 };
int duplex_wait(struct duplex *d, size_t unsent, int nap_ms, uint64_t deadline_us, struct err *err);

/* The peer has ended the connection: -ECONNRESET. */
int duplex_fail_gone(const struct duplex *d, struct err *err);
