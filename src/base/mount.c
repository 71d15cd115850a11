/*
 * A line of /proc/self/mountinfo, see proc_pid_mountinfo(5), tells which directory of which filesystem was mounted:
 *
 *      36 35 98:0 /directory/in/it /mount/point rw,noatime master:1 - ext4 /dev/sda1 rw,errors=continue
 *
 * Characters that would end a field stand there as \ooo. There is any number of fields before the dash.
 */
#include "base/mount.h"

#include "base/path.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/sysmacros.h>

void mount_deinit(struct mount *m)
{
        free(m->line);
        *m = (struct mount){ .line = NULL };
}

long mount_id(int fd)
{
        char path[64], line[128];
        long id = -1;
        FILE *info;

        snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
        info = fopen(path, "re");
        if (!info)
                return -1;
        while (id < 0 && fgets(line, sizeof(line), info)) {
                if (str_starts(line, "mnt_id:"))
                        id = strtol(line + strlen("mnt_id:"), NULL, 10);
        }
        fclose(info);
        return id;
}

static void unescape(char *text)
{
        char *to = text;

        for (const char *from = text; *from; to++) {
                if (from[0] == '\\' && strspn(from + 1, "01234567") >= 3) {
                        *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
                        from += 4;
                } else {
                        *to = *from++;
                }
        }
        *to = '\0';
}

bool mount_parse_device(dev_t *ret, const char *text, int base)
{
        char *end;
        unsigned long of_driver = strtoul(text, &end, base), of_device;

        if (end == text || *end != ':')
                return false;
        text = end + 1;
        of_device = strtoul(text, &end, base);
        *ret = makedev((unsigned)of_driver, (unsigned)of_device);
        return end != text;
}

/* The next field of the line, or NULL. */
static char *next_field(char **rest)
{
        char *field = strsep(rest, " \n");

        if (field)
                unescape(field);
        return field;
}

/* Take the line, which is changed, to pieces. False when it is not of the kind. */
static bool parse(struct mount *m)
{
        char *rest = m->line, *id = next_field(&rest), *above = next_field(&rest), *device = next_field(&rest), *field;

        m->root = next_field(&rest);
        m->point = next_field(&rest);
        do {
                field = next_field(&rest);
        } while (field && !str_equal(field, "-"));
        m->type = next_field(&rest);
        m->source = next_field(&rest);
        m->options = next_field(&rest);
        if (!m->options || !mount_parse_device(&m->device, device, 10))
                return false;
        m->id = strtol(id, NULL, 10);
        m->above_id = strtol(above, NULL, 10);
        return true;
}

bool mount_read(struct mount *m, FILE *mountinfo)
{
        while (getline(&m->line, &m->capacity, mountinfo) > 0) {
                if (parse(m))
                        return true;
        }
        return false;
}

bool mount_find(struct mount *ret, int fd)
{
        long id = mount_id(fd);
        FILE *info = id < 0 ? NULL : fopen("/proc/self/mountinfo", "re");
        bool found = false;

        *ret = (struct mount){ .line = NULL };
        while (info && !found && mount_read(ret, info))
                found = ret->id == id;
        if (info)
                fclose(info);
        return found;
}

/* Where the directory @fd is in its filesystem, malloc'd, or NULL when it cannot be told. */
static char *find_in_filesystem(int fd, const struct mount *m)
{
        char link[32], path[PATH_MAX];
        const char *rest;
        ssize_t n;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof(path));
        if (n < 0 || (size_t)n == sizeof(path))
                return NULL;
        path[n] = '\0';
        rest = path_below(path, m->point);
        return !rest ? NULL : *rest ? path_join(m->root, rest) : strdup(m->root);
}

int mount_is_of_entry_in(int fd, int above_fd, char **ret_name)
{
        _cleanup_(mount_deinit) struct mount of, above;
        _cleanup_(freep) char *place = NULL;
        const char *rest;
        bool known = mount_find(&of, fd);

        if (!mount_find(&above, above_fd) || !known || of.device != above.device)
                return 0;
        place = find_in_filesystem(above_fd, &above);
        rest = place ? path_below(of.root, place) : NULL;
        if (!rest || !*rest)
                return 0;
        *ret_name = strndup(rest, strcspn(rest, "/"));
        return *ret_name ? 1 : -ENOMEM;
}
