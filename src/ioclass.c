/* The class belongs to a thread and is inherited by those it starts, so that the main thread's is enough. */
#include "ioclass.h"

#include "base/err.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <sys/syscall.h>

enum { LEVEL_NORMAL = 4 };

static int get(void)
{
        return (int)syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);
}

static int set(int priority)
{
        return syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, priority) < 0 ? -errno : 0;
}

/* No table: newer kernels' IOPRIO_PRIO_VALUE is a function. */
static int priority_of(enum settings_ionice class)
{
        switch (class) {
        case SETTINGS_BEST_EFFORT:
                return IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, LEVEL_NORMAL);
        case SETTINGS_REALTIME:
                return IOPRIO_PRIO_VALUE(IOPRIO_CLASS_RT, LEVEL_NORMAL);
        default:
                return IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0);
        }
}

int ioclass_set(enum settings_ionice wanted, struct err *err)
{
        int r;

        if (wanted == SETTINGS_IONICE_UNSET)
                return 0;
        r = set(priority_of(wanted));
        return r < 0 ? err_run(err, r, "set the I/O class", NULL) : 0;
}

int ioclass_lower(enum settings_ionice asked, enum settings_ionice says)
{
        int before = get();

        if (asked != SETTINGS_IONICE_UNSET || before < 0 || set(priority_of(says)) < 0)
                return -1;
        return before;
}

void ioclass_restore(int before)
{
        if (before >= 0)
                (void)set(before);
}
