/*
 * One side of a conversation in the agent protocol (docs/agent-protocol.md, sections 1 and 2): bytes of the peer go in
 * and come out as messages, messages go in and come out as bytes for the peer. Holds no descriptor and never blocks;
 * see transfer/channel.h for who does.
 */
#pragma once

#include "base/buf.h"
#include "base/util.h"

struct err;
struct wire;

enum {
        WIRE_PACKET_MAX = 1024 * 1024, /* bytes, before and after decompression */
        WIRE_MESSAGE_MAX = 512 * 1024, /* payload of one that we put in */
        WIRE_VERSION = 1,
        WIRE_FEATURE_ZSTD = 1 << 0,
};

struct wire_config {
        const char *program; /* its version, for the peer's messages */
        uint32_t features;   /* those that may be used */
        int level;           /* of compression, as zstd counts */
};

struct wire_message {
        uint8_t type;
        const void *data; /* valid until the next call of wire_next() */
        size_t size;
};

/* The hello is in the output at once. Return 0, or a negative errno with @err filled. */
int wire_new(struct wire **ret, const struct wire_config *config, struct err *err);
struct wire *wire_free(struct wire *w);
DEFINE_FREEP(struct wire, wire_free)

/*
 * Take bytes of the peer, all of them. Not more may be fed while wire_next() has messages. Return 0, or a negative
 * errno with @err filled: -EPROTO for what breaks a rule, -EPROTONOSUPPORT when there is no common version.
 */
int wire_feed(struct wire *w, const void *data, size_t size, struct err *err);

/* The next message. Return 1; 0 when more bytes are needed; or a negative errno with @err filled. */
int wire_next(struct wire *w, struct wire_message *ret, struct err *err);

/* Has the peer's hello come? Then its version of the program ("" before). */
const char *wire_peer(const struct wire *w);

/* Bytes that came and are not yet part of any message: what a connection that ends now has cut off. */
bool wire_is_amid(const struct wire *w);

/* Put a message into the output: begin, append the payload to the buffer, end. Not nested. */
struct buf *wire_begin(struct wire *w, uint8_t type);
int wire_end(struct wire *w, struct err *err);

/* Compress what follows? Without the feature it stays off. */
void wire_compress(struct wire *w, bool on);

/* Make a packet of what was put in, so that wire_output() has all of it. */
int wire_flush(struct wire *w, struct err *err);

/* Bytes for the peer: valid until something is put in. wire_sent() takes away those that went. */
const void *wire_output(const struct wire *w, size_t *ret_size);
void wire_sent(struct wire *w, size_t size);
