/*
 * A few ioctls, each a call of its own: less than what libbtrfsutil, which wraps the same ones, would cost the static
 * build.
 */
#include "rotate/subvolume.h"

#include "base/buf.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/privileges.h"
#include "base/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/btrfs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

enum { ROOT_INO = 256 }; /* BTRFS_FIRST_FREE_OBJECTID: of the root of each subvolume, and of nothing else */

bool subvolume_is(int fd)
{
        struct entry e;
        struct statfs fs;

        return entry_stat_fd(&e, fd) == 0 && entry_is_dir(&e) && e.ino == ROOT_INO && !e.is_mount_point &&
               fstatfs(fd, &fs) == 0 && fs.f_type == BTRFS_SUPER_MAGIC;
}

static int open_place(int dirfd, const char *name)
{
        return openat(dirfd, name, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
}

bool subvolume_is_at(int dirfd, const char *name)
{
        _cleanup_(fd_closep) int fd = open_place(dirfd, name);

        return fd >= 0 && subvolume_is(fd);
}

static int call(int fd, unsigned long request, void *argument)
{
        return ioctl(fd, request, argument) < 0 ? errno_negative() : 0;
}

static int set_name(char *field, size_t size, const char *name)
{
        size_t length = strlen(name);

        if (length >= size)
                return -ENAMETOOLONG;
        memcpy(field, name, length + 1);
        return 0;
}

int subvolume_create(int dirfd, const char *name)
{
        struct btrfs_ioctl_vol_args_v2 args = { .flags = 0 };
        int r = set_name(args.name, sizeof(args.name), name);

        if (r == 0) {
                /* There is no way to name a mode. */
                mode_t before = umask(077);

                r = call(dirfd, BTRFS_IOC_SUBVOL_CREATE_V2, &args);
                umask(before);
        }
        return r;
}

int subvolume_snapshot(int dirfd, const char *name, int from_fd)
{
        struct btrfs_ioctl_vol_args_v2 args = { .fd = from_fd, .flags = BTRFS_SUBVOL_RDONLY };
        int r = set_name(args.name, sizeof(args.name), name);

        return r < 0 ? r : call(dirfd, BTRFS_IOC_SNAP_CREATE_V2, &args);
}

/* ---- removing ---- */

/* @fd's path as /proc/self/mountinfo writes it, see proc_pid_mountinfo(5). */
static int print_path(struct buf *ret, int fd)
{
        char link[64], path[PATH_MAX];
        ssize_t n;
        int r = 0;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof(path));
        if (n < 0 || n == (ssize_t)sizeof(path))
                return n < 0 ? errno_negative() : -ENAMETOOLONG;
        for (ssize_t i = 0; i < n && r == 0; i++) {
                char c = path[i];

                r = c == ' ' || c == '\t' || c == '\n' || c == '\\' ? buf_printf(ret, "\\%03o", (unsigned)c)
                                                                    : buf_putc(ret, c);
        }
        return r == 0 ? buf_putc(ret, '/') : r;
}

/* The fifth field of a line. */
static const char *mount_point(const char *line)
{
        for (unsigned i = 0; i < 4; i++) {
                line = strchr(line, ' ');
                if (!line)
                        return "";
                line++;
        }
        return line;
}

/* Is something mounted below the directory? Where nobody tells (no /proc, a path too long), the answer is no. */
static bool has_mounts(int fd)
{
        _cleanup_(buf_deinit) struct buf path = { .data = NULL };
        _cleanup_(freep) char *line = NULL;
        size_t size = 0;
        bool found = false;
        FILE *file;

        if (print_path(&path, fd) < 0)
                return false;
        file = fopen("/proc/self/mountinfo", "re");
        if (!file)
                return false;
        while (!found && getline(&line, &size, file) >= 0)
                found = str_starts(mount_point(line), path.data);
        fclose(file);
        return found;
}

int subvolume_remove(int dirfd, const char *name)
{
        _cleanup_(fd_closep) int fd = open_place(dirfd, name);
        struct btrfs_ioctl_vol_args args = { .fd = 0 };
        int r = fd < 0 ? errno_negative() : set_name(args.name, sizeof(args.name), name);

        if (r < 0)
                return r;
        /* The kernel would remove it all the same, and lazily unmount what is in it. */
        if (has_mounts(fd))
                return -EBUSY;
        r = call(dirfd, BTRFS_IOC_SNAP_DESTROY, &args);
        if (r == -EROFS || r == -EACCES || (r == -EPERM && !privilege_held(PRIVILEGE_ADMIN)))
                return SUBVOLUME_BY_HAND;
        return r;
}

/* ---- flags, neighbours, room ---- */

int subvolume_make_writable(int dirfd, const char *name)
{
        _cleanup_(fd_closep) int fd = fd_open_unmounted_at(dirfd, name, O_DIRECTORY);
        uint64_t flags = 0;
        int r = fd < 0 ? fd : call(fd, BTRFS_IOC_SUBVOL_GETFLAGS, &flags);

        flags &= ~(uint64_t)BTRFS_SUBVOL_RDONLY;
        return r < 0 ? r : call(fd, BTRFS_IOC_SUBVOL_SETFLAGS, &flags);
}

bool subvolume_is_read_only(int fd)
{
        uint64_t flags = 0;

        return call(fd, BTRFS_IOC_SUBVOL_GETFLAGS, &flags) == 0 && (flags & BTRFS_SUBVOL_RDONLY);
}

bool subvolume_has_others(int fd)
{
        struct btrfs_ioctl_get_subvol_rootref_args args = { .min_treeid = 0 };
        int r = call(fd, BTRFS_IOC_GET_SUBVOL_ROOTREF, &args);

        return r == -EOVERFLOW || (r == 0 && args.num_items > 0);
}

int subvolume_await_room(int fd, struct err *err)
{
        /* Removed ones are cleaned in the background. Only the superuser may ask how far that is, but what it frees
         * shows at once, and it seldom frees nothing for long. */
        enum { QUIET_ROUNDS = 10 };
        const struct timespec pause = { .tv_nsec = 200000000 };
        fsblkcnt_t before = 0;

        for (unsigned quiet = 0; quiet < QUIET_ROUNDS; quiet++) {
                struct statfs fs;
                int r = stop_check(err);

                if (r < 0)
                        return r;
                /* This wakes who cleans. */
                (void)call(fd, BTRFS_IOC_SYNC, NULL);
                if (fstatfs(fd, &fs) < 0)
                        break;
                if (fs.f_bfree != before)
                        quiet = 0;
                before = fs.f_bfree;
                nanosleep(&pause, NULL);
        }
        return 0;
}
