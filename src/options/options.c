/*
 * Three layers are laid over each other, the upper one wins:
 *
 *      command line            options_command.c
 *      configuration file      the section of --config that config_choose() finds
 *      environment, defaults   $RSYNC_MODULE_PATH as the destination, "/" as the source
 *
 * The first two are `struct settings`. When they have become one, fill() turns it into `struct options`;
 * options_check.c checks what only shows in combination.
 */
#include "options/options.h"

#include "base/err.h"
#include "base/path.h"
#include "options/config.h"
#include "options/options_check.h"
#include "options/options_command.h"
#include "rotate/scheme.h"

#include <assert.h>
#include <stdio.h>

enum { SHOWN_MAX = 256 };

static const char *environment(const char *name)
{
        const char *value = getenv(name);

        return value && *value ? value : NULL;
}

static enum options_daemon daemon_outcome(void)
{
        const char *status = environment("RSYNC_EXIT_STATUS");

        if (!status || !environment("RSYNC_MODULE_PATH"))
                return OPTIONS_DAEMON_NONE;
        if (str_equal(status, "0") || str_equal(status, "24"))
                return OPTIONS_DAEMON_COMPLETE;
        return str_equal(status, "23") ? OPTIONS_DAEMON_INCOMPLETE : OPTIONS_DAEMON_FAILED;
}

/* A module's path is a directory whatever is in it, not an expression. */
static int destination_from_daemon(struct location *ret, struct err *err)
{
        const char *path = environment("RSYNC_MODULE_PATH");
        _cleanup_(freep) char *absolute = NULL;

        if (!path)
                return 0;
        absolute = path_absolute(path);
        return absolute ? location_set_local(ret, absolute, err) : err_oom(err);
}

static int set_argument(struct settings *s, const char *key, const char *value, const char *shown, struct err *err)
{
        if (!value || settings_set(s, settings_find(key), value, err) == 0)
                return 0;
        return err_context(err, shown);
}

static int set_destination(struct command_line *c, struct err *err)
{
        return set_argument(&c->settings, "destination", c->destination, "DESTINATION", err);
}

/* Choose a section of the configuration file, by its name first, and lay the command line over it. */
static int add_section(struct command_line *c, struct config *config, const struct location *module, char **ret_section,
                       struct err *err)
{
        struct config_section *section = c->destination ? config_find(config, c->destination) : NULL;
        struct settings *s = &c->settings;
        int r;

        if (!section) {
                r = set_destination(c, err);
                if (r == 0)
                        r = config_choose(config, c->destination ? &s->destination : module, c->destination, &section,
                                          err);
                if (r < 0)
                        return r;
                assert(section);
        }
        if (!section->has_options)
                return err_usage(err, "section [%s] of %s has no options in it", section->name, config->file);
        *ret_section = strdup(section->name);
        if (!*ret_section)
                return err_oom(err);
        r = settings_complete(s, &section->settings, err);
        if (r == 0 && !s->destination.path && !module->path)
                return err_usage(err, "section [%s] of %s has no destination, and none was given", section->name,
                                 config->file);
        return r;
}

/* Lay the command line over all the rest. */
static int add_layers(struct command_line *c, char **ret_section, struct err *err)
{
        _cleanup_(location_deinit) struct location module = { .path = NULL };
        _cleanup_(config_deinit) struct config config = { .file = NULL };
        struct settings *s = &c->settings;
        int r = set_argument(s, "source", c->source, "SOURCE", err);
        if (r == 0)
                r = destination_from_daemon(&module, err);
        if (r == 0 && s->config)
                r = config_read(&config, s->config, err);
        if (r == 0)
                r = s->config ? add_section(c, &config, &module, ret_section, err) : set_destination(c, err);
        if (r < 0)
                return r;
        if (!s->source)
                r = set_argument(s, "source", "/", "SOURCE", err);
        if (!s->destination.path) {
                s->destination = module;
                c->from_environment = true;
                module = (struct location){ .path = NULL };
        }
        if (!s->destination.path)
                c->show = OPTIONS_SHOW_USAGE;
        return r;
}

static void fill_agent(struct options *o, struct settings *s)
{
        o->server = true;
        o->restrict_to = TAKE(s->restrict_to);
        o->append_only = s->flags[SETTINGS_APPEND_ONLY] == SETTINGS_YES;
}

