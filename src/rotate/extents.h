/*
 * What of a file's room is its own, where a filesystem lets files share it (reflinks, btrfs snapshots).
 *
 * Source: FS_IOC_FIEMAP, linux/fiemap.h and Documentation/filesystems/fiemap.rst of the kernel; what is said of
 * filesystems is as in Linux 5.10 to 6.18.
 */
#pragma once

#include "base/util.h"

/* How the blocks that stat(2) tells are to be read on a filesystem. */
enum extents_kind {
        EXTENTS_OWN,    /* they are the file's own, in whole blocks of the filesystem; */
        EXTENTS_MAYBE,  /* some of those of a regular file may be shared; */
        EXTENTS_LOGICAL /* and they are not what is on the disk, but only what would be without sharing (btrfs) */
};

struct extents_filesystem {
        enum extents_kind kind;
        uint64_t block_bytes;
};

/* Of the filesystem that @fd is on. Return 0 or -errno. */
int extents_look(struct extents_filesystem *ret, int fd);

struct extents {
        uint64_t bytes;  /* on the disk */
        uint64_t shared; /* of these, shared with other files, or within the file */
        bool is_encoded; /* compressed: @bytes is what it would be without that */
};

/* Of the regular file @fd. Return 0 or -errno. */
int extents_read(struct extents *ret, int fd);
