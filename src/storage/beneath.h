/* What a filesystem lies on. */
#pragma once

#include "base/util.h"

#include <sys/types.h>

/*
 * Is what is mounted at @point on the block device @device, directly or by way of others (partitions and volumes of it,
 * as /sys/dev/block/.../slaves tells)? Return 1; 0; or -ENODATA when it cannot be told: a filesystem on no device or on
 * several ones (btrfs), or on an image in a file, wherever that is.
 */
int beneath_has(const char *point, dev_t device);
