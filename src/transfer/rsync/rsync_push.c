/*
 * One thread, and one loop, which does the first of these that can be done, and never much of it at a time:
 *
 *      the content of a file that was asked for            rsync_file.c
 *      what the server sent, and the answer to it          rsync_request.c, messages: hear()
 *      the next list, as long as the server is not too far behind      rsync_walk.c, or another teller
 *      wait
 *
 * What it makes of it is data; how that goes, and comes, is up to rsync_talk.c.
 */
#include "transfer/rsync/rsync_push.h"

#include "base/err.h"
#include "base/log.h"
#include "base/report.h"
#include "transfer/rsync/rsync_entry.h"
#include "transfer/rsync/rsync_hello.h"
#include "transfer/rsync/rsync_parts.h"
#include "transfer/rsync/rsync_token.h"
#include "transfer/rsync/rsync_words.h"

#include <errno.h>

enum {
        ITEMS_AHEAD = 20000, /* entries that the server was told of and is not done with */
        IDLE_MS = 100,
};

void rsync_push_lose(struct rsync_push *p, struct err *err)
{
        p->io_error |= RSYNC_IO_GENERAL;
        report_item(p->config->report, err);
}

void rsync_push_vanish(struct rsync_push *p, const char *directory, const char *name)
{
        p->io_error |= RSYNC_IO_VANISHED;
        report_vanished(p->config->report, directory, name);
}

/* ---- what it says ---- */

/* A directory has a NUL behind its path. */
static int hear_deleted(struct rsync_push *p, const char *data, size_t size, struct err *err)
{
        _cleanup_(freep) char *path = str_copy(data, size);

        if (!path)
                return err_oom(err);
        p->deleted++;
        report_add(p->config->report, REPORT_DELETED, 1);
        report_change(p->config->report, REPORT_VERB_DELETED, NULL, path, size > 0 && data[size - 1] == '\0', 0);
        return 0;
}

/* A device, FIFO or socket that the server may not make, or is told not to: no error to it. */
static int hear_skipped(struct rsync_push *p, const char *data, size_t size, struct err *err)
{
        static const char words[] = "skipping non-regular file \"";
        _cleanup_(freep) char *text = str_copy(data, size);
        char *name;

        if (!text)
                return err_oom(err);
        if (!str_starts(text, words))
                return 0;
        name = text + strlen(words);
        name[strcspn(name, "\"\n")] = '\0';
        report_lack(p->config->report, REPORT_LACK_SPECIAL, p->config->accepts_lacks, "", name);
        return 0;
}

static void tell_lacking(struct rsync_push *p, const char *what, const char *words)
{
        ERR_LOCAL(err);

        err_runf(&err, -EIO, "%s: the server %s%s", p->config->peer, what, words);
        report_lacking(p->config->report, &err);
}

/* Of an entry, but only its words say which one; they are logged, and the first ones stand for all. */
static void hear_error(struct rsync_push *p, const char *data, size_t size)
{
        _cleanup_(freep) char *text = *p->first_error ? NULL : str_copy(data, size);

        if (text) {
                text[strcspn(text, "\n")] = '\0';
                rsync_words_show(text, p->first_error, sizeof(p->first_error));
        }
        p->result->is_partial = true;
        report_mark_partial(p->config->report);
}

static void hear_io_error(struct rsync_push *p, unsigned bits)
{
        if (bits & ~p->io_error & RSYNC_IO_GENERAL)
                tell_lacking(p, "could not read or write all of it", "");
        p->io_error |= bits;
}

static int hear(void *push, enum rsync_code code, const void *data, size_t size, struct err *err)
{
        struct rsync_push *p = push;
        struct rsync_reader r;

        switch (code) {
        case RSYNC_CODE_ERROR_XFER:
                hear_error(p, data, size);
                return 0;
        case RSYNC_CODE_INFO:
                return hear_skipped(p, data, size, err);
        case RSYNC_CODE_DELETED:
                return hear_deleted(p, data, size, err);
        case RSYNC_CODE_IO_ERROR:
                r = rsync_read_begin(data, size);
                hear_io_error(p, (unsigned)rsync_get_int(&r));
                return 0;
        default:
                return 0;
        }
}

/* ---- the loop ---- */

static bool may_walk(const struct rsync_push *p)
{
        return !p->is_told && rsync_lists_count(p->lists) < ITEMS_AHEAD;
}

/* Nothing can be done but to wait; if nothing comes of that, the server may need more lists than we thought. */
static int wait(struct rsync_push *p, struct err *err)
{
        struct rsync_talk *t = &p->talk;
        uint64_t before = t->duplex.received_bytes;
        int r = rsync_talk_frame(t, err);

        rsync_talk_tick(t);
        if (r == 0)
                r = rsync_talk_exchange(t, IDLE_MS, err);
        if (r == 0 && !p->is_told && rsync_talk_unsent(t) == 0 && t->duplex.received_bytes == before)
                r = p->teller->step(p, err);
        return r;
}

