/*
 * A directory of an rsync daemon: it is sent to by its own protocol, over TCP or through an SSH connection to a machine
 * that reaches it. Snapshots and rotation are the daemon's to do.
 *
 * A connection that breaks is made again, and the transfer begun anew: what has arrived is not sent again.
 */
#include "destination.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/report.h"
#include "base/secret.h"
#include "base/stop.h"
#include "local_checks.h"
#include "options.h"
#include "origin.h"
#include "password.h"
#include "patience.h"
#include "progress.h"
#include "rsync_connection.h"
#include "transfer/rsync/rsync_hello.h"
#include "transfer/rsync/rsync_push.h"

#include <errno.h>
#include <stdio.h>

enum { SHOWN_MAX = 300 };

struct server {
        struct destination d; /* first */
        char *parent;         /* as it is called */
        char name[SHOWN_MAX]; /* HOST::MODULE, for messages */
        struct patience patience;
        bool has_password;
        struct secret password;
};

static struct server *server_of(struct destination *d)
{
        return (struct server *)d;
}

/* ---- looking before ---- */

static int server_prepare(struct destination *d, struct err *err)
{
        const struct options *o = d->config->options;
        _cleanup_(fd_closep) int fd = fd_open_directory(o->source);
        int r = fd < 0 ? fd : local_check_is_empty(fd);

        if (r < 0)
                return err_run(err, r, "read the source directory", o->source);
        if (r == 0 || o->force)
                return 0;
        err_runf(err, -ENODATA, "the source is empty: all that the daemon has would be deleted");
        return err_hint(err, "a disk that is not mounted? --force goes on");
}

/* ---- the transfer ---- */

/* Asked for once, however often the connection breaks. */
static int give_password(void *server, struct secret *ret, struct err *err)
{
        struct server *s = server;
        int r = s->has_password ? 0 : password_find(&s->password, s->d.config->options, err);

        if (r < 0)
                return r;
        s->has_password = true;
        if (secret_init(ret, size_max(s->password.size, 1)) < 0)
                return err_oom(err);
        memcpy(ret->data, s->password.data, s->password.size);
        ret->size = s->password.size;
        return 0;
}

static void hear_motd(void *server, const char *line)
{
        const struct server *s = server;
        char shown[SHOWN_MAX];

        path_show(NULL, line, shown, sizeof(shown));
        if (*line)
                log_debug("%s: %s", s->name, shown);
}

/* "MODULE/DIR/" */
static char *name_destination(const struct location *l)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };

        if (buf_printf(&b, "%s/%s%s", l->module, l->path, *l->path ? "/" : "") < 0)
                return NULL;
        return buf_take(&b);
}

static void tell_end(const struct server *s, const struct rsync_push_result *result)
{
        char sent[PROGRESS_TEXT_SIZE], received[PROGRESS_TEXT_SIZE];

        log_info("connection: %s sent, %s received", progress_bytes(result->sent_bytes, sent),
                 progress_bytes(result->received_bytes, received));
        log_debug("%s: protocol %d, %s, %s", s->name, result->session.protocol,
                  rsync_checksum_name(result->session.checksum), rsync_compression_name(result->session.compression));
}

static int send_tree(struct server *s, int fd, const struct source *source, const char *to, struct err *err)
{
        const struct destination_config *config = s->d.config;
        const struct options *o = config->options;
        const struct rsync_arguments arguments = { .incremental = true,
                                                   .delete_missing = true,
                                                   .dry_run = o->dry_run,
                                                   .one_file_system = !o->multi_fs,
                                                   .compress = o->link.compress == SETTINGS_COMPRESS_ALWAYS,
                                                   .make_path = true,
                                                   .timeout_s = o->link.timeout_s,
                                                   .destination = to };
        const struct rsync_hello_config hello = { .is_daemon = true,
                                                  .peer = s->name,
                                                  .module = o->destination.module,
                                                  .user = o->destination.user,
                                                  .arguments = &arguments,
                                                  .password = give_password,
                                                  .motd = hear_motd,
                                                  .context = s };
        const struct rsync_push_config push = { .in_fd = fd,
                                                .out_fd = fd,
                                                .peer = s->name,
                                                .timeout_s = o->link.timeout_s,
                                                .rate = o->link.bwlimit,
                                                .hello = &hello,
                                                .compression_level = (int)o->link.compress_level,
                                                .source = source,
                                                .report = config->report,
                                                .tick = progress_tick,
                                                .tick_context = config->progress };
        struct rsync_push_result result;
        int r = rsync_push(&push, &result, err);

        if (r == 0)
                tell_end(s, &result);
        return r;
}

