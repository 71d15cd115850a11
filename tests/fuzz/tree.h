/*
 * A small tree for a fuzzer to work on, made anew for each input, and what lies beside it and must stay as it is: files
 * and directories that symlinks in the tree lead to. In memory (/dev/shm) where that can be had.
 */
#pragma once

#include <stdint.h>

struct tree {
        int base_fd;
        int to_fd;
        int partial_fd; /* a directory beside it, empty */
};

/* Once. */
void tree_init(void);

void tree_make(struct tree *t);
void tree_remove(struct tree *t);

/* Of all that is in a directory, times and inodes included. */
uint64_t tree_fingerprint(int dirfd);

/* Abort when something beside the tree has changed, or a temporary file is left in it. */
void tree_check(const struct tree *t);
