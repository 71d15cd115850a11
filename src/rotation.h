/* Rotate the snapshots of a destination: find the scheme, mark, tell, remove. */
#pragma once

#include "base/util.h"

struct destination;
struct err;
struct options;
struct outcome;
struct report;
struct survey;

enum {
        ROTATION_REFUSED = 1 /* the files of rotate-backups ask for what is not done here: nothing was looked at */
};

/*
 * By the options of @outcome, which learns what became of each snapshot. In a dry run nothing is removed. Return 0,
 * ROTATION_REFUSED, or a negative errno with @err filled.
 */
int rotation_run(struct destination *d, struct outcome *outcome, struct report *report, struct err *err);

/*
 * What would become of each of @s, which is sorted, if rotation went on by the options @o and there was a snapshot now
 * and then: fill in what survey.h leaves to this. Return 0 or a negative errno with @err filled.
 */
int rotation_foresee(const struct destination *d, const struct options *o, struct survey *s, struct err *err);

/* Is the scheme one that can be used? Asked before anything is touched. @parent may be NULL. */
int rotation_check(const struct destination *d, const struct options *o, struct err *err);
