/* A local source that is open for one transfer, and what it is known by. */
#pragma once

#include "base/util.h"
#include "storage/identity.h"
#include "transfer/source.h"

#include <time.h>

struct destination_config;
struct err;
struct report;

struct origin {
        struct source_avoid avoid; /* the destination's own; the source borrows it */
        struct source *source;
        char machine[IDENTITY_SIZE], filesystem[IDENTITY_SIZE]; /* filesystem: UUID, or "" */
        struct timespec now;                                    /* when it was opened */
        char boot[IDENTITY_SIZE];                               /* see identity_boot() */
        struct timespec uptime;                                 /* of this machine then, suspended or not */
};

#define ORIGIN_NONE ((struct origin){ .avoid.parent_fd = -1 })

/* `avoid` is filled by the caller before. To be closed in any case. */
int origin_open(struct origin *o, const struct destination_config *c, struct report *report, struct err *err);
void origin_close(struct origin *o);
