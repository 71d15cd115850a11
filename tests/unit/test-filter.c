/* filter, pattern and wild: what rsync's exclude patterns select. The judge is
 * tests/integration/filter-equals-rsync.py. */
#include "base/err.h"
#include "cases.h"
#include "transfer/filter/filter.h"
#include "transfer/filter/pattern.h"

#include <check.h>
#include <errno.h>
#include <time.h>

static struct filter *make_filter(const char *source, const char *const *patterns)
{
        struct filter *f = NULL;
        struct err err = { .kind = ERR_NONE };

        ck_assert_int_eq(filter_new(&f, source, &err), 0);
        for (; patterns && *patterns; patterns++)
                ck_assert_int_eq(filter_exclude(f, *patterns, &err), 0);
        return f;
}

#define RULES(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* A path with a '/' at its end is a directory. */
static bool excludes(const struct filter *f, const char *path)
{
        _cleanup_(freep) char *copy = strdup(path);
        size_t size = strlen(copy);
        bool is_directory = copy[size - 1] == '/';

        if (is_directory)
                copy[size - 1] = '\0';
        return filter_excludes(f, copy, is_directory);
}

/* Each line was checked with rsync 3.5.0. */
static const struct one_pattern {
        const char *pattern;
        const char *path;
        bool excluded;
} one_patterns[] = {
        /* Where a pattern applies. */
        { "a", "a", true },
        { "a", "x/y/a", true },
        { "a", "xa", false },
        { "/a", "a", true },
        { "/a", "x/a", false },
        { "a/b", "a/b", true },
        { "a/b", "x/a/b", true },
        { "a/b", "xa/b", false },
        { "/a/b", "x/a/b", false },
        { "a/", "a/", true },
        { "a/", "a", false },
        { "/", "a", false },
        { "//", "a/", false },
        { "a//", "a/", false },
        { "a//b", "a/b", false },
        { "./a", "a", false },
        /* Stars. */
        { "*.o", "x/a.o", true },
        { "*.o", ".o", true },
        { "*.o", "a.oo", false },
        { "/*.o", "x/a.o", false },
        { "a*", "x/ab", true },
        { "/ab*ba", "aba", false },
        { "/ab*ba", "abba", true },
        { "a/*/b", "a/x/b", true },
        { "a/*/b", "y/a/x/b", true },
        { "a/*/b", "a/x/y/b", false },
        { "a/*/b", "a/b", false },
        { "/a/**/b", "a/x/y/b", true },
        { "/a/**/b", "a/b", false },
        { "a**b", "x/a/b", true },
        { "a**b", "x/ya/b", false },
        { "**b", "x/yb", true },
        { "**/b", "b", true },
        { "**/b", "x/b", true },
        { "**/b", "xb", false },
        { "**//b", "b", false },
        { "/**/b", "b", false },
        { "/**/b", "x/b", true },
        { "**/x/*", "x/b", true },
        { "**/x/*", "y/x/b", true },
        { "**/x/*", "yx/b", false },
        { "/x/**", "x/y", true },
        { "/x/**", "x/", false },
        /* Three stars at the end. */
        { "x/***", "x/", true },
        { "x/***", "y/x/", true },
        { "x/***", "x", false },
        { "/x/***", "x/", true },
        { "/x/***", "y/x/", false },
        { "/x/y***", "x/y/", true },
        { "/x/[y]***", "x/", false },
        { "/x/?***", "x/", false },
        { "x/***/", "x/", true },
        { "x/***/", "x", false },
        { "x/**/", "x/", false },
        { "***", "a", true },
        { "/***", "a", true },
        /* Backslashes escape where there is a wildcard. */
        { "a\\b", "a\\b", true },
        { "a\\b", "ab", false },
        { "a\\b*", "abc", true },
        { "a\\b*", "a\\bc", false },
        { "a\\\\b*", "a\\bc", true },
        { "a\\*", "a*", true },
        { "a\\*", "ab", false },
        { "a\\?", "a?", true },
        { "a*\\", "ab\\", false },
        { "*\\", "a\\", false },
        { "a\\", "a\\", true },
        { "\\**", "x/*ab", true },
        { "\\**", "x/ab", false },
        { "a/\\***", "a/*x", true },
        /* Classes. */
        { "[a-c]x", "bx", true },
        { "[a-c]x", "dx", false },
        { "[!a-c]x", "dx", true },
        { "[^a-c]x", "bx", false },
        { "[]a]", "]", true },
        { "[!]a]", "]", false },
        { "[!]a]", "b", true },
        { "[a-]", "-", true },
        { "[a\\]b]", "]", true },
        { "[\\a-\\c]", "b", true },
        { "[a-c-e]", "d", false },
        { "[a-c-e]", "-", true },
        { "[--1]", "0", true },
        { "[[:alpha:]]", "q", true },
        { "[[:alpha:]]", "1", false },
        { "[![:alpha:]]", "1", true },
        { "[[:digit:]x]", "x", true },
        { "[[:alpha:]-z]", "-", true },
        { "[[:foo:]]", "f", false },
        { "[[:foo:]a]", "a", false },
        { "[[:a]", "[", true },
        { "[[:]", ":", true },
        { "[[::]a]", "a", false },
        { "[a", "[a", false },
        { "[a", "a", false },
        { "[", "[", false },
        { "[]", "]", false },
        { "[!a]", "\xff", true },
        { "[\x80-\xff]", "\xc3", true },
        { "?", "\xc3\xa9", false },
        { "??", "\xc3\xa9", true },
        /* No class takes a slash, and one that holds a slash counts as a component. */
        { "/a[!b]c", "a/c", false },
        { "a?b", "a/b", false },
        { "x[/y]", "xy", false },
        { "/x[/y]", "xy", true },
        { "a/x[/y]", "a/xy", false },
        { "[**]/a", "*/a", true },
        /* Not prefixes. */
        { "-a", "-a", true },
        { "-  a", " a", true },
        { "- - a", "- a", true },
        { "- !", "!", true },
        { "!a", "!a", true },
        { "! ", "! ", true },
        { "+", "+", true },
        { " ", " ", true },
        { "#a", "#a", true },
        { "a ", "a", false },
        { "a\n", "a\n", true },
        /* More than 64 tokens, with a star on each side of the border. */
        { "???????????????????????????????????????????????????????????????*b",
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaccb", true },
        { "????????????????????????????????????????????????????????????????*b",
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", false },
        { "????????????????????????????????????????????????????????????????*?b",
          "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaacb", true },
};

START_TEST(a_pattern_selects_what_rsync_selects)
{
        const struct one_pattern *p = &one_patterns[_i];
        _cleanup_(filter_freep) struct filter *f = make_filter("/", RULES(p->pattern));

        ck_assert_msg(excludes(f, p->path) == p->excluded, "'%s' on '%s'", p->pattern, p->path);
}
END_TEST

START_TEST(the_first_rule_that_matches_wins)
{
        _cleanup_(filter_freep) struct filter *f = make_filter("/", RULES("+ */", "+ *.c", "- x.d", "", "*"));

        ck_assert(!excludes(f, "dir/"));
        ck_assert(!excludes(f, "dir/a.c"));
        ck_assert(excludes(f, "dir/a.h"));
}
END_TEST

START_TEST(an_exclamation_mark_takes_all_rules_away)
{
        _cleanup_(filter_freep) struct filter *f = make_filter("/", RULES("a", "b", "!", "c"));

        ck_assert(!excludes(f, "a"));
        ck_assert(excludes(f, "c"));
}
END_TEST

START_TEST(no_rule_excludes_nothing)
{
        _cleanup_(filter_freep) struct filter *f = make_filter("/", NULL);

        ck_assert(!excludes(f, "a"));
}
END_TEST

START_TEST(broken_rules_are_refused)
{
        static char longest[2 + PATTERN_SIZE_MAX + 2];
        static const char *const broken[] = { "- ", "+ ", longest };
        _cleanup_(filter_freep) struct filter *f = make_filter("/", RULES("a"));

        memset(longest, '*', sizeof(longest) - 2);
        for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
                struct err err = { .kind = ERR_NONE };

                ck_assert_int_eq(filter_exclude(f, broken[i], &err), -EINVAL);
                ck_assert_int_eq(err.kind, ERR_USAGE);
        }
        ck_assert(excludes(f, "a") && !excludes(f, "b"));
        longest[PATTERN_SIZE_MAX] = '\0';
        struct err err = { .kind = ERR_NONE };
        ck_assert_int_eq(filter_exclude(f, longest, &err), 0);
        ck_assert(excludes(f, "x/y"));
}
END_TEST

/* These were checked with rsync 3.5.0's --filter='-/ PATTERN', too. */
static const struct machine_pattern {
        const char *source;
        const char *pattern;
        const char *path;
        bool excluded;
} machine_patterns[] = {
        { "/srv/data", "/srv/data/a", "a", true },   { "/srv/data", "/srv/data/a", "x/a", false },
        { "/srv/data", "/a", "a", false },           { "/srv/data", "a", "x/a", true },
        { "/srv/data", "/srv/data/a/", "a", false }, { "/srv/data", "data/a", "a", true },
        { "/srv/data", "data/a", "x/data/a", true }, { "/srv/data", "ata/a", "a", false },
        { "/srv/data", "/srv/*/a", "a", true },      { "/srv/data", "/s**a", "x/a", true },
        { "/srv/data", "/srv/data/***", "x", true }, { "/srv/data", "/srv/data/x/***", "x/", true },
        { "/srv/data", "/srv/**/a", "a", true },     { "/srv/data", "/srv/data/**/a", "a", false },
        { "/srv/data", "**/data/a", "a", true },     { "/srv/data", "**/srv/data/a", "a", false },
        { "/srv/data", "srv/*/a", "a", true },       { "/srv/data", "*/*/*/a", "a", false },
        { "/srv/data", "[s]rv/data/a", "a", true },  { "/srv/data", "/srv/dat", "a", false },
        { "/srv/data", "/srv/data", "data", false }, { "/", "/srv/*", "srv/a", true },
        { "/", "**/srv/*", "srv/a", true },
};

START_TEST(a_machine_pattern_sees_the_absolute_path)
{
        const struct machine_pattern *p = &machine_patterns[_i];
        _cleanup_(filter_freep) struct filter *f = make_filter(p->source, NULL);
        struct err err = { .kind = ERR_NONE };

        ck_assert_int_eq(filter_exclude_machine(f, p->pattern, &err), 0);
        ck_assert_msg(excludes(f, p->path) == p->excluded, "'%s' on '%s'", p->pattern, p->path);
}
END_TEST

static const struct default_case {
        const char *source;
        const char *path;
        bool excluded;
} default_cases[] = {
        { "/", "dev/", false },
        { "/", "dev/null", true },
        { "/", "tmp/", false },
        { "/", "tmp/x/", true },
        { "/", "var/cache/", false },
        { "/", "var/cache/apt/", true },
        { "/", "var/tmp/x", true },
        { "/", "var/log/", false },
        { "/", "home/peter/.cache/", false },
        { "/", "home/peter/.cache/x", true },
        { "/", "home/.cache/x", false },
        { "/", "root/.cache/x", false },
        { "/", "srv/tmp/x", false },
        { "/home", "peter/.cache/", false },
        { "/home", "peter/.cache/x", true },
        { "/home", "tmp/x", false },
        { "/home/peter", ".cache/", false },
        { "/home/peter", ".cache/x", true },
        { "/home/peter", "x/.cache/x", false },
        { "/home/peter/.cache", "x", false },
        { "/home/peter/.cache/x", "y", false },
        { "/tmp", "x", false },
        { "/tmp/", "x", false },
        { "/var", "cache/", false },
        { "/var", "cache/x", true },
        { "/var", "tmp/x", true },
        { "/var/cache", "x", false },
        { "/var/cache/apt", "x", false },
        { "/data", "tmp/", false },
        { "/data", "tmp/x", false },
        { "/devices", "x", false },
};

START_TEST(the_defaults_empty_directories_of_the_machine)
{
        const struct default_case *c = &default_cases[_i];
        _cleanup_(filter_freep) struct filter *f = make_filter(c->source, NULL);
        struct err err = { .kind = ERR_NONE };

        ck_assert_int_eq(filter_add_default_excludes(f, &err), 0);
        ck_assert_msg(excludes(f, c->path) == c->excluded, "'%s' in '%s'", c->path, c->source);
}
END_TEST

START_TEST(the_users_patterns_come_before_the_defaults)
{
        _cleanup_(filter_freep) struct filter *f = make_filter("/", RULES("+ /tmp/keep"));
        struct err err = { .kind = ERR_NONE };

        ck_assert_int_eq(filter_add_default_excludes(f, &err), 0);
        ck_assert(!excludes(f, "tmp/keep"));
        ck_assert(excludes(f, "tmp/other"));
}
END_TEST

static double seconds(void)
{
        struct timespec now;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

START_TEST(hostile_patterns_take_bounded_time)
{
        static const char *const pieces[] = { "*a", "**a", "a*", "?*", "[!b]*", "*a**a/" };
        static char pattern[PATTERN_SIZE_MAX + 1], path[20001];
        double start = seconds();

        for (size_t i = 0; i < sizeof(path) - 1; i++)
                path[i] = i % 200 == 199 ? '/' : 'a';
        path[sizeof(path) - 2] = 'c';
        for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
                size_t size = strlen(pieces[i]), at = 0;

                while (at + size < sizeof(pattern) - 3) {
                        memcpy(pattern + at, pieces[i], size);
                        at += size;
                }
                memcpy(pattern + at, "[b]", 4); /* not a tail that is compared first */
                _cleanup_(filter_freep) struct filter *f = make_filter("/", RULES(pattern));
                ck_assert(!filter_excludes(f, path, false));
                ck_assert(!filter_excludes(f, path + sizeof(path) - 100, false));
        }
        /* 20,000 bytes times 64 words, six times: a few ms; sanitizers take their share. */
        ck_assert_msg(seconds() - start < 3, "took %.2f s", seconds() - start);
}
END_TEST

START_TEST(paths_beyond_path_max_match)
{
        static const size_t size = 100000;
        _cleanup_(freep) char *path = malloc(size + 1);
        _cleanup_(filter_freep) struct filter *f = make_filter("/", RULES("/dd/**/x?z"));

        ck_assert_ptr_nonnull(path);
        for (size_t i = 0; i < size; i++)
                path[i] = i % 3 == 2 ? '/' : 'd';
        memcpy(path + size - 4, "/xyz", 5);
        ck_assert(filter_excludes(f, path, false));
        path[size - 1] = 'y';
        ck_assert(!filter_excludes(f, path, false));
}
END_TEST

int main(void)
{
        TCase *tests = tcase_create("filter");

        tcase_add_loop_test(tests, a_pattern_selects_what_rsync_selects, 0, ARRAY_SIZE(one_patterns));
        tcase_add_test(tests, the_first_rule_that_matches_wins);
        tcase_add_test(tests, an_exclamation_mark_takes_all_rules_away);
        tcase_add_test(tests, no_rule_excludes_nothing);
        tcase_add_test(tests, broken_rules_are_refused);
        tcase_add_loop_test(tests, a_machine_pattern_sees_the_absolute_path, 0, ARRAY_SIZE(machine_patterns));
        tcase_add_loop_test(tests, the_defaults_empty_directories_of_the_machine, 0, ARRAY_SIZE(default_cases));
        tcase_add_test(tests, the_users_patterns_come_before_the_defaults);
        tcase_add_test(tests, hostile_patterns_take_bounded_time);
        tcase_add_test(tests, paths_beyond_path_max_match);
        return cases_run("filter", tests);
}
