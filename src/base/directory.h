/* What directories are to each other, by descriptors; names may be exchanged meanwhile. */
#pragma once

#include "base/util.h"

struct entry;

/* Has the directory no entries? Return 1, 0, or -errno. */
int directory_is_empty(int fd);

/* Are they one directory? Return 1, 0, or -errno. */
int directory_is_same(int fd, int other_fd);

/*
 * Exchange the descriptor of the directory @e for one of the directory above it, *ret_is_root tells whether that is
 * itself. Return 0; or -errno, then *fd may be -1.
 */
int directory_go_up(int *fd, const struct entry *e, bool *ret_is_root);

/*
 * Is the directory @fd that of @above_fd, or below it, by way of its own parents? With @on_one_filesystem nothing else
 * may be mounted in between. Return 1, 0, or -errno.
 */
int directory_is_below(int fd, int above_fd, bool on_one_filesystem);
