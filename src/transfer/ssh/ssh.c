/*
 * A session is made in this order: configuration, jump hosts (each a session of its own, the next one within it), TCP,
 * key exchange, host key, login. libssh never waits: what it cannot finish is waited for here, where a stop is noticed.
 */
#include "transfer/ssh/ssh.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/prompt.h"
#include "base/tcp.h"
#include "transfer/ssh/ssh_algorithms.h"
#include "transfer/ssh/ssh_auth.h"
#include "transfer/ssh/ssh_bridge.h"
#include "transfer/ssh/ssh_config.h"
#include "transfer/ssh/ssh_end.h"
#include "transfer/ssh/ssh_hostkey.h"
#include "transfer/ssh/ssh_keyring.h"
#include "transfer/ssh/ssh_link.h"
#include "transfer/ssh/ssh_reader.h"

#include <pwd.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum { JUMPS_DEEP_MAX = 8, CONNECT_TIMEOUT_S = 30, PATIENCE_S = 60, SHOWN_MAX = 200 };

struct ssh {
        struct ssh *jump; /* the session that this one is within, or NULL */
        struct ssh_config *config;
        struct ssh_wishes wishes;
        char *name;
        struct ssh_link link;
        ino_t inode; /* of link.fd */
        struct ssh_keyring *keyring;
        ssh_channel channel;
        struct ssh_bridge *bridge;
        unsigned alive_interval_s, dead_after_s;
};

/* ---- the configuration ---- */

/* What a struct ssh_config_query points to. Sessions are opened on several threads: no getpwuid(3). */
struct whose {
        struct passwd user;
        char text[16384];
        char host_name[256];
};

/* A rescue system may have no passwd(5); then the environment tells, and root is root. */
static int find_user(struct whose *w, struct err *err)
{
        static char root[] = "root", top[] = "/";
        struct passwd *found = NULL;
        char *name;

        if (getpwuid_r(getuid(), &w->user, w->text, sizeof(w->text), &found) == 0 && found)
                return 0;
        name = getenv("LOGNAME");
        if (!name || !*name)
                name = getenv("USER");
        if ((!name || !*name) && getuid() == 0)
                name = root;
        if (!name || !*name)
                return err_runf(err, -ENOENT, "the user with number %u has no name, so SSH has none to log in with",
                                (unsigned)getuid());
        w->user = (struct passwd){ .pw_name = name, .pw_dir = top };
        return 0;
}

/* Whose files are read: $HOME where it is set, as everywhere in this program. */
static int fill_in_query(struct ssh_config_query *q, const struct ssh_target *target, struct whose *w, struct err *err)
{
        const char *home = getenv("HOME");
        int r = find_user(w, err);

        if (r < 0)
                return r;
        if (gethostname(w->host_name, sizeof(w->host_name)) < 0)
                return err_run(err, -errno, "find the name of this machine", NULL);
        w->host_name[sizeof(w->host_name) - 1] = '\0';
        *q = (struct ssh_config_query){ .host = target->host,
                                        .user = target->user,
                                        .port = target->port,
                                        .local_user = w->user.pw_name,
                                        .home = home && *home == '/' ? home : w->user.pw_dir,
                                        .local_host = w->host_name,
                                        .uid = (unsigned)getuid() };
        return 0;
}

static int read_config(struct ssh *s, const struct ssh_target *target, struct err *err)
{
        struct ssh_reader files = { .user_file = NULL };
        struct ssh_config_reader reader = { &files, ssh_reader_open, ssh_reader_environment };
        _cleanup_(freep) char *user_file = NULL;
        struct ssh_config_query q = { .host = target->host };
        struct whose whose;
        int r = fill_in_query(&q, target, &whose, err);

        if (r < 0)
                return r;
        user_file = path_join(q.home, ".ssh/config");
        if (!user_file)
                return err_oom(err);
        q.user_file = s->wishes.config_file ? s->wishes.config_file : user_file;
        q.system_file = s->wishes.config_file ? NULL : "/etc/ssh/ssh_config";
        files.user_file = s->wishes.config_file ? NULL : user_file;
        return ssh_config_resolve(&s->config, &q, &reader, err);
}

