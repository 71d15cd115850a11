/*
 *      GREETING -> MODULE (rsync_hello_text.c) -> COMPAT -> ALGORITHMS -> OVER
 *      VERSION (a remote shell) ---------------->
 *
 * Numbers are read again from the beginning until they are complete. Nothing behind the seed is taken, since it is in
 * frames.
 */
#include "transfer/rsync/rsync_hello.h"

#include "base/err.h"
#include "transfer/rsync/rsync_hello_parts.h"
#include "transfer/rsync/rsync_number.h"

#include <assert.h>

enum {
        NUMBERS_MAX = 2 * (2 + RSYNC_STRING_MAX) + 4, /* the longest that are read at once: two lists and the seed */
        VERSION_LEAST = 20,                           /* what is not between these is no version: */
        VERSION_MOST = 40,                            /* a login shell prints something */
        SHOWN_SIZE = 100,
};

/* ---- making one ---- */

static int check_module(const char *module, struct err *err)
{
        /* "#list" is a command, a slash is for the arguments, and what is longer than a line is not read. */
        if (!*module || *module == '#' || strpbrk(module, "/\r\n") || strlen(module) >= RSYNC_LINE_MAX)
                return err_usage(err, "this cannot be the name of a module of an rsync daemon");
        return 0;
}

static int put_beginning(struct rsync_hello *h)
{
        h->state = h->config.is_daemon ? RSYNC_HELLO_GREETING : RSYNC_HELLO_VERSION;
        return h->config.is_daemon ? rsync_hello_greet(h) : rsync_put_int(&h->out, h->session.protocol);
}

int rsync_hello_new(struct rsync_hello **ret, const struct rsync_hello_config *config, struct err *err)
{
        _cleanup_(rsync_hello_freep) struct rsync_hello *h = NULL;
        int r = config->is_daemon ? check_module(config->module, err) : 0;

        if (r < 0)
                return r;
        h = calloc(1, sizeof(*h));
        if (!h)
                return err_oom(err);
        h->config = *config;
        h->session.protocol = config->protocol_max ? config->protocol_max : RSYNC_PROTOCOL_MAX;
        assert(h->session.protocol >= RSYNC_PROTOCOL_MIN && h->session.protocol <= RSYNC_PROTOCOL_MAX);
        if (put_beginning(h) < 0)
                return err_oom(err);
        *ret = TAKE(h);
        return 0;
}

struct rsync_hello *rsync_hello_free(struct rsync_hello *h)
{
        if (!h)
                return NULL;
        buf_deinit(&h->in);
        buf_deinit(&h->out);
        buf_deinit(&h->last_words);
        free(h->digests);
        free(h);
        return NULL;
}

struct buf *rsync_hello_output(struct rsync_hello *h)
{
        return &h->out;
}

const struct rsync_session *rsync_hello_session(const struct rsync_hello *h)
{
        assert(h->state == RSYNC_HELLO_OVER);
        return &h->session;
}

/* ---- the version, of a remote shell ---- */

static int fail_version(const struct rsync_hello *h, struct err *err)
{
        char text[SHOWN_SIZE];
        size_t length = size_min(h->in.size, sizeof(text) - 1);

        memcpy(text, buf_text(&h->in), length);
        text[length] = '\0';
        text[strcspn(text, "\r\n")] = '\0';
        rsync_hello_fail_saying(h, -EPROTO, "there is no rsync, or the shell prints something", text, err);
        return err_hint(err, "a login script must be silent when there is no terminal");
}

static int read_version(struct rsync_hello *h, struct rsync_reader *reader, struct err *err)
{
        int32_t version = rsync_get_int(reader);

        if (reader->is_short)
                return 0;
        if (version < VERSION_LEAST || version > VERSION_MOST)
                return fail_version(h, err);
        if (version < RSYNC_PROTOCOL_MIN) {
                err_runf(err, -EPROTONOSUPPORT, "%s: rsync speaks version %d of its protocol, at least %d is needed",
                         h->config.peer, (int)version, RSYNC_PROTOCOL_MIN);
                return err_hint(err, "rsync 3.0 or later is needed there");
        }
        if (version < h->session.protocol)
                h->session.protocol = version;
        h->state = RSYNC_HELLO_COMPAT;
        return 0;
}

/* ---- what it can do ---- */

static int put_list(struct rsync_hello *h, enum rsync_hello_kind kind)
{
        _cleanup_(buf_deinit) struct buf list = { .data = NULL };
        int r = rsync_hello_put_names(h, kind, &list);

        return r == 0 ? rsync_put_string(&h->out, buf_text(&list), list.size) : r;
}

static int put_lists(struct rsync_hello *h, struct err *err)
{
        int r = put_list(h, RSYNC_HELLO_CHECKSUMS);

        if (r == 0 && h->config.arguments->compress)
                r = put_list(h, RSYNC_HELLO_COMPRESSIONS);
        return r < 0 ? err_oom(err) : 0;
}

