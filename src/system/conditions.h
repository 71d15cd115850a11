/* When a job that nobody watches had better not run. */
#pragma once

#include "base/util.h"

struct err;

struct conditions {
        bool only_on_ac;
        unsigned min_battery_percent; /* 0: none */
        bool not_on_metered;
};

enum { CONDITIONS_WHY_SIZE = 160 };
enum { CONDITIONS_UNMET = 1 };

/*
 * @power_directory is POWER_DIRECTORY. Return 0 when all hold; CONDITIONS_UNMET with @why filled, which names the
 * option; or a negative errno with @err filled when this build cannot tell. May take a second.
 */
int conditions_check(const struct conditions *c, const char *power_directory, char why[CONDITIONS_WHY_SIZE],
                     struct err *err);
