/* Connecting again after a connection was lost: how often, and how long to wait before. */
#pragma once

#include "base/util.h"

struct err;

struct patience {
        unsigned retries; /* at most; */
        unsigned tries;   /* so far */
};

/*
 * @err is why it has to be tried again: say so, and wait. @counts: it is one of the tries. Return 0 when it is time to,
 * with @err empty; or a negative errno with @err filled: why it was to be tried again when there is no try left,
 * -ECANCELED after a stop request.
 */
int patience_wait(struct patience *p, bool counts, struct err *err);
