/*
 * The side of the source in an exchange (docs/agent-protocol.md, section 4): walks the source, tells of its
 * directories, and sends what the receiver asks for.
 */
#pragma once

#include "base/util.h"

#include <time.h>

struct channel;
struct err;
struct limits;
struct report;
struct source;
struct wire_message;

struct sender_config {
        struct channel *channel;
        const struct source *source;
        const struct limits *limits; /* of the receiver */
        struct report *report;       /* what could not be read, what vanished */

        /* When the last complete transfer of this source began, see transfer/update.h. */
        bool has_reference;
        struct timespec reference;

        /* A message that is not the receiver's (48 to 63) but the agent's (LOG, COUNT, OK, ...). Return 0 to go on;
         * SENDER_END when it ends the exchange; or a negative errno with @err filled. */
        int (*other)(void *context, const struct wire_message *m, struct err *err);
        void *context;

        void (*tick)(void *context); /* called some times a second while it works; may be NULL */
        void *tick_context;
};

enum { SENDER_END = 1 };

/*
 * Blocks until `other` ends it. Return 0, or a negative errno with @err filled: of the connection, of the protocol,
 * -ECANCELED after a stop request. What concerns single entries goes to the report.
 */
int sender_run(const struct sender_config *config, struct err *err);