/*
 * Without names there is one algorithm of each kind, whatever we would offer: one that fails to understand the
 * arguments sends such flags, too, and says why only in frames.
 */
static int read_compat(struct rsync_hello *h, struct rsync_reader *reader, struct err *err)
{
        unsigned flags = rsync_get_varint(reader);

        if (reader->is_short)
                return 0;
        if (reader->is_broken)
                return rsync_hello_fail(h, -EPROTO, "the other side breaks rsync's protocol: its compat flags", err);
        if (flags & RSYNC_COMPAT_INCREMENTAL && !h->config.arguments->incremental)
                return rsync_hello_fail(h, -EPROTO,
                                        "the other side breaks rsync's protocol: it wants incremental lists", err);
        /* Those that are not known stand for nothing that we have asked for. */
        h->session.compat = flags;
        if (h->session.protocol >= 31)
                h->session.compat |= RSYNC_COMPAT_SAFE_LIST_END;
        h->session.checksum = RSYNC_MD5;
        h->session.compression = h->config.arguments->compress ? RSYNC_COMPRESSION_ZLIB : RSYNC_COMPRESSION_NONE;
        h->state = RSYNC_HELLO_ALGORITHMS;
        return flags & RSYNC_COMPAT_VARINT_FLAGS ? put_lists(h, err) : 0;
}

static int fail_choice(const struct rsync_hello *h, enum rsync_hello_kind kind, const char *list, size_t size,
                       struct err *err)
{
        _cleanup_(freep) char *words = str_copy(list, size);
        const char *what = kind == RSYNC_HELLO_CHECKSUMS ? "it has no checksum that is permitted here"
                                                         : "it has no compression that is permitted here";

        return words ? rsync_hello_fail_saying(h, -EPROTONOSUPPORT, what, words, err) : err_oom(err);
}

/* At once, without waiting for the seed: a server that comes to the same result has ended. */
static int read_choice(const struct rsync_hello *h, struct rsync_reader *reader, enum rsync_hello_kind kind, int *ret,
                       struct err *err)
{
        size_t size;
        const char *list = rsync_get_string(reader, &size);

        if (reader->is_short)
                return 0;
        *ret = rsync_hello_choose(h, kind, list, size);
        return *ret < 0 ? fail_choice(h, kind, list, size, err) : 0;
}

static int read_algorithms(struct rsync_hello *h, struct rsync_reader *reader, struct err *err)
{
        bool has_names = h->session.compat & RSYNC_COMPAT_VARINT_FLAGS;
        int checksum = h->session.checksum, compression = h->session.compression, r = 0;

        if (has_names)
                r = read_choice(h, reader, RSYNC_HELLO_CHECKSUMS, &checksum, err);
        if (has_names && h->config.arguments->compress && r == 0)
                r = read_choice(h, reader, RSYNC_HELLO_COMPRESSIONS, &compression, err);
        if (r < 0)
                return r;
        h->session.seed = rsync_get_int(reader);
        if (reader->is_short)
                return 0;
        h->session.checksum = (enum rsync_checksum)checksum;
        h->session.compression = (enum rsync_compression)compression;
        h->state = RSYNC_HELLO_OVER;
        return 0;
}

/* ---- from the peer ---- */

static int read_numbers(struct rsync_hello *h, struct rsync_reader *reader, struct err *err)
{
        switch (h->state) {
        case RSYNC_HELLO_VERSION:
                return read_version(h, reader, err);
        case RSYNC_HELLO_COMPAT:
                return read_compat(h, reader, err);
        default:
                return read_algorithms(h, reader, err);
        }
}

static int take_numbers(struct rsync_hello *h, const char *data, size_t size, size_t *ret_used, struct err *err)
{
        size_t before = h->in.size, n = size_min(size, NUMBERS_MAX - before);
        struct rsync_reader reader;
        int r;

        if (buf_append(&h->in, data, n) < 0)
                return err_oom(err);
        reader = rsync_read_begin(h->in.data, h->in.size);
        r = read_numbers(h, &reader, err);
        *ret_used = n;
        if (reader.is_short)
                return 0;
        *ret_used = (size_t)((const char *)reader.at - h->in.data) - before;
        buf_truncate(&h->in, 0);
        return r;
}

static bool awaits_lines(const struct rsync_hello *h)
{
        return h->state == RSYNC_HELLO_GREETING || h->state == RSYNC_HELLO_MODULE;
}

int rsync_hello_feed(struct rsync_hello *h, const void *data, size_t size, size_t *ret_used, struct err *err)
{
        const char *at = data;
        size_t used = 0, n = 0;
        int r = 0;

        while (used < size && h->state != RSYNC_HELLO_OVER && r == 0) {
                if (awaits_lines(h))
                        r = rsync_hello_line(h, at + used, size - used, &n, err);
                else
                        r = take_numbers(h, at + used, size - used, &n, err);
                used += r == 0 ? n : 0;
        }
        *ret_used = used;
        return r == 0 && h->state == RSYNC_HELLO_OVER ? RSYNC_HELLO_DONE : r;
}
