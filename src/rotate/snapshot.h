/*
 * A snapshot in the making: a second tree whose files are hard links of `latest`'s, and whose directories are copies.
 */
#pragma once

#include "base/util.h"

struct err;
struct report;

struct snapshot_config {
        int from_fd;     /* `latest` */
        int to_fd;       /* an empty directory on the same filesystem */
        bool privileged; /* whatever mode a directory has, we may work in it; else its owner gets access meanwhile */
        bool without_temporaries; /* of a transfer that was cut off, or that could not remove them */
        struct report *report;
        void (*tick)(void *context); /* see base/crew.h */
        void *tick_context;
};

/*
 * Fill @to_fd and give it the metadata of @from_fd. A file of `latest` that takes no more links moves to a new inode,
 * with all its names. Return 0 or a negative errno with @err filled (ERR_RUN): then the copy is worth nothing.
 */
int snapshot_clone(const struct snapshot_config *config, struct err *err);
