/*
 * Give a file, directory, link or device the metadata of an entry: owner, extended attributes and ACLs, mode, in the
 * order that loses nothing (chown(2) drops setuid bits and capabilities, an ACL changes the mode), and only what
 * differs from what it has. The time of modification is set apart, since it comes last of all.
 *
 * Always by a descriptor: a name could stand for something else by the time it is used. What is not to be opened, like
 * symlinks and special files, is found with O_PATH.
 */
#pragma once

#include "base/util.h"

#include <time.h>

struct entry;

enum meta_flags {
        META_KEEP_ACCESS = 1 << 0, /* a directory that is still being worked in: its owner keeps rwx for now */
        META_KEEP_LABELS = 1 << 1, /* leave trusted.* and security.* as they are: they are not ours to change */
};

/*
 * What fails does not keep the rest away; the mode then gives nobody what was meant for an owner or an ACL that is not
 * there. Return 0 or the first -errno with *ret_failed saying what was attempted.
 */
int meta_apply(int fd, const struct entry *want, const struct entry *have, unsigned flags, const char **ret_failed);

/* Set the mode alone. Return 0 or -errno. */
int meta_set_mode(int fd, unsigned mode);

/* Set the time of modification; the time of access stays. Return 0 or -errno. */
int meta_set_mtime(int fd, struct timespec mtime);
