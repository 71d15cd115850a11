/*
 * A directory on another machine: each operation is a request to the agent there, which does it by its own local
 * destination (agent.c). The transfer alone is done here, as the sender of an exchange.
 *
 * A connection that breaks is made again, up to --retries times in all, and what was under way is begun anew: a
 * transfer goes on from what is stored, listing and removing twice comes to the same, and of two snapshots of the same
 * tree none is wrong. The old agent may hold its locks until it has noticed that it is alone.
 */
#include "destination.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/report.h"
#include "base/stop.h"
#include "local_checks.h"
#include "options.h"
#include "origin.h"
#include "progress.h"
#include "remote.h"
#include "remote_news.h"
#include "rotate/names.h"
#include "storage/identity.h"
#include "transfer/channel.h"
#include "transfer/limits.h"
#include "transfer/message.h"
#include "transfer/pack.h"
#include "transfer/request.h"
#include "transfer/sender.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

enum {
        CANCEL_PATIENCE_S = 60,  /* for an agent that is to undo what it does */
        SILENCE_MAX_S = 10,      /* of one that is told to */
        LOCKED_PATIENCE_S = 120, /* for one whose connection broke to notice */
        DELAY_MAX_S = 60,
        SHOWN_MAX = 300,
};

struct far {
        struct destination d; /* first */
        char *parent;         /* HOST:DIR */
        struct remote *remote;
        struct remote_news news;
        struct request_place place; /* what the agent said of the destination; boot == NULL: nothing yet */
        bool source_is_empty;
        bool was_prepared; /* once; then it is worth to connect again */
        bool is_broken;    /* nothing can be said to the agent any more */
        bool passes_over;  /* what a receiver that was told to end still sends */
        unsigned tries;    /* to connect again, so far */
        struct buf answer; /* of an exchange that is over; */
        uint8_t answer_type;
};

static struct far *far_of(struct destination *d)
{
        return (struct far *)d;
}

static const char *host_of(const struct far *f)
{
        return f->d.config->options->destination.host;
}

static bool is_full(int code)
{
        return code == -ENOSPC || code == -EDQUOT;
}

/* ---- asking ---- */

static bool is_of_connection(int code)
{
        return code == -ECONNRESET || code == -ETIMEDOUT || code == -EPROTO || code == -EPROTONOSUPPORT;
}

/* What failed on the way to the agent and back. A stop request is not of that kind. */
static int fail_connection(struct far *f, int r, struct err *err)
{
        if (r == -ECANCELED)
                return r;
        f->is_broken = true;
        remote_news_end(&f->news);
        return remote_explain(f->remote, err);
}

static bool is_of_receiver(const struct wire_message *m)
{
        return m->type >= MESSAGE_DONE && m->type <= MESSAGE_RECEIVER_LAST;
}

/* The next message that is no news. Return 0 or a negative errno with @err filled. */
static int hear(struct far *f, struct wire_message *ret, struct err *err)
{
        int r;

        do {
                r = channel_receive(remote_channel(f->remote), ret, true, err);
                if (r > 0)
                        r = remote_news_take(&f->news, ret, err);
                if (r == 0 && f->passes_over && is_of_receiver(ret))
                        r = 1;
        } while (r > 0);
        return r;
}

/*
 * The agent is at something that is to end: tell it, and wait for its answer, whatever it is, so that it is free for
 * what comes next. When it takes too long it is left to itself, and finds out that it is.
 */
static void cancel(struct far *f)
{
        double until = progress_now() + CANCEL_PATIENCE_S;
        struct channel *c = remote_channel(f->remote);
        struct wire_message m;
        ERR_LOCAL(err);
        int r;

        channel_outlive_stop(c);
        channel_set_timeout(c, SILENCE_MAX_S);
        f->passes_over = true;
        (void)wire_begin(channel_wire(c), MESSAGE_CANCEL);
        r = wire_end(channel_wire(c), &err);
        while (r >= 0 && progress_now() < until) {
                r = channel_receive(c, &m, true, &err);
                if (r > 0)
                        r = remote_news_take(&f->news, &m, &err);
                if (r == 0 && !is_of_receiver(&m))
                        break;
        }
        f->is_broken = r != 0;
        remote_news_end(&f->news);
        if (r < 0)
                err_drop(&err, "it is over, one way or the other");
}

static struct buf *begin(struct far *f, enum message_type type)
{
        return wire_begin(channel_wire(remote_channel(f->remote)), (uint8_t)type);
}

