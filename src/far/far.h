/* What the parts of a destination behind an agent share: destination_agent.c, far_ask.c, far_connect.c, far_transfer.c.
 */
#pragma once

#include "base/buf.h"
#include "base/util.h"
#include "destination.h"
#include "far/remote.h"
#include "far/remote_news.h"
#include "options/options.h"
#include "patience.h"
#include "transfer/exchange/message.h"
#include "transfer/exchange/request.h"
#include "transfer/exchange/wire.h"
#include "transfer/source.h"

struct err;

enum { FAR_CANCEL_PATIENCE_S = 60 /* for an agent that is to undo what it does */ };

struct far {
        struct destination d; /* first */
        char *parent;         /* HOST:DIR */
        char host[256];       /* as messages call it, see location_show_host() */
        struct remote *remote;
        struct remote_news news;
        struct request_place place; /* what the agent said of the destination; boot == NULL: nothing yet */
        bool source_is_empty;
        bool was_prepared; /* once; then it is worth to connect again */
        bool is_broken;    /* nothing can be said to the agent any more */
        bool passes_over;  /* what a receiver that was told to end still sends */
        struct patience patience; /* with connecting again */
        double was_alive;  /* when that was said last */
};

static inline struct far *far_of(struct destination *d)
{
        return (struct far *)d;
}

static inline const char *far_host(const struct far *f)
{
        return f->host;
}

/* ---- requests: far_ask.c ---- */

/* Begin one: append the payload to the buffer, then far_ask(). */
struct buf *far_begin(struct far *f, enum message_type type);

/*
 * Send the request, whose payload was put with the result @packed (0 or -ENOMEM), and wait for its answer, which is
 * valid until the next one. Return 0; or a negative errno with @err filled, which an ERROR of the agent is as well.
 * After a stop request the agent was told to end what it does.
 */
int far_ask(struct far *f, int packed, struct wire_message *ret, struct err *err);

/* The next message of the agent that is no news. Return 0 or a negative errno with @err filled, for
 * far_fail_connection(). */
int far_hear(struct far *f, struct wire_message *ret, struct err *err);

/* Called some times a second, between two messages: show where it is, and say to the agent that we are there. */
void far_tick(void *far);

/* Is @code that of a conversation that cannot go on? */
bool far_is_of_connection(int code);

/* The conversation failed with @err, whose code is @r: add why. A stop request is not of that kind. Return the code. */
int far_fail_connection(struct far *f, int r, struct err *err);

/* The answer to the request called @to makes no sense, which ends the conversation. */
int far_fail_answer(struct far *f, const char *to, struct err *err);

/* Take an ERROR as if it had happened here: fill @err and return its code. Return 0 for another answer. */
int far_take_error(struct far *f, const struct wire_message *answer, struct err *err);

/*
 * The agent is at something that is to end: tell it, and wait for its answer, whatever it is, so that it is free for
 * what comes next. When it takes too long it is left to itself, and finds out that it is.
 */
void far_cancel(struct far *f);

/* ---- the connection: far_connect.c ---- */

/* Connect, and have the destination prepared. Return 0, DESTINATION_ABSENT, or a negative errno with @err filled. */
int far_connect(struct far *f, struct err *err);

/* Do @step, and once more after each new connection. */
int far_persist(struct far *f, int (*step)(struct far *f, void *context, struct err *err), void *context,
                struct err *err);

void far_hang_up(struct far *f);

/* What is the destination's own, if it can be met here. @ret->parent_fd is to be closed. */
int far_find_avoided(const struct far *f, struct source_avoid *ret, struct err *err);

/* ---- far_transfer.c ---- */

int far_transfer(struct destination *d, struct err *err);

/* Let the agent find out, by an exchange that changes nothing, what room a transfer would take. Not begun anew. */
int far_imagine_transfer(struct far *f, struct err *err);

/* ---- far_survey.c ---- */

int far_survey(struct destination *d, struct survey *ret, struct err *err);