/* Hand all that @s owns over to @o. */
static void fill(struct options *o, struct settings *s)
{
        o->source = TAKE(s->source);
        o->destination = s->destination;
        s->destination = (struct location){ .path = NULL };
        o->tunnel = s->tunnel;
        s->tunnel = (struct location){ .path = NULL };
        o->mount = TAKE(s->mount);
        o->crypto = TAKE(s->crypto);
        o->link = s->link;
        s->link.remote_command = s->link.password_file = NULL;
        o->told = s->told;
        s->told.report = s->told.metrics = NULL;
        o->config = TAKE(s->config);
        o->excludes = TAKE(s->excludes);
        o->exclude_count = s->exclude_count;
        s->exclude_count = 0;
        o->ionice = s->ionice;
        o->no_sudo = s->flags[SETTINGS_NO_SUDO] == SETTINGS_YES;
        o->dry_run = s->flags[SETTINGS_DRY_RUN] == SETTINGS_YES;
        o->multi_fs = s->flags[SETTINGS_MULTI_FS] == SETTINGS_YES;
        o->force = s->flags[SETTINGS_FORCE] == SETTINGS_YES;
        o->disable_notifications = s->flags[SETTINGS_DISABLE_NOTIFICATIONS] == SETTINGS_YES;
        o->only_on_ac = s->flags[SETTINGS_ONLY_ON_AC] == SETTINGS_YES;
        o->not_on_metered = s->flags[SETTINGS_NOT_ON_METERED] == SETTINGS_YES;
        o->min_battery_percent = s->min_battery;
        o->verbosity = s->verbosity;
        o->daemon = daemon_outcome();
        o->scheme_given = s->counts_given;
        memcpy(o->counts, s->counts, sizeof(o->counts));
        o->relaxed = s->flags[SETTINGS_RELAXED];
        o->prefer_recent = s->flags[SETTINGS_PREFER_RECENT];
}

static enum options_task choose_task(const enum settings_toggle *flags)
{
        if (flags[SETTINGS_LIST] == SETTINGS_YES)
                return OPTIONS_LIST;
        return flags[SETTINGS_STATUS] == SETTINGS_YES ? OPTIONS_STATUS : OPTIONS_RUN;
}

/* What a file says of these is for the runs: what they have told must not be replaced by something else. */
static void keep_told_files(struct options *o, const struct command_line *c)
{
        if (!command_line_has(c, "report")) {
                free(o->told.report);
                o->told.report = NULL;
        }
        if (!command_line_has(c, "metrics")) {
                free(o->told.metrics);
                o->told.metrics = NULL;
        }
}

static int settle(struct options *o, struct command_line *c, struct err *err)
{
        enum { RETRIES = 3 };
        int r;

        fill(o, &c->settings);
        o->destination_from_environment = c->from_environment;
        o->force_now = command_line_has(c, "force");
        o->task = choose_task(c->settings.flags);
        if (o->task == OPTIONS_RUN)
                r = options_choose_actions(o, c->settings.flags, err);
        else
                r = o->task == OPTIONS_LIST ? options_settle_list(o, err) : 0;
        if (o->task != OPTIONS_RUN)
                keep_told_files(o, c);
        if (r == 0)
                r = options_check(o, err);
        if (!o->link.retries_given)
                o->link.retries = RETRIES;
        return r;
}

/* Each value was checked by itself, with its line; what does not go together is in several. */
static int name_section(const struct options *o, struct err *err)
{
        char file[SHOWN_MAX], section[SHOWN_MAX], where[sizeof(file) + sizeof(section) + sizeof(" []")];

        if (!o->section || err->kind != ERR_USAGE)
                return err->code;
        path_show(NULL, o->config, file, sizeof(file));
        path_show(NULL, o->section, section, sizeof(section));
        snprintf(where, sizeof(where), "%s [%s]", file, section);
        return err_context(err, where);
}

/* What is to be done, of a command line that asks for something to be done. */
static int understand(struct options *o, struct command_line *c, struct err *err)
{
        int r;

        if (command_line_is_of_agent(c)) {
                r = command_line_check_agent(c, err);
                if (r == 0)
                        fill_agent(o, &c->settings);
                return r;
        }
        r = command_line_check(c, err);
        if (r == 0)
                r = add_layers(c, &o->section, err);
        /* Without a destination there is the usage to be shown. */
        if (r == 0 && c->show == OPTIONS_SHOW_NOTHING && settle(o, c, err) < 0)
                return name_section(o, err);
        return r;
}

int options_parse(struct options **ret, int argc, char **argv, struct err *err)
{
        _cleanup_(command_line_deinit) struct command_line c = { .show = OPTIONS_SHOW_NOTHING };
        _cleanup_(options_freep) struct options *o = calloc(1, sizeof(*o));
        int r = o ? command_line_read(&c, argc, argv, err) : err_oom(err);

        if (r == 0 && c.show == OPTIONS_SHOW_NOTHING)
                r = understand(o, &c, err);
        if (r < 0)
                return r;
        o->show = c.show;
        *ret = TAKE(o);
        return 0;
}

struct options *options_free(struct options *o)
{
        if (!o)
                return NULL;
        free(o->source);
        location_deinit(&o->destination);
        location_deinit(&o->tunnel);
        free(o->mount);
        free(o->crypto);
        free(o->restrict_to);
        free(o->link.remote_command);
        free(o->link.password_file);
        free(o->told.report);
        free(o->told.metrics);
        free(o->config);
        free(o->section);
        for (size_t i = 0; i < o->exclude_count; i++)
                free(o->excludes[i]);
        free(o->excludes);
        free(o);
        return NULL;
}

void options_scheme(const struct options *o, struct scheme *scheme)
{
        if (o->scheme_given)
                memcpy(scheme->count, o->counts, sizeof(scheme->count));
        if (o->relaxed != SETTINGS_UNSET)
                scheme->relaxed = o->relaxed == SETTINGS_YES;
        if (o->prefer_recent != SETTINGS_UNSET)
                scheme->prefer_recent = o->prefer_recent == SETTINGS_YES;
}
