/*
 * A conversation with an rsync server: its beginning, and then data and messages in frames, both directions at once
 * (docs/rsync-protocol.md, sections 2 and 3). What it is about is up to the caller. Functions that return int: 0, or a
 * negative errno with @err filled, unless said otherwise.
 */
#pragma once

#include "base/buf.h"
#include "base/duplex.h"
#include "transfer/rsync/rsync_mux.h"
#include "transfer/rsync/rsync_session.h"

struct rsync_hello_config;

struct rsync_talk_config {
        int in_fd, out_fd;  /* borrowed; may be one; made non-blocking */
        const char *peer;   /* who is there, for messages */
        unsigned timeout_s; /* of silence while something is awaited; 0: what the server says, if it does */
        uint64_t rate;      /* bytes a second at most, in each direction; 0: no limit */
        const struct rsync_hello_config *hello;

        /* Messages; those that concern the conversation are dealt with already, words are told. */
        int (*hear)(void *context, enum rsync_code code, const void *data, size_t size, struct err *err);
        void (*tick)(void *context); /* called some times a second while it works; may be NULL */
        void *context, *tick_context;
};

enum { RSYNC_SAID_MAX = 512 };

struct rsync_talk {
        struct rsync_talk_config config;
        struct rsync_session session;

        struct duplex duplex;
        struct rsync_mux mux;
        struct buf plain;    /* data that is to go, not in frames yet */
        struct buf out;      /* in frames */
        size_t out_used;     /* of it has gone */
        size_t untaken;      /* bytes of data, when the connection had ended */
        uint64_t owed_bytes; /* as many will have been sent when all data in frames has gone */
        uint64_t moved_us, sent_us, ticked_us, looked_us; /* CLOCK_MONOTONIC: last time of each */
        unsigned keep_alive_s;                            /* something goes at least so often; 0: it need not */

        char said[RSYNC_SAID_MAX];     /* the server's last error, which nobody was told of yet */
        char farewell[RSYNC_SAID_MAX]; /* the sentence with which it ends */
        bool has_failed;               /* it gave up */
        int32_t status;                /* and says that it ends with that */
        bool is_over;                  /* set by the caller: the server may go */
};

/* Until what follows is in frames; `session` is set then. To be ended in any case. */
int rsync_talk_begin(struct rsync_talk *t, const struct rsync_talk_config *config, struct err *err);
void rsync_talk_deinit(struct rsync_talk *t);

/* Put what is in `plain` into frames. */
int rsync_talk_frame(struct rsync_talk *t, struct err *err);
/* A message, behind all data so far. */
int rsync_talk_tell(struct rsync_talk *t, enum rsync_code code, int32_t n, struct err *err);
/* Wait for something to come or go, @nap_ms at most (-1: no limit), and let it. */
int rsync_talk_exchange(struct rsync_talk *t, int nap_ms, struct err *err);
/* Now and then: let go what there is, and never gather too much. */
int rsync_talk_breathe(struct rsync_talk *t, struct err *err);
void rsync_talk_tick(struct rsync_talk *t);
/* Is there data that has not gone? */
bool rsync_talk_owes(const struct rsync_talk *t);
/* What the caller does takes its time, and what takes time is not the server's silence. */
void rsync_talk_excuse(struct rsync_talk *t);
/* Frames that have not gone. */
size_t rsync_talk_unsent(const struct rsync_talk *t);
/* All of it goes, as far as somebody takes it; not for long when the server has given up. */
int rsync_talk_flush(struct rsync_talk *t, struct err *err);

/* ---- what it says: rsync_hear.c ---- */

/* For the mux. */
int rsync_talk_hear(void *talk, enum rsync_code code, const void *data, size_t size, struct err *err);
/* It goes on: its last error is told. */
void rsync_talk_pass(struct rsync_talk *t);
/*
 * The server gave up: what it said, with what can be done about it. Returns the code: beside those of rsync_push(),
 * -ENOENT, -EACCES, -ENOTDIR, -EEXIST, -ELOOP where it names these errors, -EREMOTEIO without a word, else -EIO.
 */
int rsync_talk_failure(struct rsync_talk *t, struct err *err);
/* The same for what the server called @peer said beside the conversation: @words, lines as they came. */
int rsync_talk_blame(const char *peer, const char *words, struct err *err);
