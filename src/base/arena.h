/*
 * Memory for things that die together, chiefly one directory's entries: fill, use, release in one step.
 * An arena belongs to one thread.
 */
#pragma once

#include "base/util.h"

struct arena_chunk;

struct arena {
        struct arena_chunk *chunk; /* the newest */
};

struct arena_mark {
        struct arena_chunk *chunk;
        size_t used;
};

/* @size bytes aligned for any type, or NULL when memory is short. */
void *arena_alloc(struct arena *a, size_t size);
/* A copy of @size bytes with a NUL behind them, not aligned. */
char *arena_copy(struct arena *a, const void *data, size_t size);

struct arena_mark arena_mark(const struct arena *a);
/* Give back all that was allocated since @mark. */
void arena_release(struct arena *a, struct arena_mark mark);
void arena_deinit(struct arena *a);
