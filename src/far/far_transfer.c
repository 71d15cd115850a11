/* The sender of an exchange is here; what the agent says meanwhile is told, and its answer ends it. */
#include "far/far.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/report.h"
#include "origin.h"
#include "progress.h"
#include "transfer/exchange/channel.h"
#include "transfer/exchange/pack.h"
#include "transfer/exchange/sender.h"
#include "transfer/limits.h"

#include <errno.h>

enum { AGAIN = 1 };

/* An exchange that is under way. */
struct exchange {
        struct far *far;
        struct limits limits;
        struct sender_config config;
        unsigned outcome; /* of an OK: 0 or AGAIN; */
        struct err said;  /* or of an ERROR */
};

static int ask_update(struct exchange *x, const struct origin *o, unsigned flags, struct err *err)
{
        struct far *f = x->far;
        char machine[IDENTITY_SIZE], filesystem[IDENTITY_SIZE], boot[IDENTITY_SIZE];
        const struct request_update update = { .machine = machine,
                                               .source = f->d.config->options->source,
                                               .filesystem = filesystem,
                                               .now = o->now,
                                               .boot = boot,
                                               .uptime = o->uptime,
                                               .flags = flags };
        struct wire_message m;
        struct unpack u;
        int r;

        memcpy(machine, o->machine, sizeof(machine));
        memcpy(filesystem, o->filesystem, sizeof(filesystem));
        memcpy(boot, o->boot, sizeof(boot));
        r = far_ask(f, request_put_update(far_begin(f, MESSAGE_UPDATE), &update), &m, err);
        if (r < 0)
                return r;
        u = unpack_begin(m.data, m.size);
        message_get_limits(&u, &x->limits);
        x->config.has_reference = unpack_u8(&u);
        x->config.reference = unpack_time(&u);
        return m.type == MESSAGE_LIMITS && unpack_end(&u) ? 0 : far_fail_answer(f, "LIMITS", err);
}

/* What comes during the exchange and is not of it: news, or the answer. */
static int on_other(void *exchange, const struct wire_message *m, struct err *err)
{
        struct exchange *x = exchange;
        int r = remote_news_take(&x->far->news, m, err);
        struct unpack u = unpack_begin(m->data, m->size);

        if (r != 0)
                return r < 0 ? r : 0;
        if (m->type == MESSAGE_ERROR) {
                (void)far_take_error(x->far, m, &x->said);
                return SENDER_END;
        }
        x->outcome = unpack_u8(&u);
        if (m->type != MESSAGE_OK || !unpack_end(&u) || x->outcome > AGAIN)
                return request_refuse("the answer to UPDATE", err);
        return SENDER_END;
}

/* An agent that is left in the middle of it must hear that, or no request could follow. */
static int send_all(struct exchange *x, struct err *err)
{
        int r = sender_run(&x->config, err);

        remote_news_end(&x->far->news);
        report_lacks(x->config.report);
        if (r < 0 && far_is_of_connection(r))
                return far_fail_connection(x->far, r, err);
        if (r < 0)
                far_cancel(x->far);
        return r;
}

/* @flags are request_update_flag bits. Return 0, AGAIN, or a negative errno with @err filled. */
static int exchange(struct far *f, const struct origin *o, unsigned flags, struct report *report, struct err *err)
{
        struct exchange x = { .far = f,
                              .config = { .channel = remote_channel(f->remote),
                                          .source = o->source,
                                          .report = report,
                                          .other = on_other,
                                          .context = &x,
                                          .tick = far_tick,
                                          .tick_context = f } };
        int r;

        x.config.limits = &x.limits;
        report_restart(report);
        r = ask_update(&x, o, flags, err);
        if (r == 0)
                r = send_all(&x, err);
        if (x.said.kind == ERR_NONE)
                return r < 0 ? r : (int)x.outcome;
        if (r < 0)
                err_drop(err, "what the agent said comes first");
        return err_move(err, &x.said);
}

static int transfer_once(struct far *f, void *context, struct err *err)
{
        _cleanup_(origin_close) struct origin origin = ORIGIN_NONE;
        int r = far_find_avoided(f, &origin.avoid, err);

        (void)context;
        if (r == 0)
                r = origin_open(&origin, f->d.config, f->d.config->report, err);
        if (r == 0)
                r = exchange(f, &origin, 0, f->d.config->report, err);
        /* Once more, when a group of hard links had to move on the way, for the names that were before. */
        while (r == AGAIN)
                r = exchange(f, &origin, REQUEST_AGAIN, f->d.config->report, err);
        fd_close(origin.avoid.parent_fd);
        return r;
}

int far_imagine_transfer(struct far *f, struct err *err)
{
        const struct report_config config = { .is_imagined = true };
        _cleanup_(origin_close) struct origin origin = ORIGIN_NONE;
        _cleanup_(report_freep) struct report *report = NULL;
        int r = report_new(&report, &config, err);

        if (r == 0)
                r = far_find_avoided(f, &origin.avoid, err);
        if (r == 0)
                r = origin_open(&origin, f->d.config, report, err);
        if (r == 0)
                r = exchange(f, &origin, REQUEST_IMAGINE, report, err);
        fd_close(origin.avoid.parent_fd);
        return r < 0 ? r : 0;
}

static void tell_bytes(const struct far *f)
{
        const struct channel *c = remote_channel(f->remote);
        char sent[PROGRESS_TEXT_SIZE], received[PROGRESS_TEXT_SIZE];

        report_add(f->d.config->report, REPORT_SENT_BYTES, channel_sent_bytes(c));
        report_add(f->d.config->report, REPORT_RECEIVED_BYTES, channel_received_bytes(c));
        log_info("connection: %s sent, %s received", progress_bytes(channel_sent_bytes(c), sent),
                 progress_bytes(channel_received_bytes(c), received));
}

int far_transfer(struct destination *d, struct err *err)
{
        struct far *f = far_of(d);
        int r = far_persist(f, transfer_once, NULL, err);

        if (r == 0)
                tell_bytes(f);
        return r;
}
