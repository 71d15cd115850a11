/* What an agent tells beside its answers (agent_news.h), shown as if it happened here, and whose it is at one glance.
 */
#pragma once

#include "base/util.h"

struct err;
struct progress;
struct report;
struct wire_message;

struct remote_news {
        const char *host; /* all borrowed */
        struct report *report;
        struct progress *progress;
        bool in_step; /* the progress line shows one of the agent's */
};

/* Return 1 when @m is of this kind, and done with; 0 when it is not; or a negative errno with @err filled. */
int remote_news_take(struct remote_news *n, const struct wire_message *m, struct err *err);

/* The agent is at nothing any more. */
void remote_news_end(struct remote_news *n);
