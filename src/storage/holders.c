/*
 * The device numbers that stat(2) shows do not always lead to the mount, on btrfs they belong to subvolumes. So the
 * mounts of the filesystem are looked up first, in all mount namespaces, and files compared by the mount through which
 * they were opened as well as by their device.
 */
#include "storage/holders.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/mount.h"
#include "base/path.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { NAMED_MAX = 8 };

struct set {
        uint64_t *items;
        size_t count;
};

struct search {
        dev_t device;
        dev_t filesystems[3]; /* as asked for; directly on the device; on it in another way. 0: none */
        struct set mounts;    /* the ids of theirs, in all namespaces */
        struct set namespaces;
        struct buf *out;
        size_t found;
        int error;
};

/* ---- what is looked for ---- */

static bool set_has(const struct set *set, uint64_t item)
{
        for (size_t i = 0; i < set->count; i++) {
                if (set->items[i] == item)
                        return true;
        }
        return false;
}

static void set_add(struct search *s, struct set *set, uint64_t item)
{
        uint64_t *items = reallocarray(set->items, set->count + 1, sizeof(*items));

        if (!items) {
                s->error = -ENOMEM;
                return;
        }
        set->items = items;
        set->items[set->count++] = item;
}

static bool is_wanted_filesystem(const struct search *s, dev_t device)
{
        for (size_t i = 0; i < ARRAY_SIZE(s->filesystems); i++) {
                if (s->filesystems[i] != 0 && s->filesystems[i] == device)
                        return true;
        }
        return false;
}

static bool statx_of(int dirfd, const char *name, struct statx *ret)
{
        return statx(dirfd, name, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_MNT_ID, ret) == 0;
}

static bool is_device(const struct search *s, const struct statx *x)
{
        return s->device != 0 && S_ISBLK(x->stx_mode) && makedev(x->stx_rdev_major, x->stx_rdev_minor) == s->device;
}

/* Is what @name leads to, a link of /proc or a path, on a filesystem that is looked for, or the device? */
static bool leads_there(const struct search *s, int dirfd, const char *name)
{
        struct statx x;

        if (!statx_of(dirfd, name, &x))
                return false;
        return is_wanted_filesystem(s, makedev(x.stx_dev_major, x.stx_dev_minor)) || is_device(s, &x) ||
               ((x.stx_mask & STATX_MNT_ID) && set_has(&s->mounts, x.stx_mnt_id));
}

/* ---- what is told ---- */

static void tell(struct search *s, const char *before, const char *name, const char *after)
{
        size_t size = s->out->size;
        int r = 0;

        if (s->found++ >= NAMED_MAX)
                return;
        if (s->found > 1)
                r = buf_puts(s->out, ", ");
        if (r == 0)
                r = buf_puts(s->out, before);
        if (r == 0)
                r = path_escape(s->out, NULL, name);
        if (r == 0)
                r = buf_puts(s->out, after);
        if (r == 0)
                return;
        buf_truncate(s->out, size);
        s->error = r;
}

static void tell_process(struct search *s, int dirfd, const char *pid)
{
        _cleanup_(fd_closep) int fd = openat(dirfd, "comm", O_RDONLY | O_CLOEXEC);
        char comm[64] = "", after[32];
        ssize_t n = fd < 0 ? 0 : fd_read_full(fd, comm, sizeof(comm) - 1);

        /* It ends in a newline, and may hold some. */
        comm[n > 1 ? n - 1 : 0] = '\0';
        snprintf(after, sizeof(after), " (%.20s)", pid);
        tell(s, "", comm[0] ? comm : "process", after);
}

/* ---- processes ---- */

