/* For probes: a TCP connection to who is named on the command line. */
#pragma once

#include "base/fd.h"

#include <netdb.h>
#include <sys/socket.h>

/* Return a descriptor, or -1 when there is no way. */
static inline int connect_to(const char *host, const char *port)
{
        const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
        struct addrinfo *found = NULL;
        int fd = -1;

        if (getaddrinfo(host, port, &hints, &found) != 0)
                return -1;
        for (const struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
                fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
                if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0)
                        fd = fd_close(fd);
        }
        freeaddrinfo(found);
        return fd;
}
