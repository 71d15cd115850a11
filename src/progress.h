/* The live line on a terminal: what is being done, how much of it, how fast, how long still. */
#pragma once

#include "base/util.h"

struct progress;
struct report;

enum progress_step { PROGRESS_TRANSFER, PROGRESS_SNAPSHOT, PROGRESS_REMOVE, PROGRESS_SYNC, PROGRESS_SURVEY };

/*
 * Who else is told what is being done: called on the main thread when a step begins (-1: when it ends), and at each
 * tick.
 */
struct progress_listener {
        void (*step)(void *context, int step, uint64_t expected);
        void (*tick)(void *context);
        void *context;
};

int progress_new(struct progress **ret, const struct report *report);
struct progress *progress_free(struct progress *p);
DEFINE_FREEP(struct progress, progress_free)

/* A step begins; @expected is how many entries it will see, 0 when that is not known. */
void progress_begin(struct progress *p, enum progress_step step, uint64_t expected);

/* Show where it is now; @progress is a struct progress (see struct crew_config). Cheap enough for every tick. */
void progress_tick(void *progress);

/* What the live line shows. */
void progress_describe(const struct progress *p, char *out, size_t size);

/* The step is over: the line goes away. */
void progress_end(struct progress *p);

/* @listener is copied. */
void progress_listen(struct progress *p, const struct progress_listener *listener);

/*
 * Call @work with @context on a thread of its own and tick until it is done, for what would keep the main thread for
 * long: nothing is shown or heard meanwhile otherwise. Without a listener, or when there can be no thread, it is called
 * as it is. Return what it returns.
 */
int progress_during(struct progress *p, int (*work)(void *context), void *context);

/* ---- numbers for people; all return @out ---- */

enum { PROGRESS_TEXT_SIZE = 40 };

/* 1,234,567 */
const char *progress_count(uint64_t n, char out[PROGRESS_TEXT_SIZE]);
/* 1 entry, 1,234,567 entries */
const char *progress_entries(uint64_t n, char out[PROGRESS_TEXT_SIZE]);
/* 1 byte, 999 bytes, 1.5 KiB, 23.4 GiB */
const char *progress_bytes(uint64_t bytes, char out[PROGRESS_TEXT_SIZE]);
/* 0.4 s, 12 s, 3:05, 1:02:03 */
const char *progress_duration(double seconds, char out[PROGRESS_TEXT_SIZE]);

/* 45 seconds, 1 hour, 3 days, 2 years: rounded down. What is negative counts as 0. */
const char *progress_age(int64_t seconds, char out[PROGRESS_TEXT_SIZE]);

/* Seconds of a clock that never jumps. */
double progress_now(void);
