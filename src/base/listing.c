/*
 * getdents64(2) directly: readdir(3) would allocate a stream and need a descriptor of its own.
 */
#include "base/listing.h"

#include "base/arena.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stddef.h>

enum { READ_SIZE = 32 * 1024 };

static bool is_dot(const char *name)
{
        return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static int reserve(struct listing *l)
{
        size_t capacity = size_max(l->capacity * 2, 64);
        const struct listing_name **names;

        if (l->count < l->capacity)
                return 0;
        names = reallocarray(l->names, capacity, sizeof(struct listing_name *));
        if (!names)
                return -ENOMEM;
        l->names = names;
        l->capacity = capacity;
        return 0;
}

static int add(struct listing *l, const struct dirent64 *d, struct arena *arena)
{
        /* getdents64(2) has type and name side by side as well. */
        const void *name = arena_copy(arena, &d->d_type, sizeof(d->d_type) + strlen(d->d_name));

        if (!name || reserve(l) < 0)
                return -ENOMEM;
        l->names[l->count++] = name;
        return 0;
}

static_assert(offsetof(struct dirent64, d_name) - offsetof(struct dirent64, d_type) ==
                      offsetof(struct listing_name, name),
              "a name of getdents64(2) is a name of a listing");

/* A name that is empty or has a slash can only come from a broken filesystem: it is left out, and told. */
static int add_records(struct listing *l, const char *data, size_t size, struct arena *arena)
{
        int r = 0, broken = 0;

        for (size_t at = 0; at < size && r == 0;) {
                const struct dirent64 *d = (const struct dirent64 *)(const void *)(data + at);

                at += d->d_reclen;
                if (d->d_name[0] == '\0' || strchr(d->d_name, '/'))
                        broken = -EUCLEAN;
                else if (!is_dot(d->d_name))
                        r = add(l, d, arena);
        }
        return r < 0 ? r : broken;
}

int listing_read_unsorted(struct listing *ret, int dirfd, struct arena *arena)
{
        _Alignas(struct dirent64) char data[READ_SIZE];
        int r = 0;

        *ret = (struct listing){ .names = NULL };
        if (lseek(dirfd, 0, SEEK_SET) < 0)
                return -errno;
        while (r == 0) {
                ssize_t n = getdents64(dirfd, data, sizeof(data));

                if (n == 0)
                        break;
                r = n < 0 ? -errno : add_records(ret, data, (size_t)n, arena);
        }
        return r;
}

void listing_deinit(struct listing *l)
{
        free((void *)l->names);
        *l = (struct listing){ .names = NULL };
}

static int compare(const void *a, const void *b)
{
        const struct listing_name *const *x = a, *const *y = b;

        return strcmp((*x)->name, (*y)->name);
}

int listing_read(struct listing *ret, int dirfd, struct arena *arena)
{
        int r = listing_read_unsorted(ret, dirfd, arena);

        if (ret->count > 1)
                qsort(ret->names, ret->count, sizeof(struct listing_name *), compare);
        return r;
}