static int make_name(struct ssh *s, const struct ssh_target *target, struct err *err)
{
        char user[SHOWN_MAX] = "", host[SHOWN_MAX], port[16] = "";
        bool is_address = strchr(target->host, ':');

        if (target->user)
                path_show(NULL, target->user, user, sizeof(user));
        path_show(NULL, target->host, host, sizeof(host));
        if (target->port)
                snprintf(port, sizeof(port), ":%u", target->port);
        if (asprintf(&s->name, is_address ? "%s%s[%s]%s" : "%s%s%s%s", user, *user ? "@" : "", host, port) < 0)
                s->name = NULL;
        return s->name ? 0 : err_oom(err);
}

/* One word asked for and not answered is enough for a timeout that the user gave; see ssh_bridge.h. */
static void set_deadlines(struct ssh *s)
{
        const struct ssh_config *c = s->config;

        if (s->wishes.timeout_s > 0) {
                s->dead_after_s = s->wishes.timeout_s > 1 ? s->wishes.timeout_s : 2;
                s->alive_interval_s = (s->dead_after_s + 3) / 4;
        } else if (c->alive_interval_s > 0 && c->alive_interval_s < INT32_MAX / 1000 / (c->alive_count_max + 1)) {
                s->alive_interval_s = c->alive_interval_s;
                s->dead_after_s = c->alive_interval_s * (c->alive_count_max + 1);
                if (c->alive_count_max == 0)
                        s->dead_after_s = 2 * c->alive_interval_s;
        }
        s->link.patience_s = s->dead_after_s > 0 ? s->dead_after_s : PATIENCE_S;
}

/* ---- reaching the server ---- */

static int open_at(struct ssh **ret, const struct ssh_target *target, struct ssh *via, const struct ssh_wishes *wishes,
                   unsigned depth, struct err *err);

