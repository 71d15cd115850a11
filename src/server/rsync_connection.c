/*
 * Whatever the way is, it ends in one descriptor. What else there is of it tells why it ended.
 *
 * Where an agent was sought and not found, nobody has said that rsync may do: it is not run where an agent has made
 * snapshots, whose inodes it would change. The shell looks for that in the same command.
 */
#include "server/rsync_connection.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/tcp.h"
#include "options/options.h"
#include "storage/state.h"
#include "transfer/rsync/rsync_arguments.h"
#include "transfer/rsync/rsync_talk.h"
#include "transfer/rsync/rsync_words.h"
#include "transfer/ssh/ssh.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>

enum {
        RSYNC_PORT = 873,
        CONNECT_TIMEOUT_S = 60,
        TUNNEL_PATIENCE_S = 1,
        END_PATIENCE_S = 5,
        FINISH_PATIENCE_S = 60,
        SHOWN_MAX = 256
};

#define PROGRAM "rsync-system-backup"

struct rsync_connection {
        const struct options *options;
        char host[SHOWN_MAX]; /* as messages call it, see location_show_host() */
        int fd;
        struct ssh *ssh;        /* that it goes through, or NULL */
        bool is_command;        /* which runs rsync */
        atomic_bool has_spoken; /* rsync: what comes by standard error is its own */
        pthread_mutex_t lock;
        char pending[SHOWN_MAX]; /* of that, what was not told yet */
};

/* ---- the ways ---- */

static int connect_through(struct rsync_connection *c, unsigned port, struct err *err)
{
        const struct options *o = c->options;
        const struct ssh_target target = { .user = o->tunnel.user, .host = o->tunnel.host, .port = o->tunnel.port };
        const struct ssh_wishes wishes = { .timeout_s = o->link.timeout_s };
        int r = ssh_open(&c->ssh, &target, &wishes, err);

        return r < 0 ? r : ssh_forward(c->ssh, o->destination.host, port, &c->fd, err);
}

static int connect_directly(struct rsync_connection *c, unsigned port, struct err *err)
{
        const struct settings_link *l = &c->options->link;
        const struct tcp_target target = { .host = c->options->destination.host,
                                           .port = port,
                                           .family = AF_UNSPEC,
                                           .timeout_s = l->timeout_s ? l->timeout_s : CONNECT_TIMEOUT_S,
                                           .dead_after_s = CONNECT_TIMEOUT_S };

        c->fd = tcp_connect(&target, err);
        return c->fd < 0 ? err->code : 0;
}

/*
 * What rsync says last may be why it gives up, and is an error then, so that it is told later. What the login shell
 * says before is told only if no conversation comes of it.
 */
static void tell(struct rsync_connection *c, const char *line)
{
        char shown[SHOWN_MAX];

        rsync_words_show(line, shown, sizeof(shown));
        log_line(atomic_load(&c->has_spoken) ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, "%s: %s", c->host, shown);
}

/* Unless @err, which may be NULL, says it. */
static void tell_pending(struct rsync_connection *c, const struct err *err)
{
        char shown[SHOWN_MAX];

        pthread_mutex_lock(&c->lock);
        rsync_words_show(c->pending, shown, sizeof(shown));
        if (*c->pending && !(err && strstr(err->text, shown)))
                tell(c, c->pending);
        *c->pending = '\0';
        pthread_mutex_unlock(&c->lock);
}

/* On a thread of the session. */
static void hear(void *connection, const char *line)
{
        struct rsync_connection *c = connection;

        if (!atomic_load(&c->has_spoken)) {
                tell(c, line);
        } else if (!str_starts(line, "rsync error: ")) {
                tell_pending(c, NULL);
                pthread_mutex_lock(&c->lock);
                snprintf(c->pending, sizeof(c->pending), "%s", line);
                pthread_mutex_unlock(&c->lock);
        }
}

/* "test ! -e STATE && rsync" */
static int put_careful(struct buf *out, const char *path)
{
        _cleanup_(freep) char *parent = path_parent(path);
        _cleanup_(freep) char *directory = parent ? path_join(*parent == '-' ? "." : "", parent) : NULL;
        _cleanup_(freep) char *state = directory ? path_join(directory, STATE_DIRECTORY) : NULL;

        if (!state || buf_puts(out, "test ! -e") < 0 || rsync_arguments_word(out, state) < 0)
                return -ENOMEM;
        return buf_puts(out, " && rsync");
}

