/* Which mount is on a mount point, and whether it is that of an entry of fstab(5). */
#pragma once

#include "base/mount.h"

#include <sys/stat.h>

struct err;
struct libmnt_cache;
struct libmnt_fs;

/*
 * Find the uppermost mount on exactly @point. autofs counts as nothing. Return 1; 0 when nothing is mounted there, or
 * @point does not exist; or a negative errno with @err filled.
 */
int mounted_find(struct mount *ret, const char *point, struct err *err);

enum origin_kind {
        ORIGIN_MISSING, /* no such device, image or directory now */
        ORIGIN_DEVICE,
        ORIGIN_IMAGE, /* a file, by way of a loop device */
        ORIGIN_BOUND, /* a directory that is seen elsewhere */
        ORIGIN_NAMED, /* anything else: a name that means something to the filesystem or its server */
};

/* What an entry wants to have mounted. */
struct origin {
        enum origin_kind kind;
        struct libmnt_fs *fs; /* the entry, borrowed */
        struct stat st;       /* of device, image or directory */
};

/* Look for what @fs names. LABEL= and the like are resolved by @cache. */
void origin_find(struct origin *ret, struct libmnt_fs *fs, struct libmnt_cache *cache);

/*
 * Is it @m that is mounted, on @point? @fresh: it came when @origin was mounted; then a filesystem without a device is
 * believed to be the right one, whatever it calls itself.
 */
bool origin_is_mounted(const struct origin *origin, const struct mount *m, const char *point, bool fresh);