static int transfer_once(struct server *s, const char *to, struct err *err)
{
        _cleanup_(rsync_connection_closep) struct rsync_connection *connection = NULL;
        _cleanup_(origin_close) struct origin origin = ORIGIN_NONE;
        int r;

        report_restart(s->d.config->report);
        r = origin_open(&origin, s->d.config, s->d.config->report, err);
        if (r == 0)
                r = rsync_connection_open(&connection, s->d.config->options, err);
        if (r < 0)
                return r;
        r = send_tree(s, rsync_connection_fd(connection), origin.source, to, err);
        return r < 0 ? rsync_connection_explain(connection, err) : r;
}

/* May it go better another time? */
static bool is_passing(int code)
{
        return code == -ECONNRESET || code == -ETIMEDOUT || code == -EBUSY || code == -ECONNREFUSED ||
               code == -EHOSTUNREACH || code == -ENETUNREACH;
}

static int server_transfer(struct destination *d, struct err *err)
{
        struct server *s = server_of(d);
        _cleanup_(freep) char *to = name_destination(&d->config->options->destination);
        int r;

        if (!to)
                return err_oom(err);
        progress_begin(d->config->progress, PROGRESS_TRANSFER, 0);
        do {
                r = transfer_once(s, to, err);
        } while (r < 0 && is_passing(r) && !stop_requested() && patience_wait(&s->patience, true, err) == 0);
        progress_end(d->config->progress);
        return r;
}

/* ---- what it is not for ---- */

static int refuse(const struct destination *d, const char *what, struct err *err)
{
        struct server *s = server_of((struct destination *)d);

        err_runf(err, -ENOTSUP, "%s: an rsync daemon takes transfers only: it cannot be told to %s", s->name, what);
        return err_hint(err, "let the daemon do it: post-xfer exec = rsync-system-backup --snapshot --rotate");
}

static int server_snapshot(struct destination *d, struct err *err)
{
        return refuse(d, "take a snapshot", err);
}

static int server_list(struct destination *d, struct destination_snapshots *ret, struct err *err)
{
        (void)ret;
        return refuse(d, "list snapshots", err);
}

static int server_remove(struct destination *d, const char *name, struct err *err)
{
        (void)name;
        return refuse(d, "remove a snapshot", err);
}

static void server_explain_full(struct destination *d, struct err *err)
{
        (void)d;
        if (!*err->hint)
                err_hint(err, "the server's disk is full");
}

static int server_release(struct destination *d, struct err *err)
{
        (void)d;
        (void)err;
        return 0;
}

static struct destination *server_free(struct destination *d)
{
        struct server *s = server_of(d);

        if (s->has_password)
                secret_deinit(&s->password);
        free(s->parent);
        free(s);
        return NULL;
}

int destination_rsync_new(struct destination **ret, const struct destination_config *config, struct err *err)
{
        static const struct destination_ops ops = {
                .prepare = server_prepare,
                .transfer = server_transfer,
                .snapshot = server_snapshot,
                .list = server_list,
                .remove = server_remove,
                .explain_full = server_explain_full,
                .release = server_release,
                .free = server_free,
        };
        const struct location *l = &config->options->destination;
        struct server *s = calloc(1, sizeof(*s));

        if (!s)
                return err_oom(err);
        s->d = (struct destination){ .ops = &ops, .config = config };
        s->patience.retries = config->options->link.retries;
        s->parent = location_expression(l);
        if (!s->parent) {
                server_free(&s->d);
                return err_oom(err);
        }
        s->d.parent = s->parent;
        path_show(NULL, l->host, s->name, sizeof(s->name) / 2);
        snprintf(s->name + strlen(s->name), sizeof(s->name) / 4, "::");
        path_show(NULL, l->module, s->name + strlen(s->name), sizeof(s->name) / 3);
        *ret = &s->d;
        return 0;
}
