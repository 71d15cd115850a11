/* Who sits at this machine's screens: the sessions that logind knows (sd-login(3)), or else our own. */
#pragma once

#include "base/util.h"

#include <sys/types.h>

struct buf;

/* A user with a graphical session, and the bus that all of his sessions share. */
struct session_bus {
        uid_t uid;
        char *address; /* as D-Bus writes it */
};

/*
 * All of them for root; another user is let into no bus but his own. Return their number, 0 when memory is short too;
 * *@ret is malloc'd, for sessions_free().
 */
size_t sessions_find(struct session_bus **ret);
void sessions_free(struct session_bus *buses, size_t count);

/* "unix:path=PATH", with the escapes that the D-Bus specification ("Server Addresses") asks for. Return 0 or -ENOMEM.
 */
int sessions_put_address(struct buf *out, const char *path);
