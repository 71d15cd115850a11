/*
 * The probe file is given one thing after the other, and each is read back: filesystems differ in whether they refuse,
 * ignore or round. Times out of range are clamped by the kernel (timestamp_truncate(), Linux 5.4), so that setting an
 * absurd one tells the limit.
 */
#include "transfer/limits.h"

#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/privileges.h"
#include "base/report.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

static const char probe_name[] = ".rsync-system-backup.probe";

enum { NSEC = 1000000000 };

static void assume_all(struct limits *l)
{
        l->owner = privilege_held(PRIVILEGE_CHOWN);
        l->privileged = privilege_held(PRIVILEGE_WRITE_ALL) && privilege_held(PRIVILEGE_OWNER);
        l->devices = privilege_held(PRIVILEGE_MKNOD);
        l->xattr_system = l->privileged;
        l->mode = l->acl = l->xattr_user = true;
        l->time_min = INT64_MIN;
        l->time_max = INT64_MAX;
        l->granularity_ns = 1;
}

static int compare_gids(const void *a, const void *b)
{
        gid_t x = *(const gid_t *)a, y = *(const gid_t *)b;

        return x < y ? -1 : x > y;
}

static void load_identity(struct limits *l)
{
        int n = getgroups(ARRAY_SIZE(l->groups), l->groups);

        l->uid = geteuid();
        l->gid = getegid();
        l->group_count = n > 0 ? (size_t)n : 0;
        qsort(l->groups, l->group_count, sizeof(*l->groups), compare_gids);
}

static bool can_chown(int fd)
{
        enum { SOMEBODY = 54321 };
        struct stat st;

        return fchown(fd, SOMEBODY, SOMEBODY) == 0 && fstat(fd, &st) == 0 && st.st_uid == SOMEBODY &&
               st.st_gid == SOMEBODY;
}

static bool can_chmod(int fd)
{
        struct stat st;

        return fchmod(fd, 0610) == 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0610 && fchmod(fd, 0600) == 0 &&
               fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0600;
}

/* Anything but "no such thing here" counts as possible: a refusal for this one file says nothing about the others. */
static bool can_set_xattr(int fd, const char *name, const void *value, size_t size)
{
        return fsetxattr(fd, name, value, size, 0) == 0 || (errno != EOPNOTSUPP && errno != EPERM && errno != EINVAL);
}

static bool can_set_acl(int fd)
{
        /* acl(5) as an xattr, linux/posix_acl_xattr.h: version 2, then tag, permissions, id, all little endian. */
        static const unsigned char acl[] = {
                2,  0, 0, 0,                         /* version */
                1,  0, 6, 0, 0xff, 0xff, 0xff, 0xff, /* user::rw- */
                2,  0, 4, 0, 0x31, 0xd4, 0,    0,    /* user:54321:r-- */
                4,  0, 4, 0, 0xff, 0xff, 0xff, 0xff, /* group::r-- */
                16, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, /* mask::r-- */
                32, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, /* other::--- */
        };

        return can_set_xattr(fd, "system.posix_acl_access", acl, sizeof(acl));
}

static bool can_set_capability(int fd)
{
        /* struct vfs_cap_data of linux/capability.h, revision 2, with CAP_NET_RAW permitted. */
        static const unsigned char cap[20] = { 0, 0, 0, 2, 0, 0x20 };

        return can_set_xattr(fd, "security.capability", cap, sizeof(cap));
}

/* What is farther away than any time there is: a filesystem that keeps even that has no limit. */
static int64_t time_limit(int fd, int64_t far_away)
{
        const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = far_away } };
        struct stat st;

        if (futimens(fd, times) < 0 || fstat(fd, &st) < 0 || st.st_mtim.tv_sec == far_away)
                return far_away < 0 ? INT64_MIN : INT64_MAX;
        return st.st_mtim.tv_sec;
}

