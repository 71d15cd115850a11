/* Who keeps a filesystem or a block device busy, as fuser(1) finds out: from /proc and /sys. */
#pragma once

#include "base/util.h"

#include <sys/types.h>

struct buf;

/*
 * Append "bash (123), vi (456), the mount '/mnt/x'" for the processes with an open file, working or root directory,
 * program or mapping on the filesystem of device number @filesystem (st_dev, or what mountinfo has for it; 0: none),
 * ourselves left out; for mounts below it, and loop devices and swap areas in its files. For a block device @device
 * (st_rdev, 0: none) also for those that have it open, the mounts of it and the devices that are built on it. When that
 * is nobody, for processes (one each) in whose mount namespaces the filesystem is mounted. At most eight are named,
 * then how many more. Nothing is appended when nobody can be found (other users' processes need privileges). Asks no
 * filesystem anything, so it does not block on one that hangs. Return 0 or -ENOMEM, with what there was room for.
 */
int holders_describe(struct buf *out, dev_t filesystem, dev_t device);
