/* The effective set, asked from libcap each time: it is asked a few times a run. */
#include "base/privileges.h"

#include <sys/capability.h>

static bool is_effective(cap_value_t capability)
{
        cap_t caps = cap_get_proc();
        cap_flag_value_t value = CAP_CLEAR;
        bool held;

        held = caps && cap_get_flag(caps, capability, CAP_EFFECTIVE, &value) == 0 && value == CAP_SET;
        cap_free(caps);
        return held;
}

bool privilege_held(enum privilege privilege)
{
        switch (privilege) {
        case PRIVILEGE_READ_ALL:
                return is_effective(CAP_DAC_READ_SEARCH) || is_effective(CAP_DAC_OVERRIDE);
        case PRIVILEGE_WRITE_ALL:
                return is_effective(CAP_DAC_OVERRIDE);
        case PRIVILEGE_CHOWN:
                return is_effective(CAP_CHOWN);
        case PRIVILEGE_OWNER:
                return is_effective(CAP_FOWNER) && is_effective(CAP_FSETID);
        case PRIVILEGE_MKNOD:
                return is_effective(CAP_MKNOD);
        case PRIVILEGE_ADMIN:
                return is_effective(CAP_SYS_ADMIN);
        }
        return false;
}
