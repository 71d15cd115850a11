/* What the agent's side says on standard error is shown; before the agent has spoken it is the login shell that talks.
 */
#include "far/remote.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "options/options.h"
#include "transfer/exchange/channel.h"
#include "transfer/ssh/ssh.h"
#include "version.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

enum { ZSTD_LEVEL = 3, END_PATIENCE_S = 5, PART_PATIENCE_S = 2, SHOWN_MAX = 256 };

#define PROGRAM "rsync-system-backup"

struct remote {
        char host[SHOWN_MAX]; /* as messages call it, see location_show_host() */
        struct ssh *ssh;
        int fd;
        struct channel *channel;
        bool is_named, has_no_agent;
        atomic_bool has_spoken; /* the agent: what comes by standard error is its own */
};

/* On a thread of the session. */
static void hear(void *remote, const char *line)
{
        const struct remote *r = remote;
        char shown[SHOWN_MAX];

        path_show(NULL, line, shown, sizeof(shown));
        /* If no agent comes of it, the error says what its last line was. */
        log_line(atomic_load(&r->has_spoken) ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, "%s: %s", r->host, shown);
}

static int connect_to(struct remote *r, const struct options *o, struct err *err)
{
        const struct ssh_target target = { .user = o->destination.user,
                                           .host = o->destination.host,
                                           .port = o->destination.port };
        const struct ssh_wishes wishes = { .timeout_s = o->link.timeout_s, .hear = hear, .context = r };

        return ssh_open(&r->ssh, &target, &wishes, err);
}

static int start_agent(struct remote *r, const struct options *o, struct err *err)
{
        _cleanup_(buf_deinit) struct buf command = { .data = NULL };

        if (buf_printf(&command, "%s --server", o->link.remote_command ? o->link.remote_command : PROGRAM) < 0)
                return err_oom(err);
        return ssh_execute(r->ssh, command.data, &r->fd, err);
}

static int open_channel(struct remote *r, const struct settings_link *l, struct err *err)
{
        bool never = l->compress == SETTINGS_COMPRESS_NEVER;
        const struct channel_config config = {
                .in_fd = r->fd,
                .out_fd = r->fd,
                .peer = "server",
                .timeout_s = l->timeout_s,
                .wire = { .program = PROGRAM_VERSION,
                          .features = never ? 0 : WIRE_FEATURE_ZSTD,
                          .level = l->compress_level ? (int)l->compress_level : ZSTD_LEVEL },
                .never_compress = never,
                .always_compress = l->compress == SETTINGS_COMPRESS_ALWAYS,
                .rate = l->bwlimit,
        };

        return channel_new(&r->channel, &config, err);
}

int remote_open(struct remote **ret, const struct options *o, struct err *err)
{
        struct remote *remote = calloc(1, sizeof(*remote));
        int r;

        if (!remote)
                return err_oom(err);
        remote->fd = -1;
        remote->is_named = o->link.remote_command;
        location_show_host(&o->destination, remote->host, sizeof(remote->host));
        r = connect_to(remote, o, err);
        if (r == 0)
                r = start_agent(remote, o, err);
        if (r == 0)
                r = open_channel(remote, &o->link, err);
        if (r < 0) {
                remote_close(remote);
                return r;
        }
        *ret = remote;
        return 0;
}

struct channel *remote_channel(struct remote *r)
{
        return r->channel;
}

void remote_greet(struct remote *r)
{
        atomic_store(&r->has_spoken, true);
}

/* ---- the end ---- */

#define WHAT_IS_NEEDED PROGRAM " must be installed on that machine, where its PATH finds it or --remote-command says"

/* Of this program, with options that do not go together: those of authorized_keys, say. */
static bool is_wrong_usage(const struct ssh_end *end)
{
        const char *newline = strrchr(end->said, '\n');

        return end->kind == SSH_END_STATUS && end->status == ERR_USAGE_STATUS &&
               str_starts(newline ? newline + 1 : end->said, "error: --");
}

/* It ended without having spoken as an agent does. */
static int explain_silence(const struct ssh_end *end, struct err *err)
{
        char text[SSH_END_TEXT_MAX + 32];

        snprintf(text, sizeof(text), "%s%s", end->text, *end->said ? "" : ", and printed nothing");
        err_replace(err, -EPROTO, text);
        return is_wrong_usage(end) ? err->code : err_hint(err, WHAT_IS_NEEDED);
}

/* What came is no hello: it is of the command, or of a login script before it. */
static int explain_strangeness(struct remote *r, struct err *err)
{
        if (err->code == -EPROTO && !*wire_peer(channel_wire(r->channel)))
                err_hint(err, WHAT_IS_NEEDED "; a login script there must be silent when there is no terminal");
        return err_context(err, r->host);
}

static int explain_end(struct remote *r, const struct ssh_end *end, struct err *err)
{
        bool spoke = *wire_peer(channel_wire(r->channel));

        switch (end->kind) {
        case SSH_END_NO_COMMAND:
                r->has_no_agent = !r->is_named;
                err_replace(err, -ENOENT, end->text);
                return err_hint(err, WHAT_IS_NEEDED);
        case SSH_END_NO_LOGIN:
        case SSH_END_LOST:
                return ssh_end_explain(end, err);
        case SSH_END_SIGNAL:
        case SSH_END_STATUS:
                return spoke ? err_replace(err, -ECONNRESET, end->text) : explain_silence(end, err);
        default:
                return err_context(err, r->host);
        }
}

int remote_explain(struct remote *r, struct err *err)
{
        struct ssh_end end;
        ERR_LOCAL(stop);

        if (err->code != -ECONNRESET)
                return explain_strangeness(r, err);
        if (ssh_finish(r->ssh, END_PATIENCE_S, &end, &stop) < 0) {
                err_drop(&stop, "the end of the conversation is the error");
                return err_context(err, r->host);
        }
        return explain_end(r, &end, err);
}

bool remote_has_no_agent(const struct remote *r)
{
        return r->has_no_agent;
}

void remote_part(struct remote *r)
{
        struct ssh_end end;
        ERR_LOCAL(err);

        r->channel = channel_free(r->channel);
        r->fd = fd_close(r->fd);
        if (ssh_finish(r->ssh, PART_PATIENCE_S, &end, &err) < 0)
                err_drop(&err, "all is said and done");
}

struct remote *remote_close(struct remote *r)
{
        if (!r)
                return NULL;
        channel_free(r->channel);
        ssh_close(r->ssh);
        fd_close(r->fd);
        free(r);
        return NULL;
}
