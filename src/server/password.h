/* The password of an rsync daemon's user, as rsync(1) finds it. */
#pragma once

#include "base/util.h"

struct err;
struct options;
struct secret;

/*
 * From --password-file, whose first line it is, else from $RSYNC_PASSWORD, else asked for on the terminal. A file that
 * others can read is refused, and one that is not root's when we are root. Return 0 with *ret set up, or a negative
 * errno with @err filled.
 */
int password_find(struct secret *ret, const struct options *o, struct err *err);
