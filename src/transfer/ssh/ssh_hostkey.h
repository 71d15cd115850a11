/* Whether the server is who it should be. Internal. */
#pragma once

#include "transfer/ssh/ssh_link.h"

/* The algorithms to offer, malloc'd: the configured ones, and first those of keys that are known for the host. */
int ssh_hostkey_algorithms(char **ret, const struct ssh_link *link, struct err *err);

/*
 * Behind the key exchange: compare the server's key with what the known_hosts files say. A changed or revoked one is
 * refused; an unknown one is shown and asked about on a terminal, added with `StrictHostKeyChecking accept-new`, and
 * refused otherwise, with the command that adds it.
 */
int ssh_hostkey_check(const struct ssh_link *link, struct err *err);
