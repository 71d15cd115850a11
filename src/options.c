/*
 * Three layers are laid over each other, the upper one wins:
 *
 *      command line            getopt_long() with tables made from settings_table
 *      configuration file      the section of --config that config_choose() finds
 *      environment, defaults   $RSYNC_MODULE_PATH as the destination, "/" as the source
 *
 * The first two are `struct settings`. When they have become one, fill() turns it into `struct options` and checks what
 * only shows in combination.
 */
#include "options.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/path.h"
#include "config.h"
#include "rotate/scheme.h"

#include <getopt.h>
#include <stdio.h>

enum {
        SHOWN_MAX = 256,
        LONG_BASE = 256, /* getopt_long() returns LONG_BASE + row for a long option, the letter for a short one */
};

static const char SEE_HELP[] = "see rsync-system-backup --help";

/* What getopt_long() is told: both tables are made from settings_table, and end in zeroes. */
struct tables {
        struct option options[SETTINGS_TABLE_MAX + 1];
        char letters[2 * SETTINGS_TABLE_MAX + 2];
};

/* The command line, read. The strings point into argv. */
struct command_line {
        enum options_show show;
        struct settings settings;
        bool given[SETTINGS_TABLE_MAX]; /* which rows of settings_table were */
        const char *source;
        const char *destination;
        bool from_environment; /* the destination is $RSYNC_MODULE_PATH */
};

static bool takes_value(const struct setting *what)
{
        return what->kind == SETTINGS_KIND_VALUE || what->kind == SETTINGS_KIND_LIST;
}

/* @t is all zeroes. */
static void make_tables(struct tables *t)
{
        struct option *option = t->options;
        char *letter = t->letters;

        /* The first ':' makes getopt_long() silent and lets it tell a missing value from an unknown option. */
        *letter++ = ':';
        for (size_t i = 0; i < settings_table_size; i++) {
                const struct setting *row = &settings_table[i];

                if (row->place == SETTINGS_FILE)
                        continue;
                *option++ = (struct option){ .name = row->name,
                                             .has_arg = takes_value(row) ? required_argument : no_argument,
                                             .val = LONG_BASE + (int)i };
                if (row->letter)
                        *letter++ = row->letter;
                if (row->letter && takes_value(row))
                        *letter++ = ':';
        }
}

static const struct setting *setting_of(int code)
{
        return code >= LONG_BASE ? &settings_table[code - LONG_BASE] : settings_find_letter((char)code);
}

/* "--mount", or "-m" when that is how it was given. */
static void show_option(int code, char *out, size_t size)
{
        if (code >= LONG_BASE)
                snprintf(out, size, "--%s", settings_table[code - LONG_BASE].name);
        else
                snprintf(out, size, "-%c", code);
}

/* All long options that begin with @prefix of @length bytes: "--monthly, --mount". Their number is returned. */
static size_t list_completions(const char *prefix, size_t length, struct buf *ret)
{
        size_t found = 0;

        for (size_t i = 0; i < settings_table_size; i++) {
                const struct setting *row = &settings_table[i];

                if (row->place == SETTINGS_FILE || strncmp(row->name, prefix, length) != 0)
                        continue;
                if (buf_printf(ret, "%s--%s", found ? ", " : "", row->name) < 0)
                        break;
                found++;
        }
        return found;
}

/* @word is "--something", perhaps with "=value", of which getopt_long() could make nothing. */
static int refuse_long(const char *word, struct err *err)
{
        _cleanup_(buf_deinit) struct buf completions = { .data = NULL };
        size_t length = strcspn(word + 2, "=");
        _cleanup_(freep) char *name = strndup(word + 2, length);
        const char *nearest;
        char shown[SHOWN_MAX];

        if (!name)
                return err_oom(err);
        path_show(NULL, name, shown, sizeof(shown));
        if (list_completions(name, length, &completions) > 1)
                return err_usage(err, "option '--%s' is ambiguous: %s", shown, buf_text(&completions));
        err_usage(err, "unknown option '--%s'", shown);
        nearest = settings_nearest(name, SETTINGS_COMMAND_LINE);
        return nearest ? err_hint(err, "did you mean '--%s'? %s", nearest, SEE_HELP) : err_hint(err, "%s", SEE_HELP);
}