static int make_command(const struct options *o, const struct rsync_arguments *a, struct buf *command,
                        struct buf *input)
{
        _cleanup_(buf_deinit) struct buf program = { .data = NULL };
        int r = o->link.remote_command ? buf_puts(&program, o->link.remote_command)
                                       : put_careful(&program, o->destination.path);

        return r == 0 ? rsync_arguments_command(command, input, program.data, a) : r;
}

static int run_command(struct rsync_connection *c, const struct rsync_arguments *a, struct err *err)
{
        const struct location *l = &c->options->destination;
        const struct ssh_target target = { .user = l->user, .host = l->host, .port = l->port };
        const struct ssh_wishes wishes = { .timeout_s = c->options->link.timeout_s, .hear = hear, .context = c };
        _cleanup_(buf_deinit) struct buf command = { .data = NULL }, input = { .data = NULL };
        int r = make_command(c->options, a, &command, &input) < 0 ? err_oom(err) : 0;

        if (r == 0)
                r = ssh_open(&c->ssh, &target, &wishes, err);
        if (r == 0)
                r = ssh_execute(c->ssh, command.data, &c->fd, err);
        if (r < 0 || input.size == 0)
                return r;
        r = fd_write_full(c->fd, input.data, input.size);
        /* What has ended already does not take them: the conversation that does not come about tells why. */
        return r < 0 && r != -EPIPE ? err_run(err, r, "send the arguments of rsync to", c->host) : 0;
}

int rsync_connection_open(struct rsync_connection **ret, const struct options *o, const struct rsync_arguments *a,
                          struct err *err)
{
        _cleanup_(rsync_connection_closep) struct rsync_connection *c = calloc(1, sizeof(*c));
        unsigned port = o->destination.port ? o->destination.port : RSYNC_PORT;
        int r;

        if (!c)
                return err_oom(err);
        c->options = o;
        pthread_mutex_init(&c->lock, NULL);
        c->fd = -1;
        c->is_command = o->destination.kind == LOCATION_SSH;
        location_show_host(&o->destination, c->host, sizeof(c->host));
        if (c->is_command)
                r = run_command(c, a, err);
        else
                r = o->tunnel.host ? connect_through(c, port, err) : connect_directly(c, port, err);
        if (r == 0)
                *ret = TAKE(c);
        return r;
}

int rsync_connection_fd(const struct rsync_connection *c)
{
        return c->fd;
}

void rsync_connection_greet(struct rsync_connection *c)
{
        atomic_store(&c->has_spoken, true);
}

/* ---- the end ---- */

static int explain_absence(const struct rsync_connection *c, const struct ssh_end *end, struct err *err)
{
        if (c->options->link.remote_command) {
                err_replace(err, -ENXIO, end->text);
                return err_hint(err, "rsync must be installed on that machine, where --remote-command says");
        }
        err_drop(err, "there is a better one");
        err_runf(err, -ENXIO, "%s: there is neither " PROGRAM " nor rsync", c->host);
        return err_hint(err, "one of them must be installed on that machine, where its PATH finds it or "
                             "--remote-command says");
}

/* It ended without having spoken as rsync does. */
static int explain_silence(const struct rsync_connection *c, const struct ssh_end *end, struct err *err)
{
        char text[SSH_END_TEXT_MAX + 32], shown[SHOWN_MAX];

        /* What `test` does, of the command. */
        if (!c->options->link.remote_command && end->status == 1 && !*end->said) {
                path_show(NULL, c->options->destination.path, shown, sizeof(shown));
                err_drop(err, "there is a better one");
                err_runf(err, -ENXIO,
                         "%s: there is no " PROGRAM
                         ", and rsync alone would change what it made beside '%s': snapshots "
                         "never change",
                         c->host, shown);
                return err_hint(err, "see that its PATH finds " PROGRAM ", or accept that by --remote-command=rsync");
        }
        /* Before its messages have a way of their own it says them there. */
        if (str_starts(end->said, "rsync: ") || strstr(end->said, "rrsync error: ")) {
                err_drop(err, "there is a better one");
                return rsync_talk_blame(c->host, end->said, err);
        }
        snprintf(text, sizeof(text), "%s%s", end->text, *end->said ? "" : ", and printed nothing");
        err_replace(err, -EPROTO, text);
        return err_hint(err, "rsync 3.0 or later is needed there, and an account that may run it");
}

