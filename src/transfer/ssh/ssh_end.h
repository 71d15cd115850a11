/* How a command or connection ended, in words. Internal, but for what ssh.h declares of it. */
#pragma once

#include "transfer/ssh/ssh.h"
#include "transfer/ssh/ssh_bridge.h"

/* Fill in all of @ret for @end; @name is the machine's, for people. */
void ssh_end_tell(struct ssh_end *ret, const char *name, const struct ssh_bridge_end *end);
