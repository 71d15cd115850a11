/* Nothing is looked at but the options. */
#include "options/options_check.h"

#include "base/err.h"
#include "base/path.h"
#include "options/options.h"
#include "rotate/names.h"

#include <stdio.h>

enum { SHOWN_MAX = 256 };

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

                if (size == 2 && memcmp(part, "..", 2) == 0)
                        return err_usage(err, "'%s': '..' is no part of a path where rsync serves", shown);
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
int options_settle_list(struct options *o, struct err *err)
{
        o->dry_run = true;
        o->daemon = OPTIONS_DAEMON_NONE;
        if (options_rsync_serves(o) && !has_parent(&o->destination))
                return err_usage(err, "--list: no snapshot can lie beside the destination, which is all there is");
        return 0;
}

/* The actions that are asked for; if none is, all but those that a file says no to. */
int options_choose_actions(struct options *o, const enum settings_toggle *flags, struct err *err)
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

/* A snapshot never changes, and there is but one `latest` for them. */
int options_check_name(const struct options *o, const char *name, struct err *err)
{
        char shown[SHOWN_MAX];
        int64_t moment;

        path_show(NULL, name, shown, sizeof(shown));
        if (names_is_own(name)) {
                err_usage(err, "the destination cannot be '%s': the program keeps such names for itself", shown);
                return err_hint(err, "use another name, such as 'latest'");
        }
        if ((!o->backup && !o->snapshot) || !names_parse(name, &moment))
                return 0;
        err_usage(err, "the destination cannot be '%s': what has such a name is a snapshot, and never changes", shown);
        return err_hint(err, "use another directory, such as 'latest' beside the snapshots");
}

int options_check(const struct options *o, struct err *err)
{
        bool is_daemon = o->destination.kind == LOCATION_DAEMON;

        if (options_check_name(o, path_base(o->destination.path), err) < 0)
                return err->code;
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
