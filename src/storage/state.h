/*
 * What the program must remember beside a destination: PARENT/.rsync-system-backup/state, see docs/state-directory.md.
 * The file is replaced as a whole (temporary, fsync, rename, fsync of the directory). What it says is checked before it
 * is believed; one that makes no sense is refused as a whole.
 */
#pragma once

#include "base/util.h"

#include <time.h>

struct err;

#define STATE_DIRECTORY ".rsync-system-backup"

struct state_outcome {
        char *name; /* of a snapshot */
        bool complete;
};

struct state {
        /* What the reference below is valid for. NULL where nothing is recorded. */
        char *machine;
        char *source;
        char *source_filesystem; /* UUID */
        char *latest;            /* name of the destination directory */

        bool has_reference;
        struct timespec reference; /* a little before the last complete transfer began */
        char *boot;                /* of the source's machine then, and how long that had been up; NULL: not known */
        struct timespec uptime;    /* not negative */
        bool running;              /* a transfer was begun and not completed */
        struct timespec running_since;
        bool partial; /* the last transfer was complete, but some files are missing from it */

        uint64_t entries, bytes; /* of the source, when it was transferred last; 0 when it never was */

        char **filesystems; /* UUIDs on which this destination was seen */
        size_t filesystem_count;
        struct state_outcome *outcomes;
        size_t outcome_count;
};

/*
 * Read the state in @dirfd, the state directory; without a file it is empty. Return 0; -EBADMSG with an ERR_RUN when
 * the file is damaged, or does not belong to us or the superuser; or another negative errno with @err filled.
 */
int state_load(struct state *ret, int dirfd, struct err *err);

/* Parse @text of @size bytes. Return 0 or -EBADMSG with @err filled. */
int state_parse(struct state *ret, const char *text, size_t size, struct err *err);

/* Write it durably. On a full disk the reserve makes room for it. */
int state_save(const struct state *s, int dirfd, struct err *err);

/*
 * Keep a little of the disk (64 KiB, one inode) for the day when it is full: without it a run could not even record
 * that it begins to delete. Does nothing when it is there already, or when there is no room for it.
 */
void state_reserve(int dirfd);

void state_deinit(struct state *s);

/* Replace one of the strings. Return 0 or -ENOMEM. */
int state_set(char **field, const char *value);

bool state_knows_filesystem(const struct state *s, const char *uuid);
int state_add_filesystem(struct state *s, const char *uuid);

/* The outcome of the run that made the snapshot @name: no record counts as complete. */
bool state_is_complete(const struct state *s, const char *name);
int state_add_outcome(struct state *s, const char *name, bool complete);
/* Was there one? */
bool state_drop_outcome(struct state *s, const char *name);
