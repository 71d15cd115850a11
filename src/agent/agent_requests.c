/* Each request is checked, done by the local destination, and answered. */
#include "agent/agent_parts.h"

#include "agent/agent_asked.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/privileges.h"
#include "base/report.h"
#include "base/stop.h"
#include "ioclass.h"
#include "local/local.h"
#include "options/options.h"
#include "progress.h"
#include "rotate/names.h"
#include "survey/survey.h"
#include "transfer/exchange/channel.h"
#include "transfer/exchange/pack.h"
#include "transfer/exchange/request.h"
#include "transfer/exchange/wire.h"
#include "transfer/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

/* ---- PREPARE ---- */

static int make_destination(struct agent *a, unsigned flags, struct err *err)
{
        const struct report_config report = { .list_changes = flags & REQUEST_LIST_CHANGES,
                                              .take_line = agent_news_line,
                                              .take_item = agent_news_item,
                                              .context = a->news };
        int r = report_new(&a->report, &report, err);

        if (r == 0 && progress_new(&a->progress, a->report) < 0)
                r = err_oom(err);
        if (r < 0)
                return r;
        progress_listen(a->progress,
                        &(struct progress_listener){ .step = agent_step, .tick = agent_tick, .context = a });
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
        b = agent_begin_answer(a, MESSAGE_OK, err);
        r = b ? agent_end_answer(a, request_put_place(b, &p), err) : err->code;
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
        a->is_prepared = r == 0;
        a->is_full = err_is_full(r);
        if (r == DESTINATION_ABSENT)
                return agent_answer(a, MESSAGE_ABSENT, err);
        return r < 0 ? agent_answer_error(a, &said, err) : answer_place(a, err);
}

/* ---- the other requests ---- */

/*
 * One that needs a destination that is there, and that was announced. What PREPARE refused may be open already: nothing
 * is done with it, or each check could be passed by not listening.
 */
static bool is_open(const struct agent *a, bool announced)
{
        return a->is_prepared && announced && !a->is_released;
}

static int on_update(struct agent *a, const struct wire_message *m, struct err *err)
{
        struct local_receive from = { .channel = a->channel, .other = agent_other, .context = a };
        struct request_update u;
        ERR_LOCAL(said);
        struct buf *b;
        int r;

        if (!is_open(a, a->options && a->options->backup))
                return request_refuse("an UPDATE that was not announced", err);
        r = request_get_update(m, &u, err);
        if (r < 0)
                return r;
        from.origin = (struct local_origin){ .machine = u.machine,
                                             .path = u.source,
                                             .filesystem = u.filesystem,
                                             .now = u.now,
                                             .boot = u.boot,
                                             .uptime = u.uptime };
        from.again = u.flags & REQUEST_AGAIN;
        from.imagined = u.flags & REQUEST_IMAGINE;
        a->in_exchange = true;
        channel_while_waiting(a->channel, agent_tick, a);
        r = local_receive(a->destination, &from, &said);
        channel_while_waiting(a->channel, NULL, NULL);
        a->in_exchange = false;
        a->passes_over = r < 0;
        request_update_deinit(&u);
        if (r < 0)
                return agent_answer_error(a, &said, err);
        b = agent_begin_answer(a, MESSAGE_OK, err);
        return b ? agent_end_answer(a, pack_u8(b, r == LOCAL_RECEIVE_AGAIN), err) : err->code;
}

static int on_snapshot(struct agent *a, const struct wire_message *m, struct err *err)
{
        ERR_LOCAL(said);
        struct buf *b;

        if (!is_open(a, a->options && a->options->snapshot) || m->size > 0)
                return request_refuse("a SNAPSHOT that was not announced", err);
        if (a->destination->ops->snapshot(a->destination, &said) < 0)
                return agent_answer_error(a, &said, err);
        b = agent_begin_answer(a, MESSAGE_OK, err);
        return b ? agent_end_answer(a, pack_text(b, a->destination->made), err) : err->code;
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
                return agent_answer_error(a, &said, err);
        do {
                struct buf *b = agent_begin_answer(a, MESSAGE_SNAPSHOTS, err);

                r = b ? agent_end_answer(a, put_snapshots(b, &list, first), err) : err->code;
                first += SNAPSHOTS_TOGETHER;
        } while (r == 0 && first < list.count);
        destination_snapshots_deinit(&list);
        return r;
}

static int on_survey(struct agent *a, const struct wire_message *m, struct err *err)
{
        _cleanup_(survey_deinit) struct survey s = { .items = NULL };
        ERR_LOCAL(said);
        size_t first = 0;
        int r;

        if (!is_open(a, a->options && a->options->task == OPTIONS_LIST) || m->size > 0)
                return request_refuse("a SURVEY that was not announced", err);
        if (a->destination->ops->survey(a->destination, &s, &said) < 0)
                return agent_answer_error(a, &said, err);
        do {
                struct buf *b = agent_begin_answer(a, MESSAGE_MEASURES, err);

                r = b ? agent_end_answer(a, survey_put(b, &s, first), err) : err->code;
                first += SURVEY_TOGETHER;
        } while (r == 0 && first < s.count);
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
        before = ioclass_lower(a->options->ionice, SETTINGS_IONICE_UNSET);
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
                return agent_answer_error(a, &said, err);
        return agent_answer(a, MESSAGE_OK, err);
}

static int on_explain(struct agent *a, const struct wire_message *m, struct err *err)
{
        ERR_LOCAL(said);

        if (!is_open(a, true) && !a->is_full)
                return request_refuse("an EXPLAIN of nothing", err);
        if (request_get_error(m, &said, err) < 0)
                return err->code;
        a->destination->ops->explain_full(a->destination, &said);
        return agent_answer_error(a, &said, err);
}

int agent_release(struct agent *a, struct err *err)
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
        if (agent_release(a, &said) < 0)
                return agent_answer_error(a, &said, err);
        return agent_answer(a, MESSAGE_OK, err);
}

/* ---- which one ---- */

int agent_dispatch(struct agent *a, const struct wire_message *m, struct err *err)
{
        if (a->passes_over && agent_is_of_sender(m))
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
        case MESSAGE_SURVEY:
                return on_survey(a, m, err);
        case MESSAGE_REMOVE:
                return on_remove(a, m, err);
        case MESSAGE_EXPLAIN:
                return on_explain(a, m, err);
        case MESSAGE_RELEASE:
                return on_release(a, m, err);
        case MESSAGE_ALIVE:
                return 0;
        case MESSAGE_CANCEL: /* it has crossed our answer */
                stop_request("the client");
                return 0;
        default:
                return request_refuse("a message of an unknown type", err);
        }
}
