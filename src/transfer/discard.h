/* What the source no longer has goes from `latest`. */
#pragma once

#include <sys/types.h>

struct entry;
struct err;
struct listing_name;
struct visit;

/* Remove one name, a directory by a task of its own. Return 0 or a negative errno with @err filled. */
int discard_name(struct visit *v, const struct listing_name *n, struct err *err);

/*
 * Go on in the destination's list up to @name (to its end for NULL); what is passed is removed, if it may be. Return 1
 * if
 * @name is there, 0 if not, or a negative errno with @err filled.
 */
int discard_passed(struct visit *v, const char *name, struct err *err);

/* Add the task that removes the directory @name; @ino is its inode, 0 when it is not known. */
int discard_directory(struct visit *v, const char *name, ino_t ino, struct err *err);

/* The same for @former, which was renamed to @name to make way, and is shown under the name that it had. */
int discard_aside(struct visit *v, const char *name, const struct entry *former, struct err *err);

/*
 * Remove the directory @name with all that is in it now, by a crew of its own; @former: the name that it had, or NULL.
 * Return 0 or a negative errno with @err filled.
 */
int discard_at_once(struct visit *v, const char *name, const char *former, struct err *err);

/* The task itself: its visit and its finish, as struct crew_ops wants them. */
int discard_visit(struct visit *v, struct err *err);
int discard_finish(struct visit *v, struct err *err);
