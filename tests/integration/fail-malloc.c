/*
 * To be preloaded: allocation number $RSB_FAIL_ONE fails, or all from number $RSB_FAIL_ALL on. At the end the number of
 * allocations is written to the file $RSB_ALLOCATIONS. What the loader allocates before main(), and what is allocated
 * after it (a build that measures coverage does), is neither counted nor failed.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static atomic_ulong count;
static unsigned long fail_one = ULONG_MAX, fail_all = ULONG_MAX;
static atomic_bool is_counting;

static unsigned long number_in(const char *variable)
{
        const char *text = getenv(variable);

        return text ? strtoul(text, NULL, 10) : ULONG_MAX;
}

__attribute__((constructor)) static void begin(void)
{
        fail_one = number_in("RSB_FAIL_ONE");
        fail_all = number_in("RSB_FAIL_ALL");
        is_counting = true;
}

__attribute__((destructor)) static void end(void)
{
        const char *path = getenv("RSB_ALLOCATIONS");
        int fd;

        fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
        if (fd >= 0) {
                dprintf(fd, "%lu\n", (unsigned long)count);
                close(fd);
        }
}

static void stop_counting(void)
{
        is_counting = false;
}

/* Not registered before the first allocation of main(): what was registered last is called first. */
static void stop_counting_after_main(void)
{
        static atomic_bool is_registered;

        if (!atomic_exchange(&is_registered, true) && atexit(stop_counting) != 0)
                abort();
}

static bool fails(void)
{
        unsigned long number;

        if (!is_counting)
                return false;
        stop_counting_after_main();
        number = atomic_fetch_add(&count, 1) + 1;
        if (number != fail_one && number < fail_all)
                return false;
        errno = ENOMEM;
        return true;
}

void *malloc(size_t size)
{
        return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
        return fails() ? NULL : __libc_calloc(number, size);
}

void *realloc(void *old, size_t size)
{
        return fails() ? NULL : __libc_realloc(old, size);
}

void *reallocarray(void *old, size_t number, size_t size)
{
        if (size && number > SIZE_MAX / size) {
                errno = ENOMEM;
                return NULL;
        }
        return realloc(old, number * size);
}
