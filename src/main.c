/*
 * rsync-system-backup: backups that are plain copies, with hard-linked snapshots and rotation.
 *
 * The map of the house, in the order a backup passes through it:
 *
 *      main.c               argv in, exit status out
 *      options/             command line (options_command), configuration file (config), environment -> struct options
 *        options_check            what goes together
 *        settings, settings_values, quantity   the table of all options, and their values
 *        location                 SOURCE and DESTINATION expressions
 *      superuser.c          the privileges that a backup of a system needs
 *      surroundings.c       what else is on the machine: is this the time, who started it, who is told; notify.c: in
 *                           which words
 *      run.c                the steps of a run in order, and their undoing
 *      rotation.c           which snapshots go
 *      progress.c           the live line
 *      ioclass.c            the I/O class
 *      destination.h        the seam: what a run may ask of any destination; destination.c: lists of snapshots
 *      origin.c             the source, open for one transfer
 *      local/               a destination that is a directory on this machine (destination_local)
 *        local_transfer, local_receive, local_snapshot   its jobs: from a source here, from one elsewhere
 *        local_record             what the state says around a transfer
 *        local_disk               what is unlocked and mounted for it
 *        local_place              what lies there; local_checks: what speaks against a run on it
 *        local_neighbours         other destinations beside, around and inside of it
 *        local_marks              which snapshots are whole, where a bare rsync daemon holds them
 *        local_room, local_survey how full it is, and what takes the room
 *        local_fence              what an agent is kept to
 *      far/                 a directory on another machine (destination_agent)
 *        far_ask, far_connect, far_transfer, far_survey   its parts
 *        remote                   the connection to the agent there; remote_news: what that tells
 *      agent/               the other end of it: a local destination, driven from a wire
 *        agent_client, agent_requests, agent_asked, agent_news   its parts
 *      server/              where an rsync serves (destination_rsync)
 *        server_checks            what speaks against a transfer there
 *        server_talk, server_transfer, server_inventory, server_snapshots   its parts
 *        rsync_connection         the ways to it; password: of its user
 *      patience.c           connecting again
 *      survey/              --list (list); survey.h: what there is
 *        survey_text, survey_document, survey_pack   to people, machines, a client
 *      outcome/             what the run came to
 *        summary, facts           to people, to the journal
 *        publish                  to machines: outcome_document (--report), metrics (--metrics); and for next time
 *        publish_spoils           where they must not be
 *        told                     what documents begin with
 *      status/              instead of a run: how backups stand (--status)
 *        status_look, status_judge, status_document   what is known, whether that is good, to machines
 *
 *      transfer/            the source tree -> `latest`
 *        filter/                  what is left out: filter, pattern, wild
 *        source                   what is read, one directory at a time
 *        limits                   what the destination can hold
 *        update, visit            the walk over both trees
 *        reconcile, discard       one name: bring it in line, or remove it
 *        decide, verify, suspect  what has to happen to it, and what is not believed
 *        put, put_file, staged    hands: new inodes, their content, and their way to their names
 *        links, chains            hard links
 *        delta/                   what of a file is not in its old version, between two machines (librsync)
 *          delta_sign, delta_make, delta_apply         the three steps
 *          delta_format, delta_emit, delta_copy, delta_search   bytes, operations, sharing, what is found where
 *        exchange/                the agent protocol (docs/agent-protocol.md)
 *          channel, wire, pack      a conversation, packets, numbers
 *          message, request, sum    what is said in it, and around it; sums of contents
 *          sender, receiver         its two ends, each in parts
 *        ssh/                     sessions: commands and connections on other machines (libssh)
 *          ssh, ssh_end             connecting, jump hosts, running a command; how it ended
 *          ssh_config, ssh_words, ssh_keywords, ssh_settle, ssh_patterns, ssh_tokens, ssh_reader   ssh_config(5)
 *          ssh_link, ssh_algorithms a session that does not block; what it offers
 *          ssh_hostkey, ssh_known   who it is
 *          ssh_auth, ssh_identity, ssh_keyring   who we are
 *          ssh_bridge               the thread between a channel and a descriptor
 *        rsync/                   the client of rsync servers (docs/rsync-protocol.md)
 *          rsync_push               a tree goes there: the loop of it
 *          rsync_walk, rsync_given, rsync_replay, rsync_spool   what is told of: a tree, a few names, what was told before
 *          rsync_retold             what is heard of a second time
 *          rsync_send, rsync_lists  lists on their way, and what their numbers lead to
 *          rsync_entry, rsync_acl, rsync_xattrs, rsync_told     entries as they are written; rsync_decoder: as they are read
 *          rsync_request, rsync_file   what is asked for
 *          rsync_match, rsync_slide, rsync_table, rsync_weak, rsync_sums   what of a file is there already
 *          rsync_token, rsync_chunks, rsync_compress_...   contents as they are written
 *          rsync_listing, rsync_chore  what a directory there holds; small things that snapshots need
 *          rsync_talk, rsync_hear, rsync_words, rsync_mux, rsync_number   a conversation: its loop, messages, frames
 *          rsync_hello..., rsync_arguments, rsync_session, rsync_digest   its beginning
 *      rotate/              snapshots
 *        names, calendar          timestamps
 *        expression, scheme, schemefile, foresee   what is preserved, and how long
 *        snapshot, relocate       making one
 *        remove                   removing one
 *        measure, inodes, extents what one takes, and what its removal would free
 *        subvolume                both as btrfs does it
 *      storage/             the disk; state, lock, identity: what is remembered, held, recognised
 *        remembered, history, lines   what this machine remembers, of its runs too
 *        share                    runs that use one disk
 *        crypttab, crypttab_options, crypttab_values   what is known of an encrypted one
 *        cryptdisk, cryptdisk_mapping, cryptvolume, cryptlog   unlocking and locking it
 *        keyfile, passphrase, ask   its key: files, credentials, the terminal, password agents
 *        device, fstab, fstab_table, mounted, beneath, holders   mounting, unmounting; what it is on; who keeps it busy
 *        allocation               what btrfs has left for data, and for metadata
 *      system/              the machine around it
 *        service                  what the service manager is told
 *        conditions, power, metered   is this the time for it?
 *        inhibit                  the machine stays awake
 *        desktop, sessions        people are told
 *        journal                  messages with fields
 *        bus                      D-Bus, with an end
 *      base/                err, report, log, stop, prompt, buf, arena, memory, secret, path, fd, ini, document,
 *                           privileges
 *        entry, xattr_at, xattr_fd, listing, meta, content, behind, temporary   one file
 *        crew, crew_slots         many directories at once
 *        mount, directory         what is mounted where, and lies where
 *        tcp                      a connection
 *        duplex, bucket           descriptors, both directions at once; how fast it may go
 */