/* The jump hosts of @s, one within the other; the first is reached as its own configuration says. */
static int open_jumps(struct ssh *s, unsigned depth, struct err *err)
{
        const struct ssh_config_list *jumps = &s->config->jumps;

        if (jumps->count > 0 && depth == JUMPS_DEEP_MAX) {
                err_runf(err, -ELOOP, "cannot connect to %s: ProxyJump leads from one host to the next without end",
                         s->name);
                return err_hint(err, "the jump host needs 'ProxyJump none' before a 'Host *' that names it");
        }
        for (size_t i = 0; i < jumps->count; i++) {
                _cleanup_(freep) char *user = NULL, *host = NULL;
                struct ssh_wishes wishes = { .timeout_s = s->wishes.timeout_s, .config_file = s->wishes.config_file };
                struct ssh_target target;
                struct ssh *via = TAKE(s->jump);
                unsigned port;
                int r = ssh_config_split_jump(jumps->items[i], &user, &host, &port);

                if (r < 0) {
                        ssh_close(via);
                        return err_run(err, r, "understand the jump host", jumps->items[i]);
                }
                target = (struct ssh_target){ .user = user, .host = host, .port = port };
                r = open_at(&s->jump, &target, via, &wishes, depth + 1, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Addresses, and names of host keys, do not tell which of the hosts that were typed it is about. */
static int add_name(const struct ssh *s, int code, struct err *err)
{
        return code == -ECANCELED ? code : err_context(err, s->name);
}

static int reach(struct ssh *s, struct err *err)
{
        static const int families[] = {
                [SSH_CONFIG_ANY] = AF_UNSPEC, [SSH_CONFIG_INET] = AF_INET, [SSH_CONFIG_INET6] = AF_INET6
        };
        const struct ssh_config *c = s->config;
        struct tcp_target target = { .host = c->host_name,
                                     .port = c->port,
                                     .family = families[c->family],
                                     .bind_address = c->bind_address,
                                     .timeout_s = c->connect_timeout_s ? c->connect_timeout_s : CONNECT_TIMEOUT_S,
                                     .dead_after_s = s->dead_after_s };
        struct stat st;
        int r;

        if (s->jump) {
                r = ssh_forward(s->jump, c->host_name, c->port, &s->link.fd, err);
        } else {
                r = tcp_connect(&target, err);
                s->link.fd = r < 0 ? -1 : r;
        }
        if (r < 0)
                return add_name(s, r, err);
        s->inode = fstat(s->link.fd, &st) < 0 ? 0 : st.st_ino;
        return 0;
}

/* ---- the session ---- */

/* Its known_hosts files are none: it takes no notice of "@revoked". */
static int set_options(struct ssh *s, struct err *err)
{
        ssh_session session = s->link.session;
        const struct ssh_config *c = s->config;
        bool no_config = false;
        uint32_t rekey_s = c->rekey_time_s;

        if (ssh_options_set(session, SSH_OPTIONS_PROCESS_CONFIG, &no_config) < 0 ||
            ssh_options_set(session, SSH_OPTIONS_HOST, c->host_name) < 0 ||
            ssh_options_set(session, SSH_OPTIONS_PORT, &c->port) < 0 ||
            ssh_options_set(session, SSH_OPTIONS_USER, c->user) < 0 ||
            ssh_options_set(session, SSH_OPTIONS_KNOWNHOSTS, "/dev/null") < 0 ||
            ssh_options_set(session, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null") < 0 ||
            (c->rekey_bytes > 0 && ssh_options_set(session, SSH_OPTIONS_REKEY_DATA, &c->rekey_bytes) < 0) ||
            (rekey_s > 0 && ssh_options_set(session, SSH_OPTIONS_REKEY_TIME, &rekey_s) < 0))
                return ssh_link_error(&s->link, "set options for", err);
        return ssh_algorithms_set(&s->link, err);
}

static int exchange_keys(struct ssh *s, struct err *err)
{
        struct ssh_link link = s->link;
        int rc, r;

        if (s->config->connect_timeout_s > 0)
                link.patience_s = s->config->connect_timeout_s;
        ssh_set_blocking(s->link.session, 0);
        while ((rc = ssh_connect(s->link.session)) == SSH_AGAIN) {
                r = ssh_link_wait(&link, "connect to", err);
                if (r < 0)
                        return r;
        }
        return rc == SSH_OK ? 0 : ssh_link_error(&s->link, "connect to", err);
}

static int log_in(struct ssh *s, struct err *err)
{
        int r;

        s->link.session = ssh_new();
        if (!s->link.session)
                return err_oom(err);
        r = set_options(s, err);
        if (r == 0)
                r = reach(s, err);
        if (r < 0)
                return r;
        if (ssh_options_set(s->link.session, SSH_OPTIONS_FD, &s->link.fd) < 0)
                return ssh_link_error(&s->link, "connect to", err);
        r = exchange_keys(s, err);
        if (r < 0)
                return r;
        r = ssh_hostkey_check(&s->link, err);
        return r < 0 ? add_name(s, r, err) : ssh_auth_login(&s->link, &s->keyring, err);
}

static int open_at(struct ssh **ret, const struct ssh_target *target, struct ssh *via, const struct ssh_wishes *wishes,
                   unsigned depth, struct err *err)
{
        _cleanup_(ssh_closep) struct ssh *s = calloc(1, sizeof(*s));
        int r;

        if (!s) {
                ssh_close(via);
                return err_oom(err);
        }
        s->jump = via;
        s->link.fd = -1;
        if (wishes)
                s->wishes = *wishes;
        r = read_config(s, target, err);
        if (r == 0)
                r = make_name(s, target, err);
        if (r < 0)
                return r;
        set_deadlines(s);
        s->link.config = s->config;
        s->link.host = target->host;
        s->link.name = s->name;
        s->link.may_ask = !s->config->batch_mode && prompt_is_possible();
        if (!via)
                r = open_jumps(s, depth, err);
        if (r == 0)
                r = log_in(s, err);
        if (r < 0)
                return r;
        *ret = TAKE(s);
        return 0;
}

int ssh_open(struct ssh **ret, const struct ssh_target *target, const struct ssh_wishes *wishes, struct err *err)
{
        return open_at(ret, target, NULL, wishes, 0, err);
}

/* ---- the channel ---- */

static int start_bridge(struct ssh *s, int *ret_fd, struct err *err)
{
        return ssh_bridge_start(&s->bridge,
                                &(struct ssh_bridge_config){ .session = s->link.session,
                                                             .channel = s->channel,
                                                             .fd = s->link.fd,
                                                             .alive_interval_ms = s->alive_interval_s * 1000,
                                                             .dead_after_ms = s->dead_after_s * 1000,
                                                             .hear = s->wishes.hear,
                                                             .context = s->wishes.context },
                                ret_fd, err);
}

static int new_channel(struct ssh *s, struct err *err)
{
        if (s->channel)
                return err_runf(err, -EBUSY, "the connection to %s is in use", s->name);
        s->channel = ssh_channel_new(s->link.session);
        return s->channel ? 0 : err_oom(err);
}

int ssh_execute(struct ssh *s, const char *command, int *ret_fd, struct err *err)
{
        int rc, r = new_channel(s, err);

        while (r == 0 && (rc = ssh_channel_open_session(s->channel)) != SSH_OK)
                r = rc == SSH_AGAIN ? ssh_link_wait(&s->link, "open a channel to", err)
                                    : ssh_link_error(&s->link, "open a channel to", err);
        while (r == 0 && (rc = ssh_channel_request_exec(s->channel, command)) != SSH_OK)
                r = rc == SSH_AGAIN ? ssh_link_wait(&s->link, "run a command on", err)
                                    : ssh_link_error(&s->link, "run a command on", err);
        return r < 0 ? r : start_bridge(s, ret_fd, err);
}

/* The server's reasons are numbers (RFC 4254, 5.1), which libssh has in its text alone. */
static int fail_to_forward(struct ssh *s, const char *what, struct err *err)
{
        const char *text = ssh_get_error(s->link.session);

        if (strstr(text, "error (1)")) {
                (void)err_runf(err, -EACCES, "cannot %s %s: the server has prohibited it", what, s->name);
                return err_hint(err, "see AllowTcpForwarding, PermitOpen and the account's key on the server");
        }
        if (strstr(text, "error (2)")) {
                (void)err_runf(err, -ECONNREFUSED, "cannot %s %s: the connection was refused there", what, s->name);
                return err_hint(err, "does it run, and does it listen at that address as the server sees it?");
        }
        return ssh_link_error(&s->link, what, err);
}

int ssh_forward(struct ssh *s, const char *host, unsigned port, int *ret_fd, struct err *err)
{
        char what[SHOWN_MAX + 64], shown[SHOWN_MAX];
        int rc, r = new_channel(s, err);

        path_show(NULL, host, shown, sizeof(shown));
        snprintf(what, sizeof(what), "reach %s port %u by way of", shown, port);
        while (r == 0 && (rc = ssh_channel_open_forward(s->channel, host, (int)port, "127.0.0.1", 0)) != SSH_OK)
                r = rc == SSH_AGAIN ? ssh_link_wait(&s->link, what, err) : fail_to_forward(s, what, err);
        return r < 0 ? r : start_bridge(s, ret_fd, err);
}

/* ---- the end ---- */

int ssh_finish(struct ssh *s, unsigned timeout_s, struct ssh_end *ret, struct err *err)
{
        struct ssh_bridge_end end;
        int r = ssh_bridge_wait(s->bridge, timeout_s, &end, err);

        if (r < 0)
                return r;
        *ret = (struct ssh_end){ .kind = SSH_END_RUNNING, .status = -1 };
        if (r == SSH_BRIDGE_STILL_RUNNING) {
                snprintf(ret->text, sizeof(ret->text), "%s: the command has not ended within %u s", s->name, timeout_s);
                return 0;
        }
        ssh_end_tell(ret, s->name, &end);
        return 0;
}

/* Since 0.10 libssh says that a descriptor it was given is not its own, and closes it with the session all the same. */
static void close_socket(const struct ssh *s)
{
        struct stat st;

        if (s->link.fd >= 0 && fstat(s->link.fd, &st) == 0 && st.st_ino == s->inode)
                fd_close(s->link.fd);
}

struct ssh *ssh_close(struct ssh *s)
{
        if (!s)
                return NULL;
        s->bridge = ssh_bridge_stop(s->bridge);
        if (s->link.session) {
                ssh_disconnect(s->link.session);
                ssh_free(s->link.session);
        }
        close_socket(s);
        ssh_keyring_close(s->keyring);
        ssh_close(s->jump);
        ssh_config_free(s->config);
        free(s->name);
        free(s);
        return NULL;
}
