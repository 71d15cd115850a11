/* Every reading checks what is left first; nothing is read beyond the end, and nothing is allocated by what a peer
 * says. */
#include "transfer/exchange/pack.h"

#include "base/buf.h"

#include <limits.h>

enum { NANOSECONDS = 1000000000 };

int pack_u8(struct buf *b, uint8_t n)
{
        return buf_putc(b, (char)n);
}

static int pack_fixed(struct buf *b, uint64_t n, size_t size)
{
        unsigned char bytes[sizeof(n)];

        for (size_t i = 0; i < size; i++)
                bytes[i] = (unsigned char)(n >> (8 * i));
        return buf_append(b, bytes, size);
}

int pack_u16(struct buf *b, uint16_t n)
{
        return pack_fixed(b, n, sizeof(n));
}

int pack_u32(struct buf *b, uint32_t n)
{
        return pack_fixed(b, n, sizeof(n));
}

int pack_u64(struct buf *b, uint64_t n)
{
        return pack_fixed(b, n, sizeof(n));
}

int pack_varint(struct buf *b, uint64_t n)
{
        unsigned char bytes[10];
        size_t size = 0;

        do {
                bytes[size++] = (unsigned char)((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
                n >>= 7;
        } while (n > 0);
        return buf_append(b, bytes, size);
}

int pack_signed(struct buf *b, int64_t n)
{
        return pack_varint(b, ((uint64_t)n << 1) ^ (n < 0 ? UINT64_MAX : 0));
}

int pack_bytes(struct buf *b, const void *data, size_t size)
{
        int r = pack_varint(b, size);

        return r == 0 ? buf_append(b, data, size) : r;
}

int pack_text(struct buf *b, const char *text)
{
        return pack_bytes(b, text ? text : "", text ? strlen(text) : 0);
}

int pack_time(struct buf *b, struct timespec t)
{
        int r = pack_signed(b, t.tv_sec);

        return r == 0 ? pack_varint(b, (uint64_t)t.tv_nsec) : r;
}

/* ---- reading ---- */

struct unpack unpack_begin(const void *data, size_t size)
{
        /* There may be nothing, which is nowhere. */
        return (struct unpack){ .data = data, .end = size > 0 ? (const unsigned char *)data + size : data };
}

const void *unpack_raw(struct unpack *u, size_t size)
{
        const void *data = u->data;

        if (u->broken || size > (size_t)(u->end - u->data)) {
                u->broken = true;
                return NULL;
        }
        u->data += size;
        return data;
}

static uint64_t unpack_fixed(struct unpack *u, size_t size)
{
        const unsigned char *bytes = unpack_raw(u, size);
        uint64_t n = 0;

        for (size_t i = size; bytes && i-- > 0;)
                n = n << 8 | bytes[i];
        return n;
}

uint8_t unpack_u8(struct unpack *u)
{
        return (uint8_t)unpack_fixed(u, sizeof(uint8_t));
}

uint16_t unpack_u16(struct unpack *u)
{
        return (uint16_t)unpack_fixed(u, sizeof(uint16_t));
}

uint32_t unpack_u32(struct unpack *u)
{
        return (uint32_t)unpack_fixed(u, sizeof(uint32_t));
}

uint64_t unpack_u64(struct unpack *u)
{
        return unpack_fixed(u, sizeof(uint64_t));
}

uint64_t unpack_varint(struct unpack *u, uint64_t max)
{
        uint64_t n = 0;
        bool more = true;

        for (unsigned shift = 0; more && !u->broken; shift += 7) {
                uint8_t byte = unpack_u8(u);

                /* The tenth byte has room for one bit. */
                if (shift > 63 || (shift == 63 && byte > 1))
                        u->broken = true;
                else
                        n |= (uint64_t)(byte & 0x7f) << shift;
                more = byte & 0x80;
        }
        if (n > max)
                u->broken = true;
        return u->broken ? 0 : n;
}

int64_t unpack_signed(struct unpack *u)
{
        uint64_t n = unpack_varint(u, UINT64_MAX);

        return (int64_t)((n >> 1) ^ (n & 1 ? UINT64_MAX : 0));
}

const void *unpack_bytes(struct unpack *u, size_t max, size_t *ret_size)
{
        size_t size = unpack_varint(u, max);
        const void *data = unpack_raw(u, size);

        *ret_size = data ? size : 0;
        return data;
}

struct timespec unpack_time(struct unpack *u)
{
        struct timespec t = { .tv_sec = unpack_signed(u) };

        t.tv_nsec = (long)unpack_varint(u, NANOSECONDS - 1);
        return t;
}

char *unpack_text(struct unpack *u, size_t max)
{
        size_t size;
        const void *data = unpack_bytes(u, max, &size);
        char *text = data && !memchr(data, '\0', size) ? str_copy(data, size) : NULL;

        u->broken = u->broken || !text;
        return text;
}

bool unpack_is_name(const void *data, size_t size)
{
        const char *name = data;

        if (size == 0 || size > NAME_MAX || memchr(name, '\0', size) || memchr(name, '/', size))
                return false;
        return !(name[0] == '.' && (size == 1 || (size == 2 && name[1] == '.')));
}

bool unpack_end(const struct unpack *u)
{
        return !u->broken && u->data == u->end;
}
