/* The I/O class of the process: --ionice, and idle for removals. See ioprio_set(2). */
#pragma once

#include "base/util.h"
#include "settings.h"

struct err;

/* For the whole run. Return 0, or a negative errno with @err filled when it is not permitted. */
int ioclass_set(enum settings_ionice wanted, struct err *err);

/* For work that can wait, unless the user @asked for a class of his own: idle until ioclass_restore(). Return what it
 * was, -1 when nothing was changed. */
int ioclass_lower(enum settings_ionice asked);
void ioclass_restore(int before);