#include "agent/agent.h"
#include "base/err.h"
#include "base/log.h"
#include "base/prompt.h"
#include "base/report.h"
#include "base/stop.h"
#include "options/options.h"
#include "outcome/outcome.h"
#include "outcome/outcome_document.h"
#include "outcome/publish.h"
#include "outcome/summary.h"
#include "run.h"
#include "status/status.h"
#include "superuser.h"
#include "surroundings.h"
#include "system/journal.h"
#include "version.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

static enum log_level level_for(int verbosity)
{
        if (verbosity >= 2)
                return LOG_LEVEL_DEBUG;
        if (verbosity >= 0)
                return LOG_LEVEL_INFO;
        return verbosity == -1 ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR;
}

/* Deep trees are walked with many directories open. */
static void raise_descriptor_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
                return;
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int set_up(const struct options *o, int argc, char **argv, struct err *err)
{
        int r = superuser_become(o, argc, argv, err);

        if (r == 0)
                r = stop_init(err);
        if (r < 0)
                return r;
        raise_descriptor_limit();
        /* Modes are given in full where something is created; threads must find the umask as it stays. */
        umask(0);
        return 0;
}

/* Return the exit status: what was told of the run is what it ends with, even if a signal comes later. */
static int do_run(const struct options *o, struct report *report)
{
        _cleanup_(outcome_deinit) struct outcome outcome = { .options = o, .report = report };
        struct surroundings surroundings;
        ERR_LOCAL(err);
        int r;

        if (publish_check(o, &err) < 0) {
                report_failure(report, &err);
                return report_exit_status(report);
        }
        outcome_begin(&outcome);
        r = surroundings_begin(&surroundings, &outcome, &err);
        outcome.is_skipped = r == SURROUNDINGS_AGAINST;
        if (r == 0)
                run(&outcome, report, &surroundings);
        else if (r < 0)
                report_failure(report, &err);
        if (publish_flush(&err) < 0)
                report_failure(report, &err);
        outcome_end(&outcome);
        publish_outcome(&outcome, report);
        /* What was asked for in a wrong way was not begun. */
        if (!report_is_refused(report)) {
                summary_end(&outcome);
                summary_first(&outcome);
        }
        surroundings_end(&surroundings);
        return outcome.status;
}

