/*
 * Messages wait in one buffer, each as its type, its size and its payload. It grows with what is told between two calls
 * of agent_news_tell(), which are a fraction of a second apart; a thread that tells more than that waits a little.
 */
#include "agent/agent_news.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/path.h"
#include "base/report.h"
#include "progress.h"
#include "transfer/exchange/channel.h"
#include "transfer/exchange/message.h"
#include "transfer/exchange/pack.h"
#include "transfer/exchange/request.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

enum {
        WAITING_MAX = 4 * 1024 * 1024,
        WAITS_MAX = 100, /* of 10 ms: who waits for the other thread to take something may be the one it waits for */
        PATH_LENGTH_MAX = 128 * 1024,
};

#define COUNTS_EVERY_S 0.25
#define LIFE_EVERY_S 2.0

struct agent_news {
        pthread_mutex_t lock; /* guards waiting and is_closed */
        struct buf waiting;
        bool is_closed;
        pthread_t teller; /* the thread that has the channel */
        struct buf telling;
        uint64_t told[REPORT_NUMBERS_END];
        double counts_told, told_last; /* when */
};

int agent_news_new(struct agent_news **ret, struct err *err)
{
        struct agent_news *n = calloc(1, sizeof(*n));

        if (!n)
                return err_oom(err);
        pthread_mutex_init(&n->lock, NULL);
        n->teller = pthread_self();
        n->told_last = progress_now();
        *ret = n;
        return 0;
}

struct agent_news *agent_news_free(struct agent_news *n)
{
        if (!n)
                return NULL;
        pthread_mutex_destroy(&n->lock);
        buf_deinit(&n->waiting);
        buf_deinit(&n->telling);
        free(n);
        return NULL;
}

void agent_news_close(struct agent_news *n)
{
        pthread_mutex_lock(&n->lock);
        n->is_closed = true;
        buf_truncate(&n->waiting, 0);
        pthread_mutex_unlock(&n->lock);
}

/* ---- from any thread ---- */

static size_t waiting_size(struct agent_news *n)
{
        size_t size;

        pthread_mutex_lock(&n->lock);
        size = n->waiting.size;
        pthread_mutex_unlock(&n->lock);
        return size;
}

/* What memory is short for is not told: the run itself fails then. */
static void add(struct agent_news *n, enum message_type type, const struct buf *payload)
{
        const struct timespec nap = { .tv_nsec = 10000000 };
        size_t before;

        for (int i = 0; i < WAITS_MAX && !pthread_equal(n->teller, pthread_self()); i++) {
                if (waiting_size(n) < WAITING_MAX)
                        break;
                nanosleep(&nap, NULL);
        }
        pthread_mutex_lock(&n->lock);
        before = n->waiting.size;
        if (!n->is_closed &&
            (pack_u8(&n->waiting, (uint8_t)type) < 0 || pack_bytes(&n->waiting, payload->data, payload->size) < 0))
                buf_truncate(&n->waiting, before);
        pthread_mutex_unlock(&n->lock);
}

void agent_news_log(void *news, enum log_level level, const char *text)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };

        if (pack_u8(&b, (uint8_t)level) == 0 && pack_text(&b, text) == 0)
                add(news, MESSAGE_LOG, &b);
}

static int put_path(struct buf *b, const struct report_line *line)
{
        _cleanup_(freep) char *path = path_join(line->directory ? line->directory : "", line->name);

        if (!path)
                return -ENOMEM;
        if (strlen(path) > PATH_LENGTH_MAX)
                path[PATH_LENGTH_MAX] = '\0';
        return pack_text(b, path);
}

void agent_news_line(void *news, const struct report_line *line)
{
        enum { DIRECTORY = 1, REASONS_TEXT = 2 };
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        int r = pack_u8(&b, (uint8_t)line->verb);

        r = r < 0 ? r : pack_u8(&b, (line->is_directory ? DIRECTORY : 0) | (line->reasons ? REASONS_TEXT : 0));
        if (r == 0)
                r = line->reasons ? pack_text(&b, line->reasons) : pack_varint(&b, line->why);
        if (r == 0)
                r = put_path(&b, line);
        if (r == 0)
                add(news, MESSAGE_CHANGE, &b);
}

void agent_news_item(void *news, const struct err *item, bool remains)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };

        if (request_put_item(&b, item, remains) == 0)
                add(news, MESSAGE_ITEM, &b);
}

void agent_news_step(void *news, int step, uint64_t expected)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };

        if (pack_u8(&b, (uint8_t)(step + 1)) == 0 && pack_varint(&b, expected) == 0)
                add(news, MESSAGE_STAGE, &b);
}

/* ---- from the one that has the channel ---- */

static int tell_waiting(struct agent_news *n, struct channel *c, struct err *err)
{
        struct buf swap;
        struct unpack u;
        int r = 0;

        pthread_mutex_lock(&n->lock);
        swap = n->waiting;
        n->waiting = n->telling;
        n->telling = swap;
        pthread_mutex_unlock(&n->lock);
        u = unpack_begin(n->telling.data, n->telling.size);
        while (u.data < u.end && r == 0) {
                struct buf *b = wire_begin(channel_wire(c), unpack_u8(&u));
                size_t size;
                const void *data = unpack_bytes(&u, SIZE_MAX, &size);

                r = buf_append(b, data, size) < 0 ? err_oom(err) : wire_end(channel_wire(c), err);
                n->told_last = progress_now();
        }
        buf_truncate(&n->telling, 0);
        return r;
}

static int put_counts(struct agent_news *n, const struct report *report, struct buf *b)
{
        int r = 0;

        for (unsigned i = 0; report && i < REPORT_NUMBERS_END && r == 0; i++) {
                uint64_t now = report_number_exists(i) ? report_tell(report, i) : 0;

                if (now == n->told[i])
                        continue;
                r = pack_varint(b, i);
                r = r < 0 ? r : pack_varint(b, now);
                n->told[i] = now;
        }
        return r;
}

static int tell_counts(struct agent_news *n, struct channel *c, const struct report *report, struct err *err)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        double now = progress_now();
        int r = put_counts(n, report, &b);

        n->counts_told = now;
        if (r < 0)
                return err_oom(err);
        if (b.size == 0 && now - n->told_last < LIFE_EVERY_S)
                return 0;
        n->told_last = now;
        if (buf_append(wire_begin(channel_wire(c), MESSAGE_COUNT), buf_text(&b), b.size) < 0)
                return err_oom(err);
        return wire_end(channel_wire(c), err);
}

int agent_news_tell(struct agent_news *n, struct channel *c, const struct report *report, bool all, struct err *err)
{
        int r = tell_waiting(n, c, err);

        if (r < 0 || (!all && progress_now() - n->counts_told < COUNTS_EVERY_S))
                return r;
        return tell_counts(n, c, report, err);
}
