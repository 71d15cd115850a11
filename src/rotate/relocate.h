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

/* @meta_flags: for meta_apply(), base/meta.h. */
int relocate_new(struct relocate **ret, int root_fd, unsigned meta_flags, struct err *err);
struct relocate *relocate_free(struct relocate *r);
DEFINE_FREEP(struct relocate, relocate_free)

enum { RELOCATE_SPLIT = 1 };

/* One name of a file, in `latest` and in the snapshot. */
struct relocate_place {
        int dirfd, to_dirfd; /* its directory in both */
        const char *path;    /* of the directory below the root */
        const char *name;
};

/*
 * Give @place in both trees the new inode of @ino, making that first when there is none. Return 0; RELOCATE_SPLIT when
 * the new inode was full as well, so that another one was made and the names are no longer all links of one; or a
 * negative errno with @err filled (ERR_RUN).
 */
int relocate_name(struct relocate *r, const struct relocate_place *place, ino_t ino, struct arena *arena,
                  struct err *err);

/*
 * Make a copy of what @name is in @from_dirfd in @to_dirfd, where nothing has that name, with all metadata. Return 0 or
 * -errno.
 */
int relocate_copy(struct relocate *r, int from_dirfd, int to_dirfd, const char *name, struct arena *arena);

/* Has this inode moved? */
bool relocate_has(struct relocate *r, ino_t ino);

/* Has any inode moved? Then names that were visited before may still be on an old one. */
bool relocate_any(struct relocate *r);
