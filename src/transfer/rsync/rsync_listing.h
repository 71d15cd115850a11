/*
 * What a directory of an rsync server holds: the server sends its names, and is asked for nothing else
 * (docs/rsync-protocol.md, section 10).
 */
#pragma once

#include "base/util.h"

#include <sys/types.h>

struct err;
struct rsync_arguments;
struct rsync_hello_config;

struct rsync_listing_config {
        int in_fd, out_fd;  /* borrowed; may be one; made non-blocking */
        const char *peer;   /* who is there, for messages: "HOST::MODULE" */
        unsigned timeout_s; /* of silence while something is awaited; 0: what the server says, if it does */

        /* Its arguments' destination is the directory, "MODULE/DIR/"; what else they have to say is set here (behind a
         * remote shell by rsync_listing_arguments()), but for the timeout. */
        const struct rsync_hello_config *hello;

        /* One entry, of any type, by its name alone, "." left out; sizes of anything but files mean nothing. The order
         * is none, and nobody has made sure that a name comes once. Return 0, or a negative errno with @err filled. */
        int (*take)(void *context, const char *name, mode_t mode, uint64_t size, int64_t mtime, struct err *err);
        void *context;
        bool hangs_up; /* when the list is complete, so that to the server it was no transfer */
};

enum { RSYNC_LISTING_MAX = 1000000 }; /* entries; a directory that holds more is an error */

/*
 * Blocks until all is said. Return 0, or a negative errno with @err filled; what was taken before is not all there is
 * then. -ENOENT: what the server says of the directory, and of nothing else, for which it is -ENXIO; -ENOTDIR, -EACCES:
 * likewise; -E2BIG: RSYNC_LISTING_MAX; others as rsync_push().
 */
int rsync_listing(const struct rsync_listing_config *config, struct err *err);

/* What the server is started with, for rsync_arguments_command(). */
void rsync_listing_arguments(struct rsync_arguments *a);
