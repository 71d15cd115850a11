/*
 * What a run came to: filled by run.c step by step, and read by all who tell of it: summary.c for people, and what
 * tells machines, the desktop and the service manager.
 */
#pragma once

#include "base/util.h"

#include <time.h>

struct options;
struct report;

enum outcome_step {
        OUTCOME_PREPARE, /* unlocking, mounting, connecting, looking */
        OUTCOME_TRANSFER,
        OUTCOME_SNAPSHOT,
        OUTCOME_ROTATION,
        OUTCOME_RELEASE, /* unmounting, locking */
        OUTCOME_STEPS,   /* how many there are */
};

enum outcome_fate {
        OUTCOME_PRESERVED,
        OUTCOME_REMOVED, /* in a dry run: it would be */
        OUTCOME_REMAINS, /* it was to be removed, and could not be */
};

enum { OUTCOME_WHY_SIZE = 400 };

/* What rotation did with a snapshot. */
struct outcome_verdict {
        char *name;
        unsigned reasons; /* of rotate/scheme.h; 0: none to preserve it */
        enum outcome_fate fate;
};

struct outcome {
        const struct options *options; /* borrowed */
        const struct report *report;
        struct timespec begun, ended; /* CLOCK_REALTIME */
        double duration_s;            /* of a clock that does not jump */
        /* By enum outcome_step. Those that were not started are not done and took no time. */
        double seconds[OUTCOME_STEPS];
        bool started[OUTCOME_STEPS], done[OUTCOME_STEPS];
        char snapshot[32];                /* that this run made, or "" */
        bool is_skipped;                  /* nothing was to be done, for a reason that has been told: */
        char skipped[OUTCOME_WHY_SIZE];   /* a disk that is not plugged in, a condition that does not hold; or "" */
        struct outcome_verdict *verdicts; /* the oldest first */
        size_t verdict_count;
        int status; /* exit status, known at the end */
};

/* @o is all zeroes but for the first two members. */
void outcome_begin(struct outcome *o);
void outcome_end(struct outcome *o);
void outcome_deinit(struct outcome *o);

/* "transfer": as it is called in files. */
const char *outcome_step_name(enum outcome_step step);

/* Add a verdict; @name is copied. Of several on one snapshot the last holds. Return 0 or -ENOMEM. */
int outcome_judge(struct outcome *o, const char *name, unsigned reasons, enum outcome_fate fate);
size_t outcome_count(const struct outcome *o, enum outcome_fate fate);

/* One word for how it ended: "complete", "partial", "failed", "interrupted", "refused" or "skipped". */
const char *outcome_word(const struct outcome *o);
