/* COUNT, as it stands in a rotation scheme: a number, an arithmetic expression like `7 * 2`, or `always`. */
#pragma once

#include "base/util.h"

struct err;

#define EXPRESSION_ALWAYS UINT32_MAX
#define EXPRESSION_MAX 1000000000

/*
 * Whole numbers and decimals, + - * / with the usual precedence, unary + and -, parentheses. Computed exactly, as
 * fractions: 1 / 3 * 3 is 1. The result must be a whole number from 1 to EXPRESSION_MAX; `always`, in any case, gives
 * EXPRESSION_ALWAYS. Return 0, or -EINVAL with a usage error that quotes the text and says what is wrong with it.
 */
int expression_count(const char *text, uint32_t *ret, struct err *err);
