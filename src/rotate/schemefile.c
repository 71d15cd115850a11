/*
 * Every section and every value of every file is kept, in the order of the files. Then they are gone through three
 * times: to find the section that matches the directory; to take what [DEFAULT] says, which Python's parser has for
 * all sections; and to take what the section itself says, which wins.
 */
#include "rotate/schemefile.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/ini.h"
#include "base/path.h"
#include "rotate/expression.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <strings.h>

enum key {
        /* The frequencies come first, with the numbers of enum scheme_frequency. */
        KEY_STRICT = SCHEME_FREQUENCIES,
        KEY_PREFER_RECENT,
        KEY_INCLUDE_LIST,
        KEY_EXCLUDE_LIST,
        KEY_IONICE,
        KEY_REMOVAL_COMMAND,
        KEY_TIMESTAMP_PATTERN,
        KEY_USE_SUDO,
        KEY_SSH_USER,
        KEYS,
};

static const char *const other_keys[KEYS] = {
        [KEY_STRICT] = "strict",
        [KEY_PREFER_RECENT] = "prefer-recent",
        [KEY_INCLUDE_LIST] = "include-list",
        [KEY_EXCLUDE_LIST] = "exclude-list",
        [KEY_IONICE] = "ionice",
        [KEY_REMOVAL_COMMAND] = "removal-command",
        [KEY_TIMESTAMP_PATTERN] = "timestamp-pattern",
        [KEY_USE_SUDO] = "use-sudo",
        [KEY_SSH_USER] = "ssh-user",
};

static const char *key_name(unsigned key)
{
        return key < SCHEME_FREQUENCIES ? scheme_frequency_name((enum scheme_frequency)key) : other_keys[key];
}

struct kept_item {
        struct ini_item item;
        unsigned file; /* a number for the file, from 1 */
        struct kept_item *next;
};

struct search {
        struct schemefile *found;
        const char *parent;
        const char *home;
        struct arena memory; /* for the items */
        struct kept_item *first, **end;
        unsigned file;         /* that is read, or gone through */
        unsigned set_in[KEYS]; /* the last file that gave this key this time, 0 for none */
        char *refusals[KEYS];  /* by keys that are for another program */
};

/* HOST:PATH, where a slash at the end makes no difference. */
static bool matches_there(const char *parent, const char *name)
{
        size_t length = strlen(name);
        _cleanup_(freep) char *plain = strndup(name, length > 1 && name[length - 1] == '/' ? length - 1 : length);

        if (!plain)
                return false;
        return strchr(plain, '*') ? fnmatch(plain, parent, FNM_NOESCAPE) == 0 : str_equal(plain, parent);
}

/* Return 1 if the section called @name governs the directory, 0 if not, -ENOMEM. */
static int section_matches(const struct search *search, const char *name)
{
        _cleanup_(freep) char *expanded = NULL, *plain = NULL;

        if (str_starts(name, "~/") && search->home) {
                expanded = path_join(search->home, name + 2);
                if (!expanded)
                        return -ENOMEM;
                name = expanded;
        }
        if (*name != '/')
                return *search->parent != '/' && matches_there(search->parent, name);
        if (*search->parent != '/')
                return 0;
        plain = path_absolute(name);
        if (!plain)
                return -ENOMEM;
        if (strchr(plain, '*'))
                return fnmatch(plain, search->parent, FNM_NOESCAPE) == 0;
        return str_equal(plain, search->parent);
}

static int take_bool(bool *ret, const struct ini_item *item, struct err *err)
{
        return ini_bool(item->value, ret) < 0 ? ini_error(err, item, "neither yes nor no: '%s'", item->value) : 0;
}

static int take_count(uint32_t *ret, const struct ini_item *item, struct err *err)
{
        char place[ERR_TEXT_MAX / 2];
        int r = expression_count(item->value, ret, err);

        if (r == 0)
                return 0;
        snprintf(place, sizeof(place), "%s:%u: %s", item->file, item->line, item->key);
        return err_context(err, place);
}

static int take_ionice(const char **ret, const struct ini_item *item, struct err *err)
{
        static const char *const classes[] = { "idle", "best-effort", "realtime" };

        for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
                if (str_equal(item->value, classes[i])) {
                        *ret = classes[i];
                        return 0;
                }
        }
        return ini_error(err, item, "neither idle, best-effort nor realtime: '%s'", item->value);
}

/* Append what stands between the commas of @value, without the blanks around it. */
static int take_patterns(struct buf *list, const char *value, struct err *err)
{
        static const char blanks[] = " \t\r\n\v\f";

        while (*value) {
                size_t whole = strcspn(value, ",\r\n"), skip = strspn(value, blanks), length;

                length = skip < whole ? whole - skip : 0;
                while (length > 0 && strchr(blanks, value[skip + length - 1]))
                        length--;
                if (length > 0 && (buf_append(list, value + skip, length) < 0 || buf_putc(list, '\0') < 0))
                        return err_oom(err);
                value += whole + (value[whole] != '\0');
        }
        return 0;
}

