/*
 * Another device's filesystem is mounted without being attached anywhere (fsmount(2)): no path leads to it, no
 * directory is needed for it, and it is gone with the last descriptor, also when we are killed. Its type is found by
 * libblkid. A journal that needs recovery stays as it is: a key was not written a moment before the disk was pulled.
 */
#include "storage/keyfile.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/secret.h"
#include "storage/crypttab.h"
#include "storage/device.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum {
        SHOWN_SIZE = 512,
        /* Two headers of 4 MiB and 128 MiB of key slots are the most that LUKS2 knows. */
        HEADER_SIZE_MAX = 136 * 1024 * 1024,
};

/* As crypttab has it: PATH or PATH:DEVICE. */
static void show(const struct crypttab_file *file, char ret[SHOWN_SIZE])
{
        _cleanup_(buf_deinit) struct buf text = { .data = NULL };

        if (file->device && buf_printf(&text, "%s:%s", file->path, file->device) < 0)
                buf_truncate(&text, 0);
        path_show(NULL, text.size > 0 ? text.data : file->path, ret, SHOWN_SIZE);
}

static int fail(struct err *err, int code, const char *operation, const struct crypttab_file *file)
{
        char shown[SHOWN_SIZE];

        show(file, shown);
        return err_runf(err, code, "cannot %s '%s': %s", operation, shown, strerror(-code));
}

/* ---- a filesystem that is mounted nowhere ---- */

/* Its name for mount(2); malloc'd, NULL when nothing is known there. */
static char *filesystem_type(const char *device)
{
        blkid_probe probe = blkid_new_probe_from_filename(device);
        const char *found = NULL;
        char *type = NULL;

        if (!probe)
                return NULL;
        if (blkid_do_safeprobe(probe) == 0 && blkid_probe_lookup_value(probe, "TYPE", &found, NULL) == 0)
                type = strdup(found);
        blkid_free_probe(probe);
        return type;
}

static const char *recovery_off(const char *type)
{
        if (str_equal(type, "ext3") || str_equal(type, "ext4"))
                return "noload";
        return str_equal(type, "xfs") ? "norecovery" : NULL;
}

/* Return a descriptor or -errno. */
static int mount_detached(const char *device, const char *type, bool as_it_is)
{
        _cleanup_(fd_closep) int context = fsopen(type, FSOPEN_CLOEXEC);
        const char *off = recovery_off(type);
        int fd;

        if (context < 0 || fsconfig(context, FSCONFIG_SET_STRING, "source", device, 0) < 0)
                return -errno;
        if (!as_it_is && (fsconfig(context, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
                          (off && fsconfig(context, FSCONFIG_SET_FLAG, off, NULL, 0) < 0)))
                return -errno;
        if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return -errno;
        fd = fsmount(context, FSMOUNT_CLOEXEC,
                     MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
        return fd >= 0 ? fd : -errno;
}

static int open_filesystem(const char *device, struct err *err)
{
        _cleanup_(freep) char *type = filesystem_type(device);
        int fd;

        if (!type)
                return err_run(err, -EMEDIUMTYPE, "find a filesystem on", device);
        fd = mount_detached(device, type, false);
        /* Somebody has it mounted writable, a desktop likely: it cannot be read-only beside that, only our mount can.
         */
        if (fd == -EBUSY)
                fd = mount_detached(device, type, true);
        return fd >= 0 ? fd : err_run(err, fd, "mount", device);
}

/* ---- opening ---- */

/* What is on the other device stays there: a symlink leads nowhere else, a device node to no device. */
static int open_on_device(const struct crypttab_file *file, unsigned timeout_s, struct err *err)
{
        struct open_how how = {
                .flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
        };
        _cleanup_(freep) char *device = NULL;
        _cleanup_(fd_closep) int root = -1;
        int r = device_await(&device, file->device, timeout_s, err), fd;

        if (r < 0)
                return r;
        root = open_filesystem(device, err);
        if (root < 0)
                return root;
        fd = (int)syscall(SYS_openat2, root, file->path, &how, sizeof(how));
        return fd >= 0 ? fd : fail(err, -errno, "open", file);
}

static int open_file(const struct crypttab_file *file, unsigned timeout_s, struct stat *ret_st, struct err *err)
{
        _cleanup_(fd_closep) int fd = -1;

        if (file->device)
                fd = open_on_device(file, timeout_s, err);
        else
                fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return file->device ? TAKE_FD(fd) : fail(err, -errno, "open", file);
        if (fstat(fd, ret_st) < 0)
                return fail(err, -errno, "read the type of", file);
        return TAKE_FD(fd);
}

/* ---- keys ---- */

static void warn_of_others(const struct crypttab_file *file, const struct stat *st)
{
        char shown[SHOWN_SIZE];

        /* Whoever has the other device has the key, whatever its mode says. */
        if (file->device || !S_ISREG(st->st_mode))
                return;
        show(file, shown);
        if ((st->st_mode & 077) != 0)
                log_warning("the key file '%s' is not for its owner alone (mode %04o): chmod 0400", shown,
                            st->st_mode & 07777);
        if (st->st_uid != 0 && st->st_uid != geteuid())
                log_warning("the key file '%s' belongs to another user (%u): chown root", shown, (unsigned)st->st_uid);
}

/* How many bytes are to be read. Return 0 or a negative errno with @err filled. */
static int size_of_key(uint64_t *ret, const char *shown, const struct stat *st, const struct keyfile_part *part,
                       struct err *err)
{
        uint64_t total = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : UINT64_MAX, left;

        if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode) && !S_ISCHR(st->st_mode))
                return err_runf(err, -EINVAL, "the key file '%s' is neither a file nor a device", shown);
        if (!S_ISREG(st->st_mode) && part->size == 0)
                return err_runf(err, -EINVAL, "the key file '%s' is a device: say keyfile-size=", shown);
        if (part->offset > INT64_MAX)
                return err_runf(err, -EOVERFLOW, "the key in '%s' is beyond the end of any file", shown);
        left = total > part->offset ? total - part->offset : 0;
        if (left < part->size || left == 0)
                return err_runf(err, -ENODATA, "the key file '%s' is too short: %" PRIu64 " bytes from offset %" PRIu64,
                                shown, left, part->offset);
        *ret = part->size > 0 ? part->size : left;
        if (*ret > KEYFILE_SIZE_MAX)
                return err_runf(err, -EFBIG, "the key file '%s' is too large: more than %d bytes", shown,
                                KEYFILE_SIZE_MAX);
        return 0;
}

