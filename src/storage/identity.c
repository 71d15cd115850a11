/*
 * What the machine remembers is a text file `disks` with lines "UUID PATH", the path as it is but for newlines, which
 * make a line that matches nothing. It is small, and rewritten as a whole when a disk is new.
 */
#include "storage/identity.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "storage/remembered.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { UUID_BYTES = 16 };

/* linux/fs.h from Linux 6.9 on; the header here may be older than the kernel. */
struct uuid_request {
        uint8_t length;
        uint8_t uuid[UUID_BYTES];
};
#define GET_FILESYSTEM_UUID _IOR(0x15, 0, struct uuid_request)

static const char file_name[] = "disks";

static bool first_line(const char *path, char ret[IDENTITY_SIZE])
{
        _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : fd_read_full(fd, ret, IDENTITY_SIZE - 1);

        if (n <= 0)
                return false;
        ret[n] = '\0';
        ret[strcspn(ret, "\n ")] = '\0';
        return ret[0] != '\0';
}

void identity_machine(char ret[IDENTITY_SIZE])
{
        if (first_line("/etc/machine-id", ret))
                return;
        if (gethostname(ret, IDENTITY_SIZE) < 0 || ret[0] == '\0')
                snprintf(ret, IDENTITY_SIZE, "unknown");
        ret[IDENTITY_SIZE - 1] = '\0';
}

void identity_boot(char ret[IDENTITY_SIZE])
{
        if (!first_line("/proc/sys/kernel/random/boot_id", ret))
                ret[0] = '\0';
}

/* ---- filesystems ---- */

static void print_uuid(const uint8_t uuid[UUID_BYTES], char ret[IDENTITY_SIZE])
{
        for (size_t i = 0, at = 0; i < UUID_BYTES; i++)
                at += (size_t)snprintf(ret + at, IDENTITY_SIZE - at, "%02x%s", uuid[i],
                                       i == 3 || i == 5 || i == 7 || i == 9 ? "-" : "");
}

static bool ask_kernel(int fd, char ret[IDENTITY_SIZE])
{
        struct uuid_request request = { .length = 0 };

        if (ioctl(fd, GET_FILESYSTEM_UUID, &request) < 0 || request.length != sizeof(request.uuid))
                return false;
        print_uuid(request.uuid, ret);
        return true;
}

/* linux/ext4.h of Linux 6.0; EXT4_IOC_GETFSUUID in Documentation/filesystems/ext4. */
struct ext4_uuid_request {
        uint32_t length, flags;
        uint8_t uuid[UUID_BYTES];
};
#define GET_EXT4_UUID _IOR('f', 44, uint64_t)

static bool ask_ext4(int fd, char ret[IDENTITY_SIZE])
{
        struct ext4_uuid_request request = { .length = UUID_BYTES };

        if (ioctl(fd, GET_EXT4_UUID, &request) < 0 || request.length != UUID_BYTES)
                return false;
        print_uuid(request.uuid, ret);
        return true;
}

/* ioctl_xfs_fsgeometry(2), the first version of it. */
struct xfs_geometry {
        uint32_t sizes[8];
        uint64_t blocks[4];
        uint8_t uuid[UUID_BYTES];
        uint32_t rest[7];
};
#define GET_XFS_GEOMETRY _IOR('X', 100, struct xfs_geometry)

static bool ask_xfs(int fd, char ret[IDENTITY_SIZE])
{
        struct xfs_geometry geometry = { .uuid = "" };

        if (ioctl(fd, GET_XFS_GEOMETRY, &geometry) < 0)
                return false;
        print_uuid(geometry.uuid, ret);
        return true;
}

/* It is none of those that tell by the call for all (Linux 6.18), and its st_dev is that of no device. */
static bool ask_btrfs(int fd, char ret[IDENTITY_SIZE])
{
        struct btrfs_ioctl_fs_info_args info = { .flags = 0 };

        if (ioctl(fd, BTRFS_IOC_FS_INFO, &info) < 0)
                return false;
        print_uuid(info.fsid, ret);
        return true;
}

