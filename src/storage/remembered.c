/* Where they are, and who may write there at the moment. */
#include "storage/remembered.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#define OF_ROOT "/var/lib/rsync-system-backup"

enum { FILE_SIZE_MAX = 1024 * 1024 };

/* Append where the directory is. Return 0 or a negative errno. */
static int find_place(struct buf *path)
{
        const char *directory = getenv("STATE_DIRECTORY"), *home = getenv("HOME"), *state = getenv("XDG_STATE_HOME");

        /* Of several, as systemd.exec(5) lists them, the first. */
        if (directory && *directory == '/')
                return buf_append(path, directory, strcspn(directory, ":"));
        if (geteuid() == 0)
                return buf_puts(path, OF_ROOT);
        if (state && *state == '/')
                return buf_printf(path, "%s/rsync-system-backup", state);
        if (home && *home == '/')
                return buf_printf(path, "%s/.local/state/rsync-system-backup", home);
        return -ENOENT;
}

char *remembered_path(const char *below)
{
        _cleanup_(buf_deinit) struct buf path = { .data = NULL };

        if (find_place(&path) < 0 || (below && buf_printf(&path, "/%s", below) < 0))
                return NULL;
        return buf_take(&path);
}

/* Make @path and what is missing above it, as the XDG base directory specification wants them: 0700. */
static int make_directories(const char *path)
{
        _cleanup_(freep) char *parent = NULL;

        if (mkdir(path, 0700) == 0 || errno == EEXIST)
                return 0;
        if (errno != ENOENT)
                return -errno;
        parent = path_parent(path);
        if (!parent || make_directories(parent) < 0)
                return -ENOENT;
        return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : -errno;
}

int remembered_open(const char *below, bool create)
{
        _cleanup_(freep) char *path = remembered_path(below);
        int r, fd;

        if (!path)
                return -ENOENT;
        r = create ? make_directories(path) : 0;
        if (r < 0)
                return r;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int remembered_open_of_root(void)
{
        int fd = open(OF_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

int remembered_lock(int dirfd)
{
        const struct timespec nap = { .tv_nsec = 20000000 };
        enum { NAPS_MAX = 500 };

        for (int i = 0; i < NAPS_MAX; i++) {
                if (flock(dirfd, LOCK_EX | LOCK_NB) == 0)
                        return 0;
                if (errno != EWOULDBLOCK && errno != EINTR)
                        return -errno;
                (void)nanosleep(&nap, NULL);
        }
        return -ETIMEDOUT;
}

void remembered_unlock(int dirfd)
{
        (void)flock(dirfd, LOCK_UN);
}

int remembered_read(int dirfd, const char *name, struct buf *ret)
{
        _cleanup_(fd_closep) int fd = fd_open_file_at(dirfd, name);
        ssize_t n;

        if (fd < 0)
                return fd;
        if (buf_reserve(ret, FILE_SIZE_MAX) < 0)
                return -ENOMEM;
        n = fd_read_full(fd, ret->data + ret->size, FILE_SIZE_MAX);
        if (n < 0)
                return (int)n;
        ret->size += (size_t)n;
        ret->data[ret->size] = '\0';
        return 0;
}