/* An empty value is none, as in rotate-backups. */
static int take_refusal(char **ret, const struct ini_item *item, const char *why, struct err *err)
{
        free(*ret);
        *ret = NULL;
        if (!*item->value)
                return 0;
        if (asprintf(ret, "%s:%u: %s is set: %s", item->file, item->line, item->key, why) < 0) {
                *ret = NULL;
                return err_oom(err);
        }
        return 0;
}

static int take_value(struct search *search, unsigned key, const struct ini_item *item, struct err *err)
{
        struct schemefile *found = search->found;
        char **refusal = &search->refusals[key];
        bool yes;
        int r;

        switch (key) {
        case KEY_STRICT:
                r = take_bool(&yes, item, err);
                if (r == 0)
                        found->scheme.relaxed = !yes;
                return r;
        case KEY_PREFER_RECENT:
                return take_bool(&found->scheme.prefer_recent, item, err);
        case KEY_INCLUDE_LIST:
                return take_patterns(&found->include, item->value, err);
        case KEY_EXCLUDE_LIST:
                return take_patterns(&found->exclude, item->value, err);
        case KEY_IONICE:
                return take_ionice(&found->ionice, item, err);
        case KEY_REMOVAL_COMMAND:
                return take_refusal(refusal, item, "these backups are removed by a command of their own", err);
        case KEY_TIMESTAMP_PATTERN:
                return take_refusal(refusal, item, "these backups have names of another form", err);
        case KEY_USE_SUDO:
        case KEY_SSH_USER:
                return 0; /* how rotate-backups gets at a directory; we are there already */
        default:
                return take_count(&found->scheme.count[key], item, err);
        }
}

/* KEYS when there is none of that name; case is of no account, as to Python's parser. */
static unsigned find_key(const char *name)
{
        unsigned key = 0;

        while (key < KEYS && strcasecmp(name, key_name(key)) != 0)
                key++;
        return key;
}

static struct buf *find_list(struct schemefile *found, unsigned key)
{
        return key == KEY_INCLUDE_LIST ? &found->include : key == KEY_EXCLUDE_LIST ? &found->exclude : NULL;
}

static int take_item(struct search *search, const struct ini_item *item, struct err *err)
{
        unsigned key = find_key(item->key);
        struct buf *list = find_list(search->found, key);

        if (key == KEYS) {
                ini_error(err, item, "unknown key in a section that holds for this destination");
                return err_hint(err, "known are minutely, hourly, daily, weekly, monthly, yearly, strict, "
                                     "prefer-recent, include-list, exclude-list, ionice");
        }
        /* Continuation lines look like repeated keys: welcome in a list, and in anything else a slip. */
        if (search->set_in[key] == search->file && !list)
                return ini_error(err, item, "a second value, '%s' (an indented line continues the one above)",
                                 item->value);
        if (search->set_in[key] != search->file && list)
                buf_truncate(list, 0);
        search->set_in[key] = search->file;
        return take_value(search, key, item, err);
}

static int take_match(struct search *search, const struct ini_item *item, struct err *err)
{
        struct schemefile *found = search->found;
        int r = item->key || found->section ? 0 : section_matches(search, item->section);

        if (r <= 0)
                return r < 0 ? err_oom(err) : 0;
        found->section = strdup(item->section);
        found->file = strdup(item->file);
        return found->section && found->file ? 0 : err_oom(err);
}

static int take_default(struct search *search, const struct ini_item *item, struct err *err)
{
        return item->key && str_equal(item->section, "DEFAULT") ? take_item(search, item, err) : 0;
}

static int take_own(struct search *search, const struct ini_item *item, struct err *err)
{
        return item->key && str_equal(item->section, search->found->section) ? take_item(search, item, err) : 0;
}

/* take: one of the above. */
static int go_through(struct search *search, int take(struct search *, const struct ini_item *, struct err *),
                      struct err *err)
{
        int r = 0;

        memset(search->set_in, 0, sizeof(search->set_in));
        for (const struct kept_item *k = search->first; k && r == 0; k = k->next) {
                search->file = k->file;
                r = take(search, &k->item, err);
        }
        return r;
}

/* ---- reading ---- */

/* Return false when memory is short; there may be no @text. */
static bool copy_text(struct arena *memory, const char **ret, const char *text)
{
        *ret = text ? arena_copy(memory, text, strlen(text)) : NULL;
        return *ret || !text;
}

static int keep_item(void *context, const struct ini_item *item, struct err *err)
{
        struct search *search = context;
        struct arena *memory = &search->memory;
        struct kept_item *k = arena_alloc(memory, sizeof(*k));

        if (!k)
                return err_oom(err);
        *k = (struct kept_item){ .item.line = item->line, .file = search->file };
        if (!copy_text(memory, &k->item.file, item->file) || !copy_text(memory, &k->item.section, item->section) ||
            !copy_text(memory, &k->item.key, item->key) || !copy_text(memory, &k->item.value, item->value))
                return err_oom(err);
        *search->end = k;
        search->end = &k->next;
        return 0;
}

