/* Which mount something is seen through, and where it is in its filesystem, whatever it is mounted as: /proc/self. */
#pragma once

#include "base/util.h"

/* The mount of an open or found (O_PATH) file. Return its id or -1. */
long mount_id(int fd);

/*
 * Is the directory @fd, the root of a mount, somewhere below the directory @above_fd in the same filesystem, though the
 * way up from it does not lead there (a bind mount)? Return 1 with *ret_name set to the name in @above_fd below which
 * it is, or which it is itself (malloc'd); 0 if not, or when it cannot be told; or -ENOMEM.
 */
int mount_is_of_entry_in(int fd, int above_fd, char **ret_name);
