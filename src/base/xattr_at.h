/*
 * Extended attributes of one name below a directory descriptor, without following symlinks: what Linux lacked until
 * getxattrat(2) and its kin of 6.13. Before, a thread that called xattr_at_own_cwd() has a working directory of its own
 * and goes there; others take the longer way through /proc/self/fd.
 */
#pragma once

#include "base/util.h"

#include <sys/types.h>

/* Give the calling thread a working directory of its own if it needs one and the kernel permits; never the main thread.
 */
void xattr_at_own_cwd(void);

/* As llistxattr(2), lgetxattr(2), but -errno instead of -1. */
ssize_t xattr_at_list(int dirfd, const char *name, char *list, size_t size);
ssize_t xattr_at_get(int dirfd, const char *name, const char *xattr, void *value, size_t size);
