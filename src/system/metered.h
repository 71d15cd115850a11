/* Is what leads to other machines paid for by volume? NetworkManager(8) knows. */
#pragma once

#include "base/util.h"

struct err;

/*
 * Return 1 when it is, or is guessed to be; 0 when it is not, or nobody knows within a second; -EINVAL with @err
 * (ERR_USAGE) filled when this build cannot tell.
 */
int metered_now(struct err *err);
