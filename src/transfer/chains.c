/* Item number n, counted from 1, is in block (n - 1) / BLOCK_ITEMS. */
#include "transfer/chains.h"

enum {
        BLOCK_ITEMS = 1024,
        HEADS_MIN = 1024,
        COUNT_MAX = (1 << 28) - 1, /* what struct chains_item can name */
};

static void *item_of(const struct chains *c, uint32_t number)
{
        if (number == 0)
                return NULL;
        return c->blocks[(number - 1) / BLOCK_ITEMS] + (number - 1) % BLOCK_ITEMS * c->item_size;
}

void *chains_first(const struct chains *c, uint64_t hash)
{
        return c->head_count > 0 ? item_of(c, c->heads[hash & (c->head_count - 1)]) : NULL;
}

void *chains_next(const struct chains *c, const void *item)
{
        return item_of(c, ((const struct chains_item *)item)->next);
}

static void enchain(struct chains *c, uint32_t number)
{
        struct chains_item *item = item_of(c, number);
        uint32_t *head = &c->heads[c->hash(item) & (c->head_count - 1)];

        item->next = *head & COUNT_MAX;
        *head = number;
}

/* As many chains as items, at least. */
static bool grow_heads(struct chains *c)
{
        uint32_t count = c->head_count > 0 ? c->head_count * 2 : HEADS_MIN;
        uint32_t *heads = calloc(count, sizeof(*heads));

        if (!heads)
                return false;
        free(c->heads);
        c->heads = heads;
        c->head_count = count;
        for (uint32_t number = 1; number <= c->count; number++)
                enchain(c, number);
        return true;
}

static bool grow_blocks(struct chains *c)
{
        size_t have = c->count / BLOCK_ITEMS;
        char **blocks = reallocarray(c->blocks, have + 1, sizeof(*blocks));

        if (!blocks)
                return false;
        c->blocks = blocks;
        blocks[have] = malloc(BLOCK_ITEMS * c->item_size);
        return blocks[have] != NULL;
}

void *chains_add(struct chains *c, const void *item)
{
        void *copy;

        if (c->count == COUNT_MAX || (c->count == c->head_count && !grow_heads(c)) ||
            (c->count % BLOCK_ITEMS == 0 && !grow_blocks(c)))
                return NULL;
        copy = item_of(c, ++c->count);
        memcpy(copy, item, c->item_size);
        enchain(c, c->count);
        return copy;
}

void chains_deinit(struct chains *c)
{
        for (size_t i = 0; i < (c->count + BLOCK_ITEMS - 1) / BLOCK_ITEMS; i++)
                free(c->blocks[i]);
        free(c->blocks);
        free(c->heads);
        *c = (struct chains){ .item_size = c->item_size, .hash = c->hash };
}
