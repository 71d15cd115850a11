/* Thin wrappers that turn -1 and errno into one negative number and finish what the kernel did in part. */
#include "base/fd.h"

#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int fd_close(int fd)
{
        if (fd >= 0)
                (void)close(fd);
        return -1;
}

int fd_open_at(int dirfd, const char *name, int flags)
{
        int fd;

        flags |= O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
        fd = openat(dirfd, name, flags | O_NOATIME);
        /* O_NOATIME is for the owner and for CAP_FOWNER. */
        if (fd < 0 && errno == EPERM)
                fd = openat(dirfd, name, flags);
        return fd >= 0 ? fd : -errno;
}

/* Open what is only found (O_PATH). No /proc: -ENOENT. */
static int open_found(int found)
{
        const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
        char path[32];
        int fd;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", found);
        fd = open(path, flags | O_NOATIME);
        if (fd < 0 && errno == EPERM)
                fd = open(path, flags);
        return fd >= 0 ? fd : -errno;
}

int fd_open_file_at(int dirfd, const char *name)
{
        _cleanup_(fd_closep) int found = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        struct stat st;
        int fd;

        if (found < 0 || fstat(found, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return S_ISDIR(st.st_mode) ? -EISDIR : S_ISLNK(st.st_mode) ? -ELOOP : -ENXIO;
        fd = open_found(found);
        /* What is left without /proc is the moment until the next line. */
        return fd == -ENOENT ? fd_open_at(dirfd, name, 0) : fd;
}

int fd_open_directory(const char *path)
{
        const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
        int fd = open(path, flags | O_NOATIME);

        if (fd < 0 && errno == EPERM)
                fd = open(path, flags);
        return fd >= 0 ? fd : -errno;
}

int fd_open_nearest(const char *path, char **ret_path)
{
        char *nearest = strdup(path);
        int fd = nearest ? fd_open_directory(nearest) : -ENOMEM;

        while (fd == -ENOENT) {
                char *above = path_parent(nearest);

                free(nearest);
                nearest = above;
                fd = nearest ? fd_open_directory(nearest) : -ENOMEM;
        }
        *ret_path = nearest;
        return fd;
}

int fd_open_unmounted_at(int dirfd, const char *name, int flags)
{
        struct open_how how = {
                .flags = (unsigned)(flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | O_NOATIME),
                .resolve = RESOLVE_NO_XDEV,
        };
        long fd = syscall(SYS_openat2, dirfd, name, &how, sizeof(how));

        if (fd < 0 && errno == EPERM) {
                how.flags &= ~(unsigned)O_NOATIME;
                fd = syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
        }
        return fd >= 0 ? (int)fd : -errno;
}

/* The next part of @path that the kernel takes in one call. Return its length without the slash behind it. */
static size_t next_part(const char *path, char part[PATH_MAX])
{
        size_t size = strlen(path);

        if (size >= PATH_MAX) {
                for (size = PATH_MAX - 1; path[size] != '/'; size--)
                        continue;
        }
        memcpy(part, path, size);
        part[size] = '\0';
        return size;
}

int fd_open_below(int root, const char *path)
{
        struct open_how how = {
                .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
        };
        int fd = fcntl(root, F_DUPFD_CLOEXEC, 0);

        if (fd < 0)
                return -errno;
        while (*path) {
                char part[PATH_MAX];
                size_t size = next_part(path, part);
                int next = (int)syscall(SYS_openat2, fd, part, &how, sizeof(how));
                int code = next < 0 ? -errno : 0;

                fd_close(fd);
                if (code < 0)
                        return code;
                fd = next;
                path += size + (path[size] == '/');
        }
        return fd;
}

int fd_open_beneath(int root, const char *path, int flags)
{
        struct open_how how = {
                .flags = (unsigned)(flags | O_RDONLY | O_DIRECTORY | O_CLOEXEC | (flags & O_PATH ? 0 : O_NOATIME)),
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
        };
        const char *name = *path ? path : ".";
        long fd = syscall(SYS_openat2, root, name, &how, sizeof(how));

        if (fd < 0 && errno == EPERM) {
                how.flags &= ~(unsigned)O_NOATIME;
                fd = syscall(SYS_openat2, root, name, &how, sizeof(how));
        }
        return fd >= 0 ? (int)fd : -errno;
}

int fd_sync_directory(int fd)
{
        if (fsync(fd) == 0 || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)
                return 0;
        return errno_negative();
}

/* Where the descriptor itself stands, instead of an offset. */
enum { HERE = -1 };

static ssize_t read_full(int fd, void *data, size_t size, off_t offset)
{
        size_t done = 0;

        while (done < size) {
                void *at = (char *)data + done;
                ssize_t n =
                        offset == HERE ? read(fd, at, size - done) : pread(fd, at, size - done, offset + (off_t)done);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                done += (size_t)n;
        }
        return (ssize_t)done;
}

static int write_full(int fd, const void *data, size_t size, off_t offset)
{
        size_t done = 0;

        while (done < size) {
                const void *at = (const char *)data + done;
                ssize_t n =
                        offset == HERE ? write(fd, at, size - done) : pwrite(fd, at, size - done, offset + (off_t)done);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                done += (size_t)n;
        }
        return 0;
}

ssize_t fd_read_full(int fd, void *data, size_t size)
{
        return read_full(fd, data, size, HERE);
}

ssize_t fd_pread_full(int fd, void *data, size_t size, off_t offset)
{
        return read_full(fd, data, size, offset);
}

int fd_write_full(int fd, const void *data, size_t size)
{
        return write_full(fd, data, size, HERE);
}

int fd_pwrite_full(int fd, const void *data, size_t size, off_t offset)
{
        return write_full(fd, data, size, offset);
}

int fd_replace_file_at(int dirfd, const char *name, const void *data, size_t size)
{
        _cleanup_(fd_closep) int fd = -1;
        char beside[NAME_MAX + 1];
        int r;

        if (snprintf(beside, sizeof(beside), "%s.new", name) >= (int)sizeof(beside))
                return -ENAMETOOLONG;
        (void)unlinkat(dirfd, beside, 0);
        fd = openat(dirfd, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        r = fd_write_full(fd, data, size);
        if (r == 0 && fsync(fd) < 0)
                r = -errno;
        if (r == 0 && renameat(dirfd, beside, dirfd, name) < 0)
                r = -errno;
        if (r == 0)
                r = fd_sync_directory(dirfd);
        if (r < 0)
                (void)unlinkat(dirfd, beside, 0);
        return r;
}