/* In the middle of the conversation. */
static int explain_failure(const struct rsync_connection *c, const struct ssh_end *end, struct err *err)
{
        /* By rsync: of the connection, or by a signal; and by a shell, which it was run by. */
        enum { SOCKET = 10, STREAM = 12, SIGNAL = 20, TIMEOUT = 30, SHELL = 128 };
        bool is_passing = end->kind == SSH_END_SIGNAL || end->status == SOCKET || end->status == STREAM ||
                          end->status == SIGNAL || end->status == TIMEOUT || end->status >= SHELL;

        if (err->code == -ECONNRESET && (is_passing || !*end->said))
                return err_replace(err, -ECONNRESET, end->text);
        if (!*end->said)
                return err->code;
        err_drop(err, "there is a better one");
        return rsync_talk_blame(c->host, end->said, err);
}

static int explain_command(const struct rsync_connection *c, const struct ssh_end *end, struct err *err)
{
        switch (end->kind) {
        case SSH_END_NO_COMMAND:
                return explain_absence(c, end, err);
        case SSH_END_NO_LOGIN:
        case SSH_END_LOST:
                return ssh_end_explain(end, err);
        case SSH_END_SIGNAL:
        case SSH_END_STATUS:
                return atomic_load(&c->has_spoken) ? explain_failure(c, end, err) : explain_silence(c, end, err);
        default:
                return err->code;
        }
}

int rsync_connection_explain(struct rsync_connection *c, struct err *err)
{
        struct ssh_end end;
        ERR_LOCAL(stop);

        if (!c->ssh || (err->code != -ECONNRESET && (err->code != -EREMOTEIO || !c->is_command)))
                return err->code;
        c->fd = fd_close(c->fd);
        if (ssh_finish(c->ssh, c->is_command ? END_PATIENCE_S : TUNNEL_PATIENCE_S, &end, &stop) < 0) {
                err_drop(&stop, "the end of the conversation is the error");
                return err->code;
        }
        if (!c->is_command)
                return end.kind == SSH_END_LOST ? err_context(err, end.text) : err->code;
        (void)explain_command(c, &end, err);
        tell_pending(c, err);
        return err->code;
}

enum { PARTIAL = 23, VANISHED = 24 };

/* What of this is told by the protocol as well is nothing new. */
static bool is_expected(const struct ssh_end *end, bool is_partial)
{
        switch (end->kind) {
        case SSH_END_STATUS:
                return end->status == 0 || end->status == VANISHED || (is_partial && end->status == PARTIAL);
        case SSH_END_CLOSED:
                /* By an SSH server that tells no status. */
                return !*end->said;
        default:
                return false;
        }
}

int rsync_connection_finish(struct rsync_connection *c, bool is_partial, struct err *err)
{
        struct ssh_end end;
        int r;

        if (!c->is_command)
                return 0;
        c->fd = fd_close(c->fd);
        r = ssh_finish(c->ssh, FINISH_PATIENCE_S, &end, err);
        tell_pending(c, NULL);
        if (r < 0 || is_expected(&end, is_partial))
                return r;
        if (end.kind == SSH_END_STATUS && end.status == PARTIAL)
                return err_runf(err, -EREMOTEIO, "%s: rsync could not store all that it was sent (its exit status %d)",
                                c->host, PARTIAL);
        return err_runf(err, -EREMOTEIO, "%s, after all was said and done", end.text);
}

struct rsync_connection *rsync_connection_close(struct rsync_connection *c)
{
        if (!c)
                return NULL;
        fd_close(c->fd);
        ssh_close(c->ssh);
        tell_pending(c, NULL);
        pthread_mutex_destroy(&c->lock);
        free(c);
        return NULL;
}
