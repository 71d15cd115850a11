#include "far/remote_news.h"

#include "base/err.h"
#include "base/log.h"
#include "base/report.h"
#include "progress.h"
#include "transfer/exchange/message.h"
#include "transfer/exchange/pack.h"
#include "transfer/exchange/request.h"
#include "transfer/exchange/wire.h"

#include <errno.h>

enum { PATH_LENGTH_MAX = 128 * 1024, REASONS_MAX = 1024 };

/* A text that is not to be taken for our own. The log replaces what would upset a terminal. */
static int take_log(const struct remote_news *n, struct unpack *u, struct err *err)
{
        unsigned level = unpack_u8(u);
        _cleanup_(freep) char *text = unpack_text(u, ERR_TEXT_MAX + ERR_HINT_MAX + 64);

        if (!unpack_end(u) || level > LOG_LEVEL_DEBUG)
                return request_refuse("LOG", err);
        log_line((enum log_level)level, "%s: %s", n->host, text);
        return 1;
}

static int take_item(const struct remote_news *n, const struct wire_message *m, struct err *err)
{
        ERR_LOCAL(item);
        bool remains;
        int r = request_get_item(m, &item, &remains, err);

        if (r < 0)
                return r;
        err_context(&item, n->host);
        report_hear_item(n->report, &item, remains);
        return 1;
}

static int take_change(const struct remote_news *n, struct unpack *u, struct err *err)
{
        enum { DIRECTORY = 1, REASONS_TEXT = 2 };
        unsigned verb = unpack_u8(u), flags = unpack_u8(u);
        _cleanup_(freep) char *reasons = flags & REASONS_TEXT ? unpack_text(u, REASONS_MAX) : NULL;
        unsigned why = flags & REASONS_TEXT ? 0 : (unsigned)unpack_varint(u, UINT32_MAX);
        _cleanup_(freep) char *path = unpack_text(u, PATH_LENGTH_MAX);

        if (!unpack_end(u) || verb > REPORT_VERB_KEPT)
                return request_refuse("CHANGE", err);
        if (reasons)
                report_change_for(n->report, (enum report_verb)verb, path, reasons);
        else
                report_change(n->report, (enum report_verb)verb, NULL, path, flags & DIRECTORY, why);
        return 1;
}

static int take_count(const struct remote_news *n, struct unpack *u, struct err *err)
{
        while (!u->broken && u->data < u->end) {
                uint64_t number = unpack_varint(u, UINT32_MAX), count = unpack_varint(u, UINT64_MAX);

                /* A newer agent may know more. */
                if (!u->broken && report_number_exists(number))
                        report_hear(n->report, (unsigned)number, count);
        }
        if (u->broken)
                return request_refuse("COUNT", err);
        if (n->in_step)
                progress_tick(n->progress);
        return 1;
}

static int take_stage(struct remote_news *n, struct unpack *u, struct err *err)
{
        unsigned step = unpack_u8(u);
        uint64_t expected = unpack_varint(u, UINT64_MAX);

        if (!unpack_end(u) || step > PROGRESS_SURVEY + 1)
                return request_refuse("STAGE", err);
        remote_news_end(n);
        if (step == 0)
                return 1;
        progress_begin(n->progress, (enum progress_step)(step - 1), expected);
        n->in_step = true;
        return 1;
}

int remote_news_take(struct remote_news *n, const struct wire_message *m, struct err *err)
{
        struct unpack u = unpack_begin(m->data, m->size);

        switch (m->type) {
        case MESSAGE_LOG:
                return take_log(n, &u, err);
        case MESSAGE_ITEM:
                return take_item(n, m, err);
        case MESSAGE_CHANGE:
                return take_change(n, &u, err);
        case MESSAGE_COUNT:
                return take_count(n, &u, err);
        case MESSAGE_STAGE:
                return take_stage(n, &u, err);
        default:
                return 0;
        }
}

void remote_news_end(struct remote_news *n)
{
        if (n->in_step)
                progress_end(n->progress);
        n->in_step = false;
}
