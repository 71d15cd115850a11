/*
 * Small files that this machine keeps about its backups, wherever the disks are: in $STATE_DIRECTORY, else
 * /var/lib/rsync-system-backup, else (for ordinary users) $XDG_STATE_HOME/rsync-system-backup or
 * ~/.local/state/rsync-system-backup.
 */
#pragma once

#include "base/util.h"

struct buf;

/* The directory, or the one named @below in it; for messages. malloc'd; NULL when there is no place, or no memory. */
char *remembered_path(const char *below);

/* Open it; @create: make what is missing, 0700. Return a descriptor or a negative errno. */
int remembered_open(const char *below, bool create);

/* What root keeps on this machine, to be read by who may. Return a descriptor or a negative errno. */
int remembered_open_of_root(void);

/*
 * Keep others that write there away. They take a moment; who takes longer is not waited for. Return 0, -ETIMEDOUT after
 * ten seconds, or another negative errno.
 */
int remembered_lock(int dirfd);
void remembered_unlock(int dirfd);

/* Append the file @name, which fd_replace_file_at() writes, to @ret. At most 1 MiB: what is longer is cut there. Return
 * 0 or a negative errno. */
int remembered_read(int dirfd, const char *name, struct buf *ret);
