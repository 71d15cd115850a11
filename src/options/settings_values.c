/* Whether the value came from the command line or from a file makes no difference, but for relative paths. */
#include "options/settings_values.h"

#include "base/err.h"
#include "base/ini.h"
#include "base/path.h"
#include "options/quantity.h"
#include "options/settings.h"
#include "rotate/expression.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

enum { SHOWN_MAX = 256, COMPRESS_LEVEL_MAX = 19, TIMEOUT_MAX_S = 1000000, RETRIES_MAX = 1000000 };

static int refuse_value(struct err *err, const char *value, const char *reason)
{
        char shown[SHOWN_MAX];

        path_show(NULL, value, shown, sizeof(shown));
        return err_usage(err, "'%s' %s", shown, reason);
}

static int set_text(char **ret, char *text, struct err *err)
{
        if (!text)
                return err_oom(err);
        free(*ret);
        *ret = text;
        return 0;
}

int settings_set_flag(struct settings *s, unsigned which, const char *value, struct err *err)
{
        bool yes;

        if (ini_bool(value, &yes) < 0)
                return refuse_value(err, value, "is neither yes nor no");
        s->flags[which] = yes ? SETTINGS_YES : SETTINGS_NO;
        return 0;
}

/* `verbose = 2` is -vv; @quiet turns the sign. */
int settings_set_level(struct settings *s, unsigned quiet, const char *value, struct err *err)
{
        int level = 0;
        bool yes;

        if (value[0] >= '0' && value[0] <= '9' && !value[1])
                level = value[0] - '0';
        else if (ini_bool(value, &yes) == 0)
                level = yes;
        else
                return refuse_value(err, value, "is neither yes nor no nor a number from 0 to 9");
        s->verbosity += quiet ? -level : level;
        s->verbosity_given = true;
        return 0;
}

/* Replace a local path by a plain absolute one. */
static int make_absolute(const struct settings *s, struct location *l, struct err *err)
{
        char *absolute;

        if (l->kind != LOCATION_LOCAL)
                return 0;
        if (s->in_file && *l->path != '/')
                return refuse_value(err, l->path, "is a relative path; in a configuration file it must be absolute");
        errno = 0;
        absolute = path_absolute(l->path);
        if (!absolute)
                return err_run(err, errno ? -errno : -ENOMEM, "find the current directory for", l->path);
        free(l->path);
        l->path = absolute;
        return 0;
}

int settings_set_source(struct settings *s, unsigned which, const char *value, struct err *err)
{
        _cleanup_(location_deinit) struct location l = { .path = NULL };
        int r = location_parse(&l, value, err);
        char shown[SHOWN_MAX];

        (void)which;
        if (r == 0)
                r = make_absolute(s, &l, err);
        if (r < 0)
                return r;
        if (l.kind != LOCATION_LOCAL) {
                location_show(&l, shown, sizeof(shown));
                err_usage(err,
                          "'%s' is remote: the source of a backup is a local directory; pulling from a remote "
                          "source is not what this program does",
                          shown);
                return err_hint(err, "run the program on that machine, with this one in its DESTINATION");
        }
        free(s->source);
        s->source = TAKE(l.path);
        return 0;
}

int settings_set_destination(struct settings *s, unsigned which, const char *value, struct err *err)
{
        _cleanup_(location_deinit) struct location l = { .path = NULL };
        int r = location_parse(&l, value, err);

        (void)which;
        if (r == 0)
                r = make_absolute(s, &l, err);
        if (r < 0)
                return r;
        location_deinit(&s->destination);
        s->destination = l;
        l = (struct location){ .path = NULL };
        return 0;
}

int settings_set_tunnel(struct settings *s, unsigned which, const char *value, struct err *err)
{
        struct location l;
        int r = location_parse_tunnel(&l, value, err);

        (void)which;
        if (r < 0)
                return r;
        location_deinit(&s->tunnel);
        s->tunnel = l;
        return 0;
}

int settings_set_mount(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        if (*value != '/')
                return refuse_value(err, value, "is not an absolute path");
        return set_text(&s->mount, path_absolute(value), err);
}

