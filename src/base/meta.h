/*
 * Give a file, directory, link or device the metadata of an entry: owner, extended attributes and ACLs, mode, in the
 * order that loses nothing (chown(2) drops setuid bits and capabilities, an ACL changes the mode), and only what
 * differs from what it has. The time of modification is set apart, since it comes last of all.
 */
#pragma once

#include "base/util.h"

#include <time.h>

struct entry;

/* What is to be changed: an open file or directory, or, for what cannot be opened, a name below a directory. */
struct meta_place {
        int fd; /* -1 for symlinks and special files */
        int dirfd;
        const char *name;
};

enum meta_flags {
        META_KEEP_ACCESS = 1 << 0, /* a directory that is still being worked in: its owner keeps rwx for now */
        META_KEEP_LABELS = 1 << 1, /* leave trusted.* and security.* as they are: they are not ours to change */
};

/* Return 0 or -errno with *ret_failed saying what was attempted. */
int meta_apply(const struct meta_place *place, const struct entry *want, const struct entry *have, unsigned flags,
               const char **ret_failed);

/* Set the mode alone. Return 0 or -errno. */
int meta_set_mode(const struct meta_place *place, unsigned mode);

/* Set the time of modification; the time of access stays. Return 0 or -errno. */
int meta_set_mtime(const struct meta_place *place, struct timespec mtime);
