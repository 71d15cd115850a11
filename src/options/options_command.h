/* The command line as it was given, before anything is laid below it: for options.c. */
#pragma once

#include "options/options.h"
#include "options/settings.h"

struct err;

/* Empty when all is zero. The strings point into argv. */
struct command_line {
        enum options_show show;
        struct settings settings;
        bool given[SETTINGS_TABLE_MAX]; /* which rows of settings_table were */
        const char *source;
        const char *destination;
        bool from_environment; /* the destination is $RSYNC_MODULE_PATH */
};

/* Read @argv up to its end, or to --help or --version. Return 0, or a negative errno with @err filled. */
int command_line_read(struct command_line *c, int argc, char **argv, struct err *err);
void command_line_deinit(struct command_line *c);

/* Was the long option @name given? */
bool command_line_has(const struct command_line *c, const char *name);

/* Is it one for an agent? */
bool command_line_is_of_agent(const struct command_line *c);

/* Does what was given go together, for an agent; for all else? Return 0, or -EINVAL with @err filled. */
int command_line_check_agent(const struct command_line *c, struct err *err);
int command_line_check(const struct command_line *c, struct err *err);
