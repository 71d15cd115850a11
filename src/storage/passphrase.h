/*
 * Where the key to an encrypted disk comes from when there is no key file: a credential, the terminal, an agent.
 */
#pragma once

#include "base/util.h"

struct err;
struct secret;

enum passphrase_outcome {
        PASSPHRASE_GOT,
        PASSPHRASE_NOBODY,  /* there is nobody to ask: no terminal, no agents */
        PASSPHRASE_REFUSED, /* cancelled, or nobody answered in time */
};

/*
 * $CREDENTIALS_DIRECTORY/rsync-system-backup.NAME (systemd.exec(5), LoadCredential=), all of its bytes, 1 MiB at most.
 * No link is followed there. Return 0, -ENOENT without @err when there is none, or a negative errno with @err filled.
 */
int passphrase_credential(struct secret *ret, const char *name, struct err *err);

/*
 * Ask for the passphrase of the disk @name on the terminal (standard input and standard error are one) without echo;
 * where there is none ask systemd's agents. On the main thread, after stop_init(). Blocks for @timeout_s at most (0:
 * for ever), until a stop is requested (-ECANCELED with @err filled). The terminal is as it was before when this
 * returns, whatever happens. Return a passphrase_outcome or a negative errno with @err filled; *ret is set up when
 * PASSPHRASE_GOT.
 */
int passphrase_ask(struct secret *ret, const char *name, unsigned timeout_s, struct err *err);