static int refuse_short(char letter, struct err *err)
{
        char text[2] = { letter, '\0' }, shown[8];

        path_show(NULL, text, shown, sizeof(shown));
        err_usage(err, "unknown option '-%s'", shown);
        return err_hint(err, "%s", SEE_HELP);
}

/* getopt_long() has returned @code, which is '?' or ':'. */
static int refuse_option(int code, char **argv, struct err *err)
{
        char shown[SHOWN_MAX];

        if (optopt == 0)
                return refuse_long(argv[optind - 1], err);
        if (code == '?' && optopt < LONG_BASE)
                return refuse_short((char)optopt, err);
        show_option(optopt, shown, sizeof(shown));
        err_usage(err, code == ':' ? "option '%s' needs a value" : "option '%s' takes no value", shown);
        return err_hint(err, "%s", SEE_HELP);
}

static int take_option(struct command_line *c, int code, struct err *err)
{
        const struct setting *what = setting_of(code);
        char shown[SHOWN_MAX];

        if (!what->set) {
                c->show = str_equal(what->name, "help") ? OPTIONS_SHOW_HELP : OPTIONS_SHOW_VERSION;
                return 0;
        }
        c->given[what - settings_table] = true;
        if (settings_set(&c->settings, what, takes_value(what) ? optarg : "yes", err) == 0)
                return 0;
        show_option(code, shown, sizeof(shown));
        return err_context(err, shown);
}

static int take_arguments(struct command_line *c, char **arguments, int count, struct err *err)
{
        char shown[SHOWN_MAX];

        if (count > 2) {
                path_show(NULL, arguments[2], shown, sizeof(shown));
                err_usage(err, "too many arguments: nothing can follow SOURCE and DESTINATION, but '%s' does", shown);
                return err_hint(err, "a name with blanks in it must be quoted; %s", SEE_HELP);
        }
        if (count > 0)
                c->destination = arguments[count - 1];
        if (count > 1)
                c->source = arguments[0];
        return 0;
}

static int read_command_line(struct command_line *c, int argc, char **argv, struct err *err)
{
        struct tables tables = { .letters = "" };
        int code, r = 0;

        make_tables(&tables);
        /* 0 makes getopt_long() forget an earlier command line. */
        optind = 0;
        opterr = 0;
        while (r == 0 && c->show == OPTIONS_SHOW_NOTHING) {
                code = getopt_long(argc, argv, tables.letters, tables.options, NULL);
                if (code == -1)
                        return take_arguments(c, argv + optind, argc - optind, err);
                r = code == '?' || code == ':' ? refuse_option(code, argv, err) : take_option(c, code, err);
        }
        return r;
}

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
        }
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

static bool names_rsync(const char *command)
{
        static const char name[] = "rsync";
        size_t size = strlen(command);

        while (size > 0 && strchr(" \t'\"", command[size - 1]))
                size--;
        if (size < strlen(name) || strncmp(command + size - strlen(name), name, strlen(name)) != 0)
                return false;
        size -= strlen(name);
        return size == 0 || strchr(" \t'\"/", command[size - 1]);
}

bool options_rsync_serves(const struct options *o)
{
        const char *command = o->link.remote_command;

        return o->destination.kind == LOCATION_DAEMON ||
               (o->destination.kind == LOCATION_SSH && command && names_rsync(command));
}

/* @option was given. */
static int refuse_disk(const struct options *o, const char *option, struct err *err)
{
        bool is_daemon = o->destination.kind == LOCATION_DAEMON;

        err_usage(err, "%s cannot open a disk: %s cannot be used with it", is_daemon ? "an rsync daemon" : "rsync",
                  option);
        return is_daemon ? err->code
                         : err_hint(err, "for that, rsync-system-backup must run there: see --remote-command");
}

