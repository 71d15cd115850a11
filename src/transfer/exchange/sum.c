/* Only a block of which the beginning has come is copied; others are summed where they are. */
#include "transfer/exchange/sum.h"

#include <xxhash.h>

enum { BLOCK = 64 * 1024 };

struct sum {
        XXH3_state_t *state;
        uint64_t at; /* where the current block begins */
        size_t have; /* so much of it has come */
        char block[BLOCK];
};

struct sum *sum_new(void)
{
        struct sum *s = calloc(1, sizeof(*s));

        if (!s)
                return NULL;
        s->state = XXH3_createState();
        if (!s->state)
                return sum_free(s);
        sum_begin(s);
        return s;
}

struct sum *sum_free(struct sum *s)
{
        if (s)
                XXH3_freeState(s->state);
        free(s);
        return NULL;
}

void sum_begin(struct sum *s)
{
        XXH3_128bits_reset(s->state);
        s->at = s->have = 0;
}

static bool is_zero(const char *data, size_t size)
{
        return size == 0 || (data[0] == 0 && memcmp(data, data + 1, size - 1) == 0);
}

static void add_block(struct sum *s, const char *data, size_t size)
{
        unsigned char offset[8];

        if (!is_zero(data, size)) {
                for (size_t i = 0; i < sizeof(offset); i++)
                        offset[i] = (unsigned char)(s->at >> 8 * i);
                XXH3_128bits_update(s->state, offset, sizeof(offset));
                XXH3_128bits_update(s->state, data, size);
        }
        s->at += size;
        s->have = 0;
}

/* The next @size bytes of the current block, or zeros for NULL. */
static void fill(struct sum *s, const char *data, size_t size)
{
        if (data)
                memcpy(s->block + s->have, data, size);
        else
                memset(s->block + s->have, 0, size);
        s->have += size;
        if (s->have == BLOCK)
                add_block(s, s->block, BLOCK);
}

void sum_data(struct sum *s, const void *data, size_t size)
{
        const char *bytes = data;

        while (size > 0) {
                size_t piece = size_min(size, BLOCK - s->have);

                if (piece == BLOCK)
                        add_block(s, bytes, BLOCK);
                else
                        fill(s, bytes, piece);
                bytes += piece;
                size -= piece;
        }
}

void sum_zeros(struct sum *s, uint64_t size)
{
        if (s->have > 0) {
                size_t piece = size < BLOCK - s->have ? (size_t)size : BLOCK - s->have;

                fill(s, NULL, piece);
                size -= piece;
        }
        s->at += size - size % BLOCK;
        if (size % BLOCK > 0)
                fill(s, NULL, (size_t)(size % BLOCK));
}

void sum_end(struct sum *s, uint8_t ret[SUM_SIZE])
{
        XXH128_canonical_t canonical;

        add_block(s, s->block, s->have);
        XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(s->state));
        memcpy(ret, canonical.digest, SUM_SIZE);
}
