/*
 *      bytes of the peer -> in -> (one packet at a time, decompressed) -> body -> messages
 *      messages -> gathered -> (packets, compressed or not) -> out -> bytes for the peer
 */
#include "transfer/exchange/wire.h"

#include "base/err.h"
#include "base/path.h"
#include "transfer/exchange/pack.h"

#include <assert.h>
#include <errno.h>
#include <zstd.h>

static const unsigned char MAGIC[8] = { 0x89, 'R', 'S', 'B', 'P', '\r', '\n', 0x1a };

enum {
        HELLO_FIXED = sizeof(MAGIC) + 2 + 2 + 4 + 1,
        HEAD_SIZE = 4,
        LENGTH_MASK = 0xffffff,
        COMPRESSED = 1 << 24,
        WINDOW_LOG_MAX = 23,
        GATHER_SIZE = 128 * 1024, /* then a packet is made */
        PLAIN_PACKETS = 15,       /* after one that did not shrink, before the next is tried; */
        JUDGED_SIZE = 4096,       /* a small one tells nothing of what follows */
        SHOWN_SIZE = 200,
        BLANKS_MAX = 4096, /* that are waited through before a hello that is none is shown */
};

struct wire {
        struct wire_config config;
        char *peer;        /* NULL before the hello */
        uint32_t features; /* in common */

        struct buf in;
        size_t in_used;
        struct buf body;
        size_t body_used;
        ZSTD_DStream *decompressor;

        uint8_t type;
        struct buf payload; /* of the message that is being put in */
        struct buf gathered;
        struct buf packet; /* compressed */
        struct buf out;
        size_t out_sent;
        ZSTD_CStream *compressor;
        bool compress;
        unsigned plain_left;
};

/* ---- making one ---- */

static int put_hello(struct wire *w)
{
        size_t length = strlen(w->config.program);
        int r = buf_append(&w->out, MAGIC, sizeof(MAGIC));

        assert(length <= UINT8_MAX);
        r = r < 0 ? r : pack_u16(&w->out, WIRE_VERSION);
        r = r < 0 ? r : pack_u16(&w->out, WIRE_VERSION);
        r = r < 0 ? r : pack_u32(&w->out, w->config.features);
        r = r < 0 ? r : pack_u8(&w->out, (uint8_t)length);
        return r < 0 ? r : buf_append(&w->out, w->config.program, length);
}

static bool set_up_zstd(struct wire *w)
{
        w->compressor = ZSTD_createCStream();
        w->decompressor = ZSTD_createDStream();
        return w->compressor && w->decompressor &&
               !ZSTD_isError(ZSTD_CCtx_setParameter(w->compressor, ZSTD_c_compressionLevel, w->config.level)) &&
               !ZSTD_isError(ZSTD_CCtx_setParameter(w->compressor, ZSTD_c_windowLog, WINDOW_LOG_MAX - 2)) &&
               !ZSTD_isError(ZSTD_DCtx_setParameter(w->decompressor, ZSTD_d_windowLogMax, WINDOW_LOG_MAX));
}

int wire_new(struct wire **ret, const struct wire_config *config, struct err *err)
{
        _cleanup_(wire_freep) struct wire *w = calloc(1, sizeof(*w));

        if (!w)
                return err_oom(err);
        w->config = *config;
        if (!set_up_zstd(w) || put_hello(w) < 0)
                return err_oom(err);
        *ret = TAKE(w);
        return 0;
}

struct wire *wire_free(struct wire *w)
{
        if (!w)
                return NULL;
        buf_deinit(&w->in);
        buf_deinit(&w->body);
        buf_deinit(&w->payload);
        buf_deinit(&w->gathered);
        buf_deinit(&w->packet);
        buf_deinit(&w->out);
        ZSTD_freeCStream(w->compressor);
        ZSTD_freeDStream(w->decompressor);
        free(w->peer);
        free(w);
        return NULL;
}

const char *wire_peer(const struct wire *w)
{
        return w->peer ? w->peer : "";
}

/* ---- from the peer ---- */

static int fail(struct err *err, const char *what)
{
        return err_runf(err, -EPROTO, "the other side breaks the protocol: %s", what);
}

static const unsigned char *waiting(const struct wire *w, size_t *ret_size)
{
        *ret_size = w->in.size - w->in_used;
        return *ret_size > 0 ? (const unsigned char *)w->in.data + w->in_used : NULL;
}

