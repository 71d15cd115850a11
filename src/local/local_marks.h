/*
 * Which snapshots are whole, where a bare rsync daemon holds them: it cannot rename what it has made, so that a
 * snapshot stands under its name before it is complete, and a file that is written last says that it is:
 *
 *      PARENT/.rsync-system-backup/complete/NAME      or NAME.incomplete, after a transfer that was not whole
 *
 * Where that directory exists, what has no mark is no snapshot. Elsewhere nothing of this is known or done.
 */
#pragma once

#include "base/util.h"

struct local_place;

#define LOCAL_MARKS "complete"
#define LOCAL_MARKS_INCOMPLETE ".incomplete"

enum local_mark { LOCAL_MARK_MISSING, LOCAL_MARK_COMPLETE, LOCAL_MARK_INCOMPLETE };

/* The directory, a descriptor to be closed; -1 where there is none; or another negative errno. */
int local_marks_open(const struct local_place *p);

/* Of the snapshot @name, in what local_marks_open() returned; where there are no marks all are complete. */
enum local_mark local_marks_look(int marks, const char *name);

/* Mark a snapshot that is about to get its name; on the disk when this returns. Return 0 or -errno. */
int local_marks_set(const struct local_place *p, const char *name, bool complete);

/* One that has lost its name. */
void local_marks_drop(const struct local_place *p, const char *name);

/* Remove what is left of marks whose snapshots are gone, as far as that can be done. */
void local_marks_sweep(const struct local_place *p);
