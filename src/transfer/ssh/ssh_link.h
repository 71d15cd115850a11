/*
 * A connection in the making: a session of libssh that does not block, and whose it is. Internal to this folder, as is
 * all that knows libssh.
 */
#pragma once

#include "base/util.h"

#include <libssh/libssh.h>

struct err;
struct ssh_config;

struct ssh_link {
        ssh_session session;
        const struct ssh_config *config;
        const char *host;    /* as it was typed, for people and for the known_hosts files */
        const char *name;    /* [USER@]HOST[:PORT] as typed, for people */
        int fd;              /* what the session talks through; the session's own from the beginning */
        bool may_ask;        /* there is a terminal, and the configuration permits it */
        unsigned patience_s; /* a server that says nothing for so long is given up */
};

/*
 * Wait until libssh can go on after it said SSH_AGAIN. @what is being done, for the error: "log in". Return 0 or a
 * negative errno with @err filled: -ETIMEDOUT after the patience is over, -ECANCELED when a stop is requested.
 */
int ssh_link_wait(const struct ssh_link *link, const char *what, struct err *err);

/* Fill @err with "cannot WHAT HOST: what libssh says". Returns -EIO. */
int ssh_link_error(const struct ssh_link *link, const char *what, struct err *err);
