/* What people are told of a run: a line at the end of each step, and how it ended. */
#pragma once

struct outcome;

/* Of a step that is done. */
void summary_transfer(const struct outcome *o);
void summary_snapshot(const struct outcome *o);
void summary_rotation(const struct outcome *o);

/* The last line of a run, after outcome_end(). */
void summary_end(const struct outcome *o);

/*
 * After the first backup to a directory of this machine, to somebody at a terminal, three lines: where the files are now,
 * how to get one back, what comes next. The first it is when rotation found no snapshot but the one of this run.
 */
void summary_first(const struct outcome *o);