static int step(struct rsync_push *p, struct err *err)
{
        /* With one list alone the server asks for nothing before it is there. */
        bool is_alone = !rsync_push_is_incremental(p);
        int r;

        if (p->file.fd >= 0)
                r = rsync_file_step(p, err);
        else {
                r = rsync_request_step(p, err);
                if (r != 0)
                        return r < 0 ? r : 0;
                if (!may_walk(p) && (!is_alone || p->is_told))
                        return wait(p, err);
                r = p->teller->step(p, err);
        }
        rsync_talk_excuse(&p->talk);
        return r;
}

static int run(struct rsync_push *p, struct err *err)
{
        int r = 0;

        while (r == 0 && !p->talk.is_over && !p->talk.has_failed) {
                r = step(p, err);
                if (r == 0 && !p->talk.is_over)
                        r = rsync_talk_breathe(&p->talk, err);
        }
        if (r == 0 && p->talk.has_failed) {
                r = rsync_talk_flush(&p->talk, err);
                if (r < 0)
                        err_drop(err, "it has given up before");
                r = rsync_talk_failure(&p->talk, err);
        }
        return r;
}

/* ---- beginning and end ---- */

static int put_rules(struct rsync_push *p, struct err *err)
{
        struct buf *b = &p->talk.plain;
        int r = 0;

        for (size_t i = 0; i < p->config->rule_count && r == 0; i++) {
                const char *rule = p->config->rules[i];

                r = rsync_put_int(b, (int32_t)strlen(rule));
                r = r < 0 ? r : buf_puts(b, rule);
        }
        return r < 0 || rsync_put_int(b, 0) < 0 ? err_oom(err) : 0;
}

/* From where the lists come. */
static int choose_teller(struct rsync_push *p, struct err *err)
{
        const struct rsync_push_config *c = p->config;

        p->teller = c->given ? &rsync_teller_given : c->replay ? &rsync_teller_replay : &rsync_teller_walk;
        if (c->spool)
                rsync_spool_begin(c->spool, &p->talk.session);
        return c->replay ? rsync_spool_rewind(c->replay, &p->talk.session, c->peer, err) : 0;
}

static int begin(struct rsync_push *p, struct err *err)
{
        const struct rsync_arguments *a = p->config->hello->arguments;
        const struct rsync_session *session = &p->talk.session;

        p->result->session = *session;
        p->dry_run = a->dry_run;
        p->in_index = p->out_index = RSYNC_INDEX_FRESH;
        p->encoder = rsync_encoder_new(session);
        p->lists = rsync_lists_new(rsync_push_is_incremental(p));
        if (!p->encoder || !p->lists || rsync_file_init(p) < 0)
                return err_oom(err);
        if (a->bare)
                rsync_encoder_be_bare(p->encoder);
        return a->delete_missing ? put_rules(p, err) : 0;
}

static int push(struct rsync_push *p, struct err *err)
{
        const struct rsync_push_config *c = p->config;
        const struct rsync_talk_config talk = { .in_fd = c->in_fd,
                                                .out_fd = c->out_fd,
                                                .peer = c->peer,
                                                .timeout_s = c->timeout_s,
                                                .rate = c->rate,
                                                .hello = c->hello,
                                                .hear = hear,
                                                .context = p,
                                                .tick = c->tick,
                                                .tick_context = c->tick_context };
        int r = rsync_talk_begin(&p->talk, &talk, err);

        if (r == 0)
                r = choose_teller(p, err);
        if (r == 0)
                r = begin(p, err);
        return r == 0 ? run(p, err) : r;
}

int rsync_push(const struct rsync_push_config *config, struct rsync_push_result *ret, struct err *err)
{
        struct rsync_push p = { .config = config, .result = ret };
        int r;

        *ret = (struct rsync_push_result){ .sent_bytes = 0 };
        p.file.fd = p.file.dir_fd = -1;
        r = push(&p, err);
        rsync_talk_pass(&p.talk);
        if (r == 0 && *p.first_error)
                tell_lacking(&p, "could not do all that it was asked for, beginning with: ", p.first_error);
        ret->sent_bytes = p.talk.duplex.sent_bytes;
        ret->received_bytes = p.talk.duplex.received_bytes;
        ret->is_partial = ret->is_partial || p.io_error & RSYNC_IO_GENERAL;
        if (ret->is_partial)
                report_mark_partial(config->report);
        rsync_file_deinit(&p);
        if (p.teller && p.teller->deinit)
                p.teller->deinit(&p);
        rsync_encoder_free(p.encoder);
        rsync_lists_free(p.lists);
        rsync_talk_deinit(&p.talk);
        buf_deinit(&p.item_path);
        return r;
}
