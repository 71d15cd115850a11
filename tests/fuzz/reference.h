/* What a pattern selects by the definition of rsync's patterns (rsync(1)), to judge ours by. */
#pragma once

#include <stdbool.h>

/* Patterns are shorter than this, texts than twice this. */
enum { REFERENCE_TEXT_MAX = 300 };

/* Does the pattern @rule of rsync match @path, with @above (as pattern_new() takes it) before it? */
bool reference_selects(const char *rule, const char *above, const char *path, bool is_directory);

/* Do the wildcards of @pattern match all of @text, or with @restarts what stands behind any '/' of it? */
bool reference_wild(const char *pattern, const char *text, bool restarts);
