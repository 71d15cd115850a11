/*
 * Looking before changing: what speaks against a run on a local destination. All but a source inside the destination
 * can be forced.
 */
#pragma once

#include "base/util.h"

struct destination_config;
struct err;
struct local_place;
struct options;

/* Of these, the ones about a source at hand, whose root is open as @source_fd. */
int local_check_source(const struct local_place *p, const struct destination_config *c, int source_fd, struct err *err);

/* Is the place on what is mounted at --mount, if that was given? Return 0 or a negative errno with @err filled. */
int local_check_mounted(const struct local_place *p, const struct options *o, struct err *err);

/* Once all is done: does the path still lead to where it was done? Return 0 or a negative errno with @err filled. */
int local_check_still_there(const struct local_place *p, const struct options *o, struct err *err);

/* Nothing is changed. Return 0 or a negative errno with @err filled. */
int local_checks(const struct local_place *p, const struct destination_config *c, struct err *err);
