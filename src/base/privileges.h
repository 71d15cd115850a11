/* What this process may do: capabilities(7) decide, not the user id. */
#pragma once

#include "base/util.h"

enum privilege {
        PRIVILEGE_READ_ALL,  /* CAP_DAC_READ_SEARCH or CAP_DAC_OVERRIDE */
        PRIVILEGE_WRITE_ALL, /* CAP_DAC_OVERRIDE */
        PRIVILEGE_CHOWN,     /* CAP_CHOWN */
        PRIVILEGE_OWNER,     /* CAP_FOWNER and CAP_FSETID */
        PRIVILEGE_MKNOD,     /* CAP_MKNOD */
        PRIVILEGE_ADMIN,     /* CAP_SYS_ADMIN */
};

/* Is it effective in this process now? */
bool privilege_held(enum privilege privilege);
