/*
 * The bytes are taken in rows, and each column of them is summed up by itself, in 16 bits as the result is modulo 2^16
 * anyway. With r rows still to come, its own among them, the byte in column c of a row has the weight ROW * r - c; so
 * the weighted sum is ROW times the running sums of the columns, less c times the sum of column c.
 *
 * A row is loaded as 16-bit lanes, of which shifts make its even and its odd bytes: eight instructions for 16 bytes. As
 * a plain loop neither compiler finds that out, and with vectors of bytes that are converted both do worse.
 */
#include "transfer/rsync/rsync_weak.h"

enum { LANES = 8, ROW = 2 * LANES };

typedef int16_t lanes __attribute__((vector_size(ROW)));
typedef uint16_t sums __attribute__((vector_size(ROW)));

struct column {
        sums plain, running;
};

static inline struct column add(struct column c, lanes bytes)
{
        c.plain += (sums)bytes;
        c.running += c.plain;
        return c;
}

/* @first: which column the first lane is. */
static struct rsync_weak gather(const struct column *c, uint32_t first)
{
        struct rsync_weak w = { 0 };

        for (uint32_t i = 0; i < LANES; i++) {
                w.plain += c->plain[i];
                w.weighted += ROW * (uint32_t)c->running[i] - (2 * i + first) * c->plain[i];
        }
        return w;
}

static struct rsync_weak sum_rows(const unsigned char *data, size_t rows)
{
        struct column low = { 0 }, high = { 0 };
        struct rsync_weak a, b;
        uint32_t low_first = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;

        for (size_t i = 0; i < rows; i++) {
                lanes row;

                memcpy(&row, data + i * ROW, ROW);
                low = add(low, (lanes)((sums)row << 8) >> 8);
                high = add(high, row >> 8);
        }
        a = gather(&low, low_first);
        b = gather(&high, 1 - low_first);
        return (struct rsync_weak){ a.plain + b.plain, a.weighted + b.weighted };
}

struct rsync_weak rsync_weak_of(const void *data, size_t size)
{
        const unsigned char *bytes = data;
        size_t rows = size / ROW;
        struct rsync_weak w = sum_rows(bytes, rows);

        for (size_t i = rows * ROW; i < size; i++) {
                w.plain += (uint32_t)(signed char)bytes[i];
                w.weighted += w.plain;
        }
        return w;
}
