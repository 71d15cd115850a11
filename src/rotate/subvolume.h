/*
 * btrfs: `latest` as a subvolume, and snapshots of it by the filesystem. Making and removing one takes milliseconds and
 * happens as a whole or not at all; the filesystem shares what is equal, with no hard link between the trees.
 *
 * Source: btrfs-subvolume(8) and linux/btrfs.h; permissions as in fs/btrfs/ioctl.c of Linux 5.6 to 6.18:
 *
 *      make         whoever may make a directory there
 *      snapshot     the subvolume's owner (or CAP_FOWNER)
 *      remove       CAP_SYS_ADMIN; others with the mount option user_subvol_rm_allowed, when it is not read-only and
 *                   they may write in its root directory; when it is empty, rmdir(2) does it as well
 */
#pragma once

#include "base/util.h"

struct err;

/* Is the directory the root of a subvolume? Of what is mounted at @name the answer is no. */
bool subvolume_is(int fd);
bool subvolume_is_at(int dirfd, const char *name);

/* Make an empty one, with mode 0700. Before there are threads: it needs a umask. Return 0 or -errno. */
int subvolume_create(int dirfd, const char *name);

/*
 * Make @name, which must not exist, a read-only snapshot of the subvolume @from_fd, root directory and its metadata
 * included. What was written to @from_fd before and the snapshot itself are on the disk afterwards. Return 0 or -errno.
 */
int subvolume_snapshot(int dirfd, const char *name, int from_fd);

enum { SUBVOLUME_BY_HAND = 1 };

/*
 * Remove the subvolume @name with all that is in it; the room that it held comes back later. Return 0;
 * SUBVOLUME_BY_HAND when we are not privileged to, so that it must be made writable and its root directory opened to
 * us, and if that does not help be emptied and removed like a directory; -EBUSY when something is mounted in it, which
 * would be torn out; -ENOTEMPTY when there is another subvolume in it; -EPERM when it is the filesystem's default
 * subvolume, or being sent; or another -errno.
 */
int subvolume_remove(int dirfd, const char *name);

/* Change whether it can be written. For its owner. Return 0 or -errno. */
int subvolume_make_writable(int dirfd, const char *name);
bool subvolume_is_read_only(int fd);

/* Are there subvolumes in the subvolume @fd? Its snapshots show them as empty directories. */
bool subvolume_has_others(int fd);

/*
 * Wait until the room comes back that removed subvolumes held: as long as the free space of the filesystem @fd is on
 * grows, and a little longer. Return 0, or -ECANCELED with @err filled when the run is to stop.
 */
int subvolume_await_room(int fd, struct err *err);
