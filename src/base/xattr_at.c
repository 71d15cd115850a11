/*
 * Every entry is asked for its attributes, so that reading them takes the calls of Linux 6.13 where the kernel has
 * them. Before, unshare(CLONE_FS) gives each thread a directory to go to; it needs no privilege, but some containers
 * forbid it: then, and where a thread did not ask for it, /proc/self/fd/N/NAME serves.
 */
#include "base/xattr_at.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

/* Younger than the headers of many systems. */
#ifndef SYS_getxattrat
#ifdef __alpha__
#define SYS_getxattrat 574
#define SYS_listxattrat 575
#else
#define SYS_getxattrat 464
#define SYS_listxattrat 465
#endif
#endif

/* struct xattr_args of linux/xattr.h */
struct arguments {
        _Alignas(8) uint64_t value;
        uint32_t size;
        uint32_t flags;
};

static _Thread_local bool has_own_cwd;
static bool has_calls;

static void probe_calls(void)
{
        has_calls = syscall(SYS_listxattrat, AT_FDCWD, "/", AT_SYMLINK_NOFOLLOW, NULL, 0) >= 0;
}

static bool kernel_has_calls(void)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;

        pthread_once(&once, probe_calls);
        return has_calls;
}

void xattr_at_own_cwd(void)
{
        has_own_cwd = !kernel_has_calls() && unshare(CLONE_FS) == 0;
}

/* A path to one name: name_max bytes behind "/proc/self/fd/2147483647/". */
struct way {
        char path[32 + 4096];
};

/* Return the path to use, or NULL with errno set. */
static const char *find_way(struct way *way, int dirfd, const char *name)
{
        if (has_own_cwd)
                return fchdir(dirfd) == 0 ? name : NULL;
        if ((size_t)snprintf(way->path, sizeof(way->path), "/proc/self/fd/%d/%s", dirfd, name) >= sizeof(way->path)) {
                errno = ENAMETOOLONG;
                return NULL;
        }
        return way->path;
}

static ssize_t list_by_path(int dirfd, const char *name, char *list, size_t size)
{
        struct way way;
        const char *path = find_way(&way, dirfd, name);

        return path ? llistxattr(path, list, size) : -1;
}

ssize_t xattr_at_list(int dirfd, const char *name, char *list, size_t size)
{
        ssize_t n = kernel_has_calls() ? syscall(SYS_listxattrat, dirfd, name, AT_SYMLINK_NOFOLLOW, list, size)
                                       : list_by_path(dirfd, name, list, size);

        return n >= 0 ? n : -errno;
}

static ssize_t get_by_path(int dirfd, const char *name, const char *xattr, void *value, size_t size)
{
        struct way way;
        const char *path = find_way(&way, dirfd, name);

        return path ? lgetxattr(path, xattr, value, size) : -1;
}

ssize_t xattr_at_get(int dirfd, const char *name, const char *xattr, void *value, size_t size)
{
        struct arguments a = { .value = (uintptr_t)value, .size = (uint32_t)size };
        ssize_t n = kernel_has_calls() ? syscall(SYS_getxattrat, dirfd, name, AT_SYMLINK_NOFOLLOW, xattr, &a, sizeof(a))
                                       : get_by_path(dirfd, name, xattr, value, size);

        return n >= 0 ? n : -errno;
}
