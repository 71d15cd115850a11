/*
 * getdents64(2) directly: readdir(3) would allocate a stream and need a descriptor of its own.
 */
#include "base/listing.h"

#include "base/arena.h"

#include <dirent.h>
#include <errno.h>

enum { READ_SIZE = 32 * 1024 };

static bool is_dot(const char *name)
{
        return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static int add(struct listing *l, const struct dirent64 *d, struct arena *arena)
{
        const char *name = arena_copy(arena, d->d_name, strlen(d->d_name));

        if (!name)
                return -ENOMEM;
        if (l->count == l->capacity) {
                size_t capacity = size_max(l->capacity * 2, 64);
                struct listing_name *names = reallocarray(l->names, capacity, sizeof(*names));

                if (!names)
                        return -ENOMEM;
                l->names = names;
                l->capacity = capacity;
        }
        l->names[l->count++] = (struct listing_name){ .name = name, .ino = d->d_ino, .type = d->d_type };
        return 0;
}

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
        free(l->names);
        *l = (struct listing){ .names = NULL };
}

static int compare(const void *a, const void *b)
{
        return strcmp(((const struct listing_name *)a)->name, ((const struct listing_name *)b)->name);
}

int listing_read(struct listing *ret, int dirfd, struct arena *arena)
{
        int r = listing_read_unsorted(ret, dirfd, arena);

        if (ret->count > 1)
                qsort(ret->names, ret->count, sizeof(*ret->names), compare);
        return r;
}
