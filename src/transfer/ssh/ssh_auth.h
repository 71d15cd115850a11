/*
 * Logging in: the agent's keys, key files with their certificates, keyboard-interactive, password; whatever has to be
 * asked is asked on a terminal only. Several methods in a row where the server wants them. Internal.
 */
#pragma once

#include "transfer/ssh/ssh_link.h"

/* @ret_keyring is set where the session has got an agent, also on failure; to be closed behind the session. */
struct ssh_keyring;
int ssh_auth_login(const struct ssh_link *link, struct ssh_keyring **ret_keyring, struct err *err);
