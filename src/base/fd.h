/* Descriptors: opened relative to a directory, without following symlinks; closed exactly once. */
#pragma once

#include "base/util.h"

#include <sys/types.h>

/* Close when it is not -1; for release that cannot usefully fail. Returns -1. */
int fd_close(int fd);

static inline void fd_closep(int *fd)
{
        *fd = fd_close(*fd);
}

/*
 * Open @name, one component below @dirfd, for reading, without following a symlink, without blocking, and without
 * moving its atime where that is permitted (O_NOATIME). @flags may add O_DIRECTORY. Return a descriptor or -errno.
 */
int fd_open_at(int dirfd, const char *name, int flags);

/*
 * Open the regular file @name, one component below @dirfd, for reading, as fd_open_at() does; anything else is not even
 * opened, since that alone has effects (a tape rewinds, a watchdog starts, who waits at a FIFO goes on): -ENXIO for a
 * special file, -EISDIR, -ELOOP. Return a descriptor or -errno.
 */
int fd_open_file_at(int dirfd, const char *name);

/* A directory as the user named it, through symlinks if there are any; the same about its atime. */
int fd_open_directory(const char *path);

/*
 * The same for @path or, where that does not exist, the nearest directory above it that does; @path is absolute.
 * *ret_path (malloc'd, NULL when memory is short) says which, also with an error.
 */
int fd_open_nearest(const char *path, char **ret_path);

/*
 * fd_open_at() for a tree that is about to be changed: what is mounted over @name is not entered, -EXDEV, even when it
 * is of the same filesystem.
 */
int fd_open_unmounted_at(int dirfd, const char *name, int flags);

/*
 * Find the directory @path below @root, without following symlinks or leaving the filesystem; the path may be longer
 * than PATH_MAX, "" is @root itself. Return a descriptor (O_PATH) or -errno.
 */
int fd_open_below(int root, const char *path);

/*
 * Open the directory @path (shorter than PATH_MAX; "" is @root itself) below @root, without following symlinks; other
 * filesystems are entered. @flags may add O_PATH. Return a descriptor or -errno.
 */
int fd_open_beneath(int root, const char *path, int flags);

/* Have the names in a directory on the disk, on filesystems that know how to. Return 0 or -errno. */
int fd_sync_directory(int fd);

/*
 * Put the regular file @name in @dirfd, 0600, in the place of the one that is there, durably and as a whole: it is
 * written as NAME.new, synced and renamed. Return 0 or -errno; then the old one is there still.
 */
int fd_replace_file_at(int dirfd, const char *name, const void *data, size_t size);

/* Read exactly @size bytes or up to the end. Return the number of bytes or -errno. */
ssize_t fd_read_full(int fd, void *data, size_t size);
ssize_t fd_pread_full(int fd, void *data, size_t size, off_t offset);

/* Write all. Return 0 or -errno. */
int fd_write_full(int fd, const void *data, size_t size);
int fd_pwrite_full(int fd, const void *data, size_t size, off_t offset);
