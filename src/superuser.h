/* A backup of the system needs to read and write everything: get these privileges, or say how. */
#pragma once

#include "base/util.h"

struct err;
struct options;

/*
 * Does nothing with --no-sudo, or when the process has the capabilities it needs, whatever its user: where the
 * destination is on another machine, only that to read everything. Otherwise, for anybody but uid 0, execute the program
 * again through sudo(8), the only program it ever executes; then this does not return. Return 0 or a negative errno with
 * @err filled.
 */
int superuser_become(const struct options *o, int argc, char **argv, struct err *err);
