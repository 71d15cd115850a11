/*
 *      we        no rules                DONE          DONE          DONE                    DONE (31)    DONE
 *      server              its list            DONE          DONE          DONE statistics          DONE
 *
 * That it can read no directory it says in words, and then sends an empty list, or one that has an error at its end.
 */
#include "transfer/rsync/rsync_listing.h"

#include "base/err.h"
#include "base/stop.h"
#include "transfer/rsync/rsync_decoder.h"
#include "transfer/rsync/rsync_hello.h"
#include "transfer/rsync/rsync_number.h"
#include "transfer/rsync/rsync_talk.h"

#include <errno.h>

enum { IDLE_MS = 100, SAYING_S = 3, STATISTICS = 5, STATISTIC_LEAST = 3, PHASES = 3, PROTOCOL_31 = 31 };

struct listing {
        const struct rsync_listing_config *config;
        struct rsync_talk talk;
        struct rsync_decoder decoder;
        struct rsync_index in_index, out_index;
        uint32_t count; /* of entries, the directory itself among them */
        unsigned io_error, dones;
        bool has_ended; /* the list */
};

static int refuse(const struct listing *l, const char *what, struct err *err)
{
        return err_runf(err, -EPROTO, "%s: the server %s", l->config->peer, what);
}

static int hear(void *listing, enum rsync_code code, const void *data, size_t size, struct err *err)
{
        struct listing *l = listing;
        struct rsync_reader r = rsync_read_begin(data, size);

        (void)err;
        if (code == RSYNC_CODE_IO_ERROR)
                l->io_error |= (unsigned)rsync_get_int(&r);
        return 0;
}

/* ---- the list ---- */

static int take_entry(struct listing *l, const struct rsync_decoded *e, struct err *err)
{
        const struct rsync_listing_config *c = l->config;

        if (++l->count > RSYNC_LISTING_MAX)
                return err_runf(err, -E2BIG, "%s: the directory holds more than %d entries", c->peer,
                                RSYNC_LISTING_MAX);
        if (str_equal(e->path, "."))
                return 0;
        if (strchr(e->path, '/'))
                return refuse(l, "told of what was not asked for", err);
        return c->take(c->context, e->path, e->mode, e->size, e->mtime, err);
}

static int put_done(struct listing *l, struct err *err)
{
        return rsync_put_index(&l->talk.plain, &l->out_index, RSYNC_INDEX_DONE) < 0 ? err_oom(err) : 0;
}

static int end_list(struct listing *l, unsigned io_error, struct err *err)
{
        l->has_ended = true;
        l->io_error |= io_error;
        /* Where there was nothing at all the server may be gone. */
        if (l->count == 0)
                return 0;
        l->talk.is_over = l->config->hangs_up;
        return l->talk.is_over ? 0 : put_done(l, err);
}

/* ---- the goodbye ---- */

static int on_done(struct listing *l, struct rsync_reader *r, struct err *err)
{
        bool has_statistics = l->dones + 1 == PHASES;

        for (int i = 0; has_statistics && i < STATISTICS; i++)
                (void)rsync_get_varlong(r, STATISTIC_LEAST);
        if (!rsync_read_is_good(r))
                return 0;
        l->dones++;
        l->talk.is_over = l->dones == (l->talk.session.protocol >= PROTOCOL_31 ? PHASES + 1 : PHASES);
        return put_done(l, err) < 0 ? err->code : 1;
}

/* Return 1, 0 when it is not all there, or a negative errno with @err filled. */
static int take(struct listing *l, struct rsync_reader *r, struct err *err)
{
        struct rsync_decoded e;
        int32_t number;
        int code;

        if (l->has_ended) {
                number = rsync_get_index(r, &l->in_index);
                if (!rsync_read_is_good(r))
                        return 0;
                return number == RSYNC_INDEX_DONE ? on_done(l, r, err) : refuse(l, "sent what nobody asked for", err);
        }
        code = rsync_decoder_get(&l->decoder, r, &e);
        if (code == RSYNC_DECODER_ENTRY)
                code = take_entry(l, &e, err);
        else if (code == RSYNC_DECODER_END)
                code = end_list(l, e.io_error, err);
        else
                return 0;
        return code < 0 ? code : 1;
}

