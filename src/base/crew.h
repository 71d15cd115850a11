/*
 * The engine behind updating a tree, hard-linking a snapshot and removing one: visit directories in parallel, and do
 * something to a directory once all below it is done.
 *
 * A job is a tree of crew_dir. Workers take them from a stack (the newest first, so that few are open at a time);
 * visit() works on one directory and adds its subdirectories; finish() is called after visit() of the directory and
 * finish() of its last child. One directory belongs to one worker at a time. A directory may exist in two trees at once
 * (where things come from and where they go): the crew opens each side relative to its parent, without following
 * symlinks (nor, on the side that is changed, into mounts), keeps a bounded number of descriptors open, and opens again
 * what it had to close, checking that it is still the same directory.
 */
#pragma once

#include "base/arena.h"
#include "base/util.h"

#include <stdatomic.h>
#include <sys/types.h>

struct buf;
struct crew;
struct err;

enum { CREW_TREES = 2 };
enum crew_tree { CREW_FROM, CREW_TO };

/*
 * An ordinary user may have closed a directory to himself (S_IRWXU). Opening it up is for good, or for as long as the
 * crew works in it and below: then its mode is given back, however the job ends.
 */
enum crew_access { CREW_ACCESS_AS_IT_IS, CREW_ACCESS_TAKEN, CREW_ACCESS_LENT };

/* visit() was not able to open the directory, or has nothing to finish. */
enum { CREW_SKIP_FINISH = 1 };

struct crew_dir;

/* Where a directory is in one tree. Guarded by the crew's lock but for @dev, @ino and @mode, which are set once. */
struct crew_slot {
        struct crew_dir *dir;
        dev_t dev;   /* of the directory; */
        ino_t ino;   /* 0 until it was opened, unless crew_add() was told */
        mode_t mode; /* type and permissions as they were found when it was opened first */
        int fd;
        bool lent;  /* its mode is to be given back */
        bool known; /* was opened once */
        unsigned pins;
        struct crew_slot *older, *newer; /* in the list of open descriptors that nobody uses just now */
};

/* Owned by the crew until visit() is called, by that worker until finish() returns. */
struct crew_dir {
        struct crew_dir *parent; /* stays alive until all children are finished */
        struct crew_dir *next;   /* on the stack */
        struct crew_slot slots[CREW_TREES];
        atomic_uint open_children; /* and one for its own visit; who brings it to 0 calls finish() */
        bool skip_finish;
        void *data;  /* of the job; released by ops->forget() */
        char name[]; /* one component, "" for the root; the path is built from the chain when it is shown */
};

struct crew_worker {
        struct crew *crew;
        unsigned index;
        struct arena arena; /* emptied after each visit() and finish() */
        struct crew_slot *pinned[2 * CREW_TREES];
        unsigned pinned_count;
};

struct crew_ops {
        /* Return 0, CREW_SKIP_FINISH, or a negative errno with @err filled, which ends the whole job. */
        int (*visit)(struct crew_worker *w, struct crew_dir *d, struct err *err);
        /* Return 0 or a negative errno with @err filled. May be NULL. */
        int (*finish)(struct crew_worker *w, struct crew_dir *d, struct err *err);
        /* Release d->data; called exactly once per directory, also when the job was ended early. May be NULL. */
        void (*forget)(void *data);
};

struct crew_config {
        const struct crew_ops *ops;
        void *context;            /* of the job, see crew_context() */
        int root_fds[CREW_TREES]; /* borrowed; -1 where there is none */
        void *root_data;
        enum crew_access access[CREW_TREES];
        unsigned threads;     /* at most 4; 0: as many */
        unsigned descriptors; /* keep at most so many open; 0: what the limit of the process suggests */
        void (*tick)(void *); /* called on the main thread some times a second; may be NULL */
        void *tick_context;
};

/*
 * Do the job. Blocks; watches the signalfd meanwhile (base/stop.h). Return 0 or a negative errno with @err filled: the
 * first fatal error, or -ECANCELED after a stop request.
 */
int crew_run(const struct crew_config *config, struct err *err);

/* The rest is for visit() and finish(). */

void *crew_context(const struct crew_worker *w);

/* What crew_add() is told about a directory. */
struct crew_child {
        const char *name; /* copied */
        void *data;       /* taken, also on failure */
        dev_t dev[CREW_TREES];
        ino_t ino[CREW_TREES]; /* 0: not known, whatever is found there is right */
};

/* Add a directory below @parent. Return 0 or a negative errno with @err filled. */
int crew_add(struct crew_worker *w, struct crew_dir *parent, const struct crew_child *child, struct err *err);

/*
 * The descriptor of @d, or of its parent, in one tree; it stays open until this visit() or finish() returns. Return it
 * or -errno; -ESTALE when another directory has taken its place.
 */
int crew_fd(struct crew_worker *w, struct crew_dir *d, enum crew_tree tree);

/* The path of @d below the root, "" for the root itself. Return 0 or -ENOMEM. */
int crew_path(const struct crew_dir *d, struct buf *ret);

/* Ask between entries: has the job been ended? Fills @err and returns -ECANCELED if so, else 0. */
int crew_check(struct crew_worker *w, struct err *err);
