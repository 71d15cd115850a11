/* From the basis into the result: shared where the filesystem can, and read back for the sum over all of it. */
#pragma once

#include "transfer/delta/delta.h"

#include <xxhash.h>

struct delta_copy {
        const struct delta_basis *basis;
        int to;
        bool has_holes;
        XXH3_state_t *digest;
        char *piece;                /* DELTA_PIECE bytes */
        bool no_clone, no_transfer; /* what has failed once is not tried again */
        uint64_t written_to;        /* the end of what was written or shared last */
        enum delta_side failed;
};

/* What is still to be copied; @shared_to: up to there it is in the result already, but not in the sum. */
struct delta_copy_job {
        bool from_old; /* not from the partial one */
        uint64_t from, to, size;
        uint64_t shared_to;
};

/* Do a part of it, some MiB at most. Return 0, DELTA_MISMATCH when the basis is shorter than it was, or -errno. */
int delta_copy_step(struct delta_copy *c, struct delta_copy_job *job);
