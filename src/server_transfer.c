/* A conversation is begun anew, from its connection on, when that breaks: what has arrived is not sent again. */
#include "server.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/path.h"
#include "base/report.h"
#include "base/stop.h"
#include "local_checks.h"
#include "origin.h"
#include "password.h"
#include "progress.h"
#include "storage/identity.h"
#include "transfer/rsync/rsync_listing.h"

#include <errno.h>

enum { SHOWN_MAX = 300, TIMEOUT_S = 600, PARTING_US = 2000000, PARTING_NAP_S = 1 };

/* ---- paths ---- */

/* "MODULE/", or nothing. */
static int put_module(const struct server *s, struct buf *b)
{
        const char *module = s->d.config->options->destination.module;

        return module ? buf_printf(b, "%s/", module) : 0;
}

static bool needs_slash(const struct buf *b)
{
        return b->size > 0 && b->data[b->size - 1] != '/';
}

/* "MODULE/DIR/", or "DIR/" */
static char *destination_path(const struct server *s)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };

        if (put_module(s, &b) < 0 || buf_puts(&b, s->d.config->options->destination.path) < 0 ||
            (needs_slash(&b) && buf_putc(&b, '/') < 0))
                return NULL;
        return buf_take(&b);
}

char *server_path(const struct server *s, const char *below)
{
        _cleanup_(freep) char *parent = path_parent(s->d.config->options->destination.path);
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        bool is_module = s->is_daemon && parent && str_equal(parent, ".");

        if (!parent || put_module(s, &b) < 0 || (!is_module && buf_puts(&b, parent) < 0) ||
            (needs_slash(&b) && buf_putc(&b, '/') < 0) || (below && buf_printf(&b, "%s/", below) < 0))
                return NULL;
        return buf_take(&b);
}

/* ---- conversations ---- */

/* Asked for once, however many connections there are. */
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

/* Called when the conversation has begun, and then some times a second. */
static void tick(void *server)
{
        struct server *s = server;

        rsync_connection_greet(s->connection);
        progress_tick(s->d.config->progress);
}

int server_open(struct server *s, struct server_talk *t, struct err *err)
{
        const struct options *o = s->d.config->options;
        /* Servers have been seen to wait for ever, for files that changed meanwhile. */
        unsigned timeout_s = o->link.timeout_given ? o->link.timeout_s : TIMEOUT_S;
        int r;

        t->arguments.timeout_s = timeout_s;
        r = rsync_connection_open(&s->connection, o, &t->arguments, err);
        if (r < 0)
                return r;
        s->was_connected = true;
        t->hello = (struct rsync_hello_config){ .is_daemon = s->is_daemon,
                                                .peer = s->name,
                                                .module = o->destination.module,
                                                .user = o->destination.user,
                                                .arguments = &t->arguments,
                                                .password = give_password,
                                                .motd = hear_motd,
                                                .context = s };
        t->push = (struct rsync_push_config){ .in_fd = rsync_connection_fd(s->connection),
                                              .out_fd = rsync_connection_fd(s->connection),
                                              .peer = s->name,
                                              .timeout_s = timeout_s,
                                              .rate = o->link.bwlimit,
                                              .hello = &t->hello,
                                              .compression_level = (int)o->link.compress_level,
                                              .accepts_lacks = o->no_sudo,
                                              .tick = tick,
                                              .tick_context = s };
        return 0;
}

static void part(struct server *s)
{
        if (s->connection)
                s->parted_us = stop_now_us();
        s->connection = rsync_connection_close(s->connection);
}

/* May it go better another time? A login that failed fails again, unless it went well before. */
static bool is_passing(const struct server *s, int code)
{
        if (!s->connection)
                return s->was_connected && code != -ECANCELED && code != -ENOMEM;
        return code == -ECONNRESET || code == -ETIMEDOUT || code == -EBUSY;
}

/* The one before may still count, where only so many are let in at a time. */
static bool is_still_parting(const struct server *s, int code)
{
        return code == -EBUSY && s->parted_us > 0 && stop_now_us() - s->parted_us < PARTING_US;
}

/* Return 0 when it is to be done again, or a negative errno with @err filled. */
static int be_patient(struct server *s, int code, struct err *err)
{
        bool is_parting = is_still_parting(s, code);
        uint64_t parted_us = s->parted_us;

        if (!is_passing(s, code) || stop_requested())
                return code;
        part(s);
        if (!is_parting)
                return patience_wait(&s->patience, true, err);
        s->parted_us = parted_us;
        err_drop(err, "we are in our own way");
        code = stop_wait(-1, stop_deadline_us(PARTING_NAP_S), err);
        return code == STOP_WAIT_TIMED_OUT ? 0 : code;
}

int server_persist(struct server *s, int (*step)(struct server *s, void *context, struct err *err), void *context,
                   struct err *err)
{
        int r;

        do {
                r = step(s, context, err);
                if (r < 0 && s->connection)
                        r = rsync_connection_explain(s->connection, err);
        } while (r < 0 && (r = be_patient(s, r, err)) == 0);
        part(s);
        return r < 0 ? err->code : 0;
}

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

struct count_step {
        const char *path;
        size_t count;
};

static int count_once(struct server *s, void *step, struct err *err)
{
        struct count_step *c = step;
        struct server_talk talk = { .arguments.destination = c->path };
        struct rsync_listing_config config;
        int r;

        rsync_listing_arguments(&talk.arguments);
        r = server_open(s, &talk, err);
        if (r < 0)
                return r;
        c->count = 0;
        config = (struct rsync_listing_config){ .in_fd = talk.push.in_fd,
                                                .out_fd = talk.push.out_fd,
                                                .peer = s->name,
                                                .timeout_s = talk.push.timeout_s,
                                                .hello = &talk.hello,
                                                .take = count_entry,
                                                .context = &c->count };
        return rsync_listing(&config, err);
}

static int check_destination(struct server *s, const char *path, struct err *err)
{
        const struct options *o = s->d.config->options;
        _cleanup_(freep) char *known = known_as(s);
        struct count_step step = { .path = path };
        char shown[SHOWN_MAX];
        int r;

        if (!known)
                return err_oom(err);
        if (o->force || identity_recall(known, IDENTITY_NO_UUID) == IDENTITY_KNOWN)
                return 0;
        r = server_persist(s, count_once, &step, err);
        if (r == -ENOENT) {
                err_drop(err, "there is nothing to lose");
                return 0;
        }
        if (r < 0 || step.count == 0)
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
        _cleanup_(freep) char *to = destination_path(s);
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
