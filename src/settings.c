/*
 * The table at the end of this file is the list of all options. A row names the function that checks a value and
 * stores it; whether the value came from the command line or from a file makes no difference to it. What is said about
 * a bad value is completed by the caller, which knows the place: "--ionice: ..." or "laptop.ini:7: ionice: ...".
 */
#include "settings.h"

#include "base/err.h"
#include "base/ini.h"
#include "base/path.h"
#include "quantity.h"
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

static int set_flag(struct settings *s, unsigned which, const char *value, struct err *err)
{
        bool yes;

        if (ini_bool(value, &yes) < 0)
                return refuse_value(err, value, "is neither yes nor no");
        s->flags[which] = yes ? SETTINGS_YES : SETTINGS_NO;
        return 0;
}

/* `verbose = 2` is -vv; @quiet turns the sign. */
static int set_level(struct settings *s, unsigned quiet, const char *value, struct err *err)
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

static int set_source(struct settings *s, unsigned which, const char *value, struct err *err)
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

static int set_destination(struct settings *s, unsigned which, const char *value, struct err *err)
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

static int set_tunnel(struct settings *s, unsigned which, const char *value, struct err *err)
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

static int set_mount(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        if (*value != '/')
                return refuse_value(err, value, "is not an absolute path");
        return set_text(&s->mount, path_absolute(value), err);
}

/* The name of a mapping: one component below /dev/mapper, one field of a line in crypttab. */
static int set_crypto(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        if (!*value || strpbrk(value, "/ \t\n\r\v\f") || *value == '#' || str_equal(value, ".") ||
            str_equal(value, ".."))
                return refuse_value(err, value, "cannot be the name of an encrypted disk");
        return set_text(&s->crypto, strdup(value), err);
}

static int set_config(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        if (!*value)
                return err_usage(err, "the name of the file is empty");
        return set_text(&s->config, strdup(value), err);
}

static int set_restrict(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        if (*value != '/')
                return refuse_value(err, value, "is not an absolute path");
        return set_text(&s->restrict_to, path_absolute(value), err);
}

/* ---- the connection ---- */

static int set_compress(struct settings *s, unsigned which, const char *value, struct err *err)
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

static int set_bwlimit(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        if (quantity_rate(value, &s->link.bwlimit) < 0)
                return refuse_value(
                        err, value,
                        "is not a rate of 512 bytes a second or more: 500 (KiB), 1.5M, 20MB, 0 for no limit");
        s->link.bwlimit_given = true;
        return 0;
}

static int set_timeout(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        if (quantity_number(value, TIMEOUT_MAX_S, &s->link.timeout_s) < 0)
                return refuse_value(err, value, "is not a number of seconds up to 1000000");
        s->link.timeout_given = true;
        return 0;
}

static int set_retries(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        if (quantity_number(value, RETRIES_MAX, &s->link.retries) < 0)
                return refuse_value(err, value, "is not a number up to 1000000");
        s->link.retries_given = true;
        return 0;
}

static int set_remote_command(struct settings *s, unsigned which, const char *value, struct err *err)
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

static int set_password_file(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        return set_file(s, &s->link.password_file, !s->in_file, value, err);
}

static int set_report(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        return set_file(s, &s->told.report, true, value, err);
}

static int set_metrics(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        return set_file(s, &s->told.metrics, false, value, err);
}

static int set_max_age(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        if (quantity_duration(value, &s->told.max_age_s) == 0)
                return 0;
        return refuse_value(err, value, "is not a length of time, such as 36h, 2d or '1 week'");
}

static int set_ionice(struct settings *s, unsigned which, const char *value, struct err *err)
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

static int set_min_battery(struct settings *s, unsigned which, const char *value, struct err *err)
{
        (void)which;
        if (quantity_number(value, 100, &s->min_battery) < 0)
                return refuse_value(err, value, "is not a percentage from 0 to 100");
        s->min_battery_given = true;
        return 0;
}

/*
 * In a file an option that is indented by mistake continues the list above it. As a pattern it would silently leave
 * out nothing, and the option would silently not apply.
 */
static bool looks_like_option(const char *pattern)
{
        size_t length = strcspn(pattern, " \t=");
        char name[32];

        if (length >= sizeof(name) || pattern[length + strspn(pattern + length, " \t")] != '=')
                return false;
        memcpy(name, pattern, length);
        name[length] = '\0';
        return settings_find(name);
}

