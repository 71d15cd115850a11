/* Whatever the way is, it ends in one descriptor. What else there is of it tells why it ended. */
#include "rsync_connection.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/tcp.h"
#include "options.h"
#include "transfer/ssh/ssh.h"

#include <errno.h>
#include <sys/socket.h>

enum { RSYNC_PORT = 873, CONNECT_TIMEOUT_S = 60, END_PATIENCE_S = 1 };

struct rsync_connection {
        int fd;
        struct ssh *ssh; /* that it goes through, or NULL */
};

/* ---- the ways ---- */

static int connect_through(struct rsync_connection *c, const struct options *o, unsigned port, struct err *err)
{
        const struct ssh_target target = { .user = o->tunnel.user, .host = o->tunnel.host, .port = o->tunnel.port };
        const struct ssh_wishes wishes = { .timeout_s = o->link.timeout_s };
        int r = ssh_open(&c->ssh, &target, &wishes, err);

        return r < 0 ? r : ssh_forward(c->ssh, o->destination.host, port, &c->fd, err);
}

static int connect_directly(struct rsync_connection *c, const struct options *o, unsigned port, struct err *err)
{
        const struct tcp_target target = { .host = o->destination.host,
                                           .port = port,
                                           .family = AF_UNSPEC,
                                           .timeout_s = o->link.timeout_s ? o->link.timeout_s : CONNECT_TIMEOUT_S,
                                           .dead_after_s = CONNECT_TIMEOUT_S };

        c->fd = tcp_connect(&target, err);
        return c->fd < 0 ? err->code : 0;
}

int rsync_connection_open(struct rsync_connection **ret, const struct options *o, struct err *err)
{
        _cleanup_(rsync_connection_closep) struct rsync_connection *c = calloc(1, sizeof(*c));
        unsigned port = o->destination.port ? o->destination.port : RSYNC_PORT;
        int r;

        if (!c)
                return err_oom(err);
        c->fd = -1;
        r = o->tunnel.host ? connect_through(c, o, port, err) : connect_directly(c, o, port, err);
        if (r == 0)
                *ret = TAKE(c);
        return r;
}

int rsync_connection_fd(const struct rsync_connection *c)
{
        return c->fd;
}

/* ---- the end ---- */

int rsync_connection_explain(struct rsync_connection *c, struct err *err)
{
        struct ssh_end end;
        ERR_LOCAL(stop);

        if (err->code != -ECONNRESET || !c->ssh)
                return err->code;
        c->fd = fd_close(c->fd);
        if (ssh_finish(c->ssh, END_PATIENCE_S, &end, &stop) < 0) {
                err_drop(&stop, "the end of the conversation is the error");
                return err->code;
        }
        return end.kind == SSH_END_LOST ? err_context(err, end.text) : err->code;
}

struct rsync_connection *rsync_connection_close(struct rsync_connection *c)
{
        if (!c)
                return NULL;
        fd_close(c->fd);
        ssh_close(c->ssh);
        free(c);
        return NULL;
}
