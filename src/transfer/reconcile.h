/* Bring one name of `latest` in line with its entry of the source. */
#pragma once

struct entry;
struct err;
struct visit;

/*
 * @want is as it was loaded from the source. @old_name is its name when the destination has one, else NULL.
 * Subdirectories get their metadata, and a task for their content. Return 0 or a negative errno with @err filled.
 */
int reconcile_entry(struct visit *v, struct entry *want, const char *old_name, struct err *err);
