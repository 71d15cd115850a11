/* How much memory there is to use. */
#pragma once

#include "base/util.h"

/*
 * Bytes of memory that this process, its files in the page cache included, has for itself and others: that of the
 * machine, or the least limit of the control groups that it is in (cgroups(7), versions 1 and 2).
 */
uint64_t memory_limit(void);
