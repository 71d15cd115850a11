/* Assertions for loops of many rounds: check(3) tells another process of each of its own, which takes longer. */
#pragma once

#include <check.h>

#define quick_assert(condition)                         \
        do {                                            \
                if (!(condition))                       \
                        ck_abort_msg("%s", #condition); \
        } while (0)