/* Take an ERROR as if it had happened here; false for another answer. */
static int take_error(const struct far *f, uint8_t type, const void *data, size_t size, struct err *err)
{
        struct wire_message m = { .type = type, .data = data, .size = size };

        if (type != MESSAGE_ERROR)
                return 0;
        request_get_error(&m, err);
        return err_context(err, host_of(f));
}

/* Send the request that was begun, and wait for its answer. Return 0, or a negative errno with @err filled, which an
 * ERROR is as well. */
static int ask(struct far *f, int packed, struct wire_message *ret, struct err *err)
{
        struct channel *c = remote_channel(f->remote);
        int r = packed < 0 ? err_oom(err) : wire_end(channel_wire(c), err);

        if (r == 0)
                r = hear(f, ret, err);
        if (r == -ECANCELED)
                cancel(f);
        if (r < 0)
                return fail_connection(f, r, err);
        return take_error(f, ret->type, ret->data, ret->size, err);
}

/* An answer that makes no sense ends the conversation. */
static int fail_answer(struct far *f, const char *to, struct err *err)
{
        f->is_broken = true;
        request_refuse(to, err);
        return err_context(err, host_of(f));
}

/* ---- prepare ---- */

static unsigned wishes(const struct far *f)
{
        const struct options *o = f->d.config->options;
        bool lists = report_lists_changes(f->d.config->report);

        return (o->dry_run ? REQUEST_DRY_RUN : 0U) | (o->force ? REQUEST_FORCE : 0U) |
               (o->no_sudo ? REQUEST_NO_SUDO : 0U) | (o->backup ? REQUEST_BACKUP : 0U) |
               (o->snapshot ? REQUEST_SNAPSHOT : 0U) | (o->rotate ? REQUEST_ROTATE : 0U) |
               (lists ? REQUEST_LIST_CHANGES : 0U) | (f->source_is_empty ? REQUEST_SOURCE_EMPTY : 0U) |
               (o->attended ? REQUEST_ATTENDED : 0U) | (o->verbosity >= 1 ? REQUEST_VERBOSE : 0U) |
               (o->verbosity >= 2 ? REQUEST_DEBUG : 0U);
}

/* Return 0, DESTINATION_ABSENT, or a negative errno with @err filled. */
static int ask_prepare(struct far *f, struct err *err)
{
        static char nothing[] = "";
        const struct options *o = f->d.config->options;
        const struct request_prepare p = { .path = o->destination.path,
                                           .mount = o->mount ? o->mount : nothing,
                                           .crypto = o->crypto ? o->crypto : nothing,
                                           .flags = wishes(f),
                                           .ionice = (unsigned)o->ionice };
        struct wire_message m;
        int r = ask(f, request_put_prepare(begin(f, MESSAGE_PREPARE), &p), &m, err);

        if (r < 0)
                return r;
        if (m.type == MESSAGE_ABSENT)
                return DESTINATION_ABSENT;
        if (m.type != MESSAGE_OK)
                return fail_answer(f, "the answer to PREPARE", err);
        request_place_deinit(&f->place);
        if (request_get_place(&m, &f->place, err) < 0) {
                f->is_broken = true;
                return err_context(err, host_of(f));
        }
        remote_greet(f->remote);
        f->d.keeps_all = f->place.flags & REQUEST_KEEPS_ALL;
        return 0;
}

static int open_conversation(struct far *f, struct err *err)
{
        int r;

        f->is_broken = f->passes_over = false;
        r = remote_open(&f->remote, f->d.config->options, err);
        return r < 0 ? r : ask_prepare(f, err);
}

/* Does the agent run on this machine, so that it sees the same inodes? */
static bool is_near(const struct far *f)
{
        char boot[IDENTITY_SIZE];

        identity_boot(boot);
        return *boot && f->place.boot && str_equal(boot, f->place.boot);
}