int wire_feed(struct wire *w, const void *data, size_t size, struct err *err)
{
        /* What was used is at the front: move the rest there first. */
        if (w->in_used > 0) {
                memmove(w->in.data, w->in.data + w->in_used, w->in.size - w->in_used);
                buf_truncate(&w->in, w->in.size - w->in_used);
                w->in_used = 0;
        }
        return buf_append(&w->in, data, size) < 0 ? err_oom(err) : 0;
}

static size_t count_blanks(const unsigned char *data, size_t size)
{
        size_t n = 0;

        while (n < size && strchr(" \t\r\n", data[n]) && data[n] != '\0')
                n++;
        return n;
}

/*
 * What a login shell prints comes before our hello, and is the best explanation of why there is none: its first line
 * that is not empty. Return 0 when that is still to come.
 */
static int fail_hello(const unsigned char *data, size_t size, struct err *err)
{
        char text[SHOWN_SIZE / 2], shown[SHOWN_SIZE];
        size_t blanks = count_blanks(data, size), length = size_min(size - blanks, sizeof(text) - 1);

        if (length == 0 && size < BLANKS_MAX)
                return 0;
        memcpy(text, data + blanks, length);
        text[length] = '\0';
        text[strcspn(text, "\r\n")] = '\0';
        path_show(NULL, text, shown, sizeof(shown));
        err_runf(err, -EPROTO, "the other side is no rsync-system-backup, or its shell prints something: '%s'", shown);
        return err_hint(err, "a login script must be silent when there is no terminal");
}

static int agree(struct wire *w, unsigned oldest, unsigned newest, struct err *err)
{
        char shown[SHOWN_SIZE];

        if (oldest <= WIRE_VERSION && newest >= WIRE_VERSION)
                return 0;
        path_show(NULL, w->peer, shown, sizeof(shown));
        err_runf(err, -EPROTONOSUPPORT,
                 "the other side (rsync-system-backup %s) speaks versions %u to %u of the protocol, this one (%s) "
                 "version %d",
                 shown, oldest, newest, w->config.program, WIRE_VERSION);
        return err_hint(err, "install the same version on both sides");
}

/* Return 1 when the hello is complete, 0 when more is needed. */
static int read_hello(struct wire *w, struct err *err)
{
        struct unpack u;
        unsigned oldest, newest;
        size_t size, length;
        const unsigned char *data = waiting(w, &size);

        if (size > 0 && memcmp(data, MAGIC, size_min(size, sizeof(MAGIC))) != 0)
                return fail_hello(data, size, err);
        if (size < HELLO_FIXED || size < HELLO_FIXED + (size_t)data[HELLO_FIXED - 1])
                return 0;
        u = unpack_begin(data + sizeof(MAGIC), size - sizeof(MAGIC));
        oldest = unpack_u16(&u);
        newest = unpack_u16(&u);
        w->features = unpack_u32(&u) & w->config.features;
        length = unpack_u8(&u);
        w->peer = str_copy(u.data, length);
        if (!w->peer)
                return err_oom(err);
        w->in_used += HELLO_FIXED + length;
        return agree(w, oldest, newest, err) < 0 ? err->code : 1;
}

/* Decompress into the body, which is empty and has room for all that is permitted. */
static int decompress(struct wire *w, const void *data, size_t size, struct err *err)
{
        ZSTD_inBuffer from = { .src = data, .size = size };
        ZSTD_outBuffer to;

        if (!(w->features & WIRE_FEATURE_ZSTD))
                return fail(err, "a compressed packet");
        if (buf_reserve(&w->body, WIRE_PACKET_MAX + 1) < 0)
                return err_oom(err);
        to = (ZSTD_outBuffer){ .dst = w->body.data, .size = WIRE_PACKET_MAX + 1 };
        while (from.pos < from.size && to.pos < to.size) {
                size_t r = ZSTD_decompressStream(w->decompressor, &to, &from);

                if (ZSTD_isError(r))
                        return fail(err, ZSTD_getErrorName(r));
        }
        if (to.pos > WIRE_PACKET_MAX || from.pos < from.size)
                return fail(err, "a packet that is too large when decompressed");
        w->body.size = to.pos;
        return 0;
}

