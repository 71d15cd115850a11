/* Rotate the snapshots of a destination: find the scheme, mark, tell, remove. */
#pragma once

#include "base/util.h"

struct destination;
struct err;
struct options;
struct report;

struct rotation_result {
        size_t preserved, removed;
        bool refused; /* the files of rotate-backups ask for what is not done here: nothing was looked at */
};

/* In a dry run nothing is removed. Return 0 or a negative errno with @err filled. */
int rotation_run(struct destination *d, const struct options *o, struct report *report, struct rotation_result *ret,
                 struct err *err);

/* Is the scheme one that can be used? Asked before anything is touched. @parent may be NULL. */
int rotation_check(const struct destination *d, const struct options *o, struct err *err);
