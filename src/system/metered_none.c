/* For builds without libsystemd. */
#include "base/err.h"
#include "system/metered.h"

int metered_now(struct err *err)
{
        return err_usage(err, "--not-on-metered is not in this build: it was made without libsystemd");
}
