/*
 * Extended attributes of what a descriptor stands for, be it open or only found (O_PATH), as symlinks and special files
 * are: for those the kernel has no call before 6.13, so that the way leads through /proc/self/fd.
 */
#pragma once

#include "base/util.h"

#include <sys/types.h>

/*
 * As flistxattr(2), fgetxattr(2), fsetxattr(2), fremovexattr(2), but -errno instead of -1. For what is only found,
 * where no /proc is mounted, -ENOSYS by the first and -EOPNOTSUPP by the others.
 */
ssize_t xattr_fd_list(int fd, char *list, size_t size);
ssize_t xattr_fd_get(int fd, const char *xattr, void *value, size_t size);
int xattr_fd_set(int fd, const char *xattr, const void *value, size_t size);
int xattr_fd_remove(int fd, const char *xattr);
