/*
 * A run among what else is on the machine: whether this is the time for it, who must wait until it is over, and who is
 * told how far it is and how it ended.
 */
#pragma once

#include "outcome/outcome.h"

struct desktop_mail;
struct err;
struct progress;

struct surroundings {
        const struct outcome *outcome;   /* borrowed */
        const struct progress *progress; /* borrowed; NULL until it is followed */
        struct desktop_mail *mail;       /* on its way to people */
        int sleep_fd;                    /* as long as it is open the machine stays awake; or -1 */
        bool is_ending;
};

enum { SURROUNDINGS_AGAINST = 1 };

/*
 * The run begins; @outcome is what it comes to. Return 0; SURROUNDINGS_AGAINST when a condition does not hold, which
 * has been told, and is kept in @outcome; or a negative errno with @err filled.
 */
int surroundings_begin(struct surroundings *s, struct outcome *outcome, struct err *err);

/* From now on what @progress shows is passed on. */
void surroundings_follow(struct surroundings *s, struct progress *progress);

/* There is something to do: its destination is there. */
void surroundings_start(struct surroundings *s);

/* @step begins. */
void surroundings_step(struct surroundings *s, enum outcome_step step);

/* The run has ended. */
void surroundings_end(struct surroundings *s);
