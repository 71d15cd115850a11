/* Where --report and --metrics must not write. */
#pragma once

#include "base/util.h"

struct err;
struct location;

/*
 * Would the file @place, which is absolute and without symlinks, be in what is kept at the local @destination: in
 * `latest`, a snapshot or the state directory, or in the place of one? Bind mounts of it, or of a part of it, are
 * recognised. Return 1, 0, or a negative errno with @err filled.
 */
int publish_spoils(const char *place, const struct location *destination, struct err *err);