static int read_part(struct secret *ret, int fd, const struct stat *st, const struct keyfile_part *part, size_t size)
{
        ssize_t n;

        if (secret_init(ret, size) < 0)
                return -ENOMEM;
        if (S_ISCHR(st->st_mode))
                n = fd_read_full(fd, ret->data, size);
        else
                n = fd_pread_full(fd, ret->data, size, (off_t)part->offset);
        if (n < 0 || (size_t)n < size) {
                secret_deinit(ret);
                return n < 0 ? (int)n : -ENODATA;
        }
        ret->size = size;
        return 0;
}

int keyfile_read(struct secret *ret, const struct crypttab_file *file, const struct keyfile_part *part,
                 unsigned timeout_s, struct err *err)
{
        _cleanup_(fd_closep) int fd = -1;
        char shown[SHOWN_SIZE];
        struct stat st;
        uint64_t size;
        int r;

        fd = open_file(file, timeout_s, &st, err);
        if (fd < 0)
                return fd;
        warn_of_others(file, &st);
        show(file, shown);
        r = size_of_key(&size, shown, &st, part, err);
        if (r < 0)
                return r;
        r = read_part(ret, fd, &st, part, (size_t)size);
        return r < 0 ? fail(err, r, "read the key file", file) : 0;
}

/* ---- headers ---- */

static int copy_to_memory(int fd, off_t size)
{
        _cleanup_(fd_closep) int copy = memfd_create("luks-header", MFD_CLOEXEC);
        off_t done = 0;

        if (copy < 0)
                return -errno;
        while (done < size) {
                ssize_t n = sendfile(copy, fd, NULL, (size_t)(size - done));

                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n == 0)
                        return -ENODATA;
                done += n > 0 ? n : 0;
        }
        return TAKE_FD(copy);
}

int keyfile_copy_header(const struct crypttab_file *file, unsigned timeout_s, struct err *err)
{
        _cleanup_(fd_closep) int fd = -1;
        struct stat st;
        int copy;

        fd = open_file(file, timeout_s, &st, err);
        if (fd < 0)
                return TAKE_FD(fd);
        if (!S_ISREG(st.st_mode) || st.st_size > HEADER_SIZE_MAX)
                return fail(err, -EINVAL, "use as a LUKS header", file);
        copy = copy_to_memory(fd, st.st_size);
        return copy >= 0 ? copy : fail(err, copy, "read the LUKS header", file);
}
