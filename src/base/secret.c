/*
 * Pages of their own: locks, advice and wiping are for whole pages, and nothing else is written beside a secret. What
 * the kernel refuses of it (a small RLIMIT_MEMLOCK, an older kernel) is done without.
 */
#include "base/secret.h"

#include <sys/mman.h>
#include <sys/prctl.h>

/* The bytes of all pages that @capacity touches; 0, which cannot be mapped, when that is more than can be counted. */
static size_t whole_pages(size_t capacity)
{
        size_t page = (size_t)sysconf(_SC_PAGESIZE);

        return (size_max(capacity, 1) + page - 1) / page * page;
}

int secret_init(struct secret *ret, size_t capacity)
{
        size_t size = whole_pages(capacity);
        void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (data == MAP_FAILED)
                return -ENOMEM;
        (void)mlock(data, size);
        (void)madvise(data, size, MADV_DONTDUMP);
        /* The lock is not inherited, and a child has no business with it. */
        (void)madvise(data, size, MADV_WIPEONFORK);
        *ret = (struct secret){ .data = data, .capacity = capacity };
        return 0;
}

void secret_keep(struct secret *s, size_t offset, size_t size)
{
        memmove(s->data, s->data + offset, size);
        explicit_bzero(s->data + size, s->capacity - size);
        s->size = size;
}

void secret_deinit(struct secret *s)
{
        if (s->data) {
                explicit_bzero(s->data, s->capacity);
                (void)munmap(s->data, whole_pages(s->capacity));
        }
        *s = (struct secret){ .data = NULL };
}

void secret_protect_process(void)
{
        (void)prctl(PR_SET_DUMPABLE, 0);
}
