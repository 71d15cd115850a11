/* Files with keys, as libssh reads them. Internal. */
#pragma once

#include "base/util.h"

#include <libssh/libssh.h>

struct secret;

/* The public half of the private key in @path: from PATH.pub, or out of the key itself; NULL when there is none to see.
 */
ssh_key ssh_identity_public(const char *path);

/* The certificate in @path, or NULL. */
ssh_key ssh_identity_certificate(const char *path);

/* PATH-cert.pub, where ssh-keygen puts a key's certificate; malloc'd. */
char *ssh_identity_certificate_path(const char *path);

enum ssh_identity_state {
        SSH_IDENTITY_PLAIN,
        SSH_IDENTITY_ENCRYPTED,
        SSH_IDENTITY_EXPOSED, /* others could read it, and ssh(1) would not use it either */
};

/* Return an ssh_identity_state or a negative errno. */
int ssh_identity_look(const char *path);

/* The private key; @passphrase may be NULL. NULL when it cannot be read, of a wrong passphrase for instance. */
ssh_key ssh_identity_private(const char *path, const struct secret *passphrase);
