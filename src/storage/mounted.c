/*
 * Names prove little: /dev/sdb1 may be another disk than an hour ago. So devices, images and directories are compared
 * by their numbers. btrfs has a device number of its own, several devices, and more than one directory that may be
 * mounted.
 */
#include "storage/mounted.h"

#include "base/err.h"
#include "base/fd.h"

#include <fcntl.h>
#include <libmount/libmount.h>
#include <limits.h>
#include <linux/btrfs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>

enum { BTRFS_ROOT_INODE = 256 }; /* of every subvolume */

/* Where the found (O_PATH) @fd is, as mountinfo writes it. */
static bool is_at(int fd, const char *point)
{
        char link[32], path[PATH_MAX];
        ssize_t n;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof(path) - 1);
        if (n < 0)
                return false;
        path[n] = '\0';
        return str_equal(path, point);
}

int mounted_find(struct mount *ret, const char *point, struct err *err)
{
        /* Opened like this an automount point does not mount anything. */
        _cleanup_(fd_closep) int fd = open(point, O_PATH | O_CLOEXEC);
        bool found;

        *ret = (struct mount){ .line = NULL };
        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
                return 0;
        if (fd < 0)
                return err_run(err, -errno, "look at the mount point", point);
        found = mount_find(ret, fd);
        if (found && !str_equal(ret->type, "autofs") && is_at(fd, ret->point))
                return 1;
        mount_deinit(ret);
        return found ? 0 : err_run(err, -ENODATA, "find in /proc/self/mountinfo what is mounted on", point);
}

/* ---- what an entry wants ---- */

static bool has_option(struct libmnt_fs *fs, const char *name)
{
        return mnt_fs_get_option(fs, name, NULL, NULL) == 0;
}

static bool is_type(struct libmnt_fs *fs, const char *prefix)
{
        const char *type = mnt_fs_get_fstype(fs);

        return type && str_starts(type, prefix);
}

/* The path of what @fs names, NULL when it has none or a tag leads nowhere. Borrowed from @cache or @fs. */
static const char *find_path(struct libmnt_fs *fs, struct libmnt_cache *cache)
{
        const char *source = mnt_fs_get_source(fs);

        return mnt_fs_get_tag(fs, NULL, NULL) == 0 ? mnt_resolve_spec(source, cache) : source;
}

void origin_find(struct origin *ret, struct libmnt_fs *fs, struct libmnt_cache *cache)
{
        bool is_tag = mnt_fs_get_tag(fs, NULL, NULL) == 0, binds = has_option(fs, "bind") || has_option(fs, "rbind");
        const char *source = mnt_fs_get_source(fs), *path;

        *ret = (struct origin){ .kind = ORIGIN_NAMED, .fs = fs };
        /* libmount counts bind mounts among the filesystems that are not real. */
        if (!source || (!binds && (mnt_fs_is_netfs(fs) || mnt_fs_is_pseudofs(fs) || (!is_tag && source[0] != '/'))))
                return;
        path = find_path(fs, cache);
        if (!path || stat(path, &ret->st) < 0)
                ret->kind = is_type(fs, "fuse") && !is_tag ? ORIGIN_NAMED : ORIGIN_MISSING;
        else if (binds)
                ret->kind = ORIGIN_BOUND;
        else if (S_ISBLK(ret->st.st_mode))
                ret->kind = ORIGIN_DEVICE;
        else if (S_ISREG(ret->st.st_mode) && !is_type(fs, "fuse"))
                ret->kind = ORIGIN_IMAGE;
}

/* ---- whether that is what is mounted ---- */

/* The block device that @m names, 0 if there is none: btrfs is not alone in having a number of its own (bcachefs). */
static dev_t device_below(const struct mount *m)
{
        struct stat st;

        return m->source[0] == '/' && stat(m->source, &st) == 0 && S_ISBLK(st.st_mode) ? st.st_rdev : 0;
}

