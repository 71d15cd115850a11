/*
 * The user's agent (draft-miller-ssh-agent), as libssh is to see it: a relay on a thread of its own that shows only the
 * keys that may be tried, those that the configuration names first, and passes requests for signatures on. Internal.
 */
#pragma once

#include "base/util.h"

#include <libssh/libssh.h>

struct err;
struct ssh_config;
struct ssh_keyring;

/*
 * Connect to the agent that @config names and ask for its keys. Return 0; or a negative errno with @err filled, -ENOENT
 * when there is none.
 */
int ssh_keyring_open(struct ssh_keyring **ret, const struct ssh_config *config, struct err *err);

/* How many keys it holds, and how many of them are shown. */
void ssh_keyring_count(const struct ssh_keyring *k, unsigned *ret_all, unsigned *ret_shown);

/* Is this public key one of those that are shown? */
bool ssh_keyring_has(const struct ssh_keyring *k, ssh_key key);

/* Where libssh is to talk to it; the descriptor is for the caller, once. */
int ssh_keyring_take_fd(struct ssh_keyring *k);

/* Ends the thread, when nobody talks to it any more. */
struct ssh_keyring *ssh_keyring_close(struct ssh_keyring *k);
DEFINE_FREEP(struct ssh_keyring, ssh_keyring_close)