static uint32_t find_granularity(int fd)
{
        static const uint32_t steps[] = { 1, 100, 1000, 1000000, 10000000, NSEC };
        const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 1000000001, .tv_nsec = 123456789 } };
        struct stat st;

        if (futimens(fd, times) < 0 || fstat(fd, &st) < 0)
                return 1;
        if (st.st_mtim.tv_sec != times[1].tv_sec)
                return 2U * NSEC;
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                if (st.st_mtim.tv_nsec == times[1].tv_nsec - times[1].tv_nsec % (long)steps[i])
                        return steps[i];
        }
        return NSEC;
}

static void try_everything(struct limits *l, int fd)
{
        struct statfs fs;

        l->granularity_ns = find_granularity(fd);
        l->time_min = time_limit(fd, INT64_MIN / 4);
        l->time_max = time_limit(fd, INT64_MAX / 4);
        l->mode = can_chmod(fd);
        l->acl = can_set_acl(fd);
        l->xattr_user = can_set_xattr(fd, "user.rsync-system-backup.probe", "", 0);
        l->xattr_system = l->privileged && can_set_xattr(fd, "trusted.rsync-system-backup.probe", "", 0) &&
                          can_set_capability(fd);
        l->xattr_property = fstatfs(fd, &fs) == 0 && fs.f_type == BTRFS_SUPER_MAGIC;
        l->owner = l->owner && can_chown(fd);
}

/* Return a descriptor, -EOPNOTSUPP when nothing may be tried, or another -errno. */
static int open_probe(int dirfd, bool may_write)
{
        int fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        if (fd >= 0)
                return fd;
        if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL)
                return -errno;
        if (!may_write)
                return -EOPNOTSUPP;
        (void)unlinkat(dirfd, probe_name, 0);
        fd = openat(dirfd, probe_name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        return fd >= 0 ? fd : -errno;
}

int limits_probe(struct limits *ret, int dirfd, bool may_write, bool accepted, struct err *err)
{
        _cleanup_(fd_closep) int fd = open_probe(dirfd, may_write);
        struct stat st;

        *ret = (struct limits){ .accepted = accepted };
        assume_all(ret);
        load_identity(ret);
        /* A dry run on a disk that is mounted read-only, or that we may not write, assumes the best. */
        if (fd < 0 && !may_write)
                return 0;
        ret->assumed = err_is_full(fd);
        if (ret->assumed)
                return 0;
        if (fd < 0)
                return err_run(err, fd, "write to the destination's filesystem", NULL);
        ret->file_mode = fstat(fd, &st) == 0 ? st.st_mode & 07777 : 0600;
        ret->dir_mode = fstat(dirfd, &st) == 0 ? st.st_mode & 07777 : 0700;
        try_everything(ret, fd);
        (void)unlinkat(dirfd, probe_name, 0);
        return 0;
}

/* ---- fitting ---- */

struct fitting {
        const struct limits *limits;
        struct entry *entry;
        struct report *report;
        const char *directory;
};

static void lack(const struct fitting *f, enum report_lack what, bool accepted)
{
        report_lack(f->report, what, accepted, f->directory, f->entry->name);
}

static bool is_our_group(const struct limits *l, gid_t gid)
{
        return gid == l->gid || bsearch(&gid, l->groups, l->group_count, sizeof(gid), compare_gids);
}

/* A set-id bit for another owner than the one it was given for would hand out what the source did not. */
static void fit_owner(const struct fitting *f)
{
        struct entry *e = f->entry;
        const struct limits *l = f->limits;
        bool lost = false;

        if (l->owner)
                return;
        if (e->uid != l->uid) {
                e->uid = l->uid;
                e->mode &= ~(mode_t)S_ISUID;
                lost = true;
        }
        if (!is_our_group(l, e->gid)) {
                e->gid = l->gid;
                e->mode &= ~(mode_t)S_ISGID;
                lost = true;
        }
        if (lost)
                lack(f, REPORT_LACK_OWNER, l->accepted);
}

static void fit_mode(const struct fitting *f)
{
        struct entry *e = f->entry;
        mode_t kept = S_ISDIR(e->mode) ? f->limits->dir_mode : f->limits->file_mode;

        if (f->limits->mode || S_ISLNK(e->mode) || (e->mode & 07777) == kept)
                return;
        e->mode = (e->mode & S_IFMT) | kept;
        lack(f, REPORT_LACK_MODE, false);
}

