/*
 * What is backed up: a tree, read one directory at a time, sorted by name as bytes, filtered, each entry with all its
 * metadata. Who drives it decides the order and how many directories at once; he opens the directories (base/crew.h).
 */
#pragma once

#include "base/arena.h"
#include "base/entry.h"
#include "base/listing.h"
#include "base/util.h"

struct err;
struct filter;
struct report;
struct source;

/* Directories that are never part of the source, wherever they are met: the destination itself. */
struct source_avoid {
        struct source_avoided {
                dev_t dev;
                ino_t ino;
        } * items; /* malloc'd */
        size_t count;
        int parent_fd; /* the directory that all of them are in; borrowed, -1 when there is none */
};

void source_avoid_deinit(struct source_avoid *a);

/*
 * Is @e one of them, or is it the root of a mount of something below one of them, which no way up leads to? @fd: of @e,
 * may be O_PATH. Return 1, 0, or -ENOMEM.
 */
int source_avoids(const struct source_avoid *avoid, const struct entry *e, int fd);

/* Is the directory, or one above it, among them? Return 1, 0, or -errno. */
int source_avoids_above(const struct source_avoid *avoid, int fd);

struct source_config {
        const char *path;            /* absolute; a symlink is followed */
        const struct filter *filter; /* borrowed */
        bool multi_fs;
        const struct source_avoid *avoid; /* borrowed for as long as the source is there; may be NULL */
        struct report *report;            /* borrowed: told of what vanished and what stays out */
};

/* Open the root. An unreadable or missing one is an error of kind ERR_RUN. */
int source_new(struct source **ret, const struct source_config *config, struct err *err);
struct source *source_free(struct source *s);
DEFINE_FREEP(struct source, source_free)

int source_root_fd(const struct source *s);

/* Does what is on @dev belong to it? For a directory that was opened by its path, long after it was listed. */
bool source_takes_in(const struct source *s, dev_t dev);

/* One directory being read. Holds no resources but those of its arena and the listing. */
struct source_dir {
        const struct source *source;
        int fd;           /* of the directory; borrowed, like all of these */
        dev_t dev;        /* its filesystem */
        const char *path; /* relative to the root, "" for itself */
        struct arena *arena;
        bool is_remote; /* what has to be known of a file's content comes later, by a wire (transfer/receiver.h) */

        struct arena_mark mark; /* source_list() fills in the rest */
        struct listing listing;
        size_t next;
        enum { SOURCE_WRITERS_UNKNOWN, SOURCE_WRITERS_TRUSTED, SOURCE_WRITERS_OTHERS } writers;
};

/*
 * Read the names of a directory. Return 0, or a negative errno with an ERR_ITEM: then nothing may be concluded
 * from a name that is missing. To be ended with source_close() in any case.
 */
int source_list(struct source_dir *d, struct err *err);
void source_close(struct source_dir *d);

enum { SOURCE_END = 1, SOURCE_VANISHED = 2, SOURCE_RENEWED = 3, SOURCE_LATER = 4 };

/*
 * The next entry, bare; it is valid until the next call. Return 0, SOURCE_END, or a negative errno with an ERR_ITEM:
 * then @ret holds the name alone, of something that exists but could not be read. What vanished is skipped.
 */
int source_next(struct source_dir *d, struct entry *ret, struct err *err);

/* What a mount is listed as that lets nobody look at its own metadata, a FUSE of another user: as no bare entry. */
struct entry source_closed_mount(const char *name);

/*
 * Load the rest of @e. Where another file, link or device has taken its name since it was listed @e becomes that; it is
 * never a mixture of two. Return 0; SOURCE_VANISHED, also when it is a directory now and was none, or another one; or a
 * negative errno with an ERR_ITEM.
 */
int source_load(struct source_dir *d, struct entry *e, struct err *err);

/*
 * The two halves of that for an entry that is bare. What the first has loaded may be of two inodes that had the name
 * one after the other; the second looks once more, loads it anew if need be, and may be left out where all of it is
 * known from before.
 */
int source_load_loosely(struct source_dir *d, struct entry *e, struct err *err);
int source_settle(struct source_dir *d, struct entry *e, struct err *err);

/*
 * Open the content of @e, a regular file. Return 0; SOURCE_RENEWED when @e is loaded anew, since it was bare, or has
 * changed since it was listed, or another file has taken its place; SOURCE_VANISHED, also when it is no regular file
 * any more; or a negative errno with an ERR_ITEM.
 */
int source_open(struct source_dir *d, struct entry *e, int *ret_fd, struct err *err);

/*
 * For who only wants to know: may we open the content of @e, a regular file? Return 0, SOURCE_VANISHED, or a negative
 * errno with the ERR_ITEM of source_open().
 */
int source_may_open(struct source_dir *d, const struct entry *e, struct err *err);
