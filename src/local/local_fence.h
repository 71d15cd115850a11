/*
 * What an agent with --restrict=DIR is kept to, whatever its client asks for: the parent of the destination is DIR or
 * below it. Nobody can get out by names ("..", symlinks, absolute paths), which are resolved before anything is
 * touched, nor by exchanging a directory meanwhile, since what was opened is looked at again from within.
 *
 * A destination is nothing that belongs to another one: no snapshot's name and none of this program's own is in its
 * path below DIR. What is mounted lies at DIR, above or below it; what is unlocked is what fstab has there.
 */
#pragma once

#include "base/util.h"

struct err;
struct options;

struct local_fence {
        const char *directory; /* DIR, plain and absolute */
        bool append_only;      /* no snapshot is removed or changed, and nothing is forced */
};

/*
 * Does the request stay inside, as far as names tell? @parent is the destination's, resolved, and @latest its name.
 * Nothing is touched; when the disk is open more can be told. Return 0 or a negative errno with @err filled.
 */
int local_fence_check(const struct local_fence *f, const struct options *o, const char *parent, const char *latest,
                      struct err *err);

/* Is the directory @fd, shown as @path, inside? Return 0 or a negative errno with @err filled. */
int local_fence_check_fd(const struct local_fence *f, int fd, const char *path, struct err *err);
