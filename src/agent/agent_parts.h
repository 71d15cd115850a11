/* What the parts of an agent share: agent.c, agent_client.c, agent_requests.c. */
#pragma once

#include "agent/agent_news.h"
#include "base/err.h"
#include "base/util.h"
#include "destination.h"
#include "local/local_fence.h"
#include "transfer/exchange/message.h"

struct buf;
struct channel;
struct options;
struct progress;
struct report;
struct wire_message;

enum {
        AGENT_GOODBYE_S = 10, /* for a client whose request was stopped to say so */
        AGENT_SILENCE_S = 60, /* of a client that is there, see MESSAGE_ALIVE */
};

struct agent {
        const struct options *given; /* of the command line */
        int in_fd, out_fd;
        struct channel *channel;
        struct agent_news *news;

        struct options *options; /* what the client asked for in PREPARE; NULL before */
        struct local_fence fence;
        struct report *report;
        struct progress *progress;
        struct destination_config config;
        struct destination *destination;

        bool is_prepared; /* PREPARE went well, the disk is there; */
        bool is_full;     /* or it failed because that is full */
        bool is_released;
        bool in_exchange;     /* the receiver reads from the channel */
        bool passes_over;     /* what a sender that was told to end still sends */
        bool is_alone;        /* nobody is there any more */
        struct err *failure;  /* of the conversation */
        uint64_t heard_bytes; /* of the client, and */
        double heard;         /* when that was last seen to have grown */
};

/* ---- the client, while something is done: agent_client.c ---- */

/* The conversation cannot go on because of @err, which is emptied; who works is stopped. The first error is kept. */
void agent_lose_client(struct agent *a, struct err *err);

/* Is the client there, as far as can be told? Return 0 or -ETIMEDOUT with @err filled. */
int agent_check_client(struct agent *a, struct err *err);

/* May @m still come from a sender that was told to end? */
bool agent_is_of_sender(const struct wire_message *m);

/* For struct progress_listener, and for struct local_receive; all are told the agent. */
void agent_tick(void *agent);
void agent_step(void *agent, int step, uint64_t expected);
int agent_other(void *agent, const struct wire_message *m, struct err *err);

/* Tell what came before, and begin the answer: append the payload to the buffer. Return NULL with @err filled. */
struct buf *agent_begin_answer(struct agent *a, enum message_type type, struct err *err);

/* Send it; the payload was put with the result @packed (0 or -ENOMEM). Return 0 or a negative errno with @err filled.
 */
int agent_end_answer(struct agent *a, int packed, struct err *err);

/* One without payload. */
int agent_answer(struct agent *a, enum message_type type, struct err *err);

/* An ERROR that says @said, which is emptied. */
int agent_answer_error(struct agent *a, struct err *said, struct err *err);

/* ---- agent_requests.c ---- */

/*
 * Do what @m asks for, and answer. What goes wrong with that is in the answer; return 0, or a negative errno with @err
 * filled when the conversation cannot go on.
 */
int agent_dispatch(struct agent *a, const struct wire_message *m, struct err *err);

/* The destination is given back once, be it because the client says so or because it is gone. */
int agent_release(struct agent *a, struct err *err);
