/*
 * Inodes with several names, met in trees one after the other: which links of each were met in the tree that is walked.
 * Belongs to one thread at a time. 16 bytes an inode, in a table that is at most three quarters full.
 */
#pragma once

#include "base/util.h"

struct inodes;

/* NULL when memory is short. */
struct inodes *inodes_new(void);
struct inodes *inodes_free(struct inodes *t);

/* Another tree: from now on links are counted anew. */
void inodes_begin_tree(struct inodes *t);

struct inodes_met {
        uint32_t in_tree; /* how often in this tree, this time included */
        bool is_new;      /* never before, in any tree */
};

/* Return 0 or -ENOMEM. */
int inodes_meet(struct inodes *t, uint64_t ino, struct inodes_met *ret);
