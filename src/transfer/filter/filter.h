/*
 * What of the source is left out: rsync's exclude rules, first match wins (rsync(1), FILTER RULES).
 *
 * A directory that is excluded hides what is in it; the walk does not descend into it, so nothing below it is asked
 * for. The root of the source is never left out.
 */
#pragma once

#include "base/util.h"

struct err;
struct filter;

/* @source_path is absolute and resolved. No rule yet. */
int filter_new(struct filter **ret, const char *source_path, struct err *err);
struct filter *filter_free(struct filter *f);
DEFINE_FREEP(struct filter, filter_free)

/*
 * Add a rule behind those that are there. @pattern is the value of rsync's --exclude, relative to SOURCE: "+ PATTERN"
 * includes, "- PATTERN" excludes as a bare PATTERN does, "!" takes all rules away, "" does nothing. Refused with
 * ERR_USAGE: a prefix without pattern, and what is longer than PATTERN_SIZE_MAX, which rsync would only warn of.
 */
int filter_exclude(struct filter *f, const char *pattern, struct err *err);

/* The same with @pattern, which has no prefix, seeing the absolute path on this machine: rsync's `-/ PATTERN`. */
int filter_exclude_machine(struct filter *f, const char *pattern, struct err *err);

/*
 * Leave out what is in /dev, /tmp and the like of this machine, not the directories themselves. Those that are SOURCE
 * or above it are not left out. To be called behind the user's patterns, so that a "+ PATTERN" of theirs wins.
 */
int filter_add_default_excludes(struct filter *f, struct err *err);

/*
 * Is it left out? @path is relative to SOURCE, without slashes at its ends and as long as it likes, and all
 * directories above it are not left out. Any number of threads may ask at once. Allocates nothing; each rule takes at
 * most one step of a few instructions for each byte of the path and each 64 bytes of the pattern, whatever they are.
 */
bool filter_excludes(const struct filter *f, const char *path, bool is_directory);
