/*
 *      await a request -> do it by the destination -> tell what is still to be told -> answer
 *
 * While something is done the channel is served by the ticks of the progress: what is to be told goes out, a CANCEL
 * comes in, or the client's end, and becomes a stop request. During an exchange the channel is the receiver's; a CANCEL
 * comes by on_other() then. A stop ends what is being done with -ECANCELED, which is answered like any error. Then, and
 * whenever the conversation is over, the client has a little time to say goodbye before the destination is released
 * without it.
 */
#include "agent.h"

#include "agent_asked.h"
#include "agent_news.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/privileges.h"
#include "base/report.h"
#include "base/stop.h"
#include "ioclass.h"
#include "local.h"
#include "local_fence.h"
#include "options.h"
#include "progress.h"
#include "rotate/names.h"
#include "transfer/channel.h"
#include "transfer/message.h"
#include "transfer/pack.h"
#include "transfer/request.h"
#include "transfer/source.h"
#include "version.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

enum { LIFE_S = 20, GOODBYE_S = 10, ZSTD_LEVEL = 3 };

struct agent {
        const struct options *given; /* of the command line */
        int in_fd, out_fd;
        struct channel *channel;
        struct agent_news *news;

        struct options *options; /* what the client asked for in PREPARE; NULL before */
        struct local_fence fence;
        struct report *report;
        struct progress *progress;
        struct destination_config config;
        struct destination *destination;

        bool is_absent, is_released;
        bool in_exchange;    /* the receiver reads from the channel */
        bool passes_over;    /* what a sender that was told to end still sends */
        bool is_alone;       /* nobody is there any more */
        struct err *failure; /* of the conversation */
};

/* ---- the client, while something is done ---- */

/* The conversation cannot go on. The first error is the one to tell. */
static void lose_client(struct agent *a, struct err *err)
{
        a->is_alone = true;
        agent_news_close(a->news);
        stop_request("the loss of the client");
        if (a->failure->kind == ERR_NONE)
                err_move(a->failure, err);
        else
                err_drop(err, "the first error is the one that counts");
}

static bool is_of_sender(const struct wire_message *m)
{
        return m->type >= MESSAGE_DIRECTORY && m->type <= MESSAGE_SENDER_LAST;
}

/* A message that comes while a request is being worked on. */
static int take_meanwhile(struct agent *a, const struct wire_message *m, struct err *err)
{
        if (m->type == MESSAGE_CANCEL) {
                stop_request("the client");
                return 0;
        }
        if (a->passes_over && is_of_sender(m))
                return 0;
        return err_runf(err, -EPROTO, "the client breaks the protocol: message %u while it waits for an answer",
                        m->type);
}

static int serve(struct agent *a, struct err *err)
{
        struct wire_message m;
        int r = agent_news_tell(a->news, a->channel, a->report, false, err);

        if (r < 0 || a->in_exchange)
                return r;
        r = channel_send(a->channel, true, err);
        while (r == 0 && (r = channel_receive(a->channel, &m, false, err)) == 1)
                r = take_meanwhile(a, &m, err);
        return r;
}

static void on_tick(void *agent)
{
        struct agent *a = agent;
        ERR_LOCAL(err);

        if (a->is_alone || stop_requested() || serve(a, &err) == 0)
                return;
        if (err.code == -ECANCELED)
                err_drop(&err, "who works notices the stop");
        else
                lose_client(a, &err);
}

static void on_step(void *agent, int step, uint64_t expected)
{
        struct agent *a = agent;

        agent_news_step(a->news, step, expected);
}

static int on_other(void *agent, const struct wire_message *m, struct err *err)
{
        int r = take_meanwhile(agent, m, err);

        return r == 0 ? stop_check(err) : r;
}

/* ---- answers ---- */

