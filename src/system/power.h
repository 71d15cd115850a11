/* What the machine runs on, by what the kernel knows: Documentation/ABI/testing/sysfs-class-power. */
#pragma once

#include "base/util.h"

struct power {
        bool on_battery;  /* and on nothing else */
        bool has_battery; /* of its own, not that of a mouse; then */
        unsigned percent; /* so much is left in all of them */
};

#define POWER_DIRECTORY "/sys/class/power_supply"

/* @directory is POWER_DIRECTORY; where nothing can be read there is no battery. */
void power_read(struct power *ret, const char *directory);
