/* What a session offers for ciphers, key exchange, signatures and host keys. Internal. */
#pragma once

#include "transfer/ssh/ssh_link.h"

/* Before the session connects. Return 0 or a negative errno with @err filled, also for a list in which nothing is
 * known. */
int ssh_algorithms_set(const struct ssh_link *link, struct err *err);
