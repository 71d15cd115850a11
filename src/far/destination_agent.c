/*
 * A directory on another machine: each operation is a request to the agent there, which does it by its own local
 * destination (agent.c). The transfer alone is done here, as the sender of an exchange.
 */
#include "destination.h"

#include "base/directory.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/stop.h"
#include "far/far.h"
#include "rotate/names.h"
#include "transfer/exchange/channel.h"
#include "transfer/exchange/pack.h"
#include "transfer/source.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

static int check_inside(const struct far *f, int source_fd, struct err *err)
{
        _cleanup_(source_avoid_deinit) struct source_avoid avoid;
        char shown[PATH_SHOWN];
        int r = far_find_avoided(f, &avoid, err);

        if (r < 0)
                return r;
        r = source_avoids_above(&avoid, source_fd);
        fd_close(avoid.parent_fd);
        path_show(NULL, f->d.config->options->source, shown, sizeof(shown));
        if (r < 0)
                return err_run(err, r, "look above", shown);
        return r == 0 ? 0
                      : err_runf(err, -EINVAL,
                                 "the source '%s' is the destination itself, or inside of it or its snapshots", shown);
}

/* There is no agent. Rsync, which may be there, does for a transfer when nothing else was asked for. */
static int do_without(const struct options *o, struct err *err)
{
        char hint[ERR_HINT_MAX];

        if (o->backup && !(o->actions_asked && (o->snapshot || o->rotate)) && !o->mount && !o->crypto) {
                err_drop(err, "there is another way");
                return DESTINATION_NO_AGENT;
        }
        memcpy(hint, err->hint, sizeof(hint));
        if (o->backup)
                err_hint(err, "%s; without --snapshot, --rotate, --mount and --crypto rsync may do", hint);
        return err->code;
}

static int far_prepare(struct destination *d, struct err *err)
{
        struct far *f = far_of(d);
        const struct options *o = d->config->options;
        _cleanup_(fd_closep) int source_fd = o->backup ? fd_open_directory(o->source) : -1;
        int r = o->backup ? source_fd < 0 ? source_fd : directory_is_empty(source_fd) : 0;

        if (r < 0)
                return err_run(err, r, "read the source directory", o->source);
        f->source_is_empty = r > 0;
        r = far_connect(f, err);
        if (r < 0 && f->remote && remote_has_no_agent(f->remote))
                return do_without(o, err);
        if (r != 0)
                return r;
        f->was_prepared = true;
        return o->backup ? check_inside(f, source_fd, err) : 0;
}

/* ---- snapshots ---- */

static int snapshot_once(struct far *f, void *context, struct err *err)
{
        struct wire_message m;
        struct unpack u;
        int64_t time;
        int r = far_ask(f, far_begin(f, MESSAGE_SNAPSHOT) ? 0 : -ENOMEM, &m, err);
        char *name;

        (void)context;
        if (r < 0)
                return r;
        u = unpack_begin(m.data, m.size);
        name = m.type == MESSAGE_OK ? unpack_text(&u, sizeof(f->d.made) - 1) : NULL;
        if (!name || !unpack_end(&u) || !names_parse(name, &time))
                r = far_fail_answer(f, "the answer to SNAPSHOT", err);
        else
                snprintf(f->d.made, sizeof(f->d.made), "%s", name);
        free(name);
        return r;
}

static int far_snapshot(struct destination *d, struct err *err)
{
        return far_persist(far_of(d), snapshot_once, NULL, err);
}

/* One of SNAPSHOTS, for which there is room. */
static int take_snapshot(struct destination_snapshots *list, struct unpack *u, const char *made)
{
        enum { COMPLETE = 1, OWN = 2 };
        struct destination_snapshot s = { .name = unpack_text(u, NAME_MAX) };
        unsigned flags;

        (void)unpack_signed(u);
        flags = unpack_u8(u);
        s.complete = flags & COMPLETE;
        /* An agent that was connected to since then knows nothing of it. */
        s.own = flags & OWN || (s.name && str_equal(s.name, made));
        if (u->broken || !names_parse(s.name, &s.time)) {
                free(s.name);
                return -EPROTO;
        }
        list->items[list->count++] = s;
        return 0;
}

enum { SNAPSHOTS_MAX = 2 * REQUEST_AVOIDED_MAX };

