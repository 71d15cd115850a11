/*
 * Whole lists of rules against the definition: the first rule that matches wins, "+ " includes, "!" takes all away, and
 * below what is excluded nothing is asked.
 *
 * Input: a byte of flags (1 the path is a directory, 2 the defaults come last, from the third bit on which SOURCE), and
 * words that each end in a NUL: first the path, then each rule: 'm' and a pattern on the machine's path, or any other
 * byte and the value of an --exclude.
 */
#include "base/err.h"
#include "reference.h"
#include "transfer/filter/filter.h"

#include <stdio.h>

enum { RULES_MAX = 12, TEXT_MAX = REFERENCE_TEXT_MAX, FLAG_DIRECTORY = 1, FLAG_DEFAULTS = 2, SOURCE_SHIFT = 2 };

/* A SOURCE, and what stands before all paths in it. */
static const struct place {
        const char *source, *above;
} places[] = {
        { "/", "" },
        { "/a/b", "a/b/" },
        { "/tmp", "tmp/" },
        { "/home/a/.cache/x", "home/a/.cache/x/" },
};

static const char *const defaults[] = {
        "/dev", "/home/*/.cache", "/media", "/mnt", "/proc", "/run", "/sys", "/tmp", "/var/cache", "/var/tmp",
};

struct rule {
        bool is_machine, is_include;
        char pattern[TEXT_MAX];
};

struct list {
        size_t count;
        struct rule rules[RULES_MAX + ARRAY_SIZE(defaults)];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void append(struct list *l, bool is_machine, bool is_include, const char *pattern)
{
        struct rule *rule = &l->rules[l->count++];

        rule->is_machine = is_machine;
        rule->is_include = is_include;
        snprintf(rule->pattern, sizeof(rule->pattern), "%s", pattern);
}

/* What one --exclude means. Return whether it is one. */
static bool append_option(struct list *l, const char *value)
{
        bool has_prefix = str_starts(value, "+ ") || str_starts(value, "- ");

        if (has_prefix && !value[2])
                return false;
        if (str_equal(value, "!"))
                l->count = 0;
        else if (*value)
                append(l, false, str_starts(value, "+ "), value + (has_prefix ? 2 : 0));
        return true;
}

/* By definition a default is left away when it is SOURCE or above it. */
static void append_defaults(struct list *l, const char *source)
{
        for (size_t i = 0; i < ARRAY_SIZE(defaults); i++) {
                char pattern[TEXT_MAX], above[TEXT_MAX];
                bool is_within = false;

                snprintf(above, sizeof(above), "%s", source + 1);
                while (*above && !is_within) {
                        char *slash = strrchr(above, '/');

                        is_within = reference_selects(defaults[i], "", above, true);
                        *(slash ? slash : above) = '\0';
                }
                snprintf(pattern, sizeof(pattern), "%s/*", defaults[i]);
                if (!is_within)
                        append(l, true, false, pattern);
        }
}

static bool list_excludes(const struct list *l, const char *above, const char *path, bool is_directory)
{
        for (size_t i = 0; i < l->count; i++) {
                const struct rule *rule = &l->rules[i];

                if (reference_selects(rule->pattern, rule->is_machine ? above : "", path, is_directory))
                        return !rule->is_include;
        }
        return false;
}

/* The path and each directory above it, from the top on until one is excluded. */
static void compare(const struct filter *f, const struct list *l, const char *above, char *path, bool is_directory)
{
        for (char *end = strchr(path, '/');; end = strchr(end + 1, '/')) {
                bool expected;

                if (end)
                        *end = '\0';
                expected = list_excludes(l, above, path, end || is_directory);
                if (filter_excludes(f, path, end || is_directory) != expected) {
                        fprintf(stderr, "'%s' below '/%s': expected %d\n", path, above, expected);
                        abort();
                }
                if (expected || !end)
                        return;
                *end = '/';
        }
}

static bool is_plain(const char *path)
{
        size_t size = strlen(path);

        return size > 0 && path[0] != '/' && path[size - 1] != '/' && !strstr(path, "//");
}

static void add_rule(struct filter *f, struct list *l, const char *word)
{
        struct err err = { .kind = ERR_NONE };
        int r;

        if (*word == 'm' && word[1]) {
                append(l, true, false, word + 1);
                r = filter_exclude_machine(f, word + 1, &err);
                if (r < 0)
                        abort();
                return;
        }
        r = filter_exclude(f, *word ? word + 1 : word, &err);
        if (append_option(l, *word ? word + 1 : word) != (r == 0) || (r < 0 && err.kind != ERR_USAGE))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct place *place = size > 0 ? &places[data[0] >> SOURCE_SHIFT & 3] : places;
        _cleanup_(filter_freep) struct filter *f = NULL;
        static struct list list;
        struct err err = { .kind = ERR_NONE };
        char text[TEXT_MAX + 1] = "", path[TEXT_MAX];
        size_t words = 0;

        if (size < 2 || size >= TEXT_MAX - 20 || filter_new(&f, place->source, &err) < 0)
                return 0;
        memcpy(text, data + 1, size - 1);
        snprintf(path, sizeof(path), "%s", text);
        if (!is_plain(path))
                return 0;
        list.count = 0;
        for (size_t at = strlen(text) + 1; at < size - 1 && words < RULES_MAX; at += strlen(text + at) + 1, words++)
                add_rule(f, &list, text + at);
        if (data[0] & FLAG_DEFAULTS) {
                if (filter_add_default_excludes(f, &err) < 0)
                        abort();
                append_defaults(&list, place->source);
        }
        compare(f, &list, place->above, path, data[0] & FLAG_DIRECTORY);
        return 0;
}
