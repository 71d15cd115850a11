/* The transfer: what has arrived is not sent again when the connection broke. */
#include "server/server.h"

#include "base/err.h"
#include "base/log.h"
#include "base/report.h"
#include "origin.h"
#include "progress.h"
#include "transfer/rsync/rsync_retold.h"

#include <errno.h>

static void tell_end(const struct server *s, const struct rsync_push_result *result)
{
        char sent[PROGRESS_TEXT_SIZE], received[PROGRESS_TEXT_SIZE];

        report_add(s->d.config->report, REPORT_SENT_BYTES, result->sent_bytes);
        report_add(s->d.config->report, REPORT_RECEIVED_BYTES, result->received_bytes);
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
        if (r < 0)
                report_lacking(report, &end);
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
        if (!o->dry_run)
                server_remember(s);
        talk.push.source = origin.source;
        talk.push.report = s->d.config->report;
        talk.push.spool = s->spool;
        talk.push.retold = s->retold;
        r = rsync_push(&talk.push, &result, err);
        return r < 0 ? r : finish(s, &result, err);
}

int server_transfer(struct destination *d, struct err *err)
{
        struct server *s = server_of(d);
        _cleanup_(freep) char *to = server_destination(s);
        int r;

        if (!s->retold)
                s->retold = rsync_retold_new();
        if (!to || !s->retold)
                return err_oom(err);
        r = server_check_destination(s, to, err);
        if (r < 0)
                return r;
        progress_begin(d->config->progress, PROGRESS_TRANSFER, 0);
        r = server_persist(s, transfer_once, to, err);
        progress_end(d->config->progress);
        if (r == 0 && d->config->options->lacks_parent)
                server_do_without(s, "no snapshot can lie beside the destination, which is all there is");
        return r;
}
