/*
 *      bytes of the peer -> head -> data      -> stream  -> who reads it
 *                                -> a message -> message -> hear(), whole
 *
 * A head is four bytes: the payload's size in 24 bits, and 7 + the code. Where data is cut into frames means nothing.
 */
#include "transfer/rsync/rsync_mux.h"

#include "base/err.h"
#include "transfer/rsync/rsync_number.h"

#include <assert.h>

enum { HEAD_SIZE = 4, CODE_BASE = 7, LENGTH_MASK = 0xffffff, SIZE_ANY = -1, SIZE_EXIT = -2, SIZE_NONE = -3 };

void rsync_mux_deinit(struct rsync_mux *m)
{
        buf_deinit(&m->stream);
        buf_deinit(&m->message);
}

/* ---- from the peer ---- */

/* What @code has behind its head: so many bytes, or one of SIZE_*; SIZE_NONE when there is no such code between us. */
static int size_of(unsigned code)
{
        switch (code) {
        case RSYNC_CODE_DATA:
        case RSYNC_CODE_ERROR_XFER:
        case RSYNC_CODE_INFO:
        case RSYNC_CODE_ERROR:
        case RSYNC_CODE_WARNING:
        case RSYNC_CODE_DELETED:
                return SIZE_ANY;
        case RSYNC_CODE_IO_ERROR:
        case RSYNC_CODE_IO_TIMEOUT:
        case RSYNC_CODE_SUCCESS:
        case RSYNC_CODE_NO_SEND:
                return 4;
        case RSYNC_CODE_NOOP:
                return 0;
        case RSYNC_CODE_ERROR_EXIT:
                return SIZE_EXIT;
        default:
                return SIZE_NONE;
        }
}

static unsigned code_of(const struct rsync_mux *m)
{
        return (unsigned)m->head[HEAD_SIZE - 1] - CODE_BASE;
}

static int check_head(const struct rsync_mux *m, struct err *err)
{
        unsigned code = code_of(m);
        int wanted = size_of(code);

        if (wanted == SIZE_NONE)
                return err_runf(err, -EPROTO, "the other side breaks rsync's protocol: a message with code %d",
                                m->head[HEAD_SIZE - 1] - CODE_BASE);
        if (code != RSYNC_CODE_DATA && m->left > RSYNC_MESSAGE_MAX)
                return err_runf(err, -EPROTO, "the other side breaks rsync's protocol: a message of %zu bytes",
                                m->left);
        if ((wanted >= 0 && m->left != (size_t)wanted) || (wanted == SIZE_EXIT && m->left != 0 && m->left != 4))
                return err_runf(err, -EPROTO, "the other side breaks rsync's protocol: %zu bytes with code %u", m->left,
                                code);
        return 0;
}

static size_t take_head(struct rsync_mux *m, const unsigned char *data, size_t size)
{
        size_t n = size_min(size, HEAD_SIZE - m->head_size);
        struct rsync_reader reader;

        memcpy(m->head + m->head_size, data, n);
        m->head_size += n;
        if (m->head_size == HEAD_SIZE) {
                reader = rsync_read_begin(m->head, HEAD_SIZE);
                m->left = (uint32_t)rsync_get_int(&reader) & LENGTH_MASK;
        }
        return n;
}

/* Data is passed on as it comes, a message when it is complete. */
static int take_payload(struct rsync_mux *m, const unsigned char *data, size_t size, struct err *err)
{
        unsigned code = code_of(m);
        struct buf *to = code == RSYNC_CODE_DATA ? &m->stream : &m->message;
        int r = 0;

        if (size > 0 && buf_append(to, data, size) < 0)
                return err_oom(err);
        m->left -= size;
        if (m->left > 0)
                return 0;
        m->head_size = 0;
        if (code != RSYNC_CODE_DATA) {
                r = m->hear(m->context, (enum rsync_code)code, buf_text(&m->message), m->message.size, err);
                buf_truncate(&m->message, 0);
        }
        return r;
}

/* What was used is moved away only when it is as much as what is left, or much that waits would be moved each time. */
static void make_room(struct rsync_mux *m)
{
        size_t left = m->stream.size - m->used;

        if (m->used == 0 || m->used < left)
                return;
        memmove(m->stream.data, m->stream.data + m->used, left);
        buf_truncate(&m->stream, left);
        m->used = 0;
}

int rsync_mux_feed(struct rsync_mux *m, const void *data, size_t size, struct err *err)
{
        const unsigned char *at = data, *end = size > 0 ? at + size : at;
        size_t n;
        int r = 0;

        make_room(m);
        while (at < end && r == 0) {
                if (m->head_size < HEAD_SIZE) {
                        at += take_head(m, at, (size_t)(end - at));
                        if (m->head_size < HEAD_SIZE)
                                break;
                        r = check_head(m, err);
                }
                n = size_min(m->left, (size_t)(end - at));
                if (r == 0)
                        r = take_payload(m, at, n, err);
                at += n;
        }
        return r;
}

const void *rsync_mux_data(const struct rsync_mux *m, size_t *ret_size)
{
        *ret_size = m->stream.size - m->used;
        return buf_text(&m->stream) + m->used;
}

void rsync_mux_used(struct rsync_mux *m, size_t size)
{
        assert(size <= m->stream.size - m->used);
        m->used += size;
}

/* ---- for the peer ---- */

static int put_frame(struct buf *out, enum rsync_code code, const void *data, size_t size)
{
        int r = rsync_put_int(out, (int32_t)((uint32_t)size | ((uint32_t)code + CODE_BASE) << 24));

        return r == 0 && size > 0 ? buf_append(out, data, size) : r;
}

int rsync_mux_put_data(struct buf *out, const void *data, size_t size)
{
        size_t before = out->size, at = 0, n;
        int r;

        do {
                n = size_min(size - at, RSYNC_FRAME_MAX);
                r = put_frame(out, RSYNC_CODE_DATA, n > 0 ? (const char *)data + at : NULL, n);
                at += n;
        } while (at < size && r == 0);
        if (r < 0)
                buf_truncate(out, before);
        return r;
}

int rsync_mux_put_message(struct buf *out, enum rsync_code code, const void *data, size_t size)
{
        size_t before = out->size;
        int r;

        assert(size <= RSYNC_MESSAGE_MAX);
        r = put_frame(out, code, data, size);
        if (r < 0)
                buf_truncate(out, before);
        return r;
}

int rsync_mux_put_number(struct buf *out, enum rsync_code code, int32_t n)
{
        _cleanup_(buf_deinit) struct buf number = { .data = NULL };
        int r = rsync_put_int(&number, n);

        return r == 0 ? rsync_mux_put_message(out, code, number.data, number.size) : r;
}
