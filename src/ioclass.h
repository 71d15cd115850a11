/* The I/O class of the process: --ionice, and idle for removals. See ioprio_set(2). */
#pragma once

#include "base/util.h"
#include "options/settings.h"

struct err;

/* For the whole run. Return 0, or a negative errno with @err filled when it is not permitted. */
int ioclass_set(enum settings_ionice wanted, struct err *err);

/*
 * For removals, until ioclass_restore(): idle, or what the scheme's file @says, unless the user @asked for a class for
 * all of the run. Return what it was, -1 when nothing was changed.
 */
int ioclass_lower(enum settings_ionice asked, enum settings_ionice says);
void ioclass_restore(int before);