/* What the server would take for a pattern, or for another place than it says. */
static int check_served_path(const struct options *o, struct err *err)
{
        const struct location *l = &o->destination;
        char shown[SHOWN_MAX];

        location_show(l, shown, sizeof(shown));
        if (l->kind == LOCATION_DAEMON && strpbrk(l->path, "*?[\\"))
                return err_usage(err, "'%s': an rsync daemon takes *, ?, [ and \\ in a path for patterns", shown);
        /* What lies beside it has to be known. */
        if (l->kind != LOCATION_DAEMON && !o->snapshot && !o->rotate && o->task == OPTIONS_RUN)
                return 0;
        for (const char *part = l->path; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL) {
                size_t size = strcspn(part, "/");

                if ((size == 1 && *part == '.' && l->path[1]) || (size == 2 && memcmp(part, "..", 2) == 0))
                        return err_usage(err, "'%s': '.' and '..' are no part of a path where rsync serves", shown);
        }
        return 0;
}

/* Snapshots lie beside the destination, where a module may have nothing. */
static bool has_parent(const struct location *l)
{
        return *l->path && !str_equal(l->path, ".") && !str_equal(l->path, "/");
}

/* What rsync serves can have snapshots, but of what was just sent. */
static int check_served(struct options *o, struct err *err)
{
        if (o->snapshot && !o->backup) {
                err_usage(err,
                          "--snapshot without --backup: where rsync serves, a snapshot is made of what was just sent");
                return err_hint(err, "give both, or let it be done there: rsync-system-backup --snapshot");
        }
        if (has_parent(&o->destination))
                return 0;
        if (!o->backup)
                return err_usage(err, "--rotate: no snapshot can lie beside the destination, which is all there is");
        o->lacks_parent = true;
        o->snapshot = o->rotate = false;
        return 0;
}

/* There is nothing to choose. */
static int settle_list(struct options *o, struct err *err)
{
        o->dry_run = true;
        o->daemon = OPTIONS_DAEMON_NONE;
        if (options_rsync_serves(o) && !has_parent(&o->destination))
                return err_usage(err, "--list: no snapshot can lie beside the destination, which is all there is");
        return 0;
}

/* The actions that are asked for; if none is, all but those that a file says no to. */
static int choose_actions(struct options *o, const enum settings_toggle *flags, struct err *err)
{
        bool asked = flags[SETTINGS_BACKUP] == SETTINGS_YES || flags[SETTINGS_SNAPSHOT] == SETTINGS_YES ||
                     flags[SETTINGS_ROTATE] == SETTINGS_YES;
        bool is_served = options_rsync_serves(o);

        o->actions_asked = asked;
        /* Its destination has just been written by others: a transfer of "/" over that is not what was forgotten to
         * say. */
        if (!asked && o->destination_from_environment && o->daemon != OPTIONS_DAEMON_NONE)
                return err_usage(err, "after an rsync daemon's transfer give --snapshot, --rotate or both");
        o->backup = asked ? flags[SETTINGS_BACKUP] == SETTINGS_YES : flags[SETTINGS_BACKUP] != SETTINGS_NO;
        o->snapshot = asked ? flags[SETTINGS_SNAPSHOT] == SETTINGS_YES
                            : flags[SETTINGS_SNAPSHOT] != SETTINGS_NO && !is_served;
        o->rotate =
                asked ? flags[SETTINGS_ROTATE] == SETTINGS_YES : flags[SETTINGS_ROTATE] != SETTINGS_NO && !is_served;
        /* What a client has just sent would be replaced by what is on the server. */
        if (o->backup && o->destination_from_environment && o->daemon != OPTIONS_DAEMON_NONE)
                return err_usage(err, "after an rsync daemon's transfer there is nothing to back up: give --snapshot, "
                                      "--rotate or both alone");
        if (is_served && (o->snapshot || o->rotate))
                return check_served(o, err);
        if (!o->backup && !o->snapshot && !o->rotate)
                return err_usage(err, "there is nothing to do: the configuration file says no to what could be done");
        return 0;
}

