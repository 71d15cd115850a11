/* The calls that follow symlinks end at the descriptor's inode itself, also when that is a symlink. */
#include "base/xattr_fd.h"

#include <errno.h>
#include <stdio.h>
#include <sys/xattr.h>

struct way {
        char path[32];
};

static const char *find_way(struct way *way, int fd)
{
        snprintf(way->path, sizeof(way->path), "/proc/self/fd/%d", fd);
        return way->path;
}

/* What the first call says of a descriptor that is only found. */
static bool is_only_found(void)
{
        return errno == EBADF;
}

static int failure(void)
{
        return errno == ENOENT ? -EOPNOTSUPP : errno_negative();
}

ssize_t xattr_fd_list(int fd, char *list, size_t size)
{
        ssize_t n = flistxattr(fd, list, size);
        struct way way = { "" };

        if (n < 0 && is_only_found())
                n = listxattr(find_way(&way, fd), list, size);
        if (n < 0 && errno == ENOENT)
                return -ENOSYS;
        return n >= 0 ? n : failure();
}

ssize_t xattr_fd_get(int fd, const char *xattr, void *value, size_t size)
{
        ssize_t n = fgetxattr(fd, xattr, value, size);
        struct way way = { "" };

        if (n < 0 && is_only_found())
                n = getxattr(find_way(&way, fd), xattr, value, size);
        return n >= 0 ? n : failure();
}

int xattr_fd_set(int fd, const char *xattr, const void *value, size_t size)
{
        int r = fsetxattr(fd, xattr, value, size, 0);
        struct way way = { "" };

        if (r < 0 && is_only_found())
                r = setxattr(find_way(&way, fd), xattr, value, size, 0);
        return r == 0 ? 0 : failure();
}

int xattr_fd_remove(int fd, const char *xattr)
{
        int r = fremovexattr(fd, xattr);
        struct way way = { "" };

        if (r < 0 && is_only_found())
                r = removexattr(find_way(&way, fd), xattr);
        return r == 0 ? 0 : failure();
}
