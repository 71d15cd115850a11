/*
 * A chain of chunks, the newest first. Releasing to a mark frees whole chunks, so that one
 * huge directory does not keep its memory for the rest of the run.
 */
#include "base/arena.h"

#include <stdalign.h>

enum { CHUNK_MIN = 64 * 1024 };

struct arena_chunk {
        struct arena_chunk *older;
        size_t used, capacity;
        alignas(max_align_t) unsigned char data[];
};

static size_t aligned(size_t size)
{
        return (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
}

static void *take(struct arena *a, size_t start, size_t size)
{
        struct arena_chunk *chunk = a->chunk;

        if (!chunk || start > chunk->capacity || chunk->capacity - start < size) {
                size_t capacity = size_max(size, CHUNK_MIN);

                chunk = malloc(sizeof(*chunk) + capacity);
                if (!chunk)
                        return NULL;
                *chunk = (struct arena_chunk){ .older = a->chunk, .capacity = capacity };
                a->chunk = chunk;
                start = 0;
        }
        chunk->used = start + size;
        return chunk->data + start;
}

void *arena_alloc(struct arena *a, size_t size)
{
        return size > SIZE_MAX / 2 ? NULL : take(a, a->chunk ? aligned(a->chunk->used) : 0, size);
}

char *arena_copy(struct arena *a, const void *data, size_t size)
{
        char *copy = size > SIZE_MAX / 2 ? NULL : take(a, a->chunk ? a->chunk->used : 0, size + 1);

        if (!copy)
                return NULL;
        if (size > 0)
                memcpy(copy, data, size);
        copy[size] = '\0';
        return copy;
}

struct arena_mark arena_mark(const struct arena *a)
{
        return (struct arena_mark){ .chunk = a->chunk, .used = a->chunk ? a->chunk->used : 0 };
}

void arena_release(struct arena *a, struct arena_mark mark)
{
        if (!a->chunk)
                return;
        /* An arena that was empty keeps its first chunk: the next directory will want it. */
        while (a->chunk != mark.chunk && (mark.chunk || a->chunk->older || a->chunk->capacity > CHUNK_MIN)) {
                struct arena_chunk *older = a->chunk->older;

                free(a->chunk);
                a->chunk = older;
                if (!older)
                        return;
        }
        a->chunk->used = a->chunk == mark.chunk ? mark.used : 0;
}

void arena_deinit(struct arena *a)
{
        while (a->chunk) {
                struct arena_chunk *older = a->chunk->older;

                free(a->chunk);
                a->chunk = older;
        }
}
