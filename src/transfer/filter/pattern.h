/*
 * One pattern of rsync's include and exclude rules, compiled (rsync(1), PATTERN MATCHING RULES; rsync 3.5 where the
 * page leaves room). In short:
 *
 *      name                the last component of a path
 *      a/name, a**b        the end of a path, from any component on
 *      /a/name, **name     the whole path
 *      name/               directories only
 *      ending in a slash and three stars: the directory and all below it
 *
 * A backslash escapes only in a pattern that holds a wildcard.
 */
#pragma once

#include "base/util.h"
#include "transfer/filter/wild.h"

struct err;
struct pattern;

/* Longer ones are refused; rsync ignores them. */
enum { PATTERN_SIZE_MAX = WILD_TOKENS_MAX };

/* What is to be matched: a path of one or more components without slashes at its ends. */
struct pattern_subject {
        const char *path;
        size_t size;
        const char *base; /* the last component of it */
        bool is_directory;
};

/*
 * Compile @text, which is not empty and not longer than PATTERN_SIZE_MAX. @above is what stands before all paths that
 * will be matched and belongs to what the pattern sees: "" or components that each end in '/'. Fails with ERR_RUN when
 * memory is short.
 */
int pattern_new(struct pattern **ret, const char *text, const char *above, struct err *err);
struct pattern *pattern_free(struct pattern *p);
DEFINE_FREEP(struct pattern, pattern_free)

/* True when nothing at all can match, below @above. */
bool pattern_is_void(const struct pattern *p);

/*
 * Does it match? Touches nothing but its arguments and at most 1 KiB of stack. A pattern without wildcards or with one
 * star costs a comparison; no pattern costs more than wild_matches() of the path.
 */
bool pattern_matches(const struct pattern *p, const struct pattern_subject *subject);