/* The name of a mapping: one component below /dev/mapper, one field of a line in crypttab. */
int settings_set_crypto(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        if (!*value || strpbrk(value, "/ \t\n\r\v\f") || *value == '#' || str_equal(value, ".") ||
            str_equal(value, ".."))
                return refuse_value(err, value, "cannot be the name of an encrypted disk");
        return set_text(&s->crypto, strdup(value), err);
}

int settings_set_config(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        if (!*value)
                return err_usage(err, "the name of the file is empty");
        if (s->config)
                return err_usage(err, "it has been given already; one file holds all that a job needs");
        return set_text(&s->config, strdup(value), err);
}

int settings_set_restrict(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        if (*value != '/')
                return refuse_value(err, value, "is not an absolute path");
        return set_text(&s->restrict_to, path_absolute(value), err);
}

/* ---- the connection ---- */

int settings_set_compress(struct settings *s, unsigned which, const char *value, struct err *err)
{
        struct settings_link *l = &s->link;
        unsigned level = 0;
        bool is_level = quantity_number(value, COMPRESS_LEVEL_MAX, &level) == 0 && level > 0, yes;

        (void)which;
        if (is_level || strcasecmp(value, "always") == 0)
                l->compress = SETTINGS_COMPRESS_ALWAYS;
        else if (strcasecmp(value, "auto") == 0)
                l->compress = SETTINGS_COMPRESS_AUTO;
        else if (strcasecmp(value, "never") == 0)
                l->compress = SETTINGS_COMPRESS_NEVER;
        else if (ini_bool(value, &yes) == 0)
                l->compress = yes ? SETTINGS_COMPRESS_ALWAYS : SETTINGS_COMPRESS_NEVER;
        else
                return refuse_value(err, value, "is neither auto, always, never nor a level from 1 to 19");
        l->compress_level = is_level ? level : 0;
        return 0;
}

int settings_set_bwlimit(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        if (quantity_rate(value, &s->link.bwlimit) < 0)
                return refuse_value(
                        err, value,
                        "is not a rate of 512 bytes a second or more: 500 (KiB), 1.5M, 20MB, 0 for no limit");
        s->link.bwlimit_given = true;
        return 0;
}

int settings_set_timeout(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        if (quantity_number(value, TIMEOUT_MAX_S, &s->link.timeout_s) < 0)
                return refuse_value(err, value, "is not a number of seconds up to 1000000");
        s->link.timeout_given = true;
        return 0;
}

int settings_set_retries(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        if (quantity_number(value, RETRIES_MAX, &s->link.retries) < 0)
                return refuse_value(err, value, "is not a number up to 1000000");
        s->link.retries_given = true;
        return 0;
}

int settings_set_remote_command(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        if (!*value)
                return err_usage(err, "the command is empty");
        return set_text(&s->link.remote_command, strdup(value), err);
}

/* "-" stands for a standard stream where that makes sense. */
static int set_file(struct settings *s, char **ret, bool stream, const char *value, struct err *err)
{
        bool is_stream = stream && str_equal(value, "-");

        if (!*value)
                return err_usage(err, "the file's name is empty");
        if (s->in_file && *value != '/' && !is_stream)
                return refuse_value(err, value, "is a relative path; in a configuration file it must be absolute");
        return set_text(ret, is_stream ? strdup(value) : path_absolute(value), err);
}

int settings_set_password_file(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        return set_file(s, &s->link.password_file, !s->in_file, value, err);
}

int settings_set_report(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        return set_file(s, &s->told.report, true, value, err);
}

int settings_set_metrics(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        if (str_equal(value, "-"))
                return err_usage(err, "they are read from a file, not from standard output, which is for --report");
        return set_file(s, &s->told.metrics, false, value, err);
}

int settings_set_max_age(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        if (quantity_duration(value, &s->told.max_age_s) == 0)
                return 0;
        return refuse_value(err, value, "is not a length of time, such as 36h, 2d or '1 week'");
}

