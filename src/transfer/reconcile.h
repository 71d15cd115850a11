/* Bring one name of `latest` in line with its entry of the source. */
#pragma once

struct arena;
struct decision;
struct entry;
struct err;
struct update;
struct visit;
struct visit_task;

/* In a receiver: @want has to wait for what visit.awaits says. */
enum { RECONCILE_LATER = 1 };

/*
 * @want is as it was loaded from the source. @old_name is its name when the destination has one, else NULL.
 * Subdirectories get their metadata, and a task for their content. Return 0, RECONCILE_LATER, or a negative errno with
 * @err filled.
 */
int reconcile_entry(struct visit *v, struct entry *want, const char *old_name, struct err *err);

/* Load what the destination has under this name. Return 1 when there is something, 0 when not, or a negative errno. */
int reconcile_load_old(struct visit *v, const char *name, struct entry *ret, struct err *err);

/* What was decided for @want has been done: count and tell it. */
void reconcile_tell(struct visit *v, const struct entry *want, const struct decision *d);

/*
 * The root of the tree: give it the metadata of @want, but for what is left to *ret, which is filled in, as is the
 * update's device. Return 0 or a negative errno with @err filled.
 */
int reconcile_root(struct update *u, struct entry *want, struct arena *arena, struct visit_task *ret, struct err *err);
