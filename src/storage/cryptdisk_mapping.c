/* The mapping once it is there: what it is, and how it goes away. */
#include "storage/cryptdisk.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mount.h"
#include "base/path.h"
#include "base/stop.h"
#include "storage/cryptlog.h"
#include "storage/crypttab.h"
#include "storage/holders.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libcryptsetup.h>
#include <poll.h>
#include <stdio.h>
#include <strings.h>

enum { ATTRIBUTE_SIZE = 600, SHOWN_SIZE = 256, BUSY_TRIES = 20, BUSY_PAUSE_MS = 250 };

bool cryptdisk_is_unlocked(const char *name)
{
        crypt_status_info status;

        cryptlog_begin();
        status = crypt_status(NULL, name);
        return status == CRYPT_ACTIVE || status == CRYPT_BUSY;
}

/* ---- in /sys ---- */

/* The first line of /sys/block/DISK/ATTRIBUTE; false when there is none. */
static bool read_attribute(int block_fd, const char *disk, const char *attribute, char ret[ATTRIBUTE_SIZE])
{
        _cleanup_(fd_closep) int fd = -1;
        char path[ATTRIBUTE_SIZE];
        ssize_t n;

        snprintf(path, sizeof(path), "%s/%s", disk, attribute);
        fd = openat(block_fd, path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : fd_read_full(fd, ret, ATTRIBUTE_SIZE - 1);
        if (n < 0)
                return false;
        ret[n] = '\0';
        ret[strcspn(ret, "\n")] = '\0';
        return true;
}

/* Device-mapper knows names with characters of few kinds; libdevmapper writes the others as \xHH. Return 0 or -ENOMEM.
 */
static int mangle(struct buf *out, const char *name)
{
        static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789#+-.:=@_";
        int r = 0;

        for (; *name && r == 0; name++)
                r = strchr(plain, *name) ? buf_putc(out, *name) : buf_printf(out, "\\x%02x", (unsigned char)*name);
        return r;
}

struct mapping {
        char number[ATTRIBUTE_SIZE];   /* "MAJOR:MINOR" */
        char sequence[ATTRIBUTE_SIZE]; /* of the disk, counted by the kernel from Linux 5.15 on, else "0" */
        char uuid[ATTRIBUTE_SIZE];     /* "CRYPT-TYPE-UUID-NAME" for those of libcryptsetup */
        bool is_suspended;             /* whoever reads from it waits until it is resumed */
};

static void read_mapping(struct mapping *ret, int block_fd, const char *disk)
{
        char suspended[ATTRIBUTE_SIZE];

        ret->is_suspended = read_attribute(block_fd, disk, "dm/suspended", suspended) && str_equal(suspended, "1");
        if (!read_attribute(block_fd, disk, "diskseq", ret->sequence))
                snprintf(ret->sequence, sizeof(ret->sequence), "0");
        if (!read_attribute(block_fd, disk, "dm/uuid", ret->uuid))
                ret->uuid[0] = '\0';
}

/* Return 0, -ENODEV or another negative errno. */
static int find_mapping(struct mapping *ret, const char *name)
{
        _cleanup_(buf_deinit) struct buf mangled = { .data = NULL };
        char other[ATTRIBUTE_SIZE];
        struct dirent *d;
        int r = -ENODEV;
        DIR *block;

        if (mangle(&mangled, name) < 0)
                return -ENOMEM;
        block = opendir("/sys/block");
        if (!block)
                return -errno;
        while (r == -ENODEV && (d = readdir(block))) {
                if (!str_starts(d->d_name, "dm-") || !read_attribute(dirfd(block), d->d_name, "dm/name", other) ||
                    !str_equal(other, buf_text(&mangled)) ||
                    !read_attribute(dirfd(block), d->d_name, "dev", ret->number))
                        continue;
                read_mapping(ret, dirfd(block), d->d_name);
                r = 0;
        }
        closedir(block);
        return r;
}

int cryptdisk_instance(const char *name, char *ret, size_t size)
{
        struct mapping m;
        int r = find_mapping(&m, name), written;

        if (r < 0)
                return r;
        written = snprintf(ret, size, "%s %s", m.number, m.sequence);
        return written >= 0 && (size_t)written < size ? 0 : -EOVERFLOW;
}

/* Device-mapper's UUID has the one of the header without its dashes: "CRYPT-LUKS2-0f3a...-NAME". */
static bool has_header_uuid(const char *mapping_uuid, const char *wanted)
{
        const char *at = strchr(mapping_uuid + strlen("CRYPT-"), '-');

        for (at = at ? at + 1 : ""; *wanted; wanted++) {
                if (*wanted != '-' && tolower((unsigned char)*wanted) != *at++)
                        return false;
        }
        return true;
}

int cryptdisk_check_suspended(const char *name, struct err *err)
{
        char shown[SHOWN_SIZE];
        struct mapping m;

        if (find_mapping(&m, name) < 0 || !m.is_suspended)
                return 0;
        path_show(NULL, name, shown, sizeof(shown));
        err_runf(err, -EBUSY, "the encrypted disk '%s' is suspended", shown);
        return err_hint(err, "cryptsetup luksResume %s", shown);
}

int cryptdisk_check_mapping(const struct crypttab_entry *entry, struct err *err)
{
        char shown[SHOWN_SIZE];
        struct mapping m;

        if (find_mapping(&m, entry->name) < 0)
                return 0;
        path_show(NULL, entry->name, shown, sizeof(shown));
        if (!str_starts(m.uuid, "CRYPT-")) {
                err_runf(err, -EMEDIUMTYPE, "there is a '/dev/mapper/%s' already, and it is no encrypted disk", shown);
                return err_hint(err, "remove it, or give the entry in crypttab another name");
        }
        if (!str_starts(m.uuid, "CRYPT-LUKS") || strncasecmp(entry->source, "UUID=", strlen("UUID=")) != 0 ||
            has_header_uuid(m.uuid, entry->source + strlen("UUID=")))
                return 0;
        err_runf(err, -EMEDIUMTYPE, "the disk that is unlocked as '%s' is another one than crypttab says (%s)", shown,
                 m.uuid);
        return err_hint(err, "is the right disk plugged in? 'cryptsetup close %s' locks the other one", shown);
}

/* ---- locking ---- */

static int fail_busy(const char *name, struct err *err)
{
        _cleanup_(buf_deinit) struct buf holders = { .data = NULL };
        char shown[SHOWN_SIZE];
        struct mapping m;
        dev_t device;

        if (find_mapping(&m, name) == 0 && mount_parse_device(&device, m.number, 10))
                (void)holders_describe(&holders, 0, device);
        path_show(NULL, name, shown, sizeof(shown));
        if (holders.size > 0)
                err_runf(err, -EBUSY, "cannot lock the encrypted disk '%s': it is used by %s", shown, holders.data);
        else
                err_runf(err, -EBUSY, "cannot lock the encrypted disk '%s': it is in use", shown);
        return err_hint(err, "it stays unlocked until the next run, or: cryptsetup close %s", shown);
}

static int deactivate(const char *name, struct err *err)
{
        int r;

        cryptlog_begin();
        r = crypt_deactivate_by_name(NULL, name, 0);
        if (r >= 0)
                return 0;
        if (r == -EBUSY)
                return fail_busy(name, err);
        cryptlog_fail(err, r, "lock the encrypted disk", name);
        if (cryptdisk_is_unlocked(name))
                return r;
        err_drop(err, "it is gone, whoever did it");
        return 0;
}

int cryptdisk_lock(const char *name, struct err *err)
{
        /* A stop that was requested before is why we clean up; one that comes now is from somebody who will not wait.
         */
        bool is_stopping = stop_requested();

        cryptlog_begin();
        /* Looked at first: the library itself tries to remove what is in use for seconds, and cannot be stopped. */
        for (int i = 0; crypt_status(NULL, name) == CRYPT_BUSY; i++) {
                struct pollfd wanted = { .fd = is_stopping ? -1 : stop_fd(), .events = POLLIN };

                if (i == BUSY_TRIES || poll(&wanted, 1, BUSY_PAUSE_MS) > 0)
                        return fail_busy(name, err);
        }
        return deactivate(name, err);
}