/* What authorized_keys(5) or the client puts on the agent's command line. */
static const char *const of_agent[] = { "server", "restrict", "append-only", NULL };

/* What else may stand on the command line with --status. A file's section may say more: it is a job's, too. */
static const char *const of_status[] = {
        "status",
        "max-age",
        "report",
        "metrics",
        "config",
        "no-sudo",
        "verbose",
        "quiet",
        "tunnel",
        "timeout",
        "bwlimit",
        "retries",
        "remote-command",
        "password-file",
        "compress",
        "disable-notifications",
        NULL,
};

/* What does not go with --list: what a run does, and how it is told. */
static const char *const of_run[] = {
        "backup", "snapshot", "rotate", "dry-run", "multi-fs", "exclude", "force", "metrics", "status", NULL,
};

static bool is_one_of(const char *const *names, const char *name)
{
        while (*names && !str_equal(*names, name))
                names++;
        return *names;
}

/* The first option on the command line that is (not) one of @names, or NULL. */
static const char *find_given(const struct command_line *c, const char *const *names, bool is_one)
{
        for (size_t i = 0; i < settings_table_size; i++) {
                if (c->given[i] && is_one_of(names, settings_table[i].name) == is_one)
                        return settings_table[i].name;
        }
        return NULL;
}

/* An agent is told by its client what to do. What the server's side says must not be mistaken for something else. */
static int check_agent(const struct command_line *c, struct err *err)
{
        const struct settings *s = &c->settings;
        bool is_server = s->flags[SETTINGS_SERVER] == SETTINGS_YES;
        const char *other = find_given(c, of_agent, false);

        if (!is_server && s->restrict_to)
                return err_usage(err, "--restrict goes with --server only");
        if (!is_server)
                return err_usage(err, "--append-only goes with --server only");
        if (c->destination)
                return err_usage(err, "--server takes no SOURCE and no DESTINATION: the client names them");
        if (other)
                return err_usage(err, "--server goes with --restrict and --append-only only, not with --%s", other);
        if (s->flags[SETTINGS_APPEND_ONLY] == SETTINGS_YES && !s->restrict_to) {
                err_usage(err, "--append-only needs --restrict");
                return err_hint(err, "or a client could take what it may not remove for its destination");
        }
        return 0;
}

static int check_status(const struct command_line *c, struct err *err)
{
        bool is_status = c->settings.flags[SETTINGS_STATUS] == SETTINGS_YES;
        const char *other = is_status ? find_given(c, of_status, false) : NULL;

        if (other)
                return err_usage(err, "--status looks at backups and does nothing: it does not go with --%s", other);
        if (is_status && c->source)
                return err_usage(err, "--status takes a DESTINATION and no SOURCE");
        if (!is_status && c->settings.told.max_age_s > 0)
                return err_usage(err, "--max-age goes with --status only");
        return 0;
}

/* What does not go with a list on the command line is meant for something else. In a file it is for the runs. */
static int check_list(const struct command_line *c, struct err *err)
{
        bool is_list = c->settings.flags[SETTINGS_LIST] == SETTINGS_YES;
        const char *other = is_list ? find_given(c, of_run, true) : NULL;

        if (other)
                return err_usage(err, "--list tells of snapshots and changes nothing: it does not go with --%s", other);
        return is_list && c->source ? err_usage(err, "--list takes a DESTINATION and no SOURCE") : 0;
}

static void fill_agent(struct options *o, struct settings *s)
{
        o->server = true;
        o->restrict_to = TAKE(s->restrict_to);
        o->append_only = s->flags[SETTINGS_APPEND_ONLY] == SETTINGS_YES;
}

