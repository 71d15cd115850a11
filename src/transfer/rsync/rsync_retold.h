/*
 * What a server was seen to deal with before its connection broke, so that it is counted once: when it asks for the
 * same again, what it had of it was lost on the way. Only the last ones can be in doubt, and so many are kept: 131072,
 * in a MiB of memory.
 */
#pragma once

#include "base/util.h"

struct rsync_retold;

/* NULL when memory is short. */
struct rsync_retold *rsync_retold_new(void);
struct rsync_retold *rsync_retold_free(struct rsync_retold *r);

/* Was @path told before? From now on it was. */
bool rsync_retold_has(struct rsync_retold *r, const char *path);
