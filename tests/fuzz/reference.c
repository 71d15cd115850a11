/*
 * The definition of rsync's patterns, written down as slowly and plainly as possible: the text is put together, and
 * every token tries every length (remembering what it tried).
 */
#include "reference.h"

#include "base/util.h"

#include <stdio.h>

enum { TEXT_MAX = REFERENCE_TEXT_MAX };

struct reference {
        char pattern[TEXT_MAX], text[2 * TEXT_MAX];
        size_t pattern_size, text_size;
        bool has_wildcard;
        signed char known[TEXT_MAX + 1][2 * TEXT_MAX]; /* 0 not tried, 1 matches, -1 does not */
};

/* Does the class whose members begin at @at take @c? Sets @end to the byte behind its ']', to 0 when there is none. */
static bool class_takes(const struct reference *r, size_t at, unsigned char c, size_t *end)
{
        static const char *const names[] = { "alnum", "alpha", "blank", "cntrl", "digit", "graph",
                                             "lower", "print", "punct", "space", "upper", "xdigit" };
        static const char *const members[] = {
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                " \t",
                "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\23\24\25\26\27\30\31\32\33\34\35\36\37\177",
                "0123456789",
                "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~",
                "abcdefghijklmnopqrstuvwxyz",
                " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~",
                "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
                " \t\n\v\f\r",
                "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                "0123456789ABCDEFabcdef",
        };
        const char *p = r->pattern;
        bool negated = p[at] == '!' || p[at] == '^', takes = false;
        size_t first;
        int previous = -1;

        *end = 0;
        at += negated;
        for (first = at; at == first || p[at] != ']';) {
                if (!p[at])
                        return false;
                if (p[at] == '[' && p[at + 1] == ':') {
                        size_t length = strcspn(p + at + 2, "]");

                        if (!p[at + 2 + length])
                                return false;
                        if (length > 0 && p[at + 1 + length] == ':') {
                                bool found = false;

                                for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                                        if (strlen(names[i]) == length - 1 &&
                                            memcmp(names[i], p + at + 2, length - 1) == 0) {
                                                found = true;
                                                takes = takes || strchr(members[i], c);
                                        }
                                }
                                if (!found)
                                        return false;
                                at += length + 3;
                                previous = -1;
                                continue;
                        }
                }
                if (p[at] == '-' && previous >= 0 && p[at + 1] && p[at + 1] != ']') {
                        at++;
                        at += p[at] == '\\';
                        if (!p[at])
                                return false;
                        takes = takes || (c >= previous && c <= (unsigned char)p[at]);
                        previous = -1;
                        at++;
                        continue;
                }
                at += p[at] == '\\';
                if (!p[at])
                        return false;
                previous = (unsigned char)p[at++];
                takes = takes || c == previous;
        }
        *end = at + 1;
        return takes != negated && c != '/';
}

/* Does the pattern from @p on match the text from @t on? */
static bool match(struct reference *r, size_t p, size_t t)
{
        size_t next = p + 1, end = r->text_size;
        char c = r->pattern[p];
        bool matches = false;

        if (p == r->pattern_size)
                return t == end;
        if (r->known[p][t])
                return r->known[p][t] > 0;
        if (r->has_wildcard && c == '*') {
                bool deep = r->pattern[next] == '*';

                while (r->pattern[next] == '*')
                        next++;
                for (size_t i = t; i <= end && !matches; i++) {
                        matches = match(r, next, i);
                        if (!deep && r->text[i] == '/')
                                break;
                }
        } else if (r->has_wildcard && c == '?') {
                matches = t < end && r->text[t] != '/' && match(r, next, t + 1);
        } else if (r->has_wildcard && c == '[') {
                matches = t < end && class_takes(r, p + 1, (unsigned char)r->text[t], &next) && next &&
                          match(r, next, t + 1);
        } else if (r->has_wildcard && c == '\\') {
                matches = t < end && r->pattern[next] == r->text[t] && match(r, next + 1, t + 1);
        } else {
                matches = t < end && c == r->text[t] && match(r, next, t + 1);
        }
        r->known[p][t] = matches ? 1 : -1;
        return matches;
}

static size_t count_slashes(const char *text)
{
        size_t count = 0;

        for (; *text; text++)
                count += *text == '/';
        return count;
}

/* By the definition: the text that a pattern sees, and the places of it from which it may match. */
bool reference_selects(const char *rule, const char *above, const char *path, bool is_directory)
{
        static struct reference r;
        char *pattern = r.pattern, *text = r.text;
        size_t size = strlen(rule), components;
        bool anchored = rule[0] == '/', directories_only = size > 1 && rule[size - 1] == '/', deep;

        memset(&r, 0, sizeof(r));
        snprintf(pattern, sizeof(r.pattern), "%.*s", (int)(size - directories_only), rule);
        deep = strstr(pattern, "**");
        if (directories_only && !is_directory)
                return false;
        if (!strchr(pattern, '/') && !deep) {
                const char *slash = strrchr(path, '/');

                snprintf(text, sizeof(r.text), "%s", slash ? slash + 1 : path);
                anchored = true;
        } else {
                const char *lead = !*above && str_starts(pattern, "**") ? "/" : above;
                bool slash = strlen(pattern) >= 3 && str_equal(pattern + strlen(pattern) - 3, "***") && is_directory;

                snprintf(text, sizeof(r.text), "%s%s%s", lead, path, slash ? "/" : "");
                memmove(pattern, pattern + anchored, strlen(pattern + anchored) + 1);
        }
        r.pattern_size = strlen(pattern);
        r.text_size = strlen(text);
        r.has_wildcard = strpbrk(pattern, "*?[");
        if (anchored || str_starts(pattern, "**"))
                return match(&r, 0, 0);
        components = count_slashes(text) + 1;
        for (size_t i = 0; i <= r.text_size; i++) {
                if (i > 0 && text[i - 1] != '/')
                        continue;
                if ((deep || components == count_slashes(pattern) + 1) && match(&r, 0, i))
                        return true;
                components--;
        }
        return false;
}

bool reference_wild(const char *pattern, const char *text, bool restarts)
{
        static struct reference r;

        for (const char *from = text; from; from = strchr(from, '/') ? strchr(from, '/') + 1 : NULL) {
                memset(&r, 0, sizeof(r));
                snprintf(r.pattern, sizeof(r.pattern), "%s", pattern);
                snprintf(r.text, sizeof(r.text), "%s", from);
                r.pattern_size = strlen(r.pattern);
                r.text_size = strlen(r.text);
                r.has_wildcard = true;
                if (match(&r, 0, 0))
                        return true;
                if (!restarts)
                        break;
        }
        return false;
}