static void for_each_process(struct search *s, void (*visit)(struct search *s, int dirfd, const char *pid))
{
        DIR *proc = opendir("/proc");
        struct dirent *d;

        while (proc && (d = readdir(proc))) {
                _cleanup_(fd_closep) int fd = -1;

                if (!isdigit((unsigned char)d->d_name[0]) || strtol(d->d_name, NULL, 10) == (long)getpid())
                        continue;
                fd = openat(dirfd(proc), d->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (fd >= 0)
                        visit(s, fd, d->d_name);
        }
        if (proc)
                closedir(proc);
}

static FILE *open_text(int dirfd, const char *name)
{
        int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
        FILE *text = fd < 0 ? NULL : fdopen(fd, "r");

        if (!text)
                fd_close(fd);
        return text;
}

static bool has_open(const struct search *s, int dirfd)
{
        int fd = openat(dirfd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *d;
        bool has = false;

        if (!dir) {
                fd_close(fd);
                return false;
        }
        while (!has && (d = readdir(dir)))
                has = d->d_name[0] != '.' && leads_there(s, fd, d->d_name);
        closedir(dir);
        return has;
}

/* In "address access offset device ...", where the device is the one that mountinfo has. */
static bool is_mapping_of(const struct search *s, const char *line)
{
        dev_t device;

        for (int i = 0; i < 3; i++) {
                line = strchr(line, ' ');
                if (!line)
                        return false;
                line++;
        }
        return mount_parse_device(&device, line, 16) && is_wanted_filesystem(s, device);
}

static bool has_mapped(const struct search *s, int dirfd)
{
        FILE *maps = open_text(dirfd, "maps");
        _cleanup_(freep) char *line = NULL;
        bool has = false;
        size_t size = 0;

        while (maps && !has && getline(&line, &size, maps) > 0)
                has = is_mapping_of(s, line);
        if (maps)
                fclose(maps);
        return has;
}

static void visit_user(struct search *s, int dirfd, const char *pid)
{
        if (leads_there(s, dirfd, "cwd") || leads_there(s, dirfd, "root") || leads_there(s, dirfd, "exe") ||
            has_open(s, dirfd) || has_mapped(s, dirfd))
                tell_process(s, dirfd, pid);
}

/* ---- mounts ---- */

/* The device that @m names; its number is not always that of the filesystem. */
static bool is_mount_of_device(const struct search *s, const struct mount *m)
{
        struct statx x;

        return s->device != 0 && m->source[0] == '/' && statx_of(AT_FDCWD, m->source, &x) && is_device(s, &x);
}

/* Find the mounts that are looked for. Return whether there are any. */
static bool collect_mounts(struct search *s, FILE *mountinfo)
{
        _cleanup_(mount_deinit) struct mount m = { .line = NULL };
        bool found = false;

        while (mount_read(&m, mountinfo)) {
                if (!is_wanted_filesystem(s, m.device)) {
                        if (!is_mount_of_device(s, &m))
                                continue;
                        s->filesystems[2] = m.device;
                }
                set_add(s, &s->mounts, (uint64_t)m.id);
                found = true;
        }
        return found;
}

static bool is_new_namespace(struct search *s, int dirfd)
{
        struct stat st;

        if (fstatat(dirfd, "ns/mnt", &st, 0) < 0 || set_has(&s->namespaces, st.st_ino))
                return false;
        set_add(s, &s->namespaces, st.st_ino);
        return true;
}

static bool has_mounts(struct search *s, int dirfd)
{
        FILE *mountinfo = open_text(dirfd, "mountinfo");
        bool has = mountinfo && collect_mounts(s, mountinfo);

        if (mountinfo)
                fclose(mountinfo);
        return has;
}

static void visit_namespace(struct search *s, int dirfd, const char *pid)
{
        (void)pid;
        if (is_new_namespace(s, dirfd))
                (void)has_mounts(s, dirfd);
}

static void visit_inhabitant(struct search *s, int dirfd, const char *pid)
{
        if (is_new_namespace(s, dirfd) && has_mounts(s, dirfd))
                tell_process(s, dirfd, pid);
}

/* Our own namespace first, by which the rest are told from it. */
static void for_each_namespace(struct search *s, void (*visit)(struct search *s, int dirfd, const char *pid))
{
        _cleanup_(fd_closep) int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        s->namespaces.count = 0;
        if (self >= 0)
                visit_namespace(s, self, NULL);
        for_each_process(s, visit);
}

/* Those that are on a mount of the filesystem, and of a device its own as well. */
static void tell_mounts(struct search *s)
{
        _cleanup_(mount_deinit) struct mount m = { .line = NULL };
        FILE *mountinfo = fopen("/proc/self/mountinfo", "re");

        while (mountinfo && mount_read(&m, mountinfo)) {
                bool of_it = s->device != 0 && set_has(&s->mounts, (uint64_t)m.id);

                if (of_it || set_has(&s->mounts, (uint64_t)m.above_id))
                        tell(s, "the mount '", m.point, "'");
        }
        if (mountinfo)
                fclose(mountinfo);
}

/* ---- the kernel ---- */

static void tell_devices_upon(struct search *s)
{
        char path[80];
        struct dirent *d;
        DIR *dir;

        snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders", major(s->device), minor(s->device));
        dir = s->device != 0 ? opendir(path) : NULL;
        while (dir && (d = readdir(dir))) {
                if (d->d_name[0] != '.')
                        tell(s, "the device '", d->d_name, "'");
        }
        if (dir)
                closedir(dir);
}

static bool has_backing_file_there(const struct search *s, int block, const char *loop)
{
        char name[NAME_MAX + 32], path[PATH_MAX + 1] = "";
        _cleanup_(fd_closep) int fd = -1;

        snprintf(name, sizeof(name), "%s/loop/backing_file", loop);
        fd = openat(block, name, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fd_read_full(fd, path, sizeof(path) - 1) <= 0)
                return false;
        path[strcspn(path, "\n")] = '\0';
        return leads_there(s, AT_FDCWD, path);
}

static void tell_loop_devices(struct search *s)
{
        DIR *block = opendir("/sys/block");
        struct dirent *d;

        while (block && (d = readdir(block))) {
                if (str_starts(d->d_name, "loop") && has_backing_file_there(s, dirfd(block), d->d_name))
                        tell(s, "the device '", d->d_name, "'");
        }
        if (block)
                closedir(block);
}

static void tell_swap_areas(struct search *s)
{
        FILE *swaps = fopen("/proc/swaps", "re");
        _cleanup_(freep) char *line = NULL;
        size_t size = 0;

        while (swaps && getline(&line, &size, swaps) > 0) {
                line[strcspn(line, " \t\n")] = '\0';
                if (line[0] == '/' && leads_there(s, AT_FDCWD, line))
                        tell(s, "the swap area '", line, "'");
        }
        if (swaps)
                fclose(swaps);
}

int holders_describe(struct buf *out, dev_t filesystem, dev_t device)
{
        struct search s = { .device = device, .filesystems = { filesystem, device }, .out = out };

        for_each_namespace(&s, visit_namespace);
        for_each_process(&s, visit_user);
        tell_mounts(&s);
        tell_devices_upon(&s);
        tell_loop_devices(&s);
        tell_swap_areas(&s);
        /* Last, since a disk that was mounted before they started is seen by half of the services of a system. */
        if (s.found == 0)
                for_each_namespace(&s, visit_inhabitant);
        if (s.found > NAMED_MAX && s.error == 0)
                s.error = buf_printf(out, " and %zu more", s.found - NAMED_MAX);
        free(s.mounts.items);
        free(s.namespaces.items);
        return s.error;
}
