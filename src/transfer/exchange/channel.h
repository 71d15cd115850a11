/*
 * A conversation over two descriptors (a socket, a pair of pipes): what a wire needs is read and written here, both
 * directions at once, so that two sides which both have much to say never wait for each other.
 */
#pragma once

#include "base/util.h"
#include "transfer/exchange/wire.h"

struct channel;
struct err;

enum { CHANNEL_WAITING_MAX = 64 * 1024 * 1024 }; /* bytes */

struct channel_config {
        int in_fd, out_fd;  /* borrowed; may be one; made non-blocking */
        const char *peer;   /* who is there, for messages: "server" */
        unsigned timeout_s; /* of silence while something is awaited; 0: wait for ever */
        struct wire_config wire;
        bool never_compress;  /* else it is tried, and goes on as long as the link is the slower part */
        bool always_compress; /* whatever the link does */
        uint64_t rate;        /* bytes a second that go at most, in each direction; 0: no limit */
};

int channel_new(struct channel **ret, const struct channel_config *config, struct err *err);
struct channel *channel_free(struct channel *c);
DEFINE_FREEP(struct channel, channel_free)

/* How long silence is borne from now on, as `timeout_s`. */
void channel_set_timeout(struct channel *c, unsigned timeout_s);

/* A stop request is being answered: from now on nothing ends because of it, and nothing waits for a limit of the rate.
 */
void channel_outlive_stop(struct channel *c);

/*
 * Have @idle called about once a second while the channel waits for something, never within a message. What it puts in
 * goes out.
 */
void channel_while_waiting(struct channel *c, void (*idle)(void *context), void *context);

/* To put messages in: wire_begin(), wire_end(). */
struct wire *channel_wire(struct channel *c);

/*
 * The next message of the peer; what was put in goes out meanwhile. With @wait blocks until there is one. Return 1; 0
 * when there is none and it was not to wait; or a negative errno with @err filled: -ECONNRESET when the peer is gone,
 * -ETIMEDOUT after too much silence, -ECANCELED after a stop request (noticed on the main thread), -EPROTO.
 */
int channel_receive(struct channel *c, struct wire_message *ret, bool wait, struct err *err);

/*
 * Let what was put in go out: all of it with @all, else until little is left, so that who calls this often enough never
 * holds more than a few packets. What the peer sends meanwhile is taken and waits for channel_receive(), or two sides
 * could wait for each other; the protocol bounds it, and more than CHANNEL_WAITING_MAX is an error. Return 0 or a
 * negative errno with @err filled, as above.
 */
int channel_send(struct channel *c, bool all, struct err *err);

/* Let out what can go at once: a sign of life from who has no time to listen. Return as channel_send(). */
int channel_push(struct channel *c, struct err *err);

/* Bytes on the wire so far. */
uint64_t channel_received_bytes(const struct channel *c);
uint64_t channel_sent_bytes(const struct channel *c);
