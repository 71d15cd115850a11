#include "origin.h"

#include "base/err.h"
#include "destination.h"
#include "options/options.h"

int origin_open(struct origin *o, const struct destination_config *c, struct report *report, struct err *err)
{
        int r = source_new(&o->source,
                           &(struct source_config){ .path = c->options->source,
                                                    .filter = c->filter,
                                                    .multi_fs = c->options->multi_fs,
                                                    .avoid = &o->avoid,
                                                    .report = report },
                           err);

        if (r < 0)
                return r;
        identity_machine(o->machine);
        identity_filesystem(source_root_fd(o->source), o->filesystem);
        identity_boot(o->boot);
        clock_gettime(CLOCK_BOOTTIME, &o->uptime);
        clock_gettime(CLOCK_REALTIME, &o->now);
        return 0;
}

void origin_close(struct origin *o)
{
        o->source = source_free(o->source);
        source_avoid_deinit(&o->avoid);
}
