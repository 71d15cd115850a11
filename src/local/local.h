/* What the parts of the local destination share: destination_local.c, local_transfer.c,
 * local_receive.c, local_snapshot.c. */
#pragma once

#include "base/util.h"
#include "destination.h"
#include "local/local_disk.h"
#include "local/local_place.h"
#include "local/local_record.h"
#include "transfer/limits.h"

struct channel;
struct err;
struct links;
struct report;
struct wire_message;

/* What a transfer would take. */
struct local_need {
        bool is_known;
        uint64_t bytes, nodes;
        uint64_t latest_bytes; /* of `latest` then */
};

struct local {
        struct destination d; /* first */
        int machine_lock;     /* from before anything is unlocked until all is locked again; -1 */
        struct local_disk disk;
        struct local_place place;
        struct limits limits;
        bool limits_known;
        bool state_changed;  /* since it was saved */
        bool was_running;    /* the run before this one was cut off */
        bool room_comes;     /* snapshots were removed whose room is not free yet */
        struct links *links; /* of a transfer from elsewhere that is to be done once more, or NULL */
        struct local_need need; /* of a transfer from elsewhere, when it was asked for */
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

/*
 * A transfer whose source is at the other end of @c (docs/agent-protocol.md, section 4), @tick as in
 * transfer/receiver.h. Return 0; LOCAL_RECEIVE_AGAIN when it must be done once more, for hard links that moved; or a
 * negative errno with @err filled.
 */
enum { LOCAL_RECEIVE_AGAIN = 1 };

struct local_receive {
        struct channel *channel;
        struct local_origin origin;
        bool again;    /* this is the second time */
        bool imagined; /* change nothing, and find the need */
        /* A message that is none of the exchange, see struct receiver_config. */
        int (*other)(void *context, const struct wire_message *m, struct err *err);
        void *context;
};

int local_receive(struct destination *d, const struct local_receive *r, struct err *err);

/* Prepare for that which changes nothing and takes no lock. The disk is attached. */
int local_look(struct local *l, struct err *err);

/* Operations of the destination, see destination.h. */
int local_transfer(struct destination *d, struct err *err);
int local_snapshot(struct destination *d, struct err *err);
int local_survey(struct destination *d, struct survey *ret, struct err *err);
void local_explain_full(struct destination *d, struct err *err);

/* What a transfer takes that was imagined with @report. */
struct local_need local_count_need(const struct local *l, const struct report *report);

/* Log what room there is, for who wants to know more (-v). */
void local_tell_room(const struct local *l);
