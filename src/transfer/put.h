/*
 * Hands for the updater: what is decided for one name of `latest` is done here. Everything appears under its name when
 * it is whole: a name that is taken is replaced by a temporary and rename(2), a free one is made directly.
 */
#pragma once

#include "base/temporary.h"
#include "base/util.h"

#include <stdatomic.h>
#include <sys/types.h>

struct behind;
struct entry;
struct err;
struct limits;
struct links_home;
struct report;
struct source_dir;

/* What all directories of one update have in common. */
struct put_shared {
        int latest_fd; /* the root of the tree */
        const struct limits *limits;
        struct report *report;
        struct behind *behind;  /* the pages of files that were copied */
        atomic_bool no_reflink; /* these filesystems cannot share blocks */
};

/* One directory of `latest` that is being worked on. */
struct put_dir {
        struct put_shared *shared;
        int fd;
        const char *path;        /* relative to the root, for messages and for finding homes of hard links */
        struct source_dir *from; /* the same directory of the source */
        bool gives_nothing;      /* a new file here is born without any extended attribute, as was seen */
};

enum {
        PUT_VANISHED = 1,       /* the source's file is gone; nothing was changed */
        PUT_LACKING = 2,        /* the destination cannot hold such a thing; it was reported */
        PUT_TOO_MANY_LINKS = 3, /* the inode takes no more links (EMLINK) */
        PUT_NOT_IN_PLACE = 4,   /* it cannot be changed in place: it needs a new inode */
        PUT_TOLD = 5,           /* metadata that it cannot have were told; all else was done */
        PUT_LATER = 6,          /* its content is still to come (source_dir.is_remote); nothing was changed */
};

/*
 * Make a new inode for @want, which is no directory: content from the source, all metadata, under its name. @have is
 * what has the name now, no directory, or NULL; with @reuse its content is known to be right and may be shared.
 * Return 0 with *ret_ino set, with @reuse also PUT_TOLD, PUT_VANISHED, PUT_LACKING, PUT_LATER, or a negative errno with
 * @err filled.
 */
int put_entry(struct put_dir *p, struct entry *want, const struct entry *have, bool reuse, ino_t *ret_ino,
              struct err *err);

/* Make @name a hard link of @home. Return 0, PUT_TOO_MANY_LINKS, PUT_LACKING, or a negative errno with @err filled. */
int put_link(struct put_dir *p, const char *name, const struct links_home *home, bool name_is_taken, struct err *err);

/*
 * Change the metadata of the file @have in place. Return 0, PUT_TOLD, PUT_NOT_IN_PLACE, or a negative errno with @err
 * filled.
 */
int put_metadata(struct put_dir *p, const struct entry *want, const struct entry *have, struct err *err);

/*
 * Have a directory @want->name, made when @have is NULL, with the metadata of @want except its times; its owner keeps
 * access for as long as it is worked in when we need that. @want's extended attributes and owner must be fitted.
 * Return 0 or PUT_TOLD with *ret_ino set to the directory's inode, or a negative errno with @err filled.
 */
int put_directory(struct put_dir *p, const struct entry *want, const struct entry *have, bool adjust, ino_t *ret_ino,
                  struct err *err);

/* Rename the directory @name to a temporary name, so that something else can have its name. */
int put_aside(struct put_dir *p, const char *name, char ret_name[TEMPORARY_SIZE], struct err *err);

/* Remove @name, which is no directory. */
int put_removed(struct put_dir *p, const char *name, struct err *err);