/* Tell what came before, and begin the answer. Return NULL with @err filled. */
static struct buf *begin_answer(struct agent *a, enum message_type type, struct err *err)
{
        if (stop_requested()) {
                channel_outlive_stop(a->channel);
                channel_set_timeout(a->channel, GOODBYE_S);
        }
        if (agent_news_tell(a->news, a->channel, a->report, true, err) < 0)
                return NULL;
        return wire_begin(channel_wire(a->channel), (uint8_t)type);
}

static int end_answer(struct agent *a, int packed, struct err *err)
{
        int r = packed < 0 ? err_oom(err) : wire_end(channel_wire(a->channel), err);

        return r < 0 ? r : channel_send(a->channel, true, err);
}

static int answer_plainly(struct agent *a, enum message_type type, struct err *err)
{
        struct buf *b = begin_answer(a, type, err);

        return b ? end_answer(a, 0, err) : err->code;
}

static int answer_error(struct agent *a, struct err *said, struct err *err)
{
        struct buf *b = begin_answer(a, MESSAGE_ERROR, err);
        int packed = b ? request_put_error(b, said) : 0;

        err_drop(said, "the client is told");
        return b ? end_answer(a, packed, err) : err->code;
}

/* ---- PREPARE ---- */

static int make_destination(struct agent *a, unsigned flags, struct err *err)
{
        const struct report_config report = { .list_changes = flags & REQUEST_LIST_CHANGES,
                                              .take_line = agent_news_line,
                                              .context = a->news };
        int r = report_new(&a->report, &report, err);

        if (r == 0 && progress_new(&a->progress, a->report) < 0)
                r = err_oom(err);
        if (r < 0)
                return r;
        progress_listen(a->progress, &(struct progress_listener){ .step = on_step, .tick = on_tick, .context = a });
        a->fence = (struct local_fence){ .directory = a->given->restrict_to, .append_only = a->given->append_only };
        a->config = (struct destination_config){ .options = a->options,
                                                 .report = a->report,
                                                 .progress = a->progress,
                                                 .source_is_remote = true,
                                                 .source_is_empty = flags & REQUEST_SOURCE_EMPTY,
                                                 .fence = a->given->restrict_to ? &a->fence : NULL };
        return destination_local_new(&a->destination, &a->config, err);
}

/* What cannot be kept is told when it is met; why, here. */
static void tell_of_privileges(const struct options *o)
{
        if (o->backup && !o->no_sudo && geteuid() != 0 && !privilege_held(PRIVILEGE_CHOWN))
                log_warning("the account here has no superuser privileges, so that owners, devices and privileged "
                            "attributes cannot be kept; log in as root, or accept it with --no-sudo");
}

