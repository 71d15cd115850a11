/* unshare(CLONE_FS) needs no privilege, but some containers forbid the call: then /proc/self/fd/N/NAME serves. */
#include "base/xattr_at.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/xattr.h>

static _Thread_local bool has_own_cwd;

/* A path to one name: name_max bytes behind "/proc/self/fd/2147483647/". */
struct way {
        char path[32 + 4096];
};

void xattr_at_own_cwd(void)
{
        has_own_cwd = unshare(CLONE_FS) == 0;
}

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

ssize_t xattr_at_list(int dirfd, const char *name, char *list, size_t size)
{
        struct way way;
        const char *path = find_way(&way, dirfd, name);
        ssize_t n = path ? llistxattr(path, list, size) : -1;

        return n >= 0 ? n : -errno;
}

ssize_t xattr_at_get(int dirfd, const char *name, const char *xattr, void *value, size_t size)
{
        struct way way;
        const char *path = find_way(&way, dirfd, name);
        ssize_t n = path ? lgetxattr(path, xattr, value, size) : -1;

        return n >= 0 ? n : -errno;
}

int xattr_at_set(int dirfd, const char *name, const char *xattr, const void *value, size_t size)
{
        struct way way;
        const char *path = find_way(&way, dirfd, name);

        return path && lsetxattr(path, xattr, value, size, 0) == 0 ? 0 : -errno;
}

int xattr_at_remove(int dirfd, const char *name, const char *xattr)
{
        struct way way;
        const char *path = find_way(&way, dirfd, name);

        return path && lremovexattr(path, xattr) == 0 ? 0 : -errno;
}
