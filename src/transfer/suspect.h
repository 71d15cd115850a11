/* What a run that was cut off may have written in `latest`: it is not believed before it is looked at closer. */
#pragma once

#include "base/util.h"

struct entry;
struct update_config;

/* Has the entry of `latest` changed since the run began that was cut off? */
bool suspect_is(const struct update_config *c, const struct entry *have);

/*
 * Have what is shown of @have, a suspect below the directory @dirfd, written to the disk with the next transaction.
 *
 * btrfs changes its memory first: a chown(2), chmod(2) or utimensat(2) that SIGKILL ends while it waits for space
 * leaves an inode that is shown with the new owner, mode or time, but not marked as changed. Snapshots, and the next
 * mount, have the old ones (Linux 6.18; tests/integration/killed-calls-are-not-believed.sh shows it). Any later change
 * of the inode writes all of it.
 *
 * Return 0 or -errno. What is no longer there, or not ours, is left alone.
 */
int suspect_write(int dirfd, const struct entry *have);

/* The same for a directory that is open. */
int suspect_write_fd(int fd, const struct entry *have);