static int prepare(struct agent *a, const struct request_prepare *p, struct err *err)
{
        int r = agent_asked(&a->options, p, a->given, err);

        if (r < 0)
                return r;
        log_divert(agent_news_log, a->news, p->flags & REQUEST_DEBUG ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
        r = ioclass_set(a->options->ionice, err);
        if (r == 0)
                r = make_destination(a, p->flags, err);
        if (r == 0)
                r = a->destination->ops->prepare(a->destination, err);
        if (r == 0)
                tell_of_privileges(a->options);
        return r;
}

/* What a client on the same kernel keeps out of its backup. */
static int answer_place(struct agent *a, struct err *err)
{
        const struct local_place *place = &local_of(a->destination)->place;
        _cleanup_(source_avoid_deinit) struct source_avoid avoid = { .parent_fd = -1 };
        char boot[IDENTITY_SIZE];
        struct request_place p = { .boot = boot, .parent = place->parent };
        struct buf *b;
        int r = local_place_avoid(place, &avoid, err);

        if (r < 0)
                return r;
        if (avoid.count > REQUEST_AVOIDED_MAX)
                return err_runf(err, -E2BIG, "there are more than %d snapshots", REQUEST_AVOIDED_MAX);
        identity_boot(boot);
        p.flags = a->given->append_only ? REQUEST_KEEPS_ALL : 0;
        p.avoided = calloc(avoid.count + 1, sizeof(*p.avoided));
        if (!p.avoided)
                return err_oom(err);
        for (; p.count < avoid.count; p.count++)
                p.avoided[p.count] =
                        (struct request_avoided){ .dev = avoid.items[p.count].dev, .ino = avoid.items[p.count].ino };
        b = begin_answer(a, MESSAGE_OK, err);
        r = b ? end_answer(a, request_put_place(b, &p), err) : err->code;
        free(p.avoided);
        return r;
}

static int on_prepare(struct agent *a, const struct wire_message *m, struct err *err)
{
        struct request_prepare p;
        ERR_LOCAL(said);
        int r;

        if (a->options)
                return request_refuse("a second PREPARE", err);
        r = request_get_prepare(m, &p, err);
        if (r < 0)
                return r;
        r = prepare(a, &p, &said);
        request_prepare_deinit(&p);
        a->is_absent = r == DESTINATION_ABSENT;
        if (a->is_absent)
                return answer_plainly(a, MESSAGE_ABSENT, err);
        return r < 0 ? answer_error(a, &said, err) : answer_place(a, err);
}

/* ---- the other requests ---- */

/* One that needs a destination that is there, and that was announced. */
static bool is_open(const struct agent *a, bool announced)
{
        return a->destination && announced && !a->is_absent && !a->is_released;
}

static int on_update(struct agent *a, const struct wire_message *m, struct err *err)
{
        struct local_receive from = { .channel = a->channel, .other = on_other, .context = a };
        struct request_update u;
        ERR_LOCAL(said);
        struct buf *b;
        int r;

        if (!is_open(a, a->options && a->options->backup))
                return request_refuse("an UPDATE that was not announced", err);
        r = request_get_update(m, &u, err);
        if (r < 0)
                return r;
        from.origin = (struct local_origin){
                .machine = u.machine, .path = u.source, .filesystem = u.filesystem, .now = u.now
        };
        from.again = u.flags & REQUEST_AGAIN;
        a->in_exchange = true;
        r = local_receive(a->destination, &from, &said);
        a->in_exchange = false;
        a->passes_over = r < 0;
        request_update_deinit(&u);
        if (r < 0)
                return answer_error(a, &said, err);
        b = begin_answer(a, MESSAGE_OK, err);
        return b ? end_answer(a, pack_u8(b, r == LOCAL_RECEIVE_AGAIN), err) : err->code;
}

static int on_snapshot(struct agent *a, const struct wire_message *m, struct err *err)
{
        ERR_LOCAL(said);
        struct buf *b;

        if (!is_open(a, a->options && a->options->snapshot) || m->size > 0)
                return request_refuse("a SNAPSHOT that was not announced", err);
        if (a->destination->ops->snapshot(a->destination, &said) < 0)
                return answer_error(a, &said, err);
        b = begin_answer(a, MESSAGE_OK, err);
        return b ? end_answer(a, pack_text(b, a->destination->made), err) : err->code;
}

enum { SNAPSHOTS_TOGETHER = 4096 };

/* Those from @first on, as many as go together. */
static int put_snapshots(struct buf *b, const struct destination_snapshots *list, size_t first)
{
        enum { COMPLETE = 1, OWN = 2 };
        size_t end = first + size_min(list->count - first, SNAPSHOTS_TOGETHER);
        int r = pack_u8(b, end < list->count);

        r = r < 0 ? r : pack_signed(b, list->now);
        r = r < 0 ? r : pack_varint(b, end - first);
        for (size_t i = first; i < end && r == 0; i++) {
                const struct destination_snapshot *s = &list->items[i];

                r = pack_text(b, s->name);
                r = r < 0 ? r : pack_signed(b, s->time);
                r = r < 0 ? r : pack_u8(b, (s->complete ? COMPLETE : 0) | (s->own ? OWN : 0));
        }
        return r;
}

static int on_list(struct agent *a, const struct wire_message *m, struct err *err)
{
        struct destination_snapshots list;
        ERR_LOCAL(said);
        size_t first = 0;
        int r;

        if (!is_open(a, a->options && a->options->rotate) || m->size > 0)
                return request_refuse("a LIST that was not announced", err);
        if (a->destination->ops->list(a->destination, &list, &said) < 0)
                return answer_error(a, &said, err);
        do {
                struct buf *b = begin_answer(a, MESSAGE_SNAPSHOTS, err);

                r = b ? end_answer(a, put_snapshots(b, &list, first), err) : err->code;
                first += SNAPSHOTS_TOGETHER;
        } while (r == 0 && first < list.count);
        destination_snapshots_deinit(&list);
        return r;
}

/* Nothing but a snapshot is ever removed, whatever the client calls one. */
static int remove_snapshot(struct agent *a, const char *name, struct err *err)
{
        const struct local_place *place = &local_of(a->destination)->place;
        struct stat st;
        int64_t time;
        int before, r;

        if (a->given->append_only) {
                err_runf(err, -EPERM, "this agent is --append-only: no snapshot can be removed");
                return err_hint(err, "rotate on the server: rsync-system-backup --rotate DESTINATION");
        }
        if (!names_parse(name, &time) || str_equal(name, place->latest) || place->parent_fd < 0 || a->options->dry_run)
                return err_runf(err, -EPERM, "what the client wants to remove is no snapshot");
        if (fstatat(place->parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode))
                return err_run_at(err, -ENOTDIR, "remove the snapshot", place->parent, name);
        before = ioclass_lower(a->options->ionice);
        r = a->destination->ops->remove(a->destination, name, err);
        ioclass_restore(before);
        return r;
}

static int on_remove(struct agent *a, const struct wire_message *m, struct err *err)
{
        struct unpack u = unpack_begin(m->data, m->size);
        _cleanup_(freep) char *name = unpack_text(&u, NAME_MAX);
        ERR_LOCAL(said);

        if (!is_open(a, a->options && a->options->rotate) || !unpack_end(&u))
                return request_refuse("a REMOVE that was not announced", err);
        if (remove_snapshot(a, name, &said) < 0)
                return answer_error(a, &said, err);
        return answer_plainly(a, MESSAGE_OK, err);
}

static int on_explain(struct agent *a, const struct wire_message *m, struct err *err)
{
        ERR_LOCAL(said);

        if (!is_open(a, true))
                return request_refuse("an EXPLAIN of nothing", err);
        (void)request_get_error(m, &said);
        if (said.code == -EPROTO)
                return err_move(err, &said);
        a->destination->ops->explain_full(a->destination, &said);
        return answer_error(a, &said, err);
}

/* The destination is given back once, be it because the client says so or because it is gone. */
static int release(struct agent *a, struct err *err)
{
        int r = a->destination && !a->is_released ? a->destination->ops->release(a->destination, err) : 0;

        a->is_released = true;
        return r;
}

static int on_release(struct agent *a, const struct wire_message *m, struct err *err)
{
        ERR_LOCAL(said);

        if (m->size > 0)
                return request_refuse("RELEASE", err);
        if (release(a, &said) < 0)
                return answer_error(a, &said, err);
        return answer_plainly(a, MESSAGE_OK, err);
}

/* ---- the conversation ---- */

static int dispatch(struct agent *a, const struct wire_message *m, struct err *err)
{
        if (a->passes_over && is_of_sender(m))
                return 0;
        switch (m->type) {
        case MESSAGE_PREPARE:
                return on_prepare(a, m, err);
        case MESSAGE_UPDATE:
                return on_update(a, m, err);
        case MESSAGE_SNAPSHOT:
                return on_snapshot(a, m, err);
        case MESSAGE_LIST:
                return on_list(a, m, err);
        case MESSAGE_REMOVE:
                return on_remove(a, m, err);
        case MESSAGE_EXPLAIN:
                return on_explain(a, m, err);
        case MESSAGE_RELEASE:
                return on_release(a, m, err);
        case MESSAGE_CANCEL: /* it has crossed our answer */
                stop_request("the client");
                return 0;
        default:
                return request_refuse("a message of an unknown type", err);
        }
}

/* Wait for the next request; while there is none, say now and then that we are alive. */
static int await(struct agent *a, struct wire_message *ret, struct err *err)
{
        int r;

        for (;;) {
                bool leaving = stop_requested();

                if (leaving)
                        channel_outlive_stop(a->channel);
                channel_set_timeout(a->channel, leaving ? GOODBYE_S : LIFE_S);
                r = channel_receive(a->channel, ret, true, err);
                if (r >= 0 || leaving || (r != -ETIMEDOUT && r != -ECANCELED))
                        break;
                err_drop(err, "a sign of life, or the next request is answered by the stop");
                r = stop_requested() ? 0 : agent_news_tell(a->news, a->channel, NULL, true, err);
                if (r < 0)
                        break;
        }
        channel_set_timeout(a->channel, 0);
        return r;
}

static int converse(struct agent *a, struct err *err)
{
        struct wire_message m;
        int r = 0;

        while (r >= 0 && !a->is_released && !a->is_alone) {
                r = await(a, &m, err);
                if (r >= 0)
                        r = dispatch(a, &m, err);
        }
        return r;
}

/*
 * Standard input and output become something harmless: whatever else reads or writes there by mistake does not disturb
 * the protocol, and nobody finds a terminal to ask on.
 */
static int take_over_descriptors(struct agent *a, struct err *err)
{
        _cleanup_(fd_closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (isatty(STDIN_FILENO) || isatty(STDOUT_FILENO)) {
                err_usage(err, "--server is what a client starts over SSH, it is nothing for a terminal");
                return err_hint(err, "on the other machine: rsync-system-backup HOST:DIR");
        }
        a->in_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        a->out_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (null < 0 || a->in_fd < 0 || a->out_fd < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
                return err_run(err, -errno, "prepare the connection to the client", NULL);
        return 0;
}

static int open_conversation(struct agent *a, struct err *err)
{
        struct channel_config config = {
                .peer = "client",
                .wire = { .program = PROGRAM_VERSION, .features = WIRE_FEATURE_ZSTD, .level = ZSTD_LEVEL },
        };
        int r = take_over_descriptors(a, err);

        if (r < 0)
                return r;
        config.in_fd = a->in_fd;
        config.out_fd = a->out_fd;
        r = channel_new(&a->channel, &config, err);
        return r < 0 ? r : agent_news_new(&a->news, err);
}

/* What is left to do when nobody is told any more. */
static void leave(struct agent *a)
{
        ERR_LOCAL(err);

        if (a->news)
                agent_news_close(a->news);
        if (release(a, &err) < 0)
                log_err(LOG_LEVEL_ERROR, &err);
        log_divert(NULL, NULL, LOG_LEVEL_WARNING);
        destination_free(a->destination);
        progress_free(a->progress);
        report_free(a->report);
        options_free(a->options);
        agent_news_free(a->news);
        channel_free(a->channel);
        fd_close(a->in_fd);
        fd_close(a->out_fd);
}

int agent_run(const struct options *o, struct err *err)
{
        struct agent a = { .given = o, .in_fd = -1, .out_fd = -1, .failure = err };
        ERR_LOCAL(last);
        int r = open_conversation(&a, err);

        if (r == 0) {
                log_divert(agent_news_log, a.news, LOG_LEVEL_INFO);
                r = converse(&a, &last);
                if (r < 0)
                        lose_client(&a, &last);
        }
        leave(&a);
        return err->kind == ERR_NONE ? 0 : err->code;
}
