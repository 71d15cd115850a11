/*
 * The connection to an agent on another machine: an SSH session in which `rsync-system-backup --server` runs, and the
 * channel to it.
 */
#pragma once

#include "base/util.h"

struct channel;
struct err;
struct options;
struct remote;

/*
 * Connect to the host of @o->destination and start the agent there; whether it is one shows with the first answer.
 * Blocks; on the main thread. Return 0 or a negative errno with @err filled.
 */
int remote_open(struct remote **ret, const struct options *o, struct err *err);

struct channel *remote_channel(struct remote *r);

/* The agent has answered: what is said on standard error from now on is its own. Before, it is the login shell's. */
void remote_greet(struct remote *r);

/*
 * The conversation ended with @err, which is filled: say why, as far as the end of the agent or of the connection
 * tells, and at which host. The code is -ECONNRESET or -ETIMEDOUT when the same could go well another time. Return it.
 */
int remote_explain(struct remote *r, struct err *err);

/* Has remote_explain() found that there is no such command, where nobody has said what to run? */
bool remote_has_no_agent(const struct remote *r);

/* Both sides have said goodbye: give the agent a moment to end by itself. */
void remote_part(struct remote *r);

/* Hang up, whatever is under way. Returns NULL. */
struct remote *remote_close(struct remote *r);
