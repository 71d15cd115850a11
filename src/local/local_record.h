/*
 * What the state says around a transfer: "running" from before `latest` is first changed until all of it is known to be
 * on the disk; then the reference time moves. That is bound to what it is true for: machine, source, name of `latest`.
 */
#pragma once

#include "base/util.h"

#include <time.h>

struct err;
struct local;

/* Where a transfer comes from. */
struct local_origin {
        const char *machine;
        const char *path;       /* of the source, plain and absolute */
        const char *filesystem; /* UUID of the source's, "" when it has none */
        struct timespec now;    /* when the transfer begins, by the clock that the source's times are of */
        const char *boot;       /* id of the kernel that has this clock, "" when it does not tell */
        struct timespec uptime; /* of that kernel, now */
};

/*
 * Is the state's reference time one of this source? Then give it by the clock that @o has now; where nobody can tell
 * what that is, at the beginning of time, so that every ctime is newer.
 */
bool local_record_finds(const struct local *l, const struct local_origin *o, struct timespec *ret_reference);

/*
 * A transfer begins: there is room, what the destination can hold is known, and unless @dry_run the state says that it
 * is running.
 */
int local_record_begin(struct local *l, const struct local_origin *o, bool dry_run, struct err *err);

/* It has ended well: have all of it on the disk, and say so. */
int local_record_end(struct local *l, const struct local_origin *o, struct err *err);
