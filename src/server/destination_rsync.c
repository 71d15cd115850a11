/*
 * A directory that an rsync serves, as a daemon or run over SSH (rsync_connection.h): it is sent to by its own
 * protocol. Snapshots and rotation are the server's to do, unless they were asked for.
 */
#include "server/server.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "server/server_inventory.h"
#include "storage/lock.h"
#include "transfer/rsync/rsync_retold.h"

#include <errno.h>
#include <stdio.h>

#define PROGRAM "rsync-system-backup"

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

static int check_source(const struct server *s, struct err *err)
{
        const char *source = s->d.config->options->source;
        _cleanup_(fd_closep) int fd = fd_open_directory(source);

        return fd < 0 ? err_run(err, fd, "read the source directory", source) : server_check_source(s, fd, err);
}

/* Against other runs on this machine. */
static int lock(struct server *s, struct err *err)
{
        s->machine_lock = lock_take_machine(s->parent, err);
        return s->machine_lock < 0 && err->kind != ERR_NONE ? s->machine_lock : 0;
}

static int server_prepare(struct destination *d, struct err *err)
{
        const struct options *o = d->config->options;

        d->transfers_only = !o->actions_asked;
        if (!o->dry_run && lock(server_of(d), err) < 0)
                return err->code;
        if (!o->backup)
                return 0;
        tell_limits(server_of(d));
        return check_source(server_of(d), err);
}

/* ---- the rest ---- */

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
        fd_close(s->machine_lock);
        rsync_spool_free(s->spool);
        rsync_retold_free(s->retold);
        server_inventory_free(s->inventory);
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

/* Where the sections of rotate-backups' files find it. */
static char *name_parent(const struct location *l)
{
        _cleanup_(freep) char *directory = path_parent(l->path);
        struct location parent = *l;

        if (!directory)
                return NULL;
        parent.path = l->module && str_equal(directory, ".") ? directory + 1 : directory;
        return location_expression(&parent);
}

int destination_rsync_new(struct destination **ret, const struct destination_config *config, struct err *err)
{
        static const struct destination_ops ops = {
                .prepare = server_prepare,
                .transfer = server_transfer,
                .snapshot = server_snapshot,
                .list = server_list,
                .remove = server_remove,
                .survey = server_survey,
                .explain_full = server_explain_full,
                .release = server_release,
                .free = server_free,
        };
        const struct location *l = &config->options->destination;
        struct server *s = calloc(1, sizeof(*s));

        if (!s)
                return err_oom(err);
        s->d = (struct destination){ .ops = &ops, .config = config };
        s->machine_lock = -1;
        s->is_daemon = l->kind == LOCATION_DAEMON;
        s->patience.retries = config->options->link.retries;
        s->parent = name_parent(l);
        if (!s->parent) {
                server_free(&s->d);
                return err_oom(err);
        }
        s->d.parent = s->parent;
        make_name(s, l);
        *ret = &s->d;
        return 0;
}
