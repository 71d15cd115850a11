/* The transfer: what has arrived is not sent again when the connection broke. */
#include "server/server.h"

#include "base/directory.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/report.h"
#include "origin.h"
#include "progress.h"
#include "rotate/names.h"
#include "storage/identity.h"
#include "storage/state.h"
#include "transfer/rsync/rsync_retold.h"

#include <errno.h>

/* ---- swapped arguments ---- */

/* What this machine has sent to is remembered, beside its disks, as this. NULL when memory is short. */
static char *known_as(const struct server *s)
{
        return location_expression(&s->d.config->options->destination);
}

/* What a directory holds. */
struct content {
        size_t count, snapshots;
        bool has_state;
};

static int take_content(void *content, const char *name, mode_t mode, uint64_t size, int64_t mtime, struct err *err)
{
        struct content *c = content;
        int64_t time;

        (void)mode, (void)size, (void)mtime, (void)err;
        c->count++;
        c->snapshots += names_parse(name, &time);
        c->has_state = c->has_state || str_equal(name, STATE_DIRECTORY);
        return 0;
}

static int look_into(struct server *s, const char *path, struct content *ret, struct err *err)
{
        int r = server_list_directory(s, path, take_content, ret, err);

        if (r != -ENOENT)
                return r;
        err_drop(err, "there is nothing to lose");
        return 0;
}

/* Beside it there is what backups leave: it was one, of a machine that has forgotten it. */
static int is_beside_snapshots(struct server *s, struct err *err)
{
        _cleanup_(freep) char *parent = server_path(s, NULL);
        struct content c = { .count = 0 };
        int r;

        if (s->d.config->options->lacks_parent)
                return 0;
        r = parent ? look_into(s, parent, &c, err) : err_oom(err);
        return r < 0 ? r : c.has_state || c.snapshots > 0;
}

/*
 * Looking is a connection of its own, which makes a daemon run its `post-xfer exec`: not where that is likely, at the
 * top of a module; and not at an rsync over SSH that was asked for by --remote-command.
 */
static bool is_looked_at(const struct server *s)
{
        const struct options *o = s->d.config->options;

        return !o->force && (s->is_daemon ? *o->destination.path || o->lacks_parent : !o->link.remote_command);
}

static int check_destination(struct server *s, const char *path, struct err *err)
{
        const struct options *o = s->d.config->options;
        _cleanup_(freep) char *known = known_as(s);
        struct content c = { .count = 0 };
        char shown[PATH_SHOWN];
        int r;

        if (!known)
                return err_oom(err);
        if (!is_looked_at(s) || identity_recall(known, IDENTITY_NO_UUID) == IDENTITY_KNOWN)
                return 0;
        r = look_into(s, path, &c, err);
        if (r < 0 || c.count == 0)
                return r;
        r = c.has_state ? 0 : is_beside_snapshots(s, err);
        if (r != 0)
                return r < 0 ? r : 0;
        location_show(&o->destination, shown, sizeof(shown));
        err_runf(err, -EEXIST,
                 "'%s' is not empty and was never a destination of backups, what is in it would be deleted", shown);
        return err_hint(err, "%s",
                        c.has_state ? "is it the directory above 'latest'? --force if it is meant so"
                                    : "are the arguments swapped? --force if it is meant so");
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
        int r = directory_is_empty(fd);

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
        r = check_destination(s, to, err);
        if (r < 0)
                return r;
        progress_begin(d->config->progress, PROGRESS_TRANSFER, 0);
        r = server_persist(s, transfer_once, to, err);
        progress_end(d->config->progress);
        if (r == 0 && !d->config->options->dry_run)
                remember_destination(s);
        if (r == 0 && d->config->options->lacks_parent)
                server_do_without(s, "no snapshot can lie beside the destination, which is all there is");
        return r;
}
