/* Each value that the INI reader finds goes through settings_table into the layer of its section. */
#include "options/config.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/ini.h"
#include "base/path.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

enum {
        SHOWN_MAX = 256,
        /* libinih cuts a section's name to its buffer of 50 bytes, so one of this length may be the beginning only. */
        SECTION_CUT = 49,
};

struct config_section *config_find(const struct config *c, const char *name)
{
        for (size_t i = 0; i < c->count; i++) {
                if (str_equal(c->sections[i].name, name))
                        return &c->sections[i];
        }
        return NULL;
}

static struct config_section *add_section(struct config *c, const char *name)
{
        struct config_section *more = reallocarray(c->sections, c->count + 1, sizeof(*more)), *section;

        if (!more)
                return NULL;
        c->sections = more;
        section = &more[c->count];
        *section = (struct config_section){ .name = strdup(name), .settings.in_file = true };
        if (!section->name)
                return NULL;
        c->count++;
        return section;
}

static int refuse_key(const struct ini_item *item, const struct setting *what, struct err *err)
{
        const char *nearest;

        if (what)
                return ini_error(err, item, "this option is for the command line only");
        ini_error(err, item, "there is no such option");
        nearest = settings_nearest(item->key, SETTINGS_FILE);
        return nearest ? err_hint(err, "did you mean '%s'?", nearest) : err->code;
}

/* Complete what a setter said about a value by the place of the value. */
static int refuse_value(const struct ini_item *item, struct err *cause, struct err *err)
{
        if (cause->kind != ERR_USAGE)
                return err_move(err, cause);
        ini_error(err, item, "%s", cause->text);
        if (*cause->hint)
                err_hint(err, "%s", cause->hint);
        err_drop(cause, "quoted in the other");
        return err->code;
}

/* An empty one is kept as well: its name must not be taken for something else. */
static int find_section(struct config *c, const struct ini_item *item, struct config_section **ret, struct err *err)
{
        *ret = config_find(c, item->section);
        if (!*ret)
                *ret = add_section(c, item->section);
        return *ret ? 0 : err_oom(err);
}

static int take_option(struct config_section *section, const struct ini_item *item, struct err *err)
{
        const struct setting *what = settings_find(item->key);
        struct err cause = { .kind = ERR_NONE };
        unsigned *line;

        if (!what || what->place == SETTINGS_COMMAND_LINE)
                return refuse_key(item, what, err);
        line = &section->lines[what - settings_table];
        if (*line && what->kind != SETTINGS_KIND_LIST) {
                ini_error(err, item, "it has been given in line %u already", *line);
                return err_hint(err, "an indented line continues the one above it");
        }
        *line = item->line;
        section->has_options = true;
        if (settings_set(&section->settings, what, item->value, &cause) < 0)
                return refuse_value(item, &cause, err);
        return 0;
}

static int take_item(void *context, const struct ini_item *item, struct err *err)
{
        struct config_section *section;
        int r;

        if (!item->key)
                return find_section(context, item, &section, err);
        if (!*item->section)
                return ini_error(err, item, "it stands in no [section]");
        if (strlen(item->section) >= SECTION_CUT)
                return ini_error(err, item, "the name of its [section] is longer than %d bytes", SECTION_CUT - 1);
        r = find_section(context, item, &section, err);
        return r < 0 ? r : take_option(section, item, err);
}

/* Count the sections that have options; *ret is the first one. */
static size_t find_used(const struct config *c, struct config_section **ret)
{
        size_t found = 0;

        assert(c->sections || c->count == 0);
        for (size_t i = 0; i < c->count; i++) {
                if (c->sections[i].has_options && found++ == 0)
                        *ret = &c->sections[i];
        }
        return found;
}

/* The end of reading: what was read becomes the caller's. */
static int hand_over(struct config *c, struct config *ret, struct err *err)
{
        struct config_section *first;

        if (find_used(c, &first) == 0)
                return err_usage(err, "%s: there is no [section] with options in it", c->file);
        *ret = *c;
        *c = (struct config){ .file = NULL };
        return 0;
}

