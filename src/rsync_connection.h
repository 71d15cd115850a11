/*
 * The ways to an rsync server: TCP to a daemon, or the same through an SSH connection to a machine that reaches it.
 */
#pragma once

#include "base/util.h"

struct err;
struct options;
struct rsync_connection;

/* Connect as @o says, which is borrowed. Blocks; on the main thread. Return 0 or a negative errno with @err filled. */
int rsync_connection_open(struct rsync_connection **ret, const struct options *o, struct err *err);

/* A stream in both directions, borrowed. */
int rsync_connection_fd(const struct rsync_connection *c);

/*
 * The conversation ended with @err, which is filled: add what the way there knows of it, if that is more than that it
 * ended. -ECONNRESET: it may go better another time. Return the code.
 */
int rsync_connection_explain(struct rsync_connection *c, struct err *err);

/* Hang up, whatever is under way. Returns NULL. */
struct rsync_connection *rsync_connection_close(struct rsync_connection *c);
DEFINE_FREEP(struct rsync_connection, rsync_connection_close)
