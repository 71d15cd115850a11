/*
 * udev's link is the quick way and the one that people know: /dev/disk/by-uuid/VALUE, with what may not stand in a name
 * escaped as udev does it. libblkid reads the devices themselves where udev does not run; where it does, a link that is
 * missing means a disk that is missing, and reading all the others would only wake those that sleep.
 */
#include "storage/device.h"

#include "base/err.h"
#include "base/path.h"
#include "base/stop.h"

#include <blkid/blkid.h>
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

enum {
        LINK_MAX_SIZE = 4096,
        SHOWN_SIZE = 256,
        POLL_LINKS_MS = 250,
        POLL_DEVICES_MS = 2000, /* looking means reading all of them */
};

struct tag {
        const char *name;
        const char *directory; /* of udev's links */
        bool is_probed;        /* libblkid can find it, too */
        bool is_hexadecimal;   /* people write its letters either way */
};

static const struct tag tags[] = {
        { .name = "UUID", .directory = "/dev/disk/by-uuid", .is_probed = true, .is_hexadecimal = true },
        { .name = "PARTUUID", .directory = "/dev/disk/by-partuuid", .is_probed = true, .is_hexadecimal = true },
        { .name = "LABEL", .directory = "/dev/disk/by-label", .is_probed = true },
        { .name = "PARTLABEL", .directory = "/dev/disk/by-partlabel", .is_probed = true },
        { .name = "ID", .directory = "/dev/disk/by-id" },
};

static const struct tag *find_tag(const char *name, size_t size)
{
        for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
                if (strlen(tags[i].name) == size && strncasecmp(tags[i].name, name, size) == 0)
                        return &tags[i];
        }
        return NULL;
}

/* What is quoted in fstab and crypttab, without the quotes; malloc'd. */
static char *unquote(const char *value)
{
        size_t size = strlen(value);

        if (size >= 2 && (value[0] == '"' || value[0] == '\'') && value[size - 1] == value[0])
                return strndup(value + 1, size - 2);
        return strdup(value);
}

static bool udev_is_running(void)
{
        return access("/run/udev/control", F_OK) == 0;
}

static bool is_block_device(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

static int find_link(char **ret, const struct tag *tag, const char *value)
{
        char encoded[LINK_MAX_SIZE], link[LINK_MAX_SIZE + 32];

        if (blkid_encode_string(value, encoded, sizeof(encoded)) != 0)
                return -ENODEV;
        snprintf(link, sizeof(link), "%s/%s", tag->directory, encoded);
        if (!is_block_device(link))
                return -ENODEV;
        *ret = strdup(link);
        return *ret ? 0 : -ENOMEM;
}

static int find_by_probing(char **ret, const struct tag *tag, const char *value)
{
        blkid_cache cache = NULL;
        const char *found = NULL;
        blkid_dev device;
        int r = -ENODEV;

        /* A cache that starts empty and is not kept: what was there at some other time is of no interest. */
        if (blkid_get_cache(&cache, "/dev/null") < 0)
                return -ENODEV;
        device = blkid_find_dev_with_tag(cache, tag->name, value);
        if (device)
                found = blkid_dev_devname(device);
        if (found) {
                *ret = strdup(found);
                r = *ret ? 0 : -ENOMEM;
        }
        blkid_put_cache(cache);
        return r;
}

static int find_value(char **ret, const struct tag *tag, const char *value)
{
        int r = find_link(ret, tag, value);

        return r == -ENODEV && tag->is_probed && !udev_is_running() ? find_by_probing(ret, tag, value) : r;
}

/* As it is written, else with its letters the other way: FAT has UUIDs of capital letters, all others of small ones. */
static int find_by_tag(char **ret, const struct tag *tag, char *value)
{
        int r = find_value(ret, tag, value);

        if (r != -ENODEV || !tag->is_hexadecimal)
                return r;
        for (char *c = value; *c; c++)
                *c = (char)tolower((unsigned char)*c);
        r = find_value(ret, tag, value);
        if (r != -ENODEV)
                return r;
        for (char *c = value; *c; c++)
                *c = (char)toupper((unsigned char)*c);
        return find_value(ret, tag, value);
}

static int find_path(char **ret, const char *path, struct err *err)
{
        char shown[SHOWN_SIZE];
        struct stat st;

        /* A link below /dev/disk whose disk went away, say. */
        if (stat(path, &st) < 0)
                return -ENODEV;
        path_show(NULL, path, shown, sizeof(shown));
        /* An image is as good as a device. */
        if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
                return err_runf(err, -ENOTBLK, "'%s' is no block device", shown);
        *ret = strdup(path);
        return *ret ? 0 : -ENOMEM;
}

static int fail_unknown(const char *spec, struct err *err)
{
        char shown[SHOWN_SIZE];

        path_show(NULL, spec, shown, sizeof(shown));
        return err_usage(err, "'%s' is no device: give a path, UUID=, PARTUUID=, LABEL=, PARTLABEL= or ID=", shown);
}

int device_find(char **ret, const char *spec, struct err *err)
{
        const char *equals = strchr(spec, '=');
        const struct tag *tag = equals ? find_tag(spec, (size_t)(equals - spec)) : NULL;
        _cleanup_(freep) char *value = NULL;
        int r;

        if (!tag && spec[0] != '/')
                return fail_unknown(spec, err);
        value = unquote(tag ? equals + 1 : spec);
        if (!value)
                return err_oom(err);
        r = tag ? find_by_tag(ret, tag, value) : find_path(ret, value, err);
        return r == -ENOMEM ? err_oom(err) : r;
}

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int device_await(char **ret, const char *spec, unsigned timeout_s, struct err *err)
{
        int64_t deadline = now_ms() + (int64_t)timeout_s * 1000, left;
        int r = device_find(ret, spec, err);

        while (r == -ENODEV && (left = deadline - now_ms()) > 0) {
                struct pollfd wanted = { .fd = stop_fd(), .events = POLLIN };
                int64_t pause = udev_is_running() || spec[0] == '/' ? POLL_LINKS_MS : POLL_DEVICES_MS;

                (void)poll(&wanted, 1, (int)(left < pause ? left : pause));
                r = stop_check(err);
                if (r == 0)
                        r = device_find(ret, spec, err);
        }
        return r;
}
