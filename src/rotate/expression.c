/*
 * A parser by recursive descent over fractions of 64-bit integers:
 *
 *      sum     = product { ("+" | "-") product }
 *      product = factor { ("*" | "/") factor }
 *      factor  = ("+" | "-") factor | "(" sum ")" | number
 *      number  = digits [ "." [ digits ] ] | "." digits
 *
 * The first problem sticks: after it nothing more is consumed, so it is asked for once, at the end. Floating point was
 * no choice: 0.1 * 3 * 10 would not be a whole number.
 */
#include "rotate/expression.h"

#include "base/err.h"
#include "base/path.h"

#include <stdio.h>
#include <strings.h>

enum { DEPTH_MAX = 64 };

static const char blanks[] = " \t\r\n\v\f", too_large[] = "the numbers are too large";

/* Always in lowest terms, with a positive denominator. */
struct fraction {
        int64_t above, below;
};

struct parser {
        const char *rest;
        unsigned depth;
        char problem[160]; /* empty while all is well */
};

static struct fraction parse_sum(struct parser *p);

static struct fraction fail(struct parser *p, const char *problem)
{
        if (!p->problem[0])
                snprintf(p->problem, sizeof(p->problem), "%s", problem);
        return (struct fraction){ 0, 1 };
}

static struct fraction fail_at_rest(struct parser *p)
{
        char shown[40], problem[80];

        if (!*p->rest)
                return fail(p, "a number is missing at the end");
        path_show(NULL, p->rest, shown, sizeof(shown));
        snprintf(problem, sizeof(problem), "'%s' is not expected there", shown);
        return fail(p, problem);
}

/* Skips blanks; moves behind the next character if it is @c. */
static bool take(struct parser *p, char c)
{
        p->rest += strspn(p->rest, blanks);
        if (p->problem[0] || *p->rest != c)
                return false;
        p->rest++;
        return true;
}

static int64_t common_divisor(int64_t a, int64_t b)
{
        while (b != 0) {
                int64_t rest = a % b;

                a = b;
                b = rest;
        }
        return a < 0 ? -a : a;
}

static struct fraction reduce(struct parser *p, int64_t above, int64_t below)
{
        int64_t divisor;

        /* The one value that cannot be negated. */
        if (above == INT64_MIN || below == INT64_MIN)
                return fail(p, too_large);
        divisor = common_divisor(above, below) * (below < 0 ? -1 : 1);
        return (struct fraction){ above / divisor, below / divisor };
}

static struct fraction add(struct parser *p, struct fraction a, struct fraction b)
{
        int64_t left, right, above, below;

        if (__builtin_mul_overflow(a.above, b.below, &left) || __builtin_mul_overflow(b.above, a.below, &right) ||
            __builtin_add_overflow(left, right, &above) || __builtin_mul_overflow(a.below, b.below, &below))
                return fail(p, too_large);
        return reduce(p, above, below);
}

static struct fraction multiply(struct parser *p, struct fraction a, struct fraction b)
{
        int64_t above, below;

        if (__builtin_mul_overflow(a.above, b.above, &above) || __builtin_mul_overflow(a.below, b.below, &below))
                return fail(p, too_large);
        return reduce(p, above, below);
}

static struct fraction divide(struct parser *p, struct fraction a, struct fraction b)
{
        if (b.above == 0)
                return fail(p, "it divides by zero");
        return multiply(p, a, reduce(p, b.below, b.above));
}

static struct fraction parse_number(struct parser *p)
{
        struct fraction number = { 0, 1 };
        bool decimals = false, digits = false;

        for (;; p->rest++) {
                if (*p->rest == '.' && !decimals) {
                        decimals = true;
                        continue;
                }
                if (*p->rest < '0' || *p->rest > '9')
                        break;
                digits = true;
                if (__builtin_mul_overflow(number.above, 10, &number.above) ||
                    __builtin_add_overflow(number.above, *p->rest - '0', &number.above) ||
                    (decimals && __builtin_mul_overflow(number.below, 10, &number.below)))
                        return fail(p, too_large);
        }
        return digits ? reduce(p, number.above, number.below) : fail_at_rest(p);
}

static struct fraction parse_factor(struct parser *p)
{
        struct fraction inner;

        /* Bounds the recursion, and with it the stack. */
        if (p->depth >= DEPTH_MAX)
                return fail(p, "it is nested too deeply");
        p->depth++;
        if (take(p, '-')) {
                inner = parse_factor(p);
                inner.above = -inner.above;
        } else if (take(p, '+')) {
                inner = parse_factor(p);
        } else if (take(p, '(')) {
                inner = parse_sum(p);
                if (!take(p, ')'))
                        inner = *p->rest ? fail_at_rest(p) : fail(p, "a ')' is missing");
        } else {
                inner = parse_number(p);
        }
        p->depth--;
        return inner;
}

static struct fraction parse_product(struct parser *p)
{
        struct fraction result = parse_factor(p);

        for (;;) {
                if (take(p, '*'))
                        result = multiply(p, result, parse_factor(p));
                else if (take(p, '/'))
                        result = divide(p, result, parse_factor(p));
                else
                        return result;
        }
}

static struct fraction parse_sum(struct parser *p)
{
        struct fraction result = parse_product(p);

        for (;;) {
                struct fraction next;

                if (take(p, '+')) {
                        result = add(p, result, parse_product(p));
                } else if (take(p, '-')) {
                        next = parse_product(p);
                        next.above = -next.above;
                        result = add(p, result, next);
                } else {
                        return result;
                }
        }
}

/* `always` with nothing but blanks around it. */
static bool is_always(const char *text)
{
        static const char word[] = "always";

        text += strspn(text, blanks);
        if (strncasecmp(text, word, strlen(word)) != 0)
                return false;
        text += strlen(word);
        return text[strspn(text, blanks)] == '\0';
}

static struct fraction evaluate(struct parser *p)
{
        struct fraction result;

        p->rest += strspn(p->rest, blanks);
        if (!*p->rest)
                return fail(p, "it is empty");
        result = parse_sum(p);
        if (*p->rest)
                return fail_at_rest(p);
        if (result.below != 1)
                return fail(p, "the result is not a whole number");
        if (result.above < 1)
                return fail(p, "the result is below 1");
        if (result.above > EXPRESSION_MAX)
                return fail(p, "the result is too large");
        return result;
}

int expression_count(const char *text, uint32_t *ret, struct err *err)
{
        struct parser parser = { .rest = text };
        struct fraction result;

        if (is_always(text)) {
                *ret = EXPRESSION_ALWAYS;
                return 0;
        }
        result = evaluate(&parser);
        if (parser.problem[0]) {
                char shown[80];

                path_show(NULL, text, shown, sizeof(shown));
                err_usage(err, "'%s' is not a count of snapshots: %s", shown, parser.problem);
                return err_hint(err, "give a whole number from 1, an expression like '7 * 2', or 'always'");
        }
        *ret = (uint32_t)result.above;
        return 0;
}
