/*
 * A directory that an rsync serves, as a daemon or run over SSH (rsync_connection.h): it is sent to by its own
 * protocol. Snapshots and rotation are the server's to do.
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

#define PROGRAM "rsync-system-backup"

struct server {
        struct destination d; /* first */
        char *parent;         /* as it is called */
        bool is_daemon;
        char name[SHOWN_MAX]; /* HOST::MODULE or HOST, for messages */
        struct rsync_connection *connection;
        bool was_connected; /* once; then it is worth to connect again */
        struct patience patience;
        bool has_password;
        struct secret password;
};

static struct server *server_of(struct destination *d)
{
        return (struct server *)d;
}

/* ---- looking before ---- */

/* What is not done although nobody said so. */
static void tell_limits(const struct server *s)
{
        const struct options *o = s->d.config->options;

        if (!s->is_daemon && !o->link.remote_command)
                log_warning("%s: there is no " PROGRAM
                            ", so that rsync is used: a plain transfer, no snapshot is taken "
                            "and none removed; install " PROGRAM " there for these, or say --remote-command=rsync",
                            s->name);
        else if (!o->actions_asked)
                log_info("%s: %s takes transfers only: snapshots and rotation are to be done on the server", s->name,
                         s->is_daemon ? "an rsync daemon" : "rsync");
}

static int server_prepare(struct destination *d, struct err *err)
{
        const struct options *o = d->config->options;
        _cleanup_(fd_closep) int fd = fd_open_directory(o->source);
        int r = fd < 0 ? fd : local_check_is_empty(fd);

        d->transfers_only = true;
        if (r < 0)
                return err_run(err, r, "read the source directory", o->source);
        tell_limits(server_of(d));
        if (r == 0 || o->force)
                return 0;
        err_runf(err, -ENODATA, "the source is empty: all that the server has would be deleted");
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

/* "MODULE/DIR/", or "DIR/" */
static char *name_destination(const struct location *l)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        bool ends = !*l->path || str_equal(l->path, "/");

        if (l->module && buf_printf(&b, "%s/", l->module) < 0)
                return NULL;
        return buf_printf(&b, "%s%s", l->path, ends ? "" : "/") < 0 ? NULL : buf_take(&b);
}

static void tell_end(const struct server *s, const struct rsync_push_result *result)
{
        char sent[PROGRESS_TEXT_SIZE], received[PROGRESS_TEXT_SIZE];

        log_info("connection: %s sent, %s received", progress_bytes(result->sent_bytes, sent),
                 progress_bytes(result->received_bytes, received));
        log_debug("%s: protocol %d, %s, %s", s->name, result->session.protocol,
                  rsync_checksum_name(result->session.checksum), rsync_compression_name(result->session.compression));
}

/* Called when the conversation has begun, and then some times a second. */
static void tick(void *server)
{
        struct server *s = server;

        rsync_connection_greet(s->connection);
        progress_tick(s->d.config->progress);
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

static int send_tree(struct server *s, const struct rsync_arguments *arguments, const struct source *source,
                     struct err *err)
{
        const struct destination_config *config = s->d.config;
        const struct options *o = config->options;
        const struct rsync_hello_config hello = { .is_daemon = s->is_daemon,
                                                  .peer = s->name,
                                                  .module = o->destination.module,
                                                  .user = o->destination.user,
                                                  .arguments = arguments,
                                                  .password = give_password,
                                                  .motd = hear_motd,
                                                  .context = s };
        const struct rsync_push_config push = { .in_fd = rsync_connection_fd(s->connection),
                                                .out_fd = rsync_connection_fd(s->connection),
                                                .peer = s->name,
                                                .timeout_s = o->link.timeout_s,
                                                .rate = o->link.bwlimit,
                                                .hello = &hello,
                                                .compression_level = (int)o->link.compress_level,
                                                .source = source,
                                                .report = config->report,
                                                .accepts_lacks = o->no_sudo,
                                                .tick = tick,
                                                .tick_context = s };
        struct rsync_push_result result;
        int r = rsync_push(&push, &result, err);

        return r < 0 ? rsync_connection_explain(s->connection, err) : finish(s, &result, err);
}

static int transfer_once(struct server *s, const char *to, struct err *err)
{
        const struct options *o = s->d.config->options;
        const struct rsync_arguments arguments = { .incremental = true,
                                                   .delete_missing = true,
                                                   .dry_run = o->dry_run,
                                                   .one_file_system = !o->multi_fs,
                                                   .compress = o->link.compress == SETTINGS_COMPRESS_ALWAYS,
                                                   .make_path = true,
                                                   .timeout_s = o->link.timeout_s,
                                                   .destination = to };
        _cleanup_(origin_close) struct origin origin = ORIGIN_NONE;
        int r;

        report_restart(s->d.config->report);
        r = origin_open(&origin, s->d.config, s->d.config->report, err);
        if (r == 0)
                r = rsync_connection_open(&s->connection, o, &arguments, err);
        if (r < 0)
                return r;
        s->was_connected = true;
        return send_tree(s, &arguments, origin.source, err);
}

/* May it go better another time? A login that failed fails again, unless it went well before. */
static bool is_passing(const struct server *s, int code)
{
        if (!s->is_daemon && !s->connection)
                return s->was_connected && code != -ECANCELED && code != -ENOMEM;
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
                s->connection = rsync_connection_close(s->connection);
                r = transfer_once(s, to, err);
        } while (r < 0 && is_passing(s, r) && !stop_requested() && patience_wait(&s->patience, true, err) == 0);
        s->connection = rsync_connection_close(s->connection);
        progress_end(d->config->progress);
        return r < 0 ? err->code : 0;
}

/* ---- what it is not for ---- */

static int refuse(const struct destination *d, const char *what, struct err *err)
{
        struct server *s = server_of((struct destination *)d);

        err_runf(err, -ENOTSUP, "%s: rsync takes transfers only: it cannot be told to %s", s->name, what);
        return err_hint(err, "let it be done on the server, by " PROGRAM " --snapshot --rotate");
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

        rsync_connection_close(s->connection);
        if (s->has_password)
                secret_deinit(&s->password);
        free(s->parent);
        free(s);
        return NULL;
}

static void make_name(struct server *s, const struct location *l)
{
        if (!s->is_daemon) {
                location_show_host(l, s->name, sizeof(s->name));
                return;
        }
        path_show(NULL, l->host, s->name, sizeof(s->name) / 2);
        snprintf(s->name + strlen(s->name), sizeof(s->name) / 4, "::");
        path_show(NULL, l->module, s->name + strlen(s->name), sizeof(s->name) / 3);
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
        s->is_daemon = l->kind == LOCATION_DAEMON;
        s->patience.retries = config->options->link.retries;
        s->parent = location_expression(l);
        if (!s->parent) {
                server_free(&s->d);
                return err_oom(err);
        }
        s->d.parent = s->parent;
        make_name(s, l);
        *ret = &s->d;
        return 0;
}