/* What is the destination's own, if it can be met here. @ret->parent_fd is to be closed. */
static int find_avoided(const struct far *f, struct source_avoid *ret, struct err *err)
{
        *ret = (struct source_avoid){ .parent_fd = -1 };
        if (!is_near(f))
                return 0;
        ret->items = calloc(f->place.count + 1, sizeof(*ret->items));
        if (!ret->items)
                return err_oom(err);
        for (; ret->count < f->place.count; ret->count++)
                ret->items[ret->count] = (struct source_avoided){ .dev = f->place.avoided[ret->count].dev,
                                                                  .ino = f->place.avoided[ret->count].ino };
        ret->parent_fd = open(f->place.parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return 0;
}

static int check_inside(const struct far *f, int source_fd, struct err *err)
{
        _cleanup_(source_avoid_deinit) struct source_avoid avoid;
        char shown[SHOWN_MAX];
        int r = find_avoided(f, &avoid, err);

        if (r < 0)
                return r;
        r = local_check_is_inside(source_fd, &avoid);
        fd_close(avoid.parent_fd);
        path_show(NULL, f->d.config->options->source, shown, sizeof(shown));
        if (r < 0)
                return err_run(err, r, "look above", shown);
        return r == 0 ? 0
                      : err_runf(err, -EINVAL,
                                 "the source '%s' is the destination itself, or inside of it or its snapshots", shown);
}

static int far_prepare(struct destination *d, struct err *err)
{
        struct far *f = far_of(d);
        const struct options *o = d->config->options;
        _cleanup_(fd_closep) int source_fd = o->backup ? fd_open_directory(o->source) : -1;
        int r = o->backup ? source_fd < 0 ? source_fd : local_check_is_empty(source_fd) : 0;

        if (r < 0)
                return err_run(err, r, "read the source directory", o->source);
        f->source_is_empty = r > 0;
        r = open_conversation(f, err);
        if (r != 0)
                return r;
        f->was_prepared = true;
        return o->backup ? check_inside(f, source_fd, err) : 0;
}

/* ---- connecting again ---- */

static unsigned delay_s(unsigned tries)
{
        return tries < 6 ? 1U << tries : DELAY_MAX_S;
}

/* Return 0 when the time is over, or -ECANCELED with @err filled. */
static int rest(unsigned seconds, struct err *err)
{
        int r = stop_wait(-1, stop_deadline_us(seconds), err);

        return r == STOP_WAIT_TIMED_OUT ? 0 : r;
}

static void hang_up(struct far *f)
{
        remote_news_end(&f->news);
        f->remote = remote_close(f->remote);
        report_hear_end(f->d.config->report);
}

/* May another attempt go better? What the agent itself refuses it refuses again, but for the lock of the one before. */
static bool is_passing(const struct far *f, int code, double since)
{
        if (code == -EWOULDBLOCK)
                return progress_now() - since < LOCKED_PATIENCE_S;
        if (code == -ECONNRESET || code == -ETIMEDOUT)
                return true;
        /* ssh_open() has failed. */
        return !f->remote && code != -ECANCELED && code != -ENOMEM;
}

/* @err, which is filled, ended the conversation. Return 0 when there is another one, else @err is the last reason. */
static int connect_again(struct far *f, struct err *err)
{
        const unsigned retries = f->d.config->options->link.retries;
        double since = progress_now();
        int r = err->code;

        while (f->was_prepared && is_passing(f, r, since) && !stop_requested()) {
                unsigned wait_s = delay_s(f->tries);

                if (f->tries >= retries && r != -EWOULDBLOCK)
                        break;
                if (r != -EWOULDBLOCK)
                        f->tries++;
                log_warning("%s; trying again in %u s (%u of %u)", err->text, wait_s, f->tries, retries);
                err_drop(err, "tried again");
                hang_up(f);
                r = rest(wait_s, err);
                if (r == 0)
                        r = open_conversation(f, err);
                if (r == DESTINATION_ABSENT)
                        r = err_runf(err, -ENODEV, "%s: the disk is not plugged in any more", host_of(f));
                if (r == 0)
                        return 0;
        }
        return r;
}

/* Do @step, and once more after each new connection. */
static int persist(struct far *f, int (*step)(struct far *f, void *context, struct err *err), void *context,
                   struct err *err)
{
        int r = f->is_broken || !f->remote ? err_runf(err, -ENOTCONN, "%s: the connection is gone", host_of(f))
                                           : step(f, context, err);

        while (r < 0 && f->is_broken && (r == -ECONNRESET || r == -ETIMEDOUT)) {
                r = connect_again(f, err);
                if (r == 0)
                        r = step(f, context, err);
                else
                        break;
        }
        return r;
}

/* ---- transfer ---- */

static int ask_update(struct far *f, const struct origin *o, bool again, struct sender_config *ret,
                      struct limits *ret_limits, struct err *err)
{
        char machine[IDENTITY_SIZE], filesystem[IDENTITY_SIZE];
        const struct request_update update = { .machine = machine,
                                               .source = f->d.config->options->source,
                                               .filesystem = filesystem,
                                               .now = o->now,
                                               .flags = again ? REQUEST_AGAIN : 0 };
        struct wire_message m;
        struct unpack u;
        int r;

        memcpy(machine, o->machine, sizeof(machine));
        memcpy(filesystem, o->filesystem, sizeof(filesystem));
        r = ask(f, request_put_update(begin(f, MESSAGE_UPDATE), &update), &m, err);
        if (r < 0)
                return r;
        u = unpack_begin(m.data, m.size);
        message_get_limits(&u, ret_limits);
        ret->has_reference = unpack_u8(&u);
        ret->reference = unpack_time(&u);
        return m.type == MESSAGE_LIMITS && unpack_end(&u) ? 0 : fail_answer(f, "LIMITS", err);
}

/* What comes during the exchange and is not of it: news, or the end. */
static int on_other(void *far, const struct wire_message *m, struct err *err)
{
        struct far *f = far;
        int r = remote_news_take(&f->news, m, err);

        if (r != 0)
                return r < 0 ? r : 0;
        if (m->type != MESSAGE_OK && m->type != MESSAGE_ERROR)
                return request_refuse("a message in the exchange", err);
        buf_truncate(&f->answer, 0);
        f->answer_type = m->type;
        return buf_append(&f->answer, m->size ? m->data : "", m->size) < 0 ? err_oom(err) : SENDER_END;
}

static void on_tick(void *far)
{
        struct far *f = far;

        if (f->news.in_step)
                progress_tick(f->news.progress);
}

enum { AGAIN = 1 };

/* Return 0, AGAIN, or a negative errno with @err filled. */
static int exchange(struct far *f, const struct origin *o, bool again, struct err *err)
{
        struct sender_config config = { .channel = remote_channel(f->remote),
                                        .source = o->source,
                                        .report = f->d.config->report,
                                        .other = on_other,
                                        .context = f,
                                        .tick = on_tick,
                                        .tick_context = f };
        struct limits limits;
        struct unpack u;
        unsigned more;
        int r;

        report_restart(config.report);
        config.limits = &limits;
        r = ask_update(f, o, again, &config, &limits, err);
        if (r < 0)
                return r;
        r = sender_run(&config, err);
        remote_news_end(&f->news);
        report_lacks(config.report);
        if (r < 0 && !is_of_connection(r))
                cancel(f);
        if (r < 0)
                return is_of_connection(r) ? fail_connection(f, r, err) : r;
        r = take_error(f, f->answer_type, f->answer.data, f->answer.size, err);
        f->passes_over = r < 0;
        if (r < 0)
                return r;
        u = unpack_begin(f->answer.data, f->answer.size);
        more = unpack_u8(&u);
        return unpack_end(&u) && more <= AGAIN ? (int)more : fail_answer(f, "the answer to UPDATE", err);
}

static int transfer_once(struct far *f, void *context, struct err *err)
{
        _cleanup_(origin_close) struct origin origin = ORIGIN_NONE;
        int r = find_avoided(f, &origin.avoid, err);

        (void)context;
        if (r == 0)
                r = origin_open(&origin, f->d.config, f->d.config->report, err);
        if (r == 0)
                r = exchange(f, &origin, false, err);
        /* Once more, when a group of hard links had to move on the way, for the names that were before. */
        while (r == AGAIN)
                r = exchange(f, &origin, true, err);
        fd_close(origin.avoid.parent_fd);
        return r;
}

static void tell_bytes(const struct far *f)
{
        char sent[PROGRESS_TEXT_SIZE], received[PROGRESS_TEXT_SIZE];

        log_info("connection: %s sent, %s received",
                 progress_bytes(channel_sent_bytes(remote_channel(f->remote)), sent),
                 progress_bytes(channel_received_bytes(remote_channel(f->remote)), received));
}

static int far_transfer(struct destination *d, struct err *err)
{
        struct far *f = far_of(d);
        int r = persist(f, transfer_once, NULL, err);

        if (r == 0)
                tell_bytes(f);
        return r;
}

/* ---- snapshots ---- */

static int snapshot_once(struct far *f, void *context, struct err *err)
{
        struct wire_message m;
        struct unpack u;
        int64_t time;
        int r = ask(f, begin(f, MESSAGE_SNAPSHOT) ? 0 : -ENOMEM, &m, err);
        char *name;

        (void)context;
        if (r < 0)
                return r;
        u = unpack_begin(m.data, m.size);
        name = m.type == MESSAGE_OK ? unpack_text(&u, sizeof(f->d.made) - 1) : NULL;
        if (!name || !unpack_end(&u) || !names_parse(name, &time))
                r = fail_answer(f, "the answer to SNAPSHOT", err);
        else
                snprintf(f->d.made, sizeof(f->d.made), "%s", name);
        free(name);
        return r;
}

static int far_snapshot(struct destination *d, struct err *err)
{
        return persist(far_of(d), snapshot_once, NULL, err);
}

/* One of SNAPSHOTS. */
static int take_snapshot(struct destination_snapshots *list, struct unpack *u, const char *made)
{
        enum { COMPLETE = 1, OWN = 2 };
        struct destination_snapshot s = { .name = unpack_text(u, NAME_MAX) };
        struct destination_snapshot *items;
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
        items = reallocarray(list->items, list->count + 1, sizeof(*items));
        if (!items) {
                free(s.name);
                return -ENOMEM;
        }
        list->items = items;
        items[list->count++] = s;
        return 0;
}

/* Return 1 when more follows, 0, or -EPROTO or -ENOMEM. */
static int take_snapshots(struct destination_snapshots *list, const struct wire_message *m, const char *made)
{
        struct unpack u = unpack_begin(m->data, m->size);
        unsigned more = unpack_u8(&u);
        uint64_t count;
        int r = 0;

        list->now = unpack_signed(&u);
        count = unpack_varint(&u, UINT32_MAX);
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
        r = ask(f, begin(f, MESSAGE_LIST) ? 0 : -ENOMEM, &m, err);
        while (r == 0) {
                r = m.type == MESSAGE_SNAPSHOTS ? take_snapshots(list, &m, f->d.made) : -EPROTO;
                if (r == 0)
                        return 0;
                if (r < 0)
                        r = r == -ENOMEM ? err_oom(err) : fail_answer(f, "SNAPSHOTS", err);
                else
                        r = hear(f, &m, err) < 0 ? fail_connection(f, err->code, err) : 0;
        }
        destination_snapshots_deinit(list);
        return r;
}

static int far_list(struct destination *d, struct destination_snapshots *ret, struct err *err)
{
        return persist(far_of(d), list_once, ret, err);
}

static int remove_once(struct far *f, void *context, struct err *err)
{
        const char *name = context;
        struct wire_message m;
        int r = ask(f, pack_text(begin(f, MESSAGE_REMOVE), name), &m, err);

        return r < 0 || m.type == MESSAGE_OK ? r : fail_answer(f, "the answer to REMOVE", err);
}

static int far_remove(struct destination *d, const char *name, struct err *err)
{
        _cleanup_(freep) char *copy = strdup(name);

        return copy ? persist(far_of(d), remove_once, copy, err) : err_oom(err);
}

/* ---- the end ---- */

/* The agent adds to what it said itself; whose disk it is stands there already. */
static void far_explain_full(struct destination *d, struct err *err)
{
        struct far *f = far_of(d);
        struct wire_message m;
        struct err said = *err;
        int r;

        if (f->is_broken || !f->remote)
                return;
        err_drop(err, "the answer is the same and more");
        r = ask(f, request_put_error(begin(f, MESSAGE_EXPLAIN), &said), &m, err);
        if (is_full(r) && *err->hint)
                err_hint(&said, "%s", err->hint);
        err_drop(err, "its hint is all that was wanted");
        *err = said;
}

/* After a stop request the agent has a bounded time to close what it opened; it does so in any case. */
static int say_goodbye(struct far *f, struct err *err)
{
        struct channel *c = remote_channel(f->remote);
        struct wire_message m;
        int r;

        f->passes_over = true;
        if (stop_requested()) {
                channel_outlive_stop(c);
                channel_set_timeout(c, CANCEL_PATIENCE_S);
        }
        r = ask(f, begin(f, MESSAGE_RELEASE) ? 0 : -ENOMEM, &m, err);
        if (r == 0 && m.type != MESSAGE_OK)
                r = fail_answer(f, "the answer to RELEASE", err);
        if (!f->is_broken)
                remote_part(f->remote);
        return r;
}

static int far_release(struct destination *d, struct err *err)
{
        struct far *f = far_of(d);
        int r = f->remote && !f->is_broken ? say_goodbye(f, err) : 0;

        hang_up(f);
        return r;
}

static struct destination *far_free(struct destination *d)
{
        struct far *f = far_of(d);

        remote_close(f->remote);
        request_place_deinit(&f->place);
        buf_deinit(&f->answer);
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
                .explain_full = far_explain_full,
                .release = far_release,
                .free = far_free,
        };
        struct far *f = calloc(1, sizeof(*f));

        if (!f)
                return err_oom(err);
        f->d = (struct destination){ .ops = &ops, .config = config };
        f->news = (struct remote_news){ .host = config->options->destination.host,
                                        .report = config->report,
                                        .progress = config->progress };
        f->parent = name_parent(&config->options->destination);
        if (!f->parent) {
                far_free(&f->d);
                return err_oom(err);
        }
        f->d.parent = f->parent;
        *ret = &f->d;
        return 0;
}
