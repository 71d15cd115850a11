/*
 * The ways to an rsync server: TCP to a daemon, the same through an SSH connection to a machine that reaches it, and
 * `rsync --server` run over SSH.
 */
#pragma once

#include "base/util.h"

struct err;
struct options;
struct rsync_arguments;
struct rsync_connection;

/*
 * Connect as @o says, which is borrowed; over SSH, rsync is started with the arguments @a, and is read from there what
 * it has to say beside the protocol, which is shown. Blocks; on the main thread. Return 0 or a negative errno with @err
 * filled.
 */
int rsync_connection_open(struct rsync_connection **ret, const struct options *o, const struct rsync_arguments *a,
                          struct err *err);

/* A stream in both directions, borrowed. */
int rsync_connection_fd(const struct rsync_connection *c);

/* The server has answered: what is said on standard error from now on is its own. Before, it is the login shell's. */
void rsync_connection_greet(struct rsync_connection *c);

/*
 * The conversation ended with @err, which is filled: say why, as far as the way there tells. -ECONNRESET or -ETIMEDOUT:
 * it may go better another time; -ENXIO: there is no rsync, or none that may be run. Return the code.
 */
int rsync_connection_explain(struct rsync_connection *c, struct err *err);

/*
 * The conversation is complete: wait for the server to end. Return 0, or a negative errno with @err filled when it says
 * by its end that not all went well. @is_partial: it said so before.
 */
int rsync_connection_finish(struct rsync_connection *c, bool is_partial, struct err *err);

/* Hang up, whatever is under way. Returns NULL. */
struct rsync_connection *rsync_connection_close(struct rsync_connection *c);
DEFINE_FREEP(struct rsync_connection, rsync_connection_close)