/* Return 1 when more follows, 0, or -EPROTO or -ENOMEM. */
static int take_snapshots(struct destination_snapshots *list, const struct wire_message *m, const char *made)
{
        struct unpack u = unpack_begin(m->data, m->size);
        unsigned more = unpack_u8(&u);
        struct destination_snapshot *items;
        uint64_t count;
        int r = 0;

        list->now = unpack_signed(&u);
        count = unpack_varint(&u, UINT32_MAX);
        /* No agent prepares a destination that has more of them. */
        if (count > SNAPSHOTS_MAX - list->count || (count == 0 && more))
                return -EPROTO;
        items = reallocarray(list->items, list->count + (size_t)count + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        list->items = items;
        for (uint64_t i = 0; i < count && r == 0; i++)
                r = take_snapshot(list, &u, made);
        if (r == 0 && (!unpack_end(&u) || more > 1))
                r = -EPROTO;
        return r < 0 ? r : (int)more;
}

static int list_once(struct far *f, void *context, struct err *err)
{
        struct destination_snapshots *list = context;
        struct wire_message m;
        int r;

        *list = (struct destination_snapshots){ .items = NULL };
        r = far_ask(f, far_begin(f, MESSAGE_LIST) ? 0 : -ENOMEM, &m, err);
        while (r == 0) {
                r = m.type == MESSAGE_SNAPSHOTS ? take_snapshots(list, &m, f->d.made) : -EPROTO;
                if (r == 0)
                        return 0;
                if (r < 0)
                        r = r == -ENOMEM ? err_oom(err) : far_fail_answer(f, "SNAPSHOTS", err);
                else
                        r = far_hear(f, &m, err) < 0 ? far_fail_connection(f, err->code, err) : 0;
        }
        destination_snapshots_deinit(list);
        return r;
}

static int far_list(struct destination *d, struct destination_snapshots *ret, struct err *err)
{
        return far_persist(far_of(d), list_once, ret, err);
}

static int remove_once(struct far *f, void *context, struct err *err)
{
        const char *name = context;
        struct wire_message m;
        int r = far_ask(f, pack_text(far_begin(f, MESSAGE_REMOVE), name), &m, err);

        return r < 0 || m.type == MESSAGE_OK ? r : far_fail_answer(f, "the answer to REMOVE", err);
}

static int far_remove(struct destination *d, const char *name, struct err *err)
{
        _cleanup_(freep) char *copy = strdup(name);

        return copy ? far_persist(far_of(d), remove_once, copy, err) : err_oom(err);
}

/* ---- the end ---- */

/* The agent adds to what it said itself; whose disk it is stands there already. */
static void far_explain_full(struct destination *d, struct err *err)
{
        struct far *f = far_of(d);
        struct wire_message m;
        struct err said = *err;
        ERR_LOCAL(minor);
        int r;

        if (f->is_broken || !f->remote)
                return;
        /* What is still to come only the two together can tell. */
        if (f->was_prepared && d->config->options->backup && far_imagine_transfer(f, &minor) < 0)
                err_drop(&minor, "the message of the full disk does without it");
        if (f->is_broken || stop_requested())
                return;
        err_drop(err, "the answer is the same and more");
        r = far_ask(f, request_put_error(far_begin(f, MESSAGE_EXPLAIN), &said), &m, err);
        if (err_is_full(r) && *err->hint)
                err_hint(&said, "%s", err->hint);
        err_drop(err, "its hint is all that was wanted");
        *err = said;
}

/*
 * After a stop request the agent has a bounded time to close what it opened; it does so in any case. When the
 * connection breaks here, the next agent tells whether that went well.
 */
static int release_once(struct far *f, void *context, struct err *err)
{
        struct channel *c = remote_channel(f->remote);
        struct wire_message m;
        int r;

        (void)context;
        f->passes_over = true;
        if (stop_requested()) {
                channel_outlive_stop(c);
                channel_set_timeout(c, FAR_CANCEL_PATIENCE_S);
        }
        r = far_ask(f, far_begin(f, MESSAGE_RELEASE) ? 0 : -ENOMEM, &m, err);
        if (r == 0 && m.type != MESSAGE_OK)
                r = far_fail_answer(f, "the answer to RELEASE", err);
        if (!f->is_broken)
                remote_part(f->remote);
        return r;
}

static int far_release(struct destination *d, struct err *err)
{
        struct far *f = far_of(d);
        int r = f->remote && !f->is_broken ? far_persist(f, release_once, NULL, err) : 0;

        far_hang_up(f);
        return r;
}

static struct destination *far_free(struct destination *d)
{
        struct far *f = far_of(d);

        remote_close(f->remote);
        request_place_deinit(&f->place);
        free(f->parent);
        free(f);
        return NULL;
}

/* Where the sections of rotate-backups' files find it: HOST:DIR, without a user. */
static char *name_parent(const struct location *l)
{
        _cleanup_(freep) char *directory = path_parent(l->path);
        struct location parent = { .kind = LOCATION_SSH, .host = l->host, .path = directory };

        return directory ? location_expression(&parent) : NULL;
}

int destination_agent_new(struct destination **ret, const struct destination_config *config, struct err *err)
{
        static const struct destination_ops ops = {
                .prepare = far_prepare,
                .transfer = far_transfer,
                .snapshot = far_snapshot,
                .list = far_list,
                .remove = far_remove,
                .survey = far_survey,
                .explain_full = far_explain_full,
                .release = far_release,
                .free = far_free,
        };
        struct far *f = calloc(1, sizeof(*f));

        if (!f)
                return err_oom(err);
        f->d = (struct destination){ .ops = &ops, .config = config };
        location_show_host(&config->options->destination, f->host, sizeof(f->host));
        f->news = (struct remote_news){ .host = f->host, .report = config->report, .progress = config->progress };
        f->patience.retries = config->options->link.retries;
        f->parent = name_parent(&config->options->destination);
        if (!f->parent) {
                far_free(&f->d);
                return err_oom(err);
        }
        f->d.parent = f->parent;
        *ret = &f->d;
        return 0;
}
