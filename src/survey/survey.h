/*
 * The snapshots of a destination, what they take and how long they stay: what --list finds out. The destination fills
 * in what is there (destination.h), rotation_foresee() what will become of it; survey_text.c says it to people.
 */
#pragma once

#include "base/util.h"
#include "rotate/foresee.h"
#include "rotate/measure.h"

struct buf;
struct destination_snapshot;
struct unpack;

struct survey_item {
        char *name;
        int64_t time;         /* naive calendar */
        bool complete;        /* as far as is known */
        struct measure takes; /* unless nothing is measured */
        struct foresee stays; /* unless nothing is rotated; */
        unsigned reasons;     /* as in rotate/scheme.h */
};

struct survey {
        struct survey_item *items; /* the oldest first, when sorted */
        size_t count;
        int64_t now;            /* by the clock that names them */
        const char *unmeasured; /* why nothing is measured, static; NULL: it is */
        char *unrotated;        /* why nothing is rotated; NULL: it is */
        bool is_busy;           /* a run on the destination is under way */
        bool has_total, has_free;
        uint64_t total_bytes; /* of all snapshots and `latest` on the disk, each inode once */
        uint64_t free_bytes;  /* there, for who asks */
};

void survey_deinit(struct survey *s);

/* Add one, of which the name is copied. Return 0 or -ENOMEM. */
int survey_add(struct survey *s, const struct destination_snapshot *from, const struct measure *takes);

/* The oldest first, as scheme_mark() has them. */
void survey_sort(struct survey *s);

/* ---- survey_pack.c: as MEASURES of the agent protocol ---- */

enum { SURVEY_TOGETHER = 4096, SURVEY_MAX = 40000 /* snapshots that are taken from a peer */ };

/* Append those from @first on, SURVEY_TOGETHER at most, and what is known of all. Return 0 or -ENOMEM. */
int survey_put(struct buf *b, const struct survey *s, size_t first);

/* Add what came to @s. Return 1 when more follows, 0, -EPROTO, or -ENOMEM. */
int survey_take(struct survey *s, struct unpack *u);

/* ---- survey_text.c ---- */

/*
 * Append the table: a line for each snapshot, a header, and what is to be said of all together. With a @verbosity below
 * 0 only the lines, above 0 sizes to the byte. Return 0 or -ENOMEM.
 */
int survey_print(struct buf *out, const struct survey *s, int verbosity);

/* ---- survey_document.c ---- */

/* Append it as JSON; @destination is how that is shown. Return 0 or -ENOMEM. */
int survey_document(struct buf *out, const struct survey *s, const char *destination);

/* ---- parts of survey_text.c ---- */

enum { SURVEY_RULE_SIZE = 128 };

/* "daily until 2026-12-04 17:00". Returns @out. */
const char *survey_rule(const struct survey_item *item, char out[SURVEY_RULE_SIZE]);