/* Does the destination hold it? If not, tell. */
static bool holds_xattr(const struct fitting *f, const char *name)
{
        const struct limits *l = f->limits;

        if (xattr_is_acl(name)) {
                if (!l->acl)
                        lack(f, REPORT_LACK_ACL, false);
                return l->acl;
        }
        if (str_starts(name, "user.")) {
                if (!l->xattr_user)
                        lack(f, REPORT_LACK_XATTR_USER, false);
                return l->xattr_user;
        }
        if (xattr_is_privileged(name)) {
                if (!l->xattr_system)
                        lack(f, REPORT_LACK_XATTR_SYSTEM, l->accepted);
                return l->xattr_system;
        }
        /* The settings of one filesystem mean nothing to another. */
        return str_starts(name, "btrfs.") && l->xattr_property;
}

/*
 * Where a file has an ACL, the group bits of its mode are the mask of that. Without the ACL they would go to the owning
 * group, which may have been given less (acl(5); format as in linux/posix_acl_xattr.h).
 */
static mode_t group_bits(const struct xattr *acl)
{
        enum { HEADER = 4, ENTRY = 8, TAG_GROUP_OBJ = 0x04, TAG_MASK = 0x10 };
        const unsigned char *data = acl->value;
        mode_t group = 0, mask = S_IRWXO;

        for (size_t at = HEADER; at + ENTRY <= acl->size; at += ENTRY) {
                if (data[at] == TAG_GROUP_OBJ)
                        group = data[at + 2] & S_IRWXO;
                else if (data[at] == TAG_MASK)
                        mask = data[at + 2] & S_IRWXO;
        }
        return (group & mask) << 3;
}

static void fit_lost_acl(const struct fitting *f)
{
        const struct xattr *acl = xattrs_find(&f->entry->xattrs, "system.posix_acl_access");

        if (acl && !f->limits->acl)
                f->entry->mode = (f->entry->mode & ~(mode_t)S_IRWXG) | group_bits(acl);
}

static void fit_xattrs(const struct fitting *f)
{
        struct xattrs *set = &f->entry->xattrs;
        size_t kept = 0;

        for (size_t i = 0; i < set->count; i++) {
                if (holds_xattr(f, set->items[i].name))
                        set->items[kept++] = set->items[i];
        }
        set->count = kept;
}

static void fit_time(const struct fitting *f)
{
        const struct limits *l = f->limits;
        struct timespec *t = &f->entry->mtime;
        int64_t wanted = t->tv_sec;

        /* At the limits themselves the kernel keeps no fraction. */
        if (wanted <= l->time_min || wanted >= l->time_max) {
                t->tv_sec = wanted <= l->time_min ? l->time_min : l->time_max;
                t->tv_nsec = 0;
                if (t->tv_sec != wanted)
                        lack(f, REPORT_LACK_TIME_RANGE, false);
        }
        if (l->granularity_ns > NSEC)
                t->tv_sec -= t->tv_sec & 1;
        t->tv_nsec = l->granularity_ns >= NSEC ? 0 : t->tv_nsec - t->tv_nsec % (long)l->granularity_ns;
}

void limits_fit(const struct limits *l, struct entry *e, struct report *report, const char *directory)
{
        const struct fitting f = { .limits = l, .entry = e, .report = report, .directory = directory };

        fit_owner(&f);
        fit_lost_acl(&f);
        fit_mode(&f);
        if (e->xattrs.count > 0)
                fit_xattrs(&f);
        fit_time(&f);
}

void limits_disregard(const struct limits *l, struct entry *e)
{
        struct xattrs *set = &e->xattrs;
        size_t kept = 0;

        if (l->xattr_system)
                return;
        for (size_t i = 0; i < set->count; i++) {
                if (!xattr_is_privileged(set->items[i].name))
                        set->items[kept++] = set->items[i];
        }
        set->count = kept;
}
