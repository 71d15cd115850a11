/*
 * A run among what else is on the machine: who started it is told how far it is.
 */
#pragma once

#include "outcome.h"

struct progress;

struct surroundings {
        const struct outcome *outcome;   /* borrowed, all three */
        const struct progress *progress; /* NULL until it is followed */
        bool is_ending;
};

/* The run begins; @outcome is what it comes to. */
void surroundings_begin(struct surroundings *s, const struct outcome *outcome);

/* From now on what @progress shows is passed on. */
void surroundings_follow(struct surroundings *s, struct progress *progress);

/* @step begins. */
void surroundings_step(struct surroundings *s, enum outcome_step step);

/* The run has ended. */
void surroundings_end(struct surroundings *s);
