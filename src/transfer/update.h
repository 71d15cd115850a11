/* Make one local tree, `latest`, equal to what a source says. */
#pragma once

#include "base/util.h"

#include <time.h>

struct err;
struct limits;
struct report;
struct source;

struct update_config {
        const struct source *source;
        int to_fd;      /* the root of `latest`; -1 in a dry run that finds none yet */
        bool to_is_new; /* or this run made it, or would */
        const struct limits *limits;
        struct report *report;
        bool dry_run; /* report what would be done, change nothing */

        /* When the last complete transfer of this source began: what has a newer ctime may have changed although size
         * and mtime are equal. Without one, size and mtime decide. */
        bool has_reference;
        struct timespec reference;

        /* What a run that was cut off may have written: files of `latest` with this ctime or a newer one are compared
         * by content, and all metadata are written once more (see transfer/suspect.h). */
        bool has_suspect;
        struct timespec suspect;

        void (*tick)(void *context); /* see base/crew.h */
        void *tick_context;
};

/*
 * Blocks until it is done. What concerns single entries goes to the report; return 0, or a negative errno with @err
 * filled when going on was pointless: then `latest` is usable, and the next update continues.
 */
int update_run(const struct update_config *config, struct err *err);
