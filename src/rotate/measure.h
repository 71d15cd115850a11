/*
 * What trees of hard links take, and what the removal of one of them would free: by link counts. An inode is freed with
 * a tree when all of its links are in that tree; what it shares with other files (rotate/extents.h) is not, be it with
 * one of the same tree, since who else has it is not known.
 *
 * Nothing is changed, atimes neither where that is permitted. A tree is walked as everywhere: by descriptors, through
 * no symlink, into no mount, in parallel.
 *
 * Memory: at most 43 bytes, 22 as a rule, for each inode with several names, over all trees of one filesystem.
 */
#pragma once

#include "base/util.h"

struct err;
struct measuring;
struct report;

struct measure {
        uint64_t entries;     /* the root included */
        uint64_t size_bytes;  /* of regular files, as they are read; each inode once */
        uint64_t freed_bytes; /* on the disk, by a removal now */
        bool is_partial;      /* not all could be looked at: all three are more */
        bool frees_less;      /* files are compressed, and take less than they seem to */
        bool frees_more;      /* some of what was left out as shared may be so within the tree only */
};

struct measure_config {
        int parent_fd; /* borrowed, as all of it */
        const char *name;
        const char *shown;     /* what messages call it */
        struct report *report; /* counts REPORT_SURVEYED; hears of errors that are not of permissions */
        void (*tick)(void *);  /* as in crew_config */
        void *tick_context;
};

/* Return 0 or a negative errno with @err filled. */
int measuring_new(struct measuring **ret, struct err *err);
struct measuring *measuring_free(struct measuring *m);
DEFINE_FREEP(struct measuring, measuring_free)

enum { MEASURE_GONE = 1 };

/*
 * Measure the tree at config->name. On the main thread. Return 0; MEASURE_GONE when there is no such directory, or not
 * for as long as it took; or a negative errno with @err filled.
 */
int measure_tree(struct measuring *m, const struct measure_config *config, struct measure *ret, struct err *err);

/*
 * What all trees that were measured take on the disk together, each inode once. False when that is not known: some of
 * it could not be looked at, or may be shared in other ways.
 */
bool measuring_total(const struct measuring *m, uint64_t *ret_bytes);