/* Return 1 when there is a packet in the body, 0 when more is needed. */
static int read_packet(struct wire *w, struct err *err)
{
        size_t size, length;
        const unsigned char *data = waiting(w, &size);
        struct unpack u = unpack_begin(data, size);
        uint32_t head;
        int r;

        if (size < HEAD_SIZE)
                return 0;
        head = unpack_u32(&u);
        length = head & LENGTH_MASK;
        if ((head & ~(uint32_t)(LENGTH_MASK | COMPRESSED)) != 0 || length == 0 || length > WIRE_PACKET_MAX)
                return fail(err, "a packet of a wrong size");
        if (size < HEAD_SIZE + length)
                return 0;
        buf_truncate(&w->body, 0);
        w->body_used = 0;
        if (head & COMPRESSED)
                r = decompress(w, u.data, length, err);
        else
                r = buf_append(&w->body, u.data, length) < 0 ? err_oom(err) : 0;
        w->in_used += HEAD_SIZE + length;
        return r < 0 ? r : 1;
}

/* The next message of the body. */
static int read_message(struct wire *w, struct wire_message *ret, struct err *err)
{
        struct unpack u = unpack_begin(w->body.data + w->body_used, w->body.size - w->body_used);

        ret->type = unpack_u8(&u);
        ret->data = unpack_bytes(&u, WIRE_PACKET_MAX, &ret->size);
        if (u.broken)
                return fail(err, "a message that is cut off");
        w->body_used = (size_t)(u.data - (const unsigned char *)w->body.data);
        return 1;
}

int wire_next(struct wire *w, struct wire_message *ret, struct err *err)
{
        int r = w->peer ? 1 : read_hello(w, err);

        while (r > 0) {
                if (w->body_used < w->body.size)
                        return read_message(w, ret, err);
                r = read_packet(w, err);
        }
        return r;
}

bool wire_is_amid(const struct wire *w)
{
        return w->in.size > w->in_used;
}

/* ---- for the peer ---- */

struct buf *wire_begin(struct wire *w, uint8_t type)
{
        w->type = type;
        buf_truncate(&w->payload, 0);
        return &w->payload;
}

int wire_end(struct wire *w, struct err *err)
{
        int r = 0;

        assert(w->payload.size <= WIRE_MESSAGE_MAX);
        if (w->gathered.size + w->payload.size > GATHER_SIZE)
                r = wire_flush(w, err);
        if (r < 0)
                return r;
        if (pack_u8(&w->gathered, w->type) < 0 || pack_bytes(&w->gathered, w->payload.data, w->payload.size) < 0)
                return err_oom(err);
        return 0;
}

void wire_compress(struct wire *w, bool on)
{
        w->compress = on;
}

static int put_head(struct wire *w, size_t length, uint32_t flags)
{
        return pack_u32(&w->out, (uint32_t)length | flags);
}

static int put_compressed(struct wire *w)
{
        size_t bound = ZSTD_compressBound(w->gathered.size) + 64;
        ZSTD_inBuffer from = { .src = w->gathered.data, .size = w->gathered.size };
        ZSTD_outBuffer to;

        buf_truncate(&w->packet, 0);
        if (buf_reserve(&w->packet, bound) < 0)
                return -ENOMEM;
        to = (ZSTD_outBuffer){ .dst = w->packet.data, .size = bound };
        /* The room suffices, so that nothing but memory can be short. */
        if (ZSTD_compressStream2(w->compressor, &to, &from, ZSTD_e_flush) != 0)
                return -ENOMEM;
        if (to.pos > w->gathered.size / 10 * 9 && w->gathered.size >= JUDGED_SIZE)
                w->plain_left = PLAIN_PACKETS;
        return put_head(w, to.pos, COMPRESSED) < 0 ? -ENOMEM : buf_append(&w->out, w->packet.data, to.pos);
}

static int put_plain(struct wire *w)
{
        w->plain_left -= w->plain_left > 0;
        return put_head(w, w->gathered.size, 0) < 0 ? -ENOMEM : buf_append(&w->out, w->gathered.data, w->gathered.size);
}

int wire_flush(struct wire *w, struct err *err)
{
        bool compress = w->compress && (w->features & WIRE_FEATURE_ZSTD) && w->plain_left == 0;
        int r;

        if (w->gathered.size == 0)
                return 0;
        r = compress ? put_compressed(w) : put_plain(w);
        if (r < 0)
                return err_oom(err);
        buf_truncate(&w->gathered, 0);
        return 0;
}

const void *wire_output(const struct wire *w, size_t *ret_size)
{
        *ret_size = w->out.size - w->out_sent;
        return *ret_size > 0 ? w->out.data + w->out_sent : NULL;
}

void wire_sent(struct wire *w, size_t size)
{
        w->out_sent += size;
        if (w->out_sent == w->out.size) {
                buf_truncate(&w->out, 0);
                w->out_sent = 0;
        }
}
