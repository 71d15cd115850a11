/*
 * The automaton of wildcards against the definition.
 *
 * Input: a byte of flags (1 it restarts behind each '/', 2 a '/' follows), the pattern, a NUL, what stands before the
 * text, a NUL, the text.
 */
#include "base/util.h"
#include "reference.h"
#include "transfer/filter/wild.h"

#include <stdio.h>

enum { TEXT_MAX = REFERENCE_TEXT_MAX, FLAG_RESTARTS = 1, FLAG_SLASH = 2 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes up to a NUL or the end, as a string; moves @data behind them. */
static void take(char out[TEXT_MAX], const uint8_t **data, size_t *size)
{
        size_t length = strnlen((const char *)*data, *size), behind = length < *size ? length + 1 : length;

        memcpy(out, *data, length);
        out[length] = '\0';
        *data += behind;
        *size -= behind;
}

static void check_tokens(const struct wild_token *tokens, size_t count, const char *pattern)
{
        if (count > strlen(pattern))
                abort();
        for (size_t i = 1; i < count; i++) {
                if (tokens[i].kind >= WILD_STAR && tokens[i - 1].kind >= WILD_STAR)
                        abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char pattern[TEXT_MAX], before[TEXT_MAX], text[TEXT_MAX], whole[2 * TEXT_MAX + 1];
        struct wild_token tokens[TEXT_MAX];
        _cleanup_(wild_freep) struct wild *w = NULL;
        size_t count, token = SIZE_MAX, ways;
        bool restarts, slash, matches;

        if (size < 2 || size >= TEXT_MAX)
                return 0;
        restarts = *data & FLAG_RESTARTS;
        slash = *data & FLAG_SLASH;
        data++;
        size--;
        take(pattern, &data, &size);
        take(before, &data, &size);
        take(text, &data, &size);
        snprintf(whole, sizeof(whole), "%s%s%s", before, text, slash ? "/" : "");
        if (!wild_parse(tokens, &count, pattern)) {
                if (reference_wild(pattern, whole, restarts))
                        abort();
                return 0;
        }
        check_tokens(tokens, count, pattern);
        w = wild_new(tokens, count, restarts);
        if (!w)
                return 0;
        ways = wild_precede(w, before, &token);
        matches = wild_matches(w, text, strlen(text), slash);
        if ((ways == 0) != (token == SIZE_MAX) || (ways > 0 && token > count))
                abort();
        if (matches != reference_wild(pattern, whole, restarts) || (matches && ways == 0 && !restarts)) {
                fprintf(stderr, "pattern '%s' before '%s' text '%s' flags %d: we say %d\n", pattern, before, text,
                        restarts | slash << 1, matches);
                abort();
        }
        return 0;
}