/* A look is no run: nobody is told of it but who asked. */
static void do_list(const struct options *o, struct report *report)
{
        _cleanup_(outcome_deinit) struct outcome outcome = { .options = o, .report = report };
        ERR_LOCAL(err);

        if (publish_check(o, &err) < 0) {
                report_failure(report, &err);
                return;
        }
        outcome_begin(&outcome);
        run(&outcome, report, NULL);
}

static int do_task(const struct options *o, int argc, char **argv)
{
        const struct report_config config = {
                .list_changes = o->dry_run || o->verbosity >= 1,
                .list_reasons = o->dry_run || o->verbosity >= 2,
                .keep_items = o->told.report ? OUTCOME_DOCUMENT_ITEMS : 0,
        };
        _cleanup_(report_freep) struct report *report = NULL;
        ERR_LOCAL(err);
        int r, status = -1;

        log_init("rsync-system-backup", level_for(o->verbosity));
        if (o->told.report && str_equal(o->told.report, "-"))
                log_print_aside();
        r = report_new(&report, &config, &err);
        if (r < 0) {
                log_err(LOG_LEVEL_ERROR, &err);
                return EXIT_FAILURE;
        }
        r = set_up(o, argc, argv, &err);
        if (r == 0 && o->server)
                r = agent_run(o, &err);
        else if (r == 0 && o->task == OPTIONS_STATUS)
                status = status_show(o, report);
        else if (r == 0 && o->task == OPTIONS_LIST)
                do_list(o, report);
        else if (r == 0)
                status = do_run(o, report);
        if (r < 0)
                report_failure(report, &err);
        stop_deinit();
        return status >= 0 ? status : report_exit_status(report);
}

static int show(enum options_show what)
{
        switch (what) {
        case OPTIONS_SHOW_HELP:
                return fputs(options_usage_text(), stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        case OPTIONS_SHOW_VERSION:
                return puts("rsync-system-backup " PROGRAM_VERSION) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        default:
                fputs(options_usage_text(), stderr);
                return ERR_USAGE_STATUS;
        }
}

/* Of a run nothing is left to be written by now. */
static int flush(int status, int failure)
{
        ERR_LOCAL(err);

        if (publish_flush(&err) == 0)
                return status;
        log_err(LOG_LEVEL_ERROR, &err);
        return status == EXIT_SUCCESS ? failure : status;
}

/*
 * A descriptor below 3 that is closed would be given to a file of the backup next, and messages be written there. What
 * is opened instead takes no writing, so that a list of changes that reaches nobody is an error still.
 */
static void fill_standard_descriptors(void)
{
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
                if (fcntl(fd, F_GETFD) < 0)
                        (void)open("/dev/null", O_RDONLY);
        }
}

int main(int argc, char **argv)
{
        _cleanup_(options_freep) struct options *o = NULL;
        ERR_LOCAL(err);

        fill_standard_descriptors();
        log_init("rsync-system-backup", LOG_LEVEL_INFO);
        journal_begin();
        if (options_parse(&o, argc, argv, &err) < 0) {
                int status = err.kind == ERR_USAGE ? ERR_USAGE_STATUS : EXIT_FAILURE;

                log_err(LOG_LEVEL_ERROR, &err);
                return status;
        }
        if (o->show != OPTIONS_SHOW_NOTHING)
                return flush(show(o->show), EXIT_FAILURE);
        o->attended = prompt_is_possible();
        return flush(do_task(o, argc, argv), status_failure(o));
}