/* All of what has come. */
static int take_all(struct listing *l, struct err *err)
{
        int code = 1;

        while (code > 0 && !l->talk.is_over && !(l->has_ended && l->count == 0)) {
                const struct rsync_index before = l->in_index;
                struct rsync_reader r;
                const void *data;
                size_t size;

                data = rsync_mux_data(&l->talk.mux, &size);
                if (size == 0)
                        return 0;
                r = rsync_read_begin(data, size);
                code = take(l, &r, err);
                if (r.is_broken)
                        return refuse(l, "sent what is no list of files", err);
                if (code == 0)
                        l->in_index = before;
                if (code > 0)
                        rsync_mux_used(&l->talk.mux, (size_t)(r.at - (const unsigned char *)data));
        }
        return code < 0 ? code : 0;
}

/* ---- what it could not do ---- */

static int fail(struct listing *l, struct err *err)
{
        struct rsync_talk *t = &l->talk;
        uint64_t until_us = stop_deadline_us(SAYING_S);
        int r = 0;

        /* What it says may come behind the list. */
        while (r == 0 && !*t->said && !t->has_failed && !t->duplex.is_at_end && stop_now_us() < until_us)
                r = rsync_talk_exchange(t, IDLE_MS, err);
        if (r == 0 && !*t->said && !t->has_failed && !t->duplex.is_at_end)
                return refuse(l, "could not list the directory, and does not say why", err);
        return r < 0 ? r : rsync_talk_failure(t, err);
}

/* ---- all of it ---- */

static int converse(struct listing *l, struct err *err)
{
        struct rsync_talk *t = &l->talk;
        int r = 0;

        while (r == 0 && !t->is_over && !t->has_failed) {
                r = take_all(l, err);
                if (r < 0 || (l->has_ended && l->count == 0))
                        return r < 0 ? r : fail(l, err);
                r = rsync_talk_frame(t, err);
                if (r == 0 && !t->is_over)
                        r = rsync_talk_exchange(t, IDLE_MS, err);
        }
        if (r == 0)
                r = rsync_talk_flush(t, err);
        if (t->has_failed) {
                err_drop(err, "what it says is better");
                return rsync_talk_failure(t, err);
        }
        return r == 0 && l->io_error & RSYNC_IO_GENERAL ? fail(l, err) : r;
}

static int list(struct listing *l, const struct rsync_hello_config *hello, struct err *err)
{
        const struct rsync_listing_config *c = l->config;
        const struct rsync_talk_config talk = { .in_fd = c->in_fd,
                                                .out_fd = c->out_fd,
                                                .peer = c->peer,
                                                .timeout_s = c->timeout_s,
                                                .hello = hello,
                                                .hear = hear,
                                                .context = l };
        int r = rsync_talk_begin(&l->talk, &talk, err);

        /* The module, or a file with its password. */
        if (r < 0)
                return r == -ENOENT ? (err->code = -ENXIO) : r;
        l->decoder.session = l->talk.session;
        l->in_index = l->out_index = RSYNC_INDEX_FRESH;
        /* No rules. */
        return rsync_put_int(&l->talk.plain, 0) < 0 ? err_oom(err) : converse(l, err);
}

void rsync_listing_arguments(struct rsync_arguments *a)
{
        *a = (struct rsync_arguments){ .sender = true,
                                       .list_only = true,
                                       .bare = true,
                                       .timeout_s = a->timeout_s,
                                       .destination = a->destination };
}

int rsync_listing(const struct rsync_listing_config *config, struct err *err)
{
        struct rsync_arguments arguments = *config->hello->arguments;
        struct rsync_hello_config hello = *config->hello;
        struct listing *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return err_oom(err);
        rsync_listing_arguments(&arguments);
        hello.arguments = &arguments;
        l->config = config;
        r = list(l, &hello, err);
        rsync_talk_pass(&l->talk);
        rsync_talk_deinit(&l->talk);
        free(l);
        return r;
}
