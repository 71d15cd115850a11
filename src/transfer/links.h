/*
 * Hard links of the source, and the inodes of `latest` that stand for them. May be used from all workers.
 *
 * A group is all names of one inode of the source. The first name that is visited leads: it is brought up to date like
 * any other entry. The others follow: they become links of the leader's inode.
 *
 * Memory: about 60 bytes and the name for each inode with several names, 30 more when it is in `latest` already, and
 * the path of each directory that leads one.
 */
#pragma once

#include "base/util.h"

#include <sys/types.h>

struct err;
struct links;
struct links_group;

enum links_role {
        LINKS_LEAD = 1,   /* to be ended with links_settle() or links_fail() */
        LINKS_FOLLOW = 2, /* the group's inode is known */
        LINKS_BUSY = 3,   /* links_try() alone: its leader is being worked on */
};

enum { LINKS_SPLIT = 1 };

/* An inode of the source: its number may be that of one that went away meanwhile (see base/entry.h). */
struct links_file {
        dev_t dev;
        ino_t ino;
        uint32_t born;
};

/* Where a group's inode is in `latest`. Borrowed from the table. */
struct links_home {
        ino_t ino;
        const char *directory; /* relative to `latest`, "" for itself */
        const char *name;
};

int links_new(struct links **ret, struct err *err);
struct links *links_free(struct links *l);
DEFINE_FREEP(struct links, links_free)

/*
 * A member of the group of @file is being visited. Blocks while its leader is being worked on by another worker.
 * Return a role, or -ENOMEM with @err filled.
 */
int links_enter(struct links *l, const struct links_file *file, struct links_group **ret, struct links_home *ret_home,
                struct err *err);

/* The same without waiting: may also return LINKS_BUSY. */
int links_try(struct links *l, const struct links_file *file, struct links_group **ret, struct links_home *ret_home,
              struct err *err);

/* The leader's inode is in place. */
int links_settle(struct links *l, struct links_group *g, ino_t to_ino, const char *directory, const char *name,
                 struct err *err);

/*
 * Has the size of this group been counted before, in this pass over the tree? It counts once, whatever comes of its
 * names.
 */
bool links_is_counted(struct links *l, struct links_group *g);

/* The leader could not be brought up to date; the next member leads. */
void links_fail(struct links *l, struct links_group *g);

/*
 * An inode of `latest` with more links than one stands for (dev, ino) of the source. Return 1 if so, 0 when it stands
 * for another file already, -ENOMEM with @err filled.
 */
int links_claim(struct links *l, ino_t to_ino, dev_t dev, ino_t ino, struct err *err);

/*
 * Put a new inode in place of the one that takes no more links. Return 0, LINKS_SPLIT when that happened before to this
 * group, which then has more names than an inode takes links and stays apart, or -ENOMEM with @err filled.
 */
int links_move(struct links *l, struct links_group *g, ino_t to_ino, const char *directory, const char *name,
               struct err *err);

/* Has links_move() been called since this was asked last? Then members that were visited earlier are on the old inode,
 * and the tree must be gone through once more. */
bool links_take_moved(struct links *l);
