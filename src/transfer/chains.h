/*
 * A hash table for many small items that are only ever added: found by chains of 32-bit numbers, kept in blocks, so
 * that an item costs little more than its size, stays where it is, and growing copies nothing but the heads of the
 * chains. Belongs to one thread at a time.
 */
#pragma once

#include "base/util.h"

/* Every item starts with one. */
struct chains_item {
        uint32_t next : 28;
        uint32_t tag : 4; /* for whoever owns the table */
};

struct chains {
        size_t item_size;                   /* a multiple of the item's alignment */
        uint64_t (*hash)(const void *item); /* of its key */
        char **blocks;
        uint32_t *heads; /* numbers of items from 1, 0: an empty chain */
        uint32_t head_count, count;
};

/* The first item that may have a key of this hash, and the next one, or NULL. */
void *chains_first(const struct chains *c, uint64_t hash);
void *chains_next(const struct chains *c, const void *item);

/* A copy of @item, whose struct chains_item is filled in. NULL when memory is short. */
void *chains_add(struct chains *c, const void *item);

void chains_deinit(struct chains *c);
