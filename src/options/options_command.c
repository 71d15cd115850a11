/* By getopt_long(), with tables made from settings_table. */
#include "options/options_command.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/path.h"

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

int command_line_read(struct command_line *c, int argc, char **argv, struct err *err)
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

/* ---- what goes with what ---- */

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
int command_line_check_agent(const struct command_line *c, struct err *err)
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

bool command_line_is_of_agent(const struct command_line *c)
{
        return find_given(c, of_agent, true);
}

int command_line_check(const struct command_line *c, struct err *err)
{
        int r = check_status(c, err);

        return r == 0 ? check_list(c, err) : r;
}

bool command_line_has(const struct command_line *c, const char *name)
{
        return c->given[settings_find(name) - settings_table];
}

void command_line_deinit(struct command_line *c)
{
        settings_deinit(&c->settings);
}
