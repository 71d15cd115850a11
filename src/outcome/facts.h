/* What a run came to as fields of a message, for machines that read the journal; docs/systemd.md lists them. */
#pragma once

#include "base/util.h"

struct outcome;

enum { FACTS_MAX = 32 };

struct facts {
        char *items[FACTS_MAX + 1]; /* "NAME=value", a NULL behind the last; for struct log_fields */
        size_t count;
};

/* What is known when it begins, and when it has ended. What memory is short for is left out. */
void facts_of_start(struct facts *ret, const struct outcome *o);
void facts_of_end(struct facts *ret, const struct outcome *o);
void facts_deinit(struct facts *f);
