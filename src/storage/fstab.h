/*
 * Filesystems of fstab(5), mounted and unmounted by libmount as mount(8) does it, with all options of their entry
 * (LABEL=, UUID=, bind, loop, noauto, x-*). What is mounted is decided by /proc/self/mountinfo; an automount point on
 * which nothing is yet (autofs) counts as nothing. The file is /etc/fstab, or $LIBMOUNT_FSTAB unless running setuid.
 *
 * A mount point is any path to it, through symlinks too. No descriptor of ours stays on a filesystem. The only programs
 * that are ever executed are libmount's mount.TYPE, for network and other filesystems that the kernel cannot mount by
 * itself, and only for mounting.
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

enum fstab_mapping {
        FSTAB_MAPPING_OTHER,
        FSTAB_MAPPING_UNKNOWN, /* only once it is unlocked: the entry names what is in it (UUID=, LABEL=) */
        FSTAB_MAPPING_RIGHT,
};

/* Is there an entry for @point? Return 0, or a negative errno with @err filled, of kind ERR_USAGE: there is none. */
int fstab_check(const char *point, struct err *err);

/*
 * Does on @point belong what is in the mapping @name, /dev/mapper/NAME? Something that is mounted there decides. Return
 * an fstab_mapping, or a negative errno with @err filled, of kind ERR_USAGE when there is no entry for @point.
 */
int fstab_find_mapping(const char *point, const char *name, struct err *err);

/*
 * Mount what belongs on @point; @read_only in addition to what its entry says. Of several entries for one mount point,
 * the first whose device is there. Afterwards the uppermost mount on @point is that entry's, or it is an error: a
 * device that is missing is one too, also with `nofail`, and so is another filesystem that was there before. An error
 * leaves mounted what was mounted before, and nothing else.
 *
 * Return a fstab_outcome or a negative errno with @err filled: -ENOENT (kind ERR_USAGE) when fstab has no such entry,
 * -ENOTDIR when the mount point does not exist, -ENODEV when the device of its entry (the medium in it, the image, what
 * is to be bound) is missing, and for nothing else; -EMEDIUMTYPE when something else is mounted there.
 */
int fstab_mount(const char *point, bool read_only, struct err *err);

/* Is something mounted on exactly @point? Return 1, 0 (also when it does not exist), or a negative errno with @err. */
int fstab_is_mounted(const char *point, struct err *err);

/*
 * Is there an entry for a directory above @path, or for itself, on which nothing is mounted? Return true with *ret_point
 * set, malloc'd, to the nearest one. False also when that cannot be told.
 */
bool fstab_is_awaited(const char *path, char **ret_point);

/* What is mounted on @point now, the uppermost. Return 0, -ENOENT when nothing is, or another negative errno. */
int fstab_instance(const char *point, char ret[FSTAB_INSTANCE_SIZE]);

/*
 * Make what fstab_mount() mounted read-only writable, unless its entry says `ro`. Return 0 or a negative errno with
 * @err filled: -EROFS when it cannot be (write-protected media; the kernel found errors; a loop device that was set up
 * for reading, which is what `loop` with `ro` does).
 */
int fstab_remount_writable(const char *point, struct err *err);

/*
 * Unmount the uppermost mount on @point. A filesystem in use is tried again for a few seconds, whatever signals arrive;
 * then -EBUSY, and @err names who uses it. Never lazily. What is not mounted any more is no error.
 */
int fstab_unmount(const char *point, struct err *err);
