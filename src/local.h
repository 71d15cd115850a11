/* What the parts of the local destination share: destination_local.c, local_transfer.c, local_snapshot.c. */
#pragma once

#include "base/util.h"
#include "destination.h"
#include "local_disk.h"
#include "local_place.h"
#include "transfer/limits.h"

struct err;
struct report;

struct local {
        struct destination d; /* first */
        int machine_lock;     /* from before anything is unlocked until all is locked again; -1 */
        struct local_disk disk;
        struct local_place place;
        struct limits limits;
        bool limits_known;
        bool state_changed; /* since it was saved */
        bool was_running;   /* the run before this one was cut off */
        bool room_comes;    /* snapshots were removed whose room is not free yet */
};

static inline struct local *local_of(struct destination *d)
{
        return (struct local *)d;
}

/* Write the state durably. */
int local_save_state(struct local *l, struct err *err);

/* What the filesystem can hold, by trying, once a run. */
int local_find_limits(struct local *l, struct err *err);

/* All that was written through any descriptor of the filesystem is on the disk, or its error is told. */
int local_sync(struct local *l, struct err *err);

/* Before the disk is written again: wait for the room of the snapshots that this run removed. */
int local_await_room(struct local *l, struct err *err);

/* Rename within the parent, to a name that is free. Return 0 or -errno. */
int local_rename(const struct local *l, const char *from, const char *to);

/* Let @name leave its name for one of what is being removed: from then on it is no snapshot, whatever happens. Return 0
 * or -errno. */
enum { LOCAL_TRASH_SIZE = 64 };
int local_trash(const struct local *l, const char *name, char trash[LOCAL_TRASH_SIZE]);

/* Remove the directory @name of the parent with all that is in it, shown as @shown. What cannot go is reported. */
int local_discard(struct local *l, const char *name, const char *shown, struct err *err);

/* Count in @report what a transfer would do now, and change nothing. */
int local_imagine_transfer(struct local *l, struct report *report, struct err *err);

/* Operations of the destination, see destination.h. */
int local_transfer(struct destination *d, struct err *err);
int local_snapshot(struct destination *d, struct err *err);
void local_explain_full(struct destination *d, struct err *err);

/* Log what room there is, for who wants to know more (-v). */
void local_tell_room(const struct local *l);
