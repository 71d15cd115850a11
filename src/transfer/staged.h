/*
 * A new inode on its way to its name in a directory of `latest`: a name that is taken is replaced by a temporary and
 * rename(2), a free one is used at once. Of the hands (transfer/put.h) alone.
 *
 *      staged_init() -> the inode is made, s->fd and s->exists are set -> staged_dress() -> staged_commit()
 *                                                                                       or staged_abandon() at any time
 */
#pragma once

#include "base/temporary.h"
#include "base/util.h"

#include <sys/types.h>

struct entry;
struct err;
struct put_dir;

struct staged {
        struct put_dir *dir;
        const char *name;               /* where it is to be */
        char temporary[TEMPORARY_SIZE]; /* where it is meanwhile, empty when it is there already */
        int fd;                         /* open for a regular file, else O_PATH; -1 before it exists */
        bool exists;                    /* it was created, and has not its name yet */
        bool lacks;                     /* it could not be given all its metadata, which was told */
        ino_t ino;                      /* set by staged_dress() */
};

/* Is this directory immutable or append-only (chattr(1))? Then EPERM says nothing of what the filesystem can hold. */
bool staged_is_closed(const struct put_dir *p);

/*
 * Return 0, or a negative errno with @err filled: where nothing may be removed nothing can be replaced, and a temporary
 * would stay.
 */
int staged_init(struct staged *s, struct put_dir *p, const char *name, bool name_is_taken, struct err *err);

/* The name that it has until it is committed. */
const char *staged_name(const struct staged *s);

/* Give it all metadata of @want, the times last. Return 0 or a negative errno with @err filled. */
int staged_dress(struct staged *s, const struct entry *want, struct err *err);

/* Give it its name. Return 0 or a negative errno with @err filled. */
int staged_commit(struct staged *s, struct err *err);

/* It did not become whole: take it away again. That it stays is told. */
void staged_abandon(struct staged *s);

/* Fill @err: @operation on the entry failed. Return @code. */
int staged_fail(const struct staged *s, int code, const char *operation, struct err *err);

/*
 * Give what is open as @fd the metadata of @want, except its times; it has those of @have. Metadata that one entry
 * cannot have does not keep its content from being stored: it is told, and what remains is set. Return 0, STAGED_LACKS
 * when something was told, or a negative errno with @err filled. @flags are those of base/meta.h.
 */
enum { STAGED_LACKS = 1 };

int staged_apply_metadata(struct put_dir *p, int fd, const struct entry *want, const struct entry *have, unsigned flags,
                          struct err *err);
