/*
 * Looking before changing: what speaks against a run on a local destination. All but a source inside the destination
 * can be forced.
 */
#pragma once

#include "base/util.h"

struct err;
struct local_place;
struct options;

/* Of these, the ones about the source, whose root is open as @source_fd. */
int local_check_source(const struct local_place *p, const struct options *o, int source_fd, struct err *err);

/* Nothing is changed. Return 0 or a negative errno with @err filled. */
int local_checks(const struct local_place *p, const struct options *o, struct err *err);