int settings_set_ionice(struct settings *s, unsigned which, const char *value, struct err *err)
{
        static const char *const classes[] = {
                [SETTINGS_IDLE] = "idle", [SETTINGS_BEST_EFFORT] = "best-effort", [SETTINGS_REALTIME] = "realtime"
        };

        (void)which;
        for (size_t i = SETTINGS_IDLE; i < ARRAY_SIZE(classes); i++) {
                if (str_equal(value, classes[i])) {
                        s->ionice = (enum settings_ionice)i;
                        return 0;
                }
        }
        return refuse_value(err, value, "is not an I/O class: idle, best-effort or realtime");
}

int settings_set_min_battery(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        if (quantity_number(value, 100, &s->min_battery) < 0)
                return refuse_value(err, value, "is not a percentage from 0 to 100");
        s->min_battery_given = true;
        return 0;
}

/*
 * In a file an option that is indented by mistake continues the list above it. As a pattern it would silently leave
 * out nothing, and the option would silently not apply. One with a slip in it looks like this: "dayly = 7".
 */
static bool looks_like_option(const char *pattern)
{
        static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
        size_t length = strcspn(pattern, " \t=:");
        const char *behind = pattern + length + strspn(pattern + length, " \t");

        if (*behind != '=' && *behind != ':')
                return false;
        if (*behind == '=' && behind > pattern + length && strspn(pattern, letters) == length)
                return true;
        for (size_t i = 0; i < settings_table_size; i++) {
                const char *name = settings_table[i].name;

                if (strlen(name) == length && strncasecmp(name, pattern, length) == 0)
                        return true;
        }
        return false;
}

static bool has_comment(const char *pattern)
{
        for (const char *p = pattern; (p = strpbrk(p, " \t")); p++) {
                if (p[1] == '#' || p[1] == ';')
                        return true;
        }
        return false;
}

static bool is_quoted(const char *pattern)
{
        size_t length = strlen(pattern);

        return length > 1 && (*pattern == '"' || *pattern == '\'') && pattern[length - 1] == *pattern;
}

/* What a text that was copied from elsewhere has in place of a blank; nobody sees that it is none. */
static bool has_hard_space(const char *pattern)
{
        static const char space[] = "\xc2\xa0";
        size_t length = strlen(pattern);

        return str_starts(pattern, space) ||
               (length >= strlen(space) && str_equal(pattern + length - strlen(space), space));
}

/* What is meant otherwise than it would be taken leaves out nothing, and nobody would notice. */
static int check_pattern_of_file(const char *value, struct err *err)
{
        const char *pattern = str_starts(value, "+ ") || str_starts(value, "- ") ? value + 2 : value;

        if (looks_like_option(value)) {
                refuse_value(err, value,
                             "looks like an option, not like a pattern (an indented line continues the one above)");
                return err_hint(err, "in a pattern itself it is written [=] or [:]");
        }
        if (has_comment(pattern)) {
                refuse_value(err, value, "has a comment behind it, for which there is no room");
                return err_hint(err, "in a pattern itself it is written [#] or [;]");
        }
        if (has_hard_space(pattern)) {
                refuse_value(err, value, "has a no-break space at an end, which would be a part of the pattern");
                return err_hint(err, "one that is meant is written ?? (two bytes)");
        }
        if (is_quoted(pattern)) {
                refuse_value(err, value, "stands in quotes, which would be a part of the pattern");
                return err_hint(err, "write it without quotes, blanks and all; a quote that is meant is written [\"]");
        }
        return 0;
}

int settings_set_exclude(struct settings *s, unsigned which, const char *value, struct err *err)
{
        char **more, *copy;

        (void)which;
        /* `exclude =` and then a pattern on each of the indented lines below; on the command line as rsync takes it. */
        if (!*value)
                return 0;
        if (s->in_file && check_pattern_of_file(value, err) < 0)
                return err->code;
        more = reallocarray(s->excludes, s->exclude_count + 1, sizeof(*more));
        if (!more)
                return err_oom(err);
        s->excludes = more;
        copy = strdup(value);
        if (!copy)
                return err_oom(err);
        s->excludes[s->exclude_count++] = copy;
        return 0;
}

int settings_set_count(struct settings *s, unsigned which, const char *value, struct err *err)
{
        int r = expression_count(value, &s->counts[which], err);

        s->counts_given |= r == 0;
        return r;
}
