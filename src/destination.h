/*
 * The seam between a run and wherever the backup goes: what run.c may ask of any destination. Locations on the other
 * side of a wire implement it as the local one does.
 */
#pragma once

#include "base/util.h"

struct destination;
struct err;
struct filter;
struct local_fence;
struct options;
struct progress;
struct report;
struct survey;

struct destination_config {
        const struct options *options; /* all borrowed for the life of the destination */
        const struct filter *filter;
        struct report *report;
        struct progress *progress;

        /* Of an agent, which sees nothing of the source but what the client tells; then there is no filter. */
        bool source_is_remote, source_is_empty;
        /* What the agent must not leave: see local_fence.h; NULL where it may go anywhere. */
        const struct local_fence *fence;
};

/* A snapshot that exists. */
struct destination_snapshot {
        char *name;
        int64_t time;  /* naive calendar, see rotate/calendar.h */
        bool complete; /* as far as is known */
        bool own;      /* made by this run */
};

struct destination_snapshots {
        struct destination_snapshot *items;
        size_t count;
        int64_t now; /* by the clock that names them, like their times */
};

void destination_snapshots_deinit(struct destination_snapshots *list);
/* Add a copy of @s, its name too. Return 0 or -ENOMEM. */
int destination_snapshots_add(struct destination_snapshots *list, const struct destination_snapshot *s);
/* The one that a dry run would have made, as this run's own: it takes part in what it would do next. */
int destination_snapshots_imagine(struct destination_snapshots *list, const char *name);

/*
 * Name a snapshot by this moment, or the next one for which @is_free says 1; it says 0 when there is one of that name,
 * or a negative errno with @err filled. @ret: NAMES_SIZE of rotate/names.h. Return 0 or a negative errno with @err
 * filled.
 */
int destination_name_snapshot(char *ret, int (*is_free)(void *context, const char *name, struct err *err),
                              void *context, struct err *err);

enum {
        DESTINATION_ABSENT = 1, /* the disk is not plugged in and that is no failure, which has been logged */
        DESTINATION_NO_AGENT,   /* on the other machine, where rsync may do */
};

struct destination_ops {
        /* Lock, unlock, mount; see that it is the right disk and that nothing stands against the run; make what is
         * missing; clean up after runs that were cut off. May return DESTINATION_ABSENT: then there is nothing to do;
         * or DESTINATION_NO_AGENT: then destination_rsync_new() takes its place.
         */
        int (*prepare)(struct destination *d, struct err *err);
        /* Bring `latest` up to date. -ENOSPC and -EDQUOT: it may be repeated when there is room again. */
        int (*transfer)(struct destination *d, struct err *err);
        /* Take a snapshot of `latest`, named by the time. */
        int (*snapshot)(struct destination *d, struct err *err);
        int (*list)(struct destination *d, struct destination_snapshots *ret, struct err *err);
        int (*remove)(struct destination *d, const char *name, struct err *err);
        /* The snapshots, in no order, and what they take. For OPTIONS_LIST alone, prepared as that. */
        int (*survey)(struct destination *d, struct survey *ret, struct err *err);
        /* A step ended with -ENOSPC or -EDQUOT for good: add to @err how much is missing, what takes the room, and what
         * can be done. */
        void (*explain_full)(struct destination *d, struct err *err);
        /* Undo what prepare() did, in reverse order. Called once, also after a failed prepare(). */
        int (*release)(struct destination *d, struct err *err);
        struct destination *(*free)(struct destination *d);
};

struct destination {
        const struct destination_ops *ops;
        const struct destination_config *config;
        const char *parent;  /* the directory that holds the snapshots, whether it exists or not: DIR or HOST:DIR */
        char made[32];       /* the name of the snapshot that this run made, or "" */
        bool keeps_all;      /* known when prepared: no snapshot can be removed, so that others rotate */
        bool transfers_only; /* likewise: neither is there a snapshot, which has been told */
};

static inline struct destination *destination_free(struct destination *d)
{
        return d ? d->ops->free(d) : NULL;
}
DEFINE_FREEP(struct destination, destination_free)

/* A directory on another machine, by way of the agent there (agent.h). */
int destination_agent_new(struct destination **ret, const struct destination_config *config, struct err *err);

/* A directory that an rsync serves: a daemon, or one that is run over SSH. */
int destination_rsync_new(struct destination **ret, const struct destination_config *config, struct err *err);

/* A directory on this machine. */
int destination_local_new(struct destination **ret, const struct destination_config *config, struct err *err);