int config_read(struct config *ret, const char *file, struct err *err)
{
        _cleanup_(config_deinit) struct config c = { .file = strdup(file) };
        int r = c.file ? ini_read_file(file, take_item, &c, err) : err_oom(err);

        return r < 0 ? r : hand_over(&c, ret, err);
}

int config_read_text(struct config *ret, const char *name, const char *text, struct err *err)
{
        _cleanup_(config_deinit) struct config c = { .file = strdup(name) };
        int r = c.file ? ini_read_text(name, text, take_item, &c, err) : err_oom(err);

        return r < 0 ? r : hand_over(&c, ret, err);
}

void config_deinit(struct config *c)
{
        for (size_t i = 0; i < c->count; i++) {
                free(c->sections[i].name);
                settings_deinit(&c->sections[i].settings);
        }
        free(c->sections);
        free(c->file);
        *c = (struct config){ .file = NULL };
}

/* Those sections that @destination leads to, or all with options when it is NULL, by name: "a, b, c". */
static void list_sections(const struct config *c, const struct location *destination, char *out, size_t size)
{
        _cleanup_(buf_deinit) struct buf names = { .data = NULL };

        assert(c->sections || c->count == 0);
        for (size_t i = 0; i < c->count; i++) {
                const struct config_section *section = &c->sections[i];

                if (destination ? location_equal(&section->settings.destination, destination) : section->has_options) {
                        if (buf_printf(&names, "%s%s", names.size ? ", " : "", section->name) < 0)
                                break;
                }
        }
        path_show(NULL, buf_text(&names), out, size);
}

/* Count the sections with this destination; *ret is the first one. */
static size_t find_destination(const struct config *c, const struct location *destination, struct config_section **ret)
{
        size_t found = 0;

        for (size_t i = 0; i < c->count; i++) {
                if (location_equal(&c->sections[i].settings.destination, destination) && found++ == 0)
                        *ret = &c->sections[i];
        }
        return found;
}

static int refuse_choice(const struct config *c, const char *argument, struct err *err)
{
        char shown[SHOWN_MAX], names[SHOWN_MAX];
        struct config_section *first;

        list_sections(c, NULL, names, sizeof(names));
        if (!argument)
                return err_usage(err, "%s has %zu sections; give the name or the destination of one: %s", c->file,
                                 find_used(c, &first), names);
        path_show(NULL, argument, shown, sizeof(shown));
        return err_usage(err, "'%s' is neither a section of %s nor the destination of one; the sections are: %s", shown,
                         c->file, names);
}

/* A bare name is rather a section's with a slip in it than a directory below the current one. */
static int check_argument(const struct config *c, const char *argument, struct err *err)
{
        char shown[SHOWN_MAX], names[SHOWN_MAX];

        if (!argument || strpbrk(argument, "/:"))
                return 0;
        list_sections(c, NULL, names, sizeof(names));
        path_show(NULL, argument, shown, sizeof(shown));
        err_usage(err, "'%s' is no section of %s, which has: %s", shown, c->file, names);
        return err_hint(err, "for a directory of that name write './%s'", shown);
}

int config_choose(const struct config *c, const struct location *destination, const char *argument,
                  struct config_section **ret, struct err *err)
{
        struct config_section *found = NULL, *used = NULL;
        size_t matches = destination->path ? find_destination(c, destination, &found) : 0;
        char names[SHOWN_MAX];

        if (matches > 1) {
                list_sections(c, destination, names, sizeof(names));
                return err_usage(err, "several sections of %s have this destination; give the name of one: %s", c->file,
                                 names);
        }
        if (!found && find_used(c, &used) == 1) {
                if (check_argument(c, argument, err) < 0)
                        return err->code;
                found = used;
        }
        if (!found)
                return refuse_choice(c, argument, err);
        *ret = found;
        return 0;
}
