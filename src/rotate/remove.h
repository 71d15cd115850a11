/* Remove a whole tree, a btrfs subvolume or not: a snapshot that left its name, or what an interrupted run left behind.
 */
#pragma once

#include "base/util.h"

struct err;
struct report;

struct remove_config {
        int parent_fd;
        const char *name;  /* one component: the tree to remove */
        const char *shown; /* what it is called in messages */
        bool privileged;   /* else directories are made accessible to their owner first */
        struct report *report;
        void (*tick)(void *context); /* see base/crew.h */
        void *tick_context;
};

/*
 * Return 0; what could not be removed (immutable, a mount point) was given to the report, and stays together with the
 * directories above it. Or a negative errno with @err filled (ERR_RUN). A tree that is not there is no error.
 */
int remove_tree(const struct remove_config *config, struct err *err);
