/*
 * The disk below a local destination, in layers: what --crypto unlocks, then what --mount mounts. What this run opened
 * is given back when the last run that uses it leaves (storage/share.h); what was open already stays as it was.
 */
#pragma once

#include "base/util.h"
#include "storage/share.h"

struct err;
struct local_disk_kind;
struct options;

enum { LOCAL_DISK_CRYPTO, LOCAL_DISK_MOUNT, LOCAL_DISK_LAYERS };

enum { LOCAL_DISK_INSTANCE_SIZE = 128 };

struct local_disk_layer {
        const struct local_disk_kind *kind; /* NULL: not attached */
        const char *name;                   /* borrowed: of the crypttab entry, or the mount point */
        const char *below; /* borrowed: of a mount point, the crypttab entry that goes with it, or "" */
        struct share share;
        bool opened;                             /* by this run; */
        char instance[LOCAL_DISK_INSTANCE_SIZE]; /* then what it was */
};

struct local_disk {
        const struct options *options;
        char *point; /* --mount without symlinks */
        struct local_disk_layer layers[LOCAL_DISK_LAYERS];
};

/* Nothing is attached. @options is borrowed. */
void local_disk_init(struct local_disk *disk, const struct options *options);

/*
 * Is @parent, a plain absolute path whose symlinks are resolved as far as it exists, below the mount point, or it? Told
 * before anything is touched: a usage error if not.
 */
int local_disk_check_path(const struct local_disk *disk, const char *parent, struct err *err);

enum { LOCAL_DISK_ABSENT = 1 };

/*
 * Unlock and mount as the options say; nothing if they do not. Return 0; LOCAL_DISK_ABSENT when a disk is not plugged
 * in and nobody is at a terminal (which has been logged); or a negative errno with @err filled. local_disk_detach() is
 * to be called in any case.
 */
int local_disk_attach(struct local_disk *disk, struct err *err);

/* Unmount and lock again what is ours and used by nobody else. A stop request does not end it. */
int local_disk_detach(struct local_disk *disk, struct err *err);
