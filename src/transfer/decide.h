/* What has to happen to one name of the destination, so that it becomes what the source says. Pure. */
#pragma once

#include "base/util.h"

struct entry;

enum decide_verdict {
        DECIDE_KEEP,    /* they are equal */
        DECIDE_MAKE,    /* there is nothing yet */
        DECIDE_REMOVE,  /* it is no longer in the source */
        DECIDE_RETYPE,  /* it is of another type */
        DECIDE_COMPARE, /* a file that looks equal, but whose content must be compared before that is believed */
        DECIDE_REPLACE, /* content, target or device differ */
        DECIDE_RELINK,  /* metadata differ, and it needs a new inode: this one may belong to snapshots, or is soon made
                         */
        DECIDE_ADJUST,  /* metadata of a directory, or of a file that nothing else links to: change it in place */
};

struct decision {
        enum decide_verdict verdict;
        unsigned why; /* report_why bits */
};

struct decide_hints {
        bool verify;      /* equal size and mtime prove nothing for this file */
        bool verified;    /* its content was compared and is equal */
        bool wrong_inode; /* its inode stands for another file of the source */
};

/*
 * @want is the source's entry as the destination can hold it, @have the destination's; either may be NULL. Times of
 * directories count like all other metadata.
 */
struct decision decide(const struct entry *want, const struct entry *have, const struct decide_hints *hints);
