/*
 * Filesystems of fstab(5), mounted and unmounted by libmount as mount(8) does it, with all options of their entry
 * (LABEL=, UUID=, bind, loop, noauto, x-*). What is mounted is decided by /proc/self/mountinfo.
 */
#pragma once

#include "base/util.h"

struct err;

/* What a mount is known by: the same text as long as it is the same mount (device, mount id). */
enum { FSTAB_INSTANCE_SIZE = 64 };

enum fstab_outcome {
        FSTAB_MOUNTED, /* by this call */
        FSTAB_ALREADY, /* it was, or somebody was faster */
};

/*
 * Mount what belongs on @point (a plain absolute path; symlinks in it are resolved as mount(8) does); @read_only in
 * addition to what its entry says. Afterwards the root of that filesystem really is there, or it is an error: a device
 * that is missing is one too, also with `nofail`. Return a fstab_outcome or a negative errno with @err filled: -ENOENT
 * (kind ERR_USAGE) when fstab has no such entry, -ENODEV when its device is missing.
 */
int fstab_mount(const char *point, bool read_only, struct err *err);

/* Is something mounted on exactly @point? Return 1, 0, or a negative errno with @err filled. */
int fstab_is_mounted(const char *point, struct err *err);

/* What is mounted on @point now, the uppermost. Return 0, or -ENOENT when nothing is. */
int fstab_instance(const char *point, char ret[FSTAB_INSTANCE_SIZE]);

/* Make what fstab_mount() mounted read-only writable, as its entry says. */
int fstab_remount_writable(const char *point, struct err *err);

/*
 * Unmount. A filesystem in use is tried again for a few seconds; then -EBUSY, and @err names who uses it. Never lazily.
 * What is not mounted any more is no error.
 */
int fstab_unmount(const char *point, struct err *err);
