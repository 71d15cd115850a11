/*
 * A varint's first byte tells by its leading ones how many bytes follow, and holds the most significant bits as far as
 * they fit behind these; what follows is the rest, least significant byte first. A varlong is the same with a number of
 * bytes that are always there.
 */
#include "transfer/rsync/rsync_number.h"

#include "base/buf.h"

enum { LONG_MAX_SIZE = 8, EXTRA_MAX = 6 };

int rsync_put_byte(struct buf *b, uint8_t n)
{
        return buf_append(b, &n, 1);
}

int rsync_put_short(struct buf *b, uint16_t n)
{
        const unsigned char bytes[] = { (unsigned char)n, (unsigned char)(n >> 8) };

        return buf_append(b, bytes, sizeof(bytes));
}

static void store(unsigned char *to, uint64_t n, unsigned size)
{
        for (unsigned i = 0; i < size; i++)
                to[i] = (unsigned char)(n >> (8 * i));
}

int rsync_put_int(struct buf *b, int32_t n)
{
        unsigned char bytes[4];

        store(bytes, (uint32_t)n, sizeof(bytes));
        return buf_append(b, bytes, sizeof(bytes));
}

/* How many bytes @n has, at least @least. */
static unsigned count_bytes(uint64_t n, unsigned least)
{
        unsigned count = LONG_MAX_SIZE;

        while (count > least && n >> (8 * (count - 1)) == 0)
                count--;
        return count;
}

static int put_number(struct buf *b, uint64_t n, unsigned least)
{
        unsigned count = count_bytes(n, least), extra = count - least;
        unsigned room = 1u << (7 - extra), top = (unsigned)(n >> (8 * (count - 1)));
        unsigned char bytes[1 + LONG_MAX_SIZE];

        /* The top byte stands in the first one, if the ones that tell of the extra bytes leave it room. */
        if (top < room) {
                bytes[0] = (unsigned char)(~(2 * room - 1) | top);
                store(bytes + 1, n, count - 1);
                return buf_append(b, bytes, count);
        }
        bytes[0] = (unsigned char)~(room - 1);
        store(bytes + 1, n, count);
        return buf_append(b, bytes, count + 1);
}

int rsync_put_varint(struct buf *b, uint32_t n)
{
        return put_number(b, n, 1);
}

int rsync_put_varlong(struct buf *b, int64_t n, unsigned least)
{
        return put_number(b, (uint64_t)n, least);
}

int rsync_put_string(struct buf *b, const void *data, size_t size)
{
        size_t before = b->size;
        int r = size < 0x80 ? 0 : rsync_put_byte(b, (uint8_t)(0x80 | size >> 8));

        if (r == 0)
                r = rsync_put_byte(b, (uint8_t)size);
        if (r == 0)
                r = buf_append(b, data, size);
        if (r < 0)
                buf_truncate(b, before);
        return r;
}

enum { INDEX_DONE = 0x00, INDEX_NEGATIVE = 0xff, INDEX_LONG = 0xfe, INDEX_FAR = 0x8000 };

int rsync_put_index(struct buf *b, struct rsync_index *base, int32_t n)
{
        unsigned char bytes[6];
        unsigned size = 0;
        int32_t *last = n < 0 ? &base->negative : &base->positive, value = n < 0 ? -n : n;
        int64_t step = (int64_t)value - *last;
        int r;

        if (n == RSYNC_INDEX_DONE)
                return rsync_put_byte(b, INDEX_DONE);
        if (n < 0)
                bytes[size++] = INDEX_NEGATIVE;
        if (step > 0 && step < INDEX_LONG)
                bytes[size++] = (unsigned char)step;
        else if (step >= 0 && step < INDEX_FAR) {
                bytes[size++] = INDEX_LONG;
                bytes[size++] = (unsigned char)(step >> 8);
                bytes[size++] = (unsigned char)step;
        } else {
                bytes[size++] = INDEX_LONG;
                bytes[size++] = (unsigned char)(0x80 | value >> 24);
                store(bytes + size, (uint32_t)value, 3);
                size += 3;
        }
        r = buf_append(b, bytes, size);
        if (r == 0)
                *last = value;
        return r;
}