/* Older kernels: the name under which udev links the device. */
static bool ask_udev(int fd, char ret[IDENTITY_SIZE])
{
        struct stat st, device;
        struct dirent *d;
        bool found = false;
        DIR *dir = opendir("/dev/disk/by-uuid");

        if (!dir)
                return false;
        if (fstat(fd, &st) < 0)
                st.st_dev = 0;
        while (!found && (d = readdir(dir))) {
                if (fstatat(dirfd(dir), d->d_name, &device, 0) == 0 && S_ISBLK(device.st_mode) &&
                    device.st_rdev == st.st_dev)
                        found = snprintf(ret, IDENTITY_SIZE, "%s", d->d_name) < IDENTITY_SIZE;
        }
        closedir(dir);
        return found;
}

void identity_filesystem(int fd, char ret[IDENTITY_SIZE])
{
        if (!ask_kernel(fd, ret) && !ask_ext4(fd, ret) && !ask_xfs(fd, ret) && !ask_btrfs(fd, ret) &&
            !ask_udev(fd, ret))
                ret[0] = '\0';
        /* Some images were made without one. */
        if (strspn(ret, "0-") == strlen(ret))
                ret[0] = '\0';
}

void identity_place(int fd, char ret[IDENTITY_SIZE])
{
        identity_filesystem(fd, ret);
        if (!ret[0])
                snprintf(ret, IDENTITY_SIZE, "%s", IDENTITY_NO_UUID);
}

/* ---- the machine's memory ---- */

static enum identity_verdict recall(int dirfd, const char *parent, const char *uuid)
{
        _cleanup_(buf_deinit) struct buf memory = { .data = NULL };
        enum identity_verdict verdict = IDENTITY_NEW;
        char *saved = NULL;

        if (dirfd < 0 || remembered_read(dirfd, file_name, &memory) < 0)
                return IDENTITY_NEW;
        for (char *line = strtok_r(memory.data, "\n", &saved); line; line = strtok_r(NULL, "\n", &saved)) {
                char *path = strchr(line, ' ');

                if (!path)
                        continue;
                *path++ = '\0';
                if (!str_equal(path, parent))
                        continue;
                if (str_equal(line, uuid))
                        return IDENTITY_KNOWN;
                verdict = IDENTITY_ANOTHER;
        }
        return verdict;
}

enum identity_verdict identity_recall(const char *parent, const char *uuid)
{
        _cleanup_(fd_closep) int dirfd = remembered_open(NULL, false);

        return recall(dirfd, parent, uuid);
}

bool identity_is_known(const char *parent, const char *uuid)
{
        _cleanup_(fd_closep) int dirfd = remembered_open_of_root();

        return identity_recall(parent, uuid) == IDENTITY_KNOWN || recall(dirfd, parent, uuid) == IDENTITY_KNOWN;
}

static int append(int dirfd, const char *parent, const char *uuid)
{
        _cleanup_(buf_deinit) struct buf memory = { .data = NULL };
        int r = remembered_read(dirfd, file_name, &memory);

        if (r < 0 && r != -ENOENT)
                return r;
        if (memory.size > 0 && memory.data[memory.size - 1] != '\n' && buf_putc(&memory, '\n') < 0)
                return -ENOMEM;
        r = buf_printf(&memory, "%s %s\n", uuid, parent);
        return r == 0 ? fd_replace_file_at(dirfd, file_name, memory.data, memory.size) : r;
}

int identity_remember(const char *parent, const char *uuid, struct err *err)
{
        _cleanup_(freep) char *directory = remembered_path(NULL);
        _cleanup_(fd_closep) int dirfd = -1;
        int r;

        if (!directory || strchr(parent, '\n') || identity_recall(parent, uuid) == IDENTITY_KNOWN)
                return 0;
        dirfd = remembered_open(NULL, true);
        r = dirfd < 0 ? dirfd : 0;
        if (r == 0) {
                /* Where it cannot be had, what is forgotten is remembered next time. */
                (void)remembered_lock(dirfd);
                r = append(dirfd, parent, uuid);
                remembered_unlock(dirfd);
        }
        return r < 0 ? err_item(err, r, "remember the disk in", directory) : 0;
}
