/* A connection over TCP to a name, one address after the other. */
#pragma once

#include "base/util.h"

struct err;

struct tcp_target {
        const char *host; /* a name or an address */
        unsigned port;
        int family;               /* AF_INET, AF_INET6, or AF_UNSPEC for both */
        const char *bind_address; /* or NULL */
        unsigned timeout_s;       /* for each address */
        unsigned dead_after_s;    /* without an acknowledgement the kernel gives the connection up */
};

/* Return a non-blocking descriptor, or a negative errno with @err filled, whose text names each address that failed. */
int tcp_connect(const struct tcp_target *target, struct err *err);
