/* Conversations with an rsync server. One is begun anew, from its connection on, when that breaks. */
#include "server/server.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/path.h"
#include "base/stop.h"
#include "progress.h"
#include "server/password.h"

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

char *server_destination(const struct server *s)
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

/* ---- listing ---- */

struct list_step {
        const char *path;
        server_take *take;
        void *context;
        bool hangs_up;
};

static int list_once(struct server *s, void *step, struct err *err)
{
        const struct list_step *l = step;
        struct server_talk talk = { .arguments.destination = l->path };
        struct rsync_listing_config config;
        int r;

        rsync_listing_arguments(&talk.arguments);
        r = server_open(s, &talk, err);
        if (r < 0)
                return r == -ENOENT ? (err->code = -ENXIO) : r;
        config = (struct rsync_listing_config){ .in_fd = talk.push.in_fd,
                                                .out_fd = talk.push.out_fd,
                                                .peer = s->name,
                                                .timeout_s = talk.push.timeout_s,
                                                .hello = &talk.hello,
                                                .take = l->take,
                                                .context = l->context,
                                                .hangs_up = l->hangs_up };
        return rsync_listing(&config, err);
}

int server_list_directory(struct server *s, const char *path, server_take *take, void *context, struct err *err)
{
        return server_persist(s, list_once, &(struct list_step){ path, take, context, false }, err);
}

int server_look_into(struct server *s, const char *path, server_take *take, void *context, struct err *err)
{
        return server_persist(s, list_once, &(struct list_step){ path, take, context, true }, err);
}
