/* Who keeps a filesystem or a block device busy, as fuser(1) finds out: from /proc and /sys. */
#pragma once

#include "base/util.h"

#include <sys/types.h>

struct buf;

/*
 * Append "bash (123), vi (456)" for the processes with an open file, working or root directory, mapping or mount on the
 * filesystem of device number @filesystem (st_dev), ourselves left out; at most eight, then how many more. For a block
 * device @device (st_rdev, 0: none) also those that have it open, the mounts of it and the devices that are built on
 * it. Nothing is appended when nobody can be found (other users' processes need privileges). Return 0 or -ENOMEM.
 */
int holders_describe(struct buf *out, dev_t filesystem, dev_t device);
