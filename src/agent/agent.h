/*
 * The other end of destination_agent.c: `rsync-system-backup --server`, which a client starts over SSH, speaks the
 * agent protocol (docs/agent-protocol.md) on standard input and output, and does what it is asked for by the local
 * destination. Nothing else goes to standard output, and nothing is asked on a terminal.
 */
#pragma once

#include "base/util.h"

struct err;
struct options;

/*
 * Serve one client, after stop_init(); @o are the options of the command line. Blocks until the client says that it is
 * done or is gone; whatever ends it, what was changed is whole, and what was unlocked and mounted is closed again.
 * Return 0, or a negative errno with @err filled when the conversation did not end as it should.
 */
int agent_run(const struct options *o, struct err *err);
