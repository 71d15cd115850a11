/* The transfer: what has arrived is not sent again when the connection broke. */
#include "server.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/report.h"
#include "local_checks.h"
#include "origin.h"
#include "progress.h"
#include "storage/identity.h"

#include <errno.h>

enum { SHOWN_MAX = 300 };

/* ---- swapped arguments ---- */

/*
 * An rsync that is used because nothing better is there was not asked for: what is in the destination is deleted only
 * if this machine sent it there. This is what it is remembered as, beside disks. NULL when memory is short.
 */
static char *known_as(const struct server *s)
{
        return location_expression(&s->d.config->options->destination);
}

static int count_entry(void *count, const char *name, mode_t mode, uint64_t size, int64_t mtime, struct err *err)
{
        (void)name, (void)mode, (void)size, (void)mtime, (void)err;
        ++*(size_t *)count;
        return 0;
}

static int check_destination(struct server *s, const char *path, struct err *err)
{
        const struct options *o = s->d.config->options;
        _cleanup_(freep) char *known = known_as(s);
        char shown[SHOWN_MAX];
        size_t count = 0;
        int r;

        if (!known)
                return err_oom(err);
        if (o->force || identity_recall(known, IDENTITY_NO_UUID) == IDENTITY_KNOWN)
                return 0;
        r = server_list_directory(s, path, count_entry, &count, err);
        if (r == -ENOENT) {
                err_drop(err, "there is nothing to lose");
                return 0;
        }
        if (r < 0 || count == 0)
                return r;
        location_show(&o->destination, shown, sizeof(shown));
        err_runf(err, -EEXIST,
                 "'%s' is not empty and was never a destination of backups, what is in it would be deleted", shown);
        return err_hint(err, "are the arguments swapped? --force if it is meant so, or --remote-command=rsync");
}

static void remember_destination(const struct server *s)
{
        _cleanup_(freep) char *known = known_as(s);
        ERR_LOCAL(minor);

        if (known && identity_remember(known, IDENTITY_NO_UUID, &minor) < 0)
                log_err(LOG_LEVEL_WARNING, &minor);
}

/* ---- the transfer ---- */

static void tell_end(const struct server *s, const struct rsync_push_result *result)
{
        char sent[PROGRESS_TEXT_SIZE], received[PROGRESS_TEXT_SIZE];

        log_info("connection: %s sent, %s received", progress_bytes(result->sent_bytes, sent),
                 progress_bytes(result->received_bytes, received));
        log_debug("%s: protocol %d, %s, %s", s->name, result->session.protocol,
                  rsync_checksum_name(result->session.checksum), rsync_compression_name(result->session.compression));
}

static int finish(struct server *s, const struct rsync_push_result *result, struct err *err)
{
        struct report *report = s->d.config->report;
        ERR_LOCAL(end);
        int r = rsync_connection_finish(s->connection, result->is_partial || report_is_partial(report), &end);

        if (r == -ECANCELED)
                return err_move(err, &end);
        if (r < 0) {
                log_err(LOG_LEVEL_WARNING, &end);
                report_mark_partial(report);
        }
        report_lacks(report);
        tell_end(s, result);
        return 0;
}

/* For the snapshot, which is sent the same lists. */
static int keep_lists(struct server *s, struct err *err)
{
        const struct options *o = s->d.config->options;

        if (!o->snapshot || s->d.transfers_only || o->dry_run)
                return 0;
        s->spool = rsync_spool_free(s->spool);
        return rsync_spool_new(&s->spool, err);
}

int server_check_source(const struct server *s, int fd, struct err *err)
{
        const struct options *o = s->d.config->options;
        int r = local_check_is_empty(fd);

        if (r < 0)
                return err_run(err, r, "read the source directory", o->source);
        if (r == 0 || o->force)
                return 0;
        err_runf(err, -ENODATA, "the source is empty: all that the server has would be deleted");
        return err_hint(err, "a disk that is not mounted? --force goes on");
}

static int transfer_once(struct server *s, void *to, struct err *err)
{
        const struct options *o = s->d.config->options;
        struct server_talk talk = { .arguments = { .incremental = true,
                                                   .delete_missing = true,
                                                   .dry_run = o->dry_run,
                                                   .one_file_system = !o->multi_fs,
                                                   .compress = o->link.compress == SETTINGS_COMPRESS_ALWAYS,
                                                   .make_path = true,
                                                   .destination = to } };
        _cleanup_(origin_close) struct origin origin = ORIGIN_NONE;
        struct rsync_push_result result;
        int r;

        report_restart(s->d.config->report);
        r = origin_open(&origin, s->d.config, s->d.config->report, err);
        /* It may have been unmounted since the last attempt. */
        if (r == 0)
                r = server_check_source(s, source_root_fd(origin.source), err);
        if (r == 0)
                r = keep_lists(s, err);
        if (r == 0)
                r = server_open(s, &talk, err);
        if (r < 0)
                return r;
        talk.push.source = origin.source;
        talk.push.report = s->d.config->report;
        talk.push.spool = s->spool;
        r = rsync_push(&talk.push, &result, err);
        return r < 0 ? r : finish(s, &result, err);
}

int server_transfer(struct destination *d, struct err *err)
{
        struct server *s = server_of(d);
        _cleanup_(freep) char *to = server_destination(s);
        bool is_makeshift = !s->is_daemon && !d->config->options->link.remote_command;
        int r;

        if (!to)
                return err_oom(err);
        r = is_makeshift ? check_destination(s, to, err) : 0;
        if (r < 0)
                return r;
        progress_begin(d->config->progress, PROGRESS_TRANSFER, 0);
        r = server_persist(s, transfer_once, to, err);
        progress_end(d->config->progress);
        if (r == 0 && is_makeshift && !d->config->options->dry_run)
                remember_destination(s);
        return r;
}
