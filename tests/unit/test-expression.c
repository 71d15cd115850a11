/* expression: the COUNT of a rotation scheme. */
#include "base/err.h"
#include "cases.h"
#include "rotate/expression.h"

#include <check.h>
#include <errno.h>

static void assert_counts(const char *text, uint32_t expected)
{
        struct err err = { .kind = ERR_NONE };
        uint32_t count = 0;

        ck_assert_msg(expression_count(text, &count, &err) == 0, "%s", err.text);
        ck_assert_msg(count == expected, "%s: %u", text, (unsigned)count);
}

static void assert_refused(const char *text, const char *reason)
{
        struct err err = { .kind = ERR_NONE };
        uint32_t count = 4242;

        ck_assert_msg(expression_count(text, &count, &err) == -EINVAL, "%s", text);
        ck_assert_msg(strstr(err.text, reason), "%s: %s", text, err.text);
        ck_assert_int_eq(err.kind, ERR_USAGE);
        ck_assert_str_ne(err.hint, "");
        ck_assert_uint_eq(count, 4242);
}

START_TEST(numbers_and_arithmetic_count)
{
        assert_counts("24", 24);
        assert_counts(" 7 * 2\t", 14);
        assert_counts("1+2*3", 7);
        assert_counts("(1+2)*3", 9);
        assert_counts("10 - 2 - 3", 5);
        assert_counts("24 / 2 / 3", 4);
        assert_counts("-3 + 10", 7);
        assert_counts("2 * -3 * -(1)", 6);
        assert_counts("--5", 5);
        assert_counts("+5", 5);
        assert_counts("365 * 24 * 60", 525600);
        assert_counts("1000000000", EXPRESSION_MAX);
        assert_counts("007", 7);
}
END_TEST

START_TEST(decimals_and_fractions_are_exact)
{
        assert_counts("1.5 * 2", 3);
        assert_counts("2.0", 2);
        assert_counts("2.", 2);
        assert_counts(".5 * 4", 2);
        assert_counts("0.1 * 3 * 10", 3);
        assert_counts("1 / 3 * 3", 1);
        assert_counts("7 / -2 * -2", 7);
}
END_TEST

START_TEST(always_is_always_in_any_case)
{
        assert_counts("always", EXPRESSION_ALWAYS);
        assert_counts("  ALWAYS ", EXPRESSION_ALWAYS);
        assert_refused("alway", "'alway' is not expected");
        assert_refused("always 2", "is not expected");
        assert_refused("always * 2", "is not expected");
}
END_TEST

START_TEST(results_that_are_no_count_are_refused)
{
        assert_refused("0", "below 1");
        assert_refused("-1", "below 1");
        assert_refused("3 - 3", "below 1");
        assert_refused("7 / 2", "not a whole number");
        assert_refused("0.5", "not a whole number");
        assert_refused("1000000001", "the result is too large");
        assert_refused("1 / 0", "divides by zero");
        assert_refused("1 / (2 - 2)", "divides by zero");
}
END_TEST

START_TEST(numbers_that_do_not_fit_are_refused)
{
        assert_refused("9223372036854775808", "too large");
        assert_refused("9223372036854775807 + 1", "too large");
        assert_refused("-9223372036854775807 - 1", "too large");
        assert_refused("99999999999999999999999999999", "too large");
        assert_refused("4000000000 * 4000000000", "too large");
        assert_refused("0.00000000000000000000000001", "too large");
        assert_refused("1/4000000000 + 1/4000000001 + 1/3999999999", "too large");
}
END_TEST

START_TEST(broken_expressions_say_where)
{
        char deep[400];

        assert_refused("", "it is empty");
        assert_refused("  ", "it is empty");
        assert_refused("7 *", "a number is missing at the end");
        assert_refused("7 * x", "'x' is not expected");
        assert_refused("7 2", "'2' is not expected");
        assert_refused("2 ** 3", "'* 3' is not expected");
        assert_refused("(1 + 2", "a ')' is missing");
        assert_refused("(1 + 2 3", "'3' is not expected");
        assert_refused("1 + 2)", "')' is not expected");
        assert_refused("()", "')' is not expected");
        assert_refused("1.2.3", "'.3' is not expected");
        assert_refused("1e3", "'e3' is not expected");
        assert_refused("\x1b[31m", "\\033[31m");
        memset(deep, '(', sizeof(deep) - 1);
        deep[sizeof(deep) - 1] = '\0';
        assert_refused(deep, "nested too deeply");
        memset(deep, '-', sizeof(deep) - 1);
        assert_refused(deep, "nested too deeply");
}
END_TEST

int main(void)
{
        TCase *cases = tcase_create("expression");

        tcase_add_test(cases, numbers_and_arithmetic_count);
        tcase_add_test(cases, decimals_and_fractions_are_exact);
        tcase_add_test(cases, always_is_always_in_any_case);
        tcase_add_test(cases, results_that_are_no_count_are_refused);
        tcase_add_test(cases, numbers_that_do_not_fit_are_refused);
        tcase_add_test(cases, broken_expressions_say_where);
        return cases_run("expression", cases);
}