static bool is_absent(int code)
{
        return code == -ENOENT || code == -ENOTDIR;
}

static int read_file(struct search *search, const char *file, struct err *err)
{
        ERR_LOCAL(problem);
        int r;

        search->file++;
        r = ini_read_file(file, keep_item, search, &problem);
        if (r == 0)
                return 0;
        if (!is_absent(r))
                return err_move(err, &problem);
        err_drop(&problem, "none of the files need exist");
        return 0;
}

static int is_ini_name(const struct dirent *entry)
{
        size_t length = strlen(entry->d_name);

        return entry->d_name[0] != '.' && length > 4 && str_equal(entry->d_name + length - 4, ".ini");
}

/* By bytes, unlike alphasort(): the order must not depend on the locale. */
static int compare_names(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_directory(struct search *search, const char *directory, struct err *err)
{
        struct dirent **entries = NULL;
        int count = scandir(directory, &entries, is_ini_name, compare_names), r = 0;

        if (count < 0 && is_absent(-errno))
                return 0;
        if (count < 0)
                return err_usage(err, "cannot read the directory of configuration files '%s': %s", directory,
                                 strerror(errno));
        for (int i = 0; i < count; i++) {
                _cleanup_(freep) char *file = path_join(directory, entries[i]->d_name);

                if (r == 0)
                        r = file ? read_file(search, file, err) : err_oom(err);
                free(entries[i]);
        }
        free(entries);
        return r;
}

/* STEM.ini and the files in STEM.d, where STEM is @directory and @stem put together. */
static int read_place(struct search *search, const char *directory, const char *stem, struct err *err)
{
        _cleanup_(freep) char *file = NULL, *drop_ins = NULL;
        int r;

        if (asprintf(&file, "%s%s.ini", directory, stem) < 0) {
                file = NULL;
                return err_oom(err);
        }
        if (asprintf(&drop_ins, "%s%s.d", directory, stem) < 0) {
                drop_ins = NULL;
                return err_oom(err);
        }
        r = read_file(search, file, err);
        return r < 0 ? r : read_directory(search, drop_ins, err);
}

static int read_all(struct search *search, const struct schemefile_places *places, struct err *err)
{
        int r = read_place(search, places->root, "/etc/rotate-backups", err);

        if (r == 0 && places->home)
                r = read_place(search, places->home, "/.rotate-backups", err);
        if (r == 0 && places->home)
                r = read_place(search, places->home, "/.config/rotate-backups", err);
        return r;
}

/* One is enough to be told. */
static void hand_over_refusal(struct search *search)
{
        for (unsigned key = 0; key < KEYS; key++) {
                if (!search->found->refusal)
                        search->found->refusal = TAKE(search->refusals[key]);
                free(search->refusals[key]);
        }
}

int schemefile_load(struct schemefile *ret, const char *parent, const struct schemefile_places *places, struct err *err)
{
        struct schemefile found = { .section = NULL };
        struct search search = { .found = &found, .parent = parent, .home = places->home, .end = &search.first };
        int r = read_all(&search, places, err);

        if (r == 0)
                r = go_through(&search, take_match, err);
        if (r == 0 && found.section)
                r = go_through(&search, take_default, err);
        if (r == 0 && found.section)
                r = go_through(&search, take_own, err);
        hand_over_refusal(&search);
        arena_deinit(&search.memory);
        if (r < 0) {
                schemefile_deinit(&found);
                return r;
        }
        if (scheme_is_empty(&found.scheme))
                memcpy(found.scheme.count, scheme_default.count, sizeof(found.scheme.count));
        *ret = found;
        return 0;
}

/* A pattern that fnmatch() cannot make sense of counts as matching when @in_doubt says so. */
static bool list_matches(const struct buf *list, const char *name, bool in_doubt)
{
        for (size_t at = 0; at < list->size; at += strlen(list->data + at) + 1) {
                int result = fnmatch(list->data + at, name, FNM_NOESCAPE);

                if (result == 0 || (result != FNM_NOMATCH && in_doubt))
                        return true;
        }
        return false;
}

/* What is not selected is never removed, so doubt speaks against selecting. */
bool schemefile_selects(const struct schemefile *s, const char *name)
{
        if (list_matches(&s->exclude, name, true))
                return false;
        return s->include.size == 0 || list_matches(&s->include, name, false);
}

void schemefile_deinit(struct schemefile *s)
{
        free(s->section);
        free(s->file);
        free(s->refusal);
        buf_deinit(&s->include);
        buf_deinit(&s->exclude);
        *s = (struct schemefile){ .section = NULL };
}
