#include "transfer/rsync/rsync_table.h"

enum {
        /* For each block, as long as the bitmap stays in a cache; one of so many sums is looked up in vain. */
        BITS_SPARSE = 128,
        BITS_CACHED = 8 * 1024 * 1024,
        BITS_DENSE = 8,
        TWINS_LOOKED_AT = 4, /* runs of the same block become one; more would take long for sums made to collide */
};

/* The least power of 2 that is @n or more. */
static unsigned log2_of(uint64_t n)
{
        unsigned log2 = 0;

        while ((uint64_t)1 << log2 < n)
                log2++;
        return log2;
}

static unsigned bits_log2(uint32_t count)
{
        uint64_t dense = (uint64_t)count * BITS_DENSE, sparse = (uint64_t)count * BITS_SPARSE;

        if (sparse > BITS_CACHED)
                sparse = BITS_CACHED;
        return log2_of(sparse > dense ? sparse : dense);
}

/* Is the same block among the first ones of its place? */
static bool has_twin(const struct rsync_table *t, const struct rsync_sums *s, uint32_t index, uint32_t first)
{
        const unsigned char *record = rsync_sums_record(s, index);

        for (unsigned i = 0; first != RSYNC_TABLE_NONE && i < TWINS_LOOKED_AT; i++) {
                if (memcmp(rsync_sums_record(s, first - 1), record, 4 + s->strong_size) == 0)
                        return true;
                first = t->next[first - 1];
        }
        return false;
}

static void insert(struct rsync_table *t, const struct rsync_sums *s, uint32_t index)
{
        uint32_t hash = rsync_table_hash(rsync_sums_weak(s, index)), bit = hash >> t->bit_shift;
        uint32_t *head = &t->heads[hash >> t->head_shift];

        if (has_twin(t, s, index, *head))
                return;
        t->bits[bit / 32] |= (uint32_t)1 << bit % 32;
        t->next[index] = *head;
        *head = index + 1;
}

int rsync_table_init(struct rsync_table *t, const struct rsync_sums *s)
{
        uint32_t count = s->remainder > 0 && s->count > 0 ? s->count - 1 : s->count;
        unsigned bits, heads;

        if (count > RSYNC_TABLE_MAX)
                count = RSYNC_TABLE_MAX;
        bits = bits_log2(count + 4); /* whole words, and shifts that are defined */
        heads = log2_of((uint64_t)count + 2);
        *t = (struct rsync_table){
                .bit_shift = 32 - bits,
                .head_shift = 32 - heads,
                .bits = calloc(((size_t)1 << bits >> 5) + 1, sizeof(*t->bits)),
                .heads = calloc((size_t)1 << heads, sizeof(*t->heads)),
                .next = malloc(((size_t)count + 1) * sizeof(*t->next)),
        };
        if (!t->bits || !t->heads || !t->next) {
                rsync_table_deinit(t);
                return -ENOMEM;
        }
        for (uint32_t i = 0; i < count; i++)
                insert(t, s, i);
        return 0;
}

void rsync_table_deinit(struct rsync_table *t)
{
        free(t->bits);
        free(t->heads);
        free(t->next);
        *t = (struct rsync_table){ .bits = NULL };
}
