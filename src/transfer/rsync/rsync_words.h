/* What the other side says to people, shown to ours. */
#pragma once

#include "base/util.h"

/* @words in @out, shortened when need be; what would upset a terminal or a log is escaped. */
void rsync_words_show(const char *words, char *out, size_t size);
