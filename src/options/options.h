/* What the user asked for: command line, configuration file and environment, checked and put together. */
#pragma once

#include "base/util.h"
#include "options/location.h"
#include "options/settings.h"
#include "rotate/scheme.h"

struct err;

enum options_show {
        OPTIONS_SHOW_NOTHING, /* do the job */
        OPTIONS_SHOW_HELP,    /* the usage on standard output, exit status 0 */
        OPTIONS_SHOW_VERSION,
        OPTIONS_SHOW_USAGE, /* there is no DESTINATION: the usage on standard error, exit status 2 */
};

/* What is done: a run, or something beside it that changes nothing. */
enum options_task {
        OPTIONS_RUN,
        OPTIONS_STATUS, /* tell of the last runs */
        OPTIONS_LIST,   /* tell of the snapshots; the destination is opened as in a dry run, so dry_run is set */
};

/* Run by an rsync daemon after a transfer (`post-xfer exec`): how that went, by $RSYNC_EXIT_STATUS. */
enum options_daemon {
        OPTIONS_DAEMON_NONE, /* not run by a daemon, or not after a transfer */
        OPTIONS_DAEMON_COMPLETE,
        OPTIONS_DAEMON_INCOMPLETE,
        OPTIONS_DAEMON_FAILED, /* nothing may be snapshotted or rotated */
};

struct options {
        enum options_show show; /* unless it is OPTIONS_SHOW_NOTHING, nothing below means anything */
        enum options_task task; /* without OPTIONS_RUN none of the actions is asked for */
        bool server;            /* be an agent: then there is nothing but the next two, see agent.h */
        char *restrict_to;
        bool append_only;
        bool backup, snapshot, rotate;
        bool actions_asked;          /* for some of these; else they are what there is to do */
        bool lacks_parent;           /* no snapshot can lie beside the destination: what was asked for is not done */
        char *source;                /* plain and absolute */
        struct location destination; /* a local one is plain and absolute */
        bool destination_from_environment; /* $RSYNC_MODULE_PATH */
        enum options_daemon daemon;
        char *mount;               /* plain and absolute, or NULL */
        char *crypto;              /* or NULL */
        struct location tunnel;    /* host == NULL: none */
        struct settings_link link; /* what was not given has its default, but compress, which is UNSET */
        struct settings_told told;
        enum settings_ionice ionice;
        bool no_sudo, dry_run, multi_fs, force, disable_notifications;
        bool force_now;                  /* on the command line: conditions do not count */
        bool only_on_ac, not_on_metered; /* conditions, see system/conditions.h */
        unsigned min_battery_percent;    /* 0: none */
        char **excludes;                 /* in the order given */
        size_t exclude_count;
        bool attended; /* somebody is at a terminal (prompt_is_possible(); for an agent: the client's), as main() sees
                        */
        int verbosity; /* 0; more with -v, less with -q */
        char *config;  /* the configuration file, or NULL */
        char *section; /* the one of its sections that was chosen, or NULL */

        /* See options_scheme(). */
        bool scheme_given;
        uint32_t counts[SCHEME_FREQUENCIES];
        enum settings_toggle relaxed, prefer_recent;
};

/*
 * Parse @argv and, where it says so, a configuration file. Beyond these two and the environment (RSYNC_MODULE_PATH,
 * RSYNC_EXIT_STATUS, POSIXLY_CORRECT) nothing is looked at; nothing is printed. The pointers in @argv get another
 * order, options first.
 *
 * Errors are of kind ERR_USAGE, or ERR_RUN when memory is short. Not to be called from two threads (getopt).
 */
int options_parse(struct options **ret, int argc, char **argv, struct err *err);

struct options *options_free(struct options *o);
DEFINE_FREEP(struct options, options_free)

/*
 * Lay what was given over @scheme, which is the default or was found in the files of rotate-backups (these are to be
 * consulted only when !scheme_given, that is, when no count was given).
 */
void options_scheme(const struct options *o, struct scheme *scheme);

/* Is the other side a plain rsync: a daemon, or by a --remote-command whose last word is a program of that name? */
bool options_rsync_serves(const struct options *o);

/* What --help prints. Static. */
const char *options_usage_text(void);
