/*
 * A list of compiled patterns that is asked from its start; the answer of the first that matches counts. A rule that
 * cannot match below SOURCE is not kept. The list itself knows of rules; what matches is in pattern.c.
 */
#include "transfer/filter/filter.h"

#include "base/err.h"
#include "base/path.h"
#include "transfer/filter/pattern.h"

#include <stdio.h>

struct rule {
        bool is_include;
        struct pattern *pattern;
};

struct filter {
        char *source; /* plain */
        char *above;  /* the same without its first '/' and with one at its end, "" for the root */
        struct rule *rules;
        size_t count;
};

static const char *const default_directories[] = {
        "/dev", "/home/*/.cache", "/media", "/mnt", "/proc", "/run", "/sys", "/tmp", "/var/cache", "/var/tmp",
};

int filter_new(struct filter **ret, const char *source_path, struct err *err)
{
        _cleanup_(filter_freep) struct filter *f = calloc(1, sizeof(*f));

        if (!f)
                return err_oom(err);
        f->source = path_absolute(source_path);
        if (!f->source)
                return err_oom(err);
        if (asprintf(&f->above, "%s%s", f->source + 1, f->source[1] ? "/" : "") < 0) {
                f->above = NULL;
                return err_oom(err);
        }
        *ret = TAKE(f);
        return 0;
}

static void remove_rules(struct filter *f)
{
        while (f->count > 0)
                pattern_free(f->rules[--f->count].pattern);
}

struct filter *filter_free(struct filter *f)
{
        if (!f)
                return NULL;
        remove_rules(f);
        free(f->rules);
        free(f->above);
        free(f->source);
        free(f);
        return NULL;
}

/* @prefix is shown in errors and tells the kind of the rule. */
static int add_rule(struct filter *f, const char *prefix, const char *pattern, const char *above, struct err *err)
{
        _cleanup_(pattern_freep) struct pattern *compiled = NULL;
        char shown[200];
        struct rule *rules;
        int r;

        path_show(NULL, pattern, shown, sizeof(shown));
        if (strlen(pattern) > PATTERN_SIZE_MAX)
                return err_usage(err, "exclude pattern '%s' is longer than %d bytes", shown, PATTERN_SIZE_MAX);
        if (!*pattern)
                return err_usage(err, "there is no pattern behind the '%s' of an exclude rule", prefix);
        r = pattern_new(&compiled, pattern, above, err);
        if (r < 0)
                return r;
        rules = reallocarray(f->rules, f->count + 1, sizeof(*rules));
        if (!rules)
                return err_oom(err);
        f->rules = rules;
        if (pattern_is_void(compiled))
                return 0;
        f->rules[f->count++] = (struct rule){ .is_include = *prefix == '+', .pattern = TAKE(compiled) };
        return 0;
}

int filter_exclude(struct filter *f, const char *pattern, struct err *err)
{
        if (!*pattern)
                return 0;
        if (str_equal(pattern, "!")) {
                remove_rules(f);
                return 0;
        }
        if (str_starts(pattern, "+ "))
                return add_rule(f, "+ ", pattern + 2, "", err);
        return add_rule(f, "- ", str_starts(pattern, "- ") ? pattern + 2 : pattern, "", err);
}

int filter_exclude_machine(struct filter *f, const char *pattern, struct err *err)
{
        return add_rule(f, "-/ ", pattern, f->above, err);
}

/* @ret: SOURCE is @directory, which is a pattern, or below it. */
static int is_source_within(const struct filter *f, const char *directory, bool *ret, struct err *err)
{
        _cleanup_(pattern_freep) struct pattern *p = NULL;
        const char *path = f->source + 1;
        char all[64];
        int r;

        snprintf(all, sizeof(all), "%s/***", directory);
        r = pattern_new(&p, all, "", err);
        if (r < 0)
                return r;
        *ret = *path && pattern_matches(p, &(struct pattern_subject){ .path = path,
                                                                      .size = strlen(path),
                                                                      .base = path_base(path),
                                                                      .is_directory = true });
        return 0;
}

int filter_add_default_excludes(struct filter *f, struct err *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(default_directories); i++) {
                bool is_within;
                char content[64];
                int r = is_source_within(f, default_directories[i], &is_within, err);

                if (r < 0)
                        return r;
                if (is_within)
                        continue;
                snprintf(content, sizeof(content), "%s/*", default_directories[i]);
                r = filter_exclude_machine(f, content, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

bool filter_excludes(const struct filter *f, const char *path, bool is_directory)
{
        struct pattern_subject subject = { .path = path, .size = strlen(path), .is_directory = is_directory };
        const char *slash = memrchr(path, '/', subject.size);

        subject.base = slash ? slash + 1 : path;
        for (size_t i = 0; i < f->count; i++) {
                if (pattern_matches(f->rules[i].pattern, &subject))
                        return !f->rules[i].is_include;
        }
        return false;
}
