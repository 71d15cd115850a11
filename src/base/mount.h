/* Which mount something is seen through, and where it is in its filesystem, whatever it is mounted as: /proc/self. */
#pragma once

#include "base/util.h"

#include <stdio.h>
#include <sys/types.h>

/* One mount, as /proc/PID/mountinfo tells. Start with { .line = NULL }. */
struct mount {
        char *line; /* the texts are parts of it */
        size_t capacity;
        long id, above_id; /* its own, and that of the mount that it is mounted on */
        dev_t device;      /* of the filesystem; on btrfs none that stat(2) shows */
        char *root;        /* the directory of the filesystem that is seen */
        char *point;
        char *type, *source, *options; /* the filesystem's options, not those of the mount */
};

/* Read the next mount out of an open mountinfo file; lines that nobody understands are left out. False at the end. */
bool mount_read(struct mount *m, FILE *mountinfo);

/* The mount through which @fd was opened or found. False when it cannot be told. */
bool mount_find(struct mount *ret, int fd);

void mount_deinit(struct mount *m);

/* Read a device number as /proc and /sys write it, "8:17", in numbers of @base. */
bool mount_parse_device(dev_t *ret, const char *text, int base);

/* The mount of an open or found (O_PATH) file. Return its id or -1. */
long mount_id(int fd);

/*
 * Is the directory @fd, the root of a mount, somewhere below the directory @above_fd in the same filesystem, though the
 * way up from it does not lead there (a bind mount)? Return 1 with *ret_name set to the name in @above_fd below which
 * it is, or which it is itself (malloc'd); 0 if not, or when it cannot be told; or -ENOMEM.
 */
int mount_is_of_entry_in(int fd, int above_fd, char **ret_name);
