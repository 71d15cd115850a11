/* The table is the list of all options. */
#include "options/settings.h"

#include "base/err.h"
#include "options/settings_values.h"

const struct setting settings_table[] = {
        { "backup", 'b', SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, settings_set_flag, SETTINGS_BACKUP },
        { "snapshot", 's', SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, settings_set_flag, SETTINGS_SNAPSHOT },
        { "rotate", 'r', SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, settings_set_flag, SETTINGS_ROTATE },
        { "mount", 'm', SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, settings_set_mount, 0 },
        { "crypto", 'c', SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, settings_set_crypto, 0 },
        { "tunnel", 't', SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, settings_set_tunnel, 0 },
        { "ionice", 'i', SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, settings_set_ionice, 0 },
        { "no-sudo", 'u', SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, settings_set_flag, SETTINGS_NO_SUDO },
        { "dry-run", 'n', SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, settings_set_flag, SETTINGS_DRY_RUN },
        { "multi-fs", 0, SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, settings_set_flag, SETTINGS_MULTI_FS },
        { "exclude", 'x', SETTINGS_KIND_LIST, SETTINGS_ANYWHERE, settings_set_exclude, 0 },
        { "force", 'f', SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, settings_set_flag, SETTINGS_FORCE },
        { "disable-notifications", 0, SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, settings_set_flag,
          SETTINGS_DISABLE_NOTIFICATIONS },
        { "only-on-ac", 0, SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, settings_set_flag, SETTINGS_ONLY_ON_AC },
        { "min-battery", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, settings_set_min_battery, 0 },
        { "not-on-metered", 0, SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, settings_set_flag, SETTINGS_NOT_ON_METERED },
        { "minutely", 'M', SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, settings_set_count, SCHEME_MINUTELY },
        { "hourly", 'H', SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, settings_set_count, SCHEME_HOURLY },
        { "daily", 'd', SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, settings_set_count, SCHEME_DAILY },
        { "weekly", 'w', SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, settings_set_count, SCHEME_WEEKLY },
        { "monthly", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, settings_set_count, SCHEME_MONTHLY },
        { "yearly", 'y', SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, settings_set_count, SCHEME_YEARLY },
        { "relaxed", 0, SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, settings_set_flag, SETTINGS_RELAXED },
        { "prefer-recent", 0, SETTINGS_KIND_FLAG, SETTINGS_ANYWHERE, settings_set_flag, SETTINGS_PREFER_RECENT },
        { "compress", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, settings_set_compress, 0 },
        { "bwlimit", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, settings_set_bwlimit, 0 },
        { "timeout", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, settings_set_timeout, 0 },
        { "retries", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, settings_set_retries, 0 },
        { "remote-command", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, settings_set_remote_command, 0 },
        { "password-file", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, settings_set_password_file, 0 },
        { "report", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, settings_set_report, 0 },
        { "metrics", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, settings_set_metrics, 0 },
        { "status", 0, SETTINGS_KIND_FLAG, SETTINGS_COMMAND_LINE, settings_set_flag, SETTINGS_STATUS },
        { "max-age", 0, SETTINGS_KIND_VALUE, SETTINGS_ANYWHERE, settings_set_max_age, 0 },
        { "list", 0, SETTINGS_KIND_FLAG, SETTINGS_COMMAND_LINE, settings_set_flag, SETTINGS_LIST },
        { "server", 0, SETTINGS_KIND_FLAG, SETTINGS_COMMAND_LINE, settings_set_flag, SETTINGS_SERVER },
        { "restrict", 0, SETTINGS_KIND_VALUE, SETTINGS_COMMAND_LINE, settings_set_restrict, 0 },
        { "append-only", 0, SETTINGS_KIND_FLAG, SETTINGS_COMMAND_LINE, settings_set_flag, SETTINGS_APPEND_ONLY },
        { "config", 0, SETTINGS_KIND_VALUE, SETTINGS_COMMAND_LINE, settings_set_config, 0 },
        { "verbose", 'v', SETTINGS_KIND_LEVEL, SETTINGS_ANYWHERE, settings_set_level, false },
        { "quiet", 'q', SETTINGS_KIND_LEVEL, SETTINGS_ANYWHERE, settings_set_level, true },
        { "help", 'h', SETTINGS_KIND_FLAG, SETTINGS_COMMAND_LINE, NULL, 0 },
        { "version", 0, SETTINGS_KIND_FLAG, SETTINGS_COMMAND_LINE, NULL, 0 },
        { "source", 0, SETTINGS_KIND_VALUE, SETTINGS_FILE, settings_set_source, 0 },
        { "destination", 0, SETTINGS_KIND_VALUE, SETTINGS_FILE, settings_set_destination, 0 },
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
