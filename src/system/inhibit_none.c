/* For builds without libsystemd. */
#include "system/inhibit.h"

int inhibit_sleep(const char *why)
{
        (void)why;
        return -1;
}
