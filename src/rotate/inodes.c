/* Open addressing. A slot is empty while it was met in no tree: trees are numbered from 1. */
#include "rotate/inodes.h"

#include <errno.h>

enum { CAPACITY_MIN = 1024 };

struct slot {
        uint64_t ino;
        uint32_t tree;  /* that met it last; */
        uint32_t count; /* so often */
};

struct inodes {
        struct slot *slots;
        size_t capacity; /* a power of two */
        size_t used;
        uint32_t tree;
};

struct inodes *inodes_new(void)
{
        return calloc(1, sizeof(struct inodes));
}

struct inodes *inodes_free(struct inodes *t)
{
        if (t)
                free(t->slots);
        free(t);
        return NULL;
}

void inodes_begin_tree(struct inodes *t)
{
        t->tree++;
}

/* Neighbours in number must not become neighbours in the table of another size: all bits count. */
static size_t hash(uint64_t ino)
{
        ino ^= ino >> 32;
        ino *= 0x9e3779b97f4a7c15ULL;
        return (size_t)(ino ^ ino >> 29);
}

static struct slot *find(const struct inodes *t, uint64_t ino)
{
        size_t i = hash(ino) & (t->capacity - 1);

        while (t->slots[i].tree != 0 && t->slots[i].ino != ino)
                i = (i + 1) & (t->capacity - 1);
        return &t->slots[i];
}

static int grow(struct inodes *t)
{
        struct inodes larger = *t;

        larger.capacity = size_max(t->capacity * 2, CAPACITY_MIN);
        larger.slots = calloc(larger.capacity, sizeof(*larger.slots));
        if (!larger.slots)
                return -ENOMEM;
        for (size_t i = 0; i < t->capacity; i++) {
                if (t->slots[i].tree != 0)
                        *find(&larger, t->slots[i].ino) = t->slots[i];
        }
        free(t->slots);
        *t = larger;
        return 0;
}

int inodes_meet(struct inodes *t, uint64_t ino, struct inodes_met *ret)
{
        struct slot *s;

        if (t->used >= t->capacity / 4 * 3 && grow(t) < 0)
                return -ENOMEM;
        s = find(t, ino);
        *ret = (struct inodes_met){ .is_new = s->tree == 0 };
        t->used += ret->is_new;
        if (s->tree != t->tree)
                *s = (struct slot){ .ino = ino, .tree = t->tree };
        ret->in_tree = ++s->count;
        return 0;
}
