/*
 * The side of the tree in an exchange (docs/agent-protocol.md, section 4): makes `latest` equal to what the sender
 * tells, as transfer/update.h does with a source that is at hand.
 */
#pragma once

#include "base/util.h"

#include <time.h>

struct channel;
struct err;
struct limits;
struct links;
struct report;
struct wire_message;

struct receiver_config {
        struct channel *channel;
        int to_fd;      /* the root of `latest`; -1 in a dry run that finds none yet */
        bool to_is_new; /* or this run made it, or would */
        int partial_fd; /* the directory where what came of a large file that was cut off is kept, until the caller
                         * knows that all is complete; -1: nowhere */
        const struct limits *limits;
        struct report *report;
        bool dry_run;

        bool has_reference; /* was the sender told of a reference time? */
        bool has_suspect;   /* what a run that was cut off may have written, see transfer/update.h */
        struct timespec suspect;

        struct links *links; /* of this run; used again when the exchange is done once more */

        /* A message that is not the sender's (32 to 47): CANCEL. Return 0 to go on, or a negative errno with @err
         * filled. */
        int (*other)(void *context, const struct wire_message *m, struct err *err);
        void *context;

        void (*tick)(void *context); /* called some times a second, from the thread that has the channel */
        void *tick_context;
};

/*
 * Blocks until END has come and all that was asked for is done. Messages of the exchange alone are sent; what it came
 * to is the caller's to tell. Return 0, or a negative errno with @err filled when going on was pointless: then
 * `latest` is usable, and the next one continues. What concerns single entries goes to the report.
 */
int receiver_run(const struct receiver_config *config, struct err *err);
