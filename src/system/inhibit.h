/* The machine does not go to sleep by itself while a backup runs: an inhibitor lock of logind, systemd-inhibit(1). */
#pragma once

#include "base/util.h"

/*
 * Take it; @why is shown to people. Return a descriptor that holds it until it is closed, or -1: there is no logind, it
 * does not let us, or does not answer within a second.
 */
int inhibit_sleep(const char *why);
