/* A connection over TCP to a name, one address after the other. */
#pragma once

#include "transfer/ssh/ssh_config.h"

struct err;

struct ssh_tcp_target {
        const char *host; /* a name or an address */
        unsigned port;
        enum ssh_config_family family;
        const char *bind_address; /* or NULL */
        unsigned timeout_s;       /* for each address */
        unsigned dead_after_s;    /* without an acknowledgement the kernel gives the connection up */
};

/* Return a non-blocking descriptor, or a negative errno with @err filled, whose text names each address that failed. */
int ssh_tcp_connect(const struct ssh_tcp_target *target, struct err *err);
