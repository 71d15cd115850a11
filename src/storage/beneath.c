#include "storage/beneath.h"

#include "base/fd.h"
#include "base/mount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* Linux, Documentation/admin-guide/devices.txt */
enum { LOOP_MAJOR = 7 };

/* Nobody piles up more of them. */
enum { DEPTH_MAX = 16 };

/* The device that @m is on; false when that is none, or not the only one. */
static bool find_device(const struct mount *m, dev_t *ret)
{
        struct stat st;

        if (m->source[0] != '/' || stat(m->source, &st) < 0 || !S_ISBLK(st.st_mode))
                return false;
        *ret = st.st_rdev;
        return true;
}

static bool read_number(int slaves_fd, const char *name, dev_t *ret)
{
        char path[NAME_MAX + 8], text[32] = "";
        _cleanup_(fd_closep) int fd = -1;

        snprintf(path, sizeof(path), "%s/dev", name);
        fd = openat(slaves_fd, path, O_RDONLY | O_CLOEXEC);
        return fd >= 0 && fd_read_full(fd, text, sizeof(text) - 1) > 0 && mount_parse_device(ret, text, 10);
}

static int find_below(dev_t device, dev_t wanted, int depth)
{
        char path[80];
        struct dirent *d;
        int r = 0;
        DIR *dir;

        if (device == wanted)
                return 1;
        if (major(device) == LOOP_MAJOR || depth == DEPTH_MAX)
                return -ENODATA;
        snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/slaves", major(device), minor(device));
        dir = opendir(path);
        while (dir && r != 1 && (d = readdir(dir))) {
                dev_t next;
                int below;

                if (d->d_name[0] == '.' || !read_number(dirfd(dir), d->d_name, &next))
                        continue;
                below = find_below(next, wanted, depth + 1);
                r = below == 0 ? r : below;
        }
        if (dir)
                closedir(dir);
        return r;
}

int beneath_has(const char *point, dev_t device)
{
        _cleanup_(mount_deinit) struct mount m = { .line = NULL };
        _cleanup_(fd_closep) int fd = open(point, O_PATH | O_CLOEXEC);
        dev_t top;
        int r;

        if (fd < 0 || !mount_find(&m, fd) || !find_device(&m, &top))
                return -ENODATA;
        r = find_below(top, device, 0);
        return r == 0 && str_equal(m.type, "btrfs") ? -ENODATA : r;
}
