/*
 * Configuration files (--config): INI files in which each section is a job, with the long options as keys, and `source`
 * and `destination`.
 */
#pragma once

#include "base/util.h"
#include "options/settings.h"

struct err;

struct config_section {
        char *name;
        struct settings settings;
        bool has_options;
        unsigned lines[SETTINGS_TABLE_MAX]; /* where each row of settings_table was given; 0: nowhere */
};

struct config {
        char *file; /* its name */
        struct config_section *sections;
        size_t count;
};

/*
 * All sections are read and checked, whichever is going to be used. Errors name file, line and key and are of kind
 * ERR_USAGE (ERR_RUN when memory is short). @ret is written on success only.
 */
int config_read(struct config *ret, const char *file, struct err *err);

/* The same from memory; @name stands in messages. */
int config_read_text(struct config *ret, const char *name, const char *text, struct err *err);

void config_deinit(struct config *c);

/* The section called @name, or NULL. It belongs to @c. */
struct config_section *config_find(const struct config *c, const char *name);

/*
 * The section to run when it is not chosen by its name: the one with this @destination (path == NULL: none is known),
 * else the only one that has options, unless @argument is a bare name. Otherwise it is a usage error that lists the
 * sections; @argument, the destination as it was typed, or NULL, is for its text. *ret belongs to @c.
 */
int config_choose(const struct config *c, const struct location *destination, const char *argument,
                  struct config_section **ret, struct err *err);
