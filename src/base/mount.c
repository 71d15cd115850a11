/*
 * A line of /proc/self/mountinfo, see proc_pid_mountinfo(5), tells which directory of which filesystem was mounted:
 *
 *      36 35 98:0 /directory/in/it /mount/point rw,noatime ...
 *
 * Characters that would end a field stand there as \ooo.
 */
#include "base/mount.h"

#include "base/path.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

struct mount {
        char *line;   /* the fields are parts of it */
        char *device; /* of the filesystem: "98:0" */
        char *root, *point;
};

static void mount_deinit(struct mount *m)
{
        free(m->line);
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

/* Return whether @line, which is changed, is about the mount @id. */
static bool parse(struct mount *ret, char *line, long id)
{
        char *rest = line, *number = strsep(&rest, " ");

        if (strtol(number, NULL, 10) != id || !rest)
                return false;
        (void)strsep(&rest, " "); /* the mount that it is mounted on */
        ret->device = strsep(&rest, " ");
        ret->root = strsep(&rest, " ");
        ret->point = strsep(&rest, " ");
        if (!ret->device || !ret->root || !ret->point)
                return false;
        unescape(ret->root);
        unescape(ret->point);
        return true;
}

/* The mount of @fd. False when it cannot be told. */
static bool find(struct mount *ret, int fd)
{
        long id = mount_id(fd);
        FILE *info = id < 0 ? NULL : fopen("/proc/self/mountinfo", "re");
        bool found = false;
        size_t size = 0;
        char *line = NULL;

        *ret = (struct mount){ .line = NULL };
        while (info && !found && getline(&line, &size, info) > 0)
                found = parse(ret, line, id);
        if (info)
                fclose(info);
        ret->line = line;
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
        bool known = find(&of, fd);

        if (!find(&above, above_fd) || !known || !str_equal(of.device, above.device))
                return 0;
        place = find_in_filesystem(above_fd, &above);
        rest = place ? path_below(of.root, place) : NULL;
        if (!rest || !*rest)
                return 0;
        *ret_name = strndup(rest, strcspn(rest, "/"));
        return *ret_name ? 1 : -ENOMEM;
}
