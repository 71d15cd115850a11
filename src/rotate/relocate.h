/*
 * Files of `latest` that take no more links (EMLINK: 65,000 on ext4): they move to a new inode with the same content
 * and metadata, all names of one inode together. May be used from all workers.
 */
#pragma once

#include "base/util.h"

#include <sys/types.h>

struct arena;
struct err;
struct relocate;

int relocate_new(struct relocate **ret, int root_fd, struct err *err);
struct relocate *relocate_free(struct relocate *r);
DEFINE_FREEP(struct relocate, relocate_free)

/*
 * Give DIRECTORY/NAME (@dirfd, with @path below the root) the new inode of @ino, making that first when there is none.
 * Return 0 or a negative errno with @err filled (ERR_RUN).
 */
int relocate_name(struct relocate *r, int dirfd, const char *path, const char *name, ino_t ino, struct arena *arena,
                  struct err *err);

/* Has this inode moved? */
bool relocate_has(struct relocate *r, ino_t ino);

/* Has any inode moved? Then names that were visited before may still be on an old one. */
bool relocate_any(struct relocate *r);

/* Make @name in @to_dirfd a link of @name in @from_dirfd, in place of what it was. Return 0 or -errno. */
int relocate_replace_link(int from_dirfd, int to_dirfd, const char *name);
