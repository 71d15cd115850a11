/*
 * The names of one directory, sorted as bytes; no metadata, so that a directory of a million entries stays small: each
 * takes the length of its name and 10 bytes, or 18 when the list has just grown.
 */
#pragma once

#include "base/util.h"

#include <sys/types.h>

struct arena;

struct listing_name {
        unsigned char type; /* DT_* of readdir(3), DT_UNKNOWN where the filesystem does not tell */
        char name[];
};

struct listing {
        const struct listing_name **names; /* they live in the arena that was given */
        size_t count;
        size_t capacity;
};

/*
 * Read all names of @dirfd except "." and "..", from its beginning, into @arena. Return 0 or -errno; after an error
 * @ret holds the names read so far (sorted), and is not to be taken for the whole.
 */
int listing_read(struct listing *ret, int dirfd, struct arena *arena);

/* The same without sorting, in the order of the directory. */
int listing_read_unsorted(struct listing *ret, int dirfd, struct arena *arena);

void listing_deinit(struct listing *l);
