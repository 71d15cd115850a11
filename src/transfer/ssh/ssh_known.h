/* known_hosts files, sshd(8), SSH_KNOWN_HOSTS FILE FORMAT: what their lines say about one host. Internal. */
#pragma once

#include "base/buf.h"

#include <libssh/libssh.h>

struct ssh_known {
        /* The question. */
        const char *name; /* HOST, or [HOST]:PORT where the port is not 22; in small letters */
        const char
                *plain; /* HOST where that is another name, else NULL: its line is as good when the key is the same */
        ssh_key key;    /* the server's, or NULL as long as it is not known */

        /* The answer, to be empty at first; several files add up. */
        bool has_key, is_revoked;
        unsigned others;    /* how many other keys the host has */
        char other_at[256]; /* FILE:LINE of the first of them */
        bool has_authority; /* a certificate authority would vouch for it */
        struct buf types;   /* key types of the host, with commas between them */
};

/* Add what @text of the file @file, for messages, says. Return 0 or -ENOMEM. */
int ssh_known_scan(struct ssh_known *known, const char *file, const char *text, size_t size);

void ssh_known_deinit(struct ssh_known *known);