static int set_exclude(struct settings *s, unsigned which, const char *value, struct err *err)
{
        char **more, *copy;

        (void)which;
        /* `exclude =` and then a pattern on each of the indented lines below; on the command line as rsync takes it. */
        if (!*value)
                return 0;
        if (s->in_file && looks_like_option(value))
                return refuse_value(err, value,
                                    "looks like an option, not like a pattern (an indented line continues "
                                    "the one above)");
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

static int set_count(struct settings *s, unsigned which, const char *value, struct err *err)
{
        int r = expression_count(value, &s->counts[which], err);

        s->counts_given |= r == 0;
        return r;
}

const struct setting settings_table[] = {
        { "backup", 'b', SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, set_flag, SETTINGS_BACKUP },
        { "snapshot", 's', SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, set_flag, SETTINGS_SNAPSHOT },
        { "rotate", 'r', SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, set_flag, SETTINGS_ROTATE },
        { "mount", 'm', SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, set_mount, 0 },
        { "crypto", 'c', SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, set_crypto, 0 },
        { "tunnel", 't', SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, set_tunnel, 0 },
        { "ionice", 'i', SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, set_ionice, 0 },
        { "no-sudo", 'u', SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, set_flag, SETTINGS_NO_SUDO },
        { "dry-run", 'n', SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, set_flag, SETTINGS_DRY_RUN },
        { "multi-fs", 0, SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, set_flag, SETTINGS_MULTI_FS },
        { "exclude", 'x', SETTINGS_KIND_LIST, SETTINGS_ANYWHERE, set_exclude, 0 },
        { "force", 'f', SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, set_flag, SETTINGS_FORCE },
        { "disable-notifications", 0, SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, set_flag, SETTINGS_DISABLE_NOTIFICATIONS },
        { "only-on-ac", 0, SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, set_flag, SETTINGS_ONLY_ON_AC },
        { "min-battery", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, set_min_battery, 0 },
        { "not-on-metered", 0, SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, set_flag, SETTINGS_NOT_ON_METERED },
        { "minutely", 'M', SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, set_count, SCHEME_MINUTELY },
        { "hourly", 'H', SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, set_count, SCHEME_HOURLY },
        { "daily", 'd', SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, set_count, SCHEME_DAILY },
        { "weekly", 'w', SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, set_count, SCHEME_WEEKLY },
        { "monthly", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, set_count, SCHEME_MONTHLY },
        { "yearly", 'y', SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, set_count, SCHEME_YEARLY },
        { "relaxed", 0, SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, set_flag, SETTINGS_RELAXED },
        { "prefer-recent", 0, SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, set_flag, SETTINGS_PREFER_RECENT },
        { "compress", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, set_compress, 0 },
        { "bwlimit", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, set_bwlimit, 0 },
        { "timeout", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, set_timeout, 0 },
        { "retries", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, set_retries, 0 },
        { "remote-command", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, set_remote_command, 0 },
        { "password-file", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, set_password_file, 0 },
        { "report", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, set_report, 0 },
        { "metrics", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, set_metrics, 0 },
        { "status", 0, SETTINGS_KIND_FLAG, SETTINGS_COMMAND_LINE, set_flag, SETTINGS_STATUS },
        { "max-age", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, set_max_age, 0 },
        { "list", 0, SETTINGS_KIND_FLAG, SETTINGS_COMMAND_LINE, set_flag, SETTINGS_LIST },
        { "server", 0, SETTINGS_KIND_FLAG, SETTINGS_COMMAND_LINE, set_flag, SETTINGS_SERVER },
        { "restrict", 0, SETTINGS_KIND_VALUE, SETTINGS_COMMAND_LINE, set_restrict, 0 },
        { "append-only", 0, SETTINGS_KIND_FLAG, SETTINGS_COMMAND_LINE, set_flag, SETTINGS_APPEND_ONLY },
        { "config", 0, SETTINGS_KIND_VALUE, SETTINGS_COMMAND_LINE, set_config, 0 },
        { "verbose", 'v', SETTINGS_KIND_LEVEL, SETTINGS_ANYWHERE, set_level, false },
        { "quiet", 'q', SETTINGS_KIND_LEVEL, SETTINGS_ANYWHERE, set_level, true },
        { "help", 'h', SETTINGS_KIND_FLAG, SETTINGS_COMMAND_LINE, NULL, 0 },
        { "version", 0, SETTINGS_KIND_FLAG, SETTINGS_COMMAND_LINE, NULL, 0 },
        { "source", 0, SETTINGS_KIND_VALUE, SETTINGS_FILE, set_source, 0 },
        { "destination", 0, SETTINGS_KIND_VALUE, SETTINGS_FILE, set_destination, 0 },
};
const size_t settings_table_size = ARRAY_SIZE(settings_table);
_Static_assert(ARRAY_SIZE(settings_table) <= SETTINGS_TABLE_MAX,
               "the lists that hold one entry for each row are too short");

const struct setting *settings_find(const char *name)
{
        for (size_t i = 0; i < settings_table_size; i++) {
                if (str_equal(settings_table[i].name, name))
                        return &settings_table[i];
        }
        return NULL;
}

const struct setting *settings_find_letter(char letter)
{
        for (size_t i = 0; i < settings_table_size; i++) {
                if (letter && settings_table[i].letter == letter)
                        return &settings_table[i];
        }
        return NULL;
}

enum { NAME_MAX_LENGTH = 31 };

/*
 * How many letters must be added, left out, replaced or swapped with their neighbour to turn @a into @b: the "optimal
 * string alignment" distance, row by row; of the rows above only two are needed.
 */
static size_t distance(const char *a, const char *b)
{
        size_t rows[3][NAME_MAX_LENGTH + 1], *above = rows[0], *row = rows[1], *before = rows[2];
        size_t length = strlen(b);

        for (size_t j = 0; j <= length; j++)
                row[j] = j;
        for (size_t i = 1; a[i - 1]; i++) {
                size_t *oldest = before;

                before = above, above = row, row = oldest;
                row[0] = i;
                for (size_t j = 1; j <= length; j++) {
                        size_t least = above[j - 1] + (a[i - 1] != b[j - 1]);

                        least = size_min(least, size_min(above[j], row[j - 1]) + 1);
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                                least = size_min(least, before[j - 2] + 1);
                        row[j] = least;
                }
        }
        return row[length];
}

const char *settings_nearest(const char *name, enum settings_place place)
{
        /* A third of the letters may be wrong; more is not a slip but something else. */
        size_t best = strlen(name) / 3 + 1;
        const char *found = NULL;

        if (strlen(name) < 2 || strlen(name) > NAME_MAX_LENGTH)
                return NULL;
        for (size_t i = 0; i < settings_table_size; i++) {
                const struct setting *row = &settings_table[i];
                size_t d;

                if (row->place != SETTINGS_ANYWHERE && row->place != place)
                        continue;
                d = distance(name, row->name);
                if (d < best) {
                        best = d;
                        found = row->name;
                }
        }
        return found;
}

int settings_set(struct settings *s, const struct setting *what, const char *value, struct err *err)
{
        return what->set(s, what->which, value, err);
}

static bool is_action(size_t flag)
{
        return flag == SETTINGS_BACKUP || flag == SETTINGS_SNAPSHOT || flag == SETTINGS_ROTATE;
}

static void complete_flags(struct settings *s, const struct settings *below)
{
        bool actions = s->flags[SETTINGS_BACKUP] || s->flags[SETTINGS_SNAPSHOT] || s->flags[SETTINGS_ROTATE];

        for (size_t i = 0; i < SETTINGS_FLAG_COUNT; i++) {
                if (s->flags[i] == SETTINGS_UNSET && !(actions && is_action(i)))
                        s->flags[i] = below->flags[i];
        }
}

static void complete_text(char **text, char **below)
{
        if (!*text)
                *text = TAKE(*below);
}

static void complete_location(struct location *l, struct location *below)
{
        if (l->path || l->host)
                return;
        *l = *below;
        *below = (struct location){ .path = NULL };
}

static int complete_excludes(struct settings *s, struct settings *below, struct err *err)
{
        char **both;

        if (below->exclude_count == 0)
                return 0;
        both = reallocarray(s->excludes, s->exclude_count + below->exclude_count, sizeof(*both));
        if (!both)
                return err_oom(err);
        memcpy(both + s->exclude_count, below->excludes, below->exclude_count * sizeof(*both));
        s->excludes = both;
        s->exclude_count += below->exclude_count;
        below->exclude_count = 0;
        return 0;
}

static void complete_link(struct settings_link *l, struct settings_link *below)
{
        if (l->compress == SETTINGS_COMPRESS_UNSET) {
                l->compress = below->compress;
                l->compress_level = below->compress_level;
        }
        if (!l->bwlimit_given) {
                l->bwlimit = below->bwlimit;
                l->bwlimit_given = below->bwlimit_given;
        }
        if (!l->timeout_given) {
                l->timeout_s = below->timeout_s;
                l->timeout_given = below->timeout_given;
        }
        if (!l->retries_given) {
                l->retries = below->retries;
                l->retries_given = below->retries_given;
        }
        complete_text(&l->remote_command, &below->remote_command);
        complete_text(&l->password_file, &below->password_file);
}

int settings_complete(struct settings *s, struct settings *below, struct err *err)
{
        complete_flags(s, below);
        complete_text(&s->source, &below->source);
        complete_location(&s->destination, &below->destination);
        complete_location(&s->tunnel, &below->tunnel);
        complete_text(&s->mount, &below->mount);
        complete_text(&s->crypto, &below->crypto);
        complete_link(&s->link, &below->link);
        complete_text(&s->told.report, &below->told.report);
        complete_text(&s->told.metrics, &below->told.metrics);
        if (s->told.max_age_s == 0)
                s->told.max_age_s = below->told.max_age_s;
        if (s->ionice == SETTINGS_IONICE_UNSET)
                s->ionice = below->ionice;
        if (!s->min_battery_given) {
                s->min_battery = below->min_battery;
                s->min_battery_given = below->min_battery_given;
        }
        if (!s->counts_given) {
                memcpy(s->counts, below->counts, sizeof(s->counts));
                s->counts_given = below->counts_given;
        }
        if (!s->verbosity_given)
                s->verbosity = below->verbosity;
        return complete_excludes(s, below, err);
}

void settings_deinit(struct settings *s)
{
        free(s->source);
        location_deinit(&s->destination);
        location_deinit(&s->tunnel);
        free(s->mount);
        free(s->crypto);
        free(s->config);
        free(s->restrict_to);
        free(s->link.remote_command);
        free(s->link.password_file);
        free(s->told.report);
        free(s->told.metrics);
        for (size_t i = 0; i < s->exclude_count; i++)
                free(s->excludes[i]);
        free(s->excludes);
        *s = (struct settings){ .source = NULL };
}
