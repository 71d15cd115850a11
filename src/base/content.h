/* The bytes of regular files: copied with their holes, shared by reflink where that is possible, compared. */
#pragma once

#include "base/util.h"

struct behind;

enum content_side { CONTENT_SIDE_FROM, CONTENT_SIDE_TO };

enum {
        CONTENT_SHORT = 1,   /* the file ended before @size bytes: it shrank */
        CONTENT_DIFFERS = 2, /* compare: the bytes are not the same */
};

struct content_config {
        int from;              /* at offset 0, open for reading */
        int to;                /* copy: an empty file, open for writing; compare: open for reading */
        uint64_t size;         /* bytes to copy or to compare */
        bool has_holes;        /* look for holes in @from, and make them in @to */
        struct behind *behind; /* copy: forgets the pages of small files; NULL: they stay in memory */
        bool from_disk;        /* compare: read @to from the disk, not from memory */
        void (*progress)(void *context, uint64_t bytes); /* after each piece; may be NULL */
        void *context;
};

/*
 * Make @to hold the first @size bytes of @from. Return 0, CONTENT_SHORT, -ECANCELED when a stop is requested, or
 * another -errno with *ret_failed naming the side.
 */
int content_copy(const struct content_config *config, enum content_side *ret_failed);

/*
 * Let @to, an empty file, share all blocks of @from as it is now (FICLONE, ioctl_ficlonerange(2)). Return 0 or -errno;
 * -EXDEV and -EOPNOTSUPP mean that these filesystems cannot do that for any file.
 */
int content_reflink(int from, int to);

/* Compare the first @size bytes. Return 0 when equal, CONTENT_DIFFERS, or as above. */
int content_compare(const struct content_config *config, enum content_side *ret_failed);

/*
 * The next stretch of data in @fd at or behind @at, cut off at @size; what lies before it is a hole. If there is nothing
 * but a hole both are @size. Return 0 or -errno; lseek(2), SEEK_DATA.
 */
int content_next_data(int fd, uint64_t at, uint64_t size, uint64_t *ret_from, uint64_t *ret_to);