/* ---- reading ---- */

struct rsync_reader rsync_read_begin(const void *data, size_t size)
{
        const unsigned char *at = data;

        return (struct rsync_reader){ .at = at, .end = size > 0 ? at + size : at };
}

bool rsync_read_is_good(const struct rsync_reader *r)
{
        return !r->is_short && !r->is_broken;
}

static void be_broken(struct rsync_reader *r)
{
        r->is_broken = true;
        r->at = r->end;
}

const void *rsync_get_bytes(struct rsync_reader *r, size_t size)
{
        const unsigned char *at = r->at;

        if (size > (size_t)(r->end - r->at)) {
                r->is_short = true;
                r->at = r->end;
                return NULL;
        }
        if (size > 0)
                r->at += size;
        return at;
}

static uint64_t get_little(struct rsync_reader *r, unsigned size)
{
        const unsigned char *at = rsync_get_bytes(r, size);
        uint64_t n = 0;

        for (unsigned i = 0; at && i < size; i++)
                n |= (uint64_t)at[i] << (8 * i);
        return n;
}

uint8_t rsync_get_byte(struct rsync_reader *r)
{
        return (uint8_t)get_little(r, 1);
}

uint16_t rsync_get_short(struct rsync_reader *r)
{
        return (uint16_t)get_little(r, 2);
}

int32_t rsync_get_int(struct rsync_reader *r)
{
        return (int32_t)(uint32_t)get_little(r, 4);
}

/* At most @most bytes of value. */
static uint64_t get_number(struct rsync_reader *r, unsigned least, unsigned most)
{
        unsigned first = rsync_get_byte(r), extra = 0, low;
        uint64_t n, top;

        while (extra < EXTRA_MAX && first & (0x80u >> extra))
                extra++;
        low = least - 1 + extra;
        n = get_little(r, low);
        top = first & (0xffu >> size_min(extra + 1, EXTRA_MAX));
        if (r->is_short)
                return 0;
        if (low > most || (low == most && top != 0)) {
                be_broken(r);
                return 0;
        }
        return low < LONG_MAX_SIZE ? n | top << (8 * low) : n;
}

uint32_t rsync_get_varint(struct rsync_reader *r)
{
        return (uint32_t)get_number(r, 1, 4);
}

int64_t rsync_get_varlong(struct rsync_reader *r, unsigned least)
{
        return (int64_t)get_number(r, least, LONG_MAX_SIZE);
}

const void *rsync_get_string(struct rsync_reader *r, size_t *ret_size)
{
        size_t size = rsync_get_byte(r);
        const void *data;

        if (size & 0x80)
                size = (size & 0x7f) << 8 | rsync_get_byte(r);
        data = rsync_get_bytes(r, size);
        *ret_size = data ? size : 0;
        return data;
}

int32_t rsync_get_index(struct rsync_reader *r, struct rsync_index *base)
{
        unsigned first = rsync_get_byte(r), high;
        bool is_negative = first == INDEX_NEGATIVE;
        int32_t *last = is_negative ? &base->negative : &base->positive;
        int64_t value;

        if (r->is_short)
                return 0;
        if (first == INDEX_DONE)
                return RSYNC_INDEX_DONE;
        if (is_negative)
                first = rsync_get_byte(r);
        value = (int64_t)*last + first;
        if (first == INDEX_LONG) {
                high = rsync_get_byte(r);
                if (high & 0x80)
                        value = (int64_t)((high & 0x7f) << 24 | get_little(r, 3));
                else
                        value = (int64_t)*last + (int64_t)(high << 8 | rsync_get_byte(r));
        }
        if (r->is_short)
                return 0;
        if (first == INDEX_NEGATIVE || value > INT32_MAX || value < 0 || (is_negative && value == 0))
                be_broken(r);
        if (!rsync_read_is_good(r))
                return 0;
        *last = (int32_t)value;
        return is_negative ? -*last : *last;
}