/* Options of a connection are not silently without effect. */
static int check_link(const struct options *o, struct err *err)
{
        const struct settings_link *l = &o->link;
        const char *name = l->remote_command                        ? "remote-command"
                           : l->password_file                       ? "password-file"
                           : l->compress != SETTINGS_COMPRESS_UNSET ? "compress"
                           : l->bwlimit_given                       ? "bwlimit"
                           : l->timeout_given                       ? "timeout"
                           : l->retries_given                       ? "retries"
                                                                    : NULL;

        if (name && o->destination.kind == LOCATION_LOCAL)
                return err_usage(err, "--%s is about a connection, and the destination is a local directory", name);
        return 0;
}

static int check_combinations(const struct options *o, struct err *err)
{
        bool is_daemon = o->destination.kind == LOCATION_DAEMON;

        if (o->tunnel.host && !is_daemon) {
                err_usage(err, "--tunnel leads to an rsync daemon, and the destination is none");
                return err_hint(err,
                                "HOST:DIR goes over SSH by itself; a daemon is HOST::MODULE or rsync://HOST/MODULE");
        }
        if (options_rsync_serves(o) && check_served_path(o, err) < 0)
                return err->code;
        if (options_rsync_serves(o) && (o->mount || o->crypto))
                return refuse_disk(o, o->mount ? "--mount" : "--crypto", err);
        if (is_daemon && o->link.remote_command)
                return err_usage(err, "--remote-command is for SSH, and the destination is an rsync daemon");
        if (o->destination.kind == LOCATION_SSH && o->link.password_file)
                return err_usage(err, "--password-file is for an rsync daemon, and the destination is none");
        return check_link(o, err);
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

static bool was_given(const struct command_line *c, const char *name)
{
        return c->given[settings_find(name) - settings_table];
}

/* What a file says of these is for the runs: what they have told must not be replaced by something else. */
static void keep_told_files(struct options *o, const struct command_line *c)
{
        if (!was_given(c, "report")) {
                free(o->told.report);
                o->told.report = NULL;
        }
        if (!was_given(c, "metrics")) {
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
        o->task = choose_task(c->settings.flags);
        if (o->task == OPTIONS_RUN)
                r = choose_actions(o, c->settings.flags, err);
        else
                r = o->task == OPTIONS_LIST ? settle_list(o, err) : 0;
        if (o->task != OPTIONS_RUN)
                keep_told_files(o, c);
        if (r == 0)
                r = check_combinations(o, err);
        if (!o->link.retries_given)
                o->link.retries = RETRIES;
        return r;
}

static void command_line_deinit(struct command_line *c)
{
        settings_deinit(&c->settings);
}

int options_parse(struct options **ret, int argc, char **argv, struct err *err)
{
        _cleanup_(command_line_deinit) struct command_line c = { .show = OPTIONS_SHOW_NOTHING };
        _cleanup_(options_freep) struct options *o = calloc(1, sizeof(*o));
        int r = o ? read_command_line(&c, argc, argv, err) : err_oom(err);
        bool is_agent = find_given(&c, of_agent, true);

        if (r == 0 && c.show == OPTIONS_SHOW_NOTHING)
                r = is_agent ? check_agent(&c, err) : check_status(&c, err);
        if (r == 0 && c.show == OPTIONS_SHOW_NOTHING && !is_agent)
                r = check_list(&c, err);
        if (r == 0 && c.show == OPTIONS_SHOW_NOTHING && !is_agent)
                r = add_layers(&c, &o->section, err);
        if (r < 0)
                return r;
        o->show = c.show;
        if (o->show == OPTIONS_SHOW_NOTHING && is_agent) {
                fill_agent(o, &c.settings);
        } else if (o->show == OPTIONS_SHOW_NOTHING) {
                r = settle(o, &c, err);
                if (r < 0)
                        return r;
        }
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
