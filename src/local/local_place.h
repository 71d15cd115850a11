/*
 * A local destination on the disk: the parent directory, `latest` in it, the state directory beside it, the snapshots.
 *
 *      PARENT/LATEST/   PARENT/2026-11-21 17:00:00/   PARENT/.rsync-system-backup/
 *      PARENT/.rsync-system-backup.new   PARENT/.rsync-system-backup.trash-N
 */
#pragma once

#include "base/util.h"
#include "storage/identity.h"
#include "storage/state.h"

#include <sys/types.h>

struct destination_snapshots;
struct err;
struct local_fence;
struct source_avoid;

#define LOCAL_PLACE_NEW ".rsync-system-backup.new"
#define LOCAL_PLACE_TRASH ".rsync-system-backup.trash-"
/* In the state directory: what came of large files before a connection broke. */
#define LOCAL_PIECES "partial"

struct local_place {
        char *path;                         /* plain and absolute */
        char *parent;                       /* likewise */
        char *latest;                       /* the last component of path; */
        int parent_fd, state_fd, latest_fd; /* -1 where it does not exist (yet) */
        int above_fd;                       /* without a parent: the nearest directory that exists, else -1 */
        const char *missing;                /* and what is missing below it; part of parent */
        int lock;
        bool has_state;     /* there is a state file */
        bool state_is_lost; /* there is none, but a run has been here: nobody knows how the last transfer ended */
        bool latest_is_new; /* there was no `latest` */
        struct state state;
        char filesystem[IDENTITY_SIZE]; /* UUID of the destination's, "" when unknown */
};

void local_place_init(struct local_place *p);
void local_place_deinit(struct local_place *p);

/*
 * Set the names, from @path, which is plain and absolute, and forget everything else. A usage error for what cannot be
 * a destination. What is below @point (NULL: none) is not looked at: something is to be mounted there, and a look could
 * make an automounter do it. To be repeated when it is.
 */
int local_place_name(struct local_place *p, const char *path, const char *point, struct err *err);

/*
 * Find what there is at the named place, take the lock there (in a dry run if it exists), read the state. Nothing is
 * created. A damaged state is logged, and stands for one that knows nothing: then all of `latest` counts as written by
 * a run that was cut off. What is not inside of @fence (NULL: there is none) is not looked at.
 */
int local_place_open(struct local_place *p, bool dry_run, const struct local_fence *fence, struct err *err);

/*
 * The same for who only looks: no lock is taken, what is missing is an error, and what cannot be read of the state for
 * want of permission is not known.
 */
int local_place_look(struct local_place *p, const struct local_fence *fence, struct err *err);

/*
 * Make what is missing: the parent, the state directory with its lock, and `latest` if @with_latest, on btrfs as a
 * subvolume if we may remove subvolumes too.
 */
int local_place_create(struct local_place *p, bool with_latest, struct err *err);

/* The parent, or the nearest directory above it where that does not exist yet; borrowed, -1 before local_place_open().
 */
static inline int local_place_fd(const struct local_place *p)
{
        return p->parent_fd >= 0 ? p->parent_fd : p->above_fd;
}

/* The snapshots, in no order. */
int local_place_snapshots(const struct local_place *p, struct destination_snapshots *ret, struct err *err);

/* The names that runs which were cut off left behind. *ret is malloc'd, each of them too. */
int local_place_leftovers(const struct local_place *p, char ***ret, size_t *ret_count, struct err *err);

/* `latest`, the snapshots, the state directory, and what is being made or removed: what a backup must not contain. */
int local_place_avoid(const struct local_place *p, struct source_avoid *ret, struct err *err);