/* Is @device one of those that the btrfs mounted on @point is made of? */
static bool is_member(dev_t device, const char *point)
{
        _cleanup_(fd_closep) int fd = open(point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct btrfs_ioctl_fs_info_args info = { .flags = 0 };
        struct stat st;

        if (fd < 0 || ioctl(fd, BTRFS_IOC_FS_INFO, &info) < 0)
                return false;
        for (uint64_t id = 1; id <= info.max_id; id++) {
                struct btrfs_ioctl_dev_info_args member = { .devid = id };

                if (ioctl(fd, BTRFS_IOC_DEV_INFO, &member) == 0 && stat((const char *)member.path, &st) == 0 &&
                    S_ISBLK(st.st_mode) && st.st_rdev == device)
                        return true;
        }
        return false;
}

static bool is_on_device(const struct origin *origin, const struct mount *m, const char *point)
{
        dev_t device = origin->st.st_rdev;

        return m->device == device || device_below(m) == device ||
               (str_equal(m->type, "btrfs") && is_member(device, point));
}

/* An offset in other units than bytes is not compared: then two filesystems in one image are not told apart. */
static bool is_at_offset(struct libmnt_fs *fs, uint64_t offset)
{
        char *value = NULL, *end;
        size_t size = 0;
        uint64_t wanted;

        if (mnt_fs_get_option(fs, "offset", &value, &size) != 0)
                return offset == 0;
        wanted = strtoull(value, &end, 0);
        return end != value + size || wanted == offset;
}

static bool is_on_image(const struct origin *origin, const struct mount *m)
{
        _cleanup_(fd_closep) int fd = m->source[0] == '/' ? open(m->source, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
        struct loop_info64 info;

        return fd >= 0 && ioctl(fd, LOOP_GET_STATUS64, &info) == 0 && info.lo_device == origin->st.st_dev &&
               info.lo_inode == origin->st.st_ino && is_at_offset(origin->fs, info.lo_offset);
}

static bool is_wanted_subvolume(struct libmnt_fs *fs, const struct mount *m, const char *point)
{
        char *value = NULL, *mounted = NULL;
        size_t size = 0, mounted_size;
        struct stat st;

        if (mnt_fs_get_option(fs, "subvolid", &value, &size) == 0)
                return mnt_optstr_get_option(m->options, "subvolid", &mounted, &mounted_size) == 0 &&
                       strtoull(mounted, NULL, 10) == strtoull(value, NULL, 0);
        if (mnt_fs_get_option(fs, "subvol", &value, &size) == 0) {
                const char *root = m->root + 1;

                for (; size > 0 && *value == '/'; size--)
                        value++;
                while (size > 0 && value[size - 1] == '/')
                        size--;
                return strlen(root) == size && memcmp(root, value, size) == 0;
        }
        /* The default one, whichever that is. */
        return stat(point, &st) == 0 && st.st_ino == BTRFS_ROOT_INODE;
}

/* Of a device all is mounted, not some directory of it that somebody has bound there. */
static bool is_wanted_root(const struct origin *origin, const struct mount *m, const char *point)
{
        return str_equal(m->type, "btrfs") ? is_wanted_subvolume(origin->fs, m, point) : str_equal(m->root, "/");
}

static bool is_bound(const struct origin *origin, const char *point)
{
        struct stat st;

        return stat(point, &st) == 0 && st.st_dev == origin->st.st_dev && st.st_ino == origin->st.st_ino;
}

static size_t length_without_slashes(const char *text)
{
        size_t length = strlen(text);

        while (length > 1 && text[length - 1] == '/')
                length--;
        return length;
}

/* The type tells the likes of "none" apart; that of network filesystems has variants (nfs4), that of FUSE a prefix. */
static bool is_named_so(struct libmnt_fs *fs, const struct mount *m)
{
        const char *source = mnt_fs_get_source(fs), *type = mnt_fs_get_fstype(fs);
        size_t length;

        if (!source)
                return false;
        if (type && str_starts(type, "fuse.") && str_equal(m->type, type) && str_equal(m->source, type + 5))
                return true; /* some programs show their own name */
        if (type && mnt_fs_is_pseudofs(fs) && !str_equal(m->type, type))
                return false;
        length = length_without_slashes(source);
        return length == length_without_slashes(m->source) && memcmp(source, m->source, length) == 0;
}

bool origin_is_mounted(const struct origin *origin, const struct mount *m, const char *point, bool fresh)
{
        switch (origin->kind) {
        case ORIGIN_DEVICE:
                return is_on_device(origin, m, point) && is_wanted_root(origin, m, point);
        case ORIGIN_IMAGE:
                return is_on_image(origin, m) && is_wanted_root(origin, m, point);
        case ORIGIN_BOUND:
                return is_bound(origin, point);
        case ORIGIN_NAMED:
                return fresh || is_named_so(origin->fs, m);
        case ORIGIN_MISSING:
                break;
        }
        return false;
}
