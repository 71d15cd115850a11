/* What only shows when all options are put together: for options.c, and for an agent. All return 0, or -EINVAL with
 * @err filled. */
#pragma once

#include "options/settings.h"

struct err;
struct options;

/* The actions that are asked for; if none is, all but those that a file says no to. */
int options_choose_actions(struct options *o, const enum settings_toggle *flags, struct err *err);

/* Of --list. */
int options_settle_list(struct options *o, struct err *err);

/*
 * Can a destination have this name, the last component of its path? Not one of the program's own; nor, for what a run
 * would do there, a snapshot's.
 */
int options_check_name(const struct options *o, const char *name, struct err *err);

/* Do destination, disk and connection go together? */
int options_check(const struct options *o, struct err *err);
