/*
 * statx(2), readlinkat(2), and the extended attributes. Most entries have no attributes, so that one call into a small
 * buffer on the stack is the common case; only what is there goes to the arena.
 */
#include "base/entry.h"

#include "base/arena.h"
#include "base/fd.h"
#include "base/xattr_at.h"
#include "base/xattr_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <sys/sysmacros.h>

enum { SMALL = 1024 };

/* Where to look: an open file, or a name below a directory when fd is -1. */
struct place {
        int fd;
        int dirfd;
        const char *name;
        bool is_source; /* that there is no way to its attributes does not mean that there are none */
};

static struct timespec from_statx(struct statx_timestamp t)
{
        return (struct timespec){ .tv_sec = t.tv_sec, .tv_nsec = t.tv_nsec };
}

/* All that matters is that it is another one for another time. */
static uint32_t birth_of(const struct statx *sx)
{
        uint64_t at = (uint64_t)sx->stx_btime.tv_sec * 1000000000U + sx->stx_btime.tv_nsec;

        return sx->stx_mask & STATX_BTIME ? (uint32_t)((at * 0x9e3779b97f4a7c15ULL) >> 32) : 0;
}

static int stat_place(struct entry *ret, int dirfd, const char *name, int flags)
{
        struct statx sx;

        if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | flags, STATX_BASIC_STATS | STATX_BTIME, &sx) < 0)
                return errno_negative();
        *ret = (struct entry){
                .dev = makedev(sx.stx_dev_major, sx.stx_dev_minor),
                .rdev = makedev(sx.stx_rdev_major, sx.stx_rdev_minor),
                .ino = sx.stx_ino,
                .born = birth_of(&sx),
                .mode = sx.stx_mode,
                .nlink = sx.stx_nlink,
                .uid = sx.stx_uid,
                .gid = sx.stx_gid,
                .size = sx.stx_size,
                .blocks = sx.stx_blocks,
                .mtime = from_statx(sx.stx_mtime),
                .ctime = from_statx(sx.stx_ctime),
                .takes_no_link = sx.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND),
                .is_mount_point = sx.stx_attributes & STATX_ATTR_MOUNT_ROOT,
                .is_bare = true,
        };
        return 0;
}

int entry_stat(struct entry *ret, int dirfd, const char *name)
{
        int r = stat_place(ret, dirfd, name, 0);

        ret->name = name;
        return r;
}

int entry_stat_fd(struct entry *ret, int fd)
{
        return stat_place(ret, fd, "", AT_EMPTY_PATH);
}

/* Of @name, or "" for @dirfd itself. */
static int read_target(struct entry *e, int dirfd, const char *name, struct arena *arena)
{
        char target[PATH_MAX];
        ssize_t n = readlinkat(dirfd, name, target, sizeof(target));

        if (n < 0)
                return errno_negative();
        e->target = arena_copy(arena, target, (size_t)n);
        return e->target ? 0 : -ENOMEM;
}

static ssize_t list_xattrs(const struct place *p, char *list, size_t size)
{
        return p->fd < 0 ? xattr_at_list(p->dirfd, p->name, list, size) : xattr_fd_list(p->fd, list, size);
}

static ssize_t get_xattr(const struct place *p, const char *xattr, void *value, size_t size)
{
        if (p->fd < 0)
                return xattr_at_get(p->dirfd, p->name, xattr, value, size);
        return xattr_fd_get(p->fd, xattr, value, size);
}

/* Load one value into the arena. -ENODATA when it went away meanwhile. */
static int load_value(struct xattr *ret, const struct place *p, const char *name, struct arena *arena)
{
        char small[SMALL];
        _cleanup_(freep) char *large = NULL;
        const char *value = small;
        ssize_t n = get_xattr(p, name, small, sizeof(small));

        if (n == -ERANGE) {
                large = malloc(XATTR_SIZE_MAX);
                if (!large)
                        return -ENOMEM;
                value = large;
                n = get_xattr(p, name, large, XATTR_SIZE_MAX);
        }
        if (n < 0)
                return (int)n;
        *ret = (struct xattr){ .name = arena_copy(arena, name, strlen(name)),
                               .value = arena_copy(arena, value, (size_t)n),
                               .size = (size_t)n };
        return ret->name && ret->value ? 0 : -ENOMEM;
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(((const struct xattr *)a)->name, ((const struct xattr *)b)->name);
}

static size_t count_kept(const char *list, size_t size)
{
        size_t count = 0;

        for (const char *name = list; name < list + size; name += strlen(name) + 1)
                count += xattr_is_kept(name);
        return count;
}

/* One whose value we may not read. */
static int add_closed(struct xattr *ret, const char *name, struct arena *arena)
{
        *ret = (struct xattr){ .name = arena_copy(arena, name, strlen(name)), .value = "", .is_closed = true };
        return ret->name ? 0 : -ENOMEM;
}

static int load_listed(struct xattrs *ret, const struct place *p, const char *list, size_t size, struct arena *arena)
{
        size_t count = count_kept(list, size);
        int closed = 0;

        if (count == 0)
                return 0;
        ret->items = arena_alloc(arena, count * sizeof(*ret->items));
        if (!ret->items)
                return -ENOMEM;
        for (const char *name = list; name < list + size; name += strlen(name) + 1) {
                int r;

                if (!xattr_is_kept(name))
                        continue;
                r = load_value(&ret->items[ret->count], p, name, arena);
                if (r == -ENODATA)
                        continue;
                if (r == -EACCES || r == -EPERM) {
                        closed = r;
                        r = add_closed(&ret->items[ret->count], name, arena);
                }
                if (r < 0)
                        return r;
                ret->count++;
        }
        qsort(ret->items, ret->count, sizeof(*ret->items), compare_names);
        return closed;
}

static int load_xattrs(struct xattrs *ret, const struct place *p, struct arena *arena)
{
        char small[SMALL];
        _cleanup_(freep) char *large = NULL;
        char *list = small;
        ssize_t n = list_xattrs(p, small, sizeof(small));

        if (n == -ERANGE) {
                list = large = malloc(XATTR_LIST_MAX);
                if (!large)
                        return -ENOMEM;
                n = list_xattrs(p, large, XATTR_LIST_MAX);
        }
        if (n == -EOPNOTSUPP || (n == -ENOSYS && !p->is_source))
                return 0;
        return n <= 0 ? (int)n : load_listed(ret, p, list, (size_t)n, arena);
}

int entry_load_rest(struct entry *e, int dirfd, struct arena *arena, const char **ret_failed)
{
        const struct place place = { .fd = -1, .dirfd = dirfd, .name = e->name };
        int r;

        if (S_ISLNK(e->mode)) {
                *ret_failed = "read the symbolic link";
                r = read_target(e, dirfd, e->name, arena);
                if (r < 0)
                        return r;
        }
        *ret_failed = "read the extended attributes of";
        r = load_xattrs(&e->xattrs, &place, arena);
        e->is_bare = r < 0;
        return r;
}

static int load_rest_fd(struct entry *e, const struct place *place, struct arena *arena, const char **ret_failed)
{
        int r;

        *ret_failed = "read the extended attributes of";
        r = load_xattrs(&e->xattrs, place, arena);
        e->is_bare = r < 0;
        return r;
}

int entry_load_rest_fd(struct entry *e, int fd, struct arena *arena, const char **ret_failed)
{
        return load_rest_fd(e, &(struct place){ .fd = fd }, arena, ret_failed);
}

int entry_load(struct entry *ret, int dirfd, const char *name, struct arena *arena, const char **ret_failed)
{
        int r = entry_stat(ret, dirfd, name);

        *ret_failed = "read the metadata of";
        return r < 0 ? r : entry_load_rest(ret, dirfd, arena, ret_failed);
}

int entry_load_fd(struct entry *ret, int fd, const char *name, struct arena *arena, const char **ret_failed)
{
        int r = entry_stat_fd(ret, fd);

        *ret_failed = "read the metadata of";
        ret->name = name;
        return r < 0 ? r : entry_load_rest_fd(ret, fd, arena, ret_failed);
}

int entry_load_held(struct entry *ret, int dirfd, const char *name, struct arena *arena, const char **ret_failed)
{
        _cleanup_(fd_closep) int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        int r;

        *ret = (struct entry){ .name = name };
        *ret_failed = "read the metadata of";
        r = fd < 0 ? errno_negative() : entry_stat_fd(ret, fd);
        ret->name = name;
        if (r == 0 && S_ISLNK(ret->mode)) {
                *ret_failed = "read the symbolic link";
                r = read_target(ret, fd, "", arena);
        }
        return r < 0 ? r : load_rest_fd(ret, &(struct place){ .fd = fd, .is_source = true }, arena, ret_failed);
}

bool xattr_is_acl(const char *name)
{
        return str_equal(name, "system.posix_acl_access") || str_equal(name, "system.posix_acl_default");
}

bool xattr_is_privileged(const char *name)
{
        return str_starts(name, "trusted.") || str_starts(name, "security.");
}

bool xattr_is_kept(const char *name)
{
        /* security.evm is a signature over the inode itself: it cannot be right for a copy. */
        if (str_equal(name, "security.evm"))
                return false;
        /* XFS shows the ACLs a second time, under the names of IRIX. */
        if (str_starts(name, "trusted.SGI_ACL_"))
                return false;
        return !str_starts(name, "system.") || xattr_is_acl(name);
}

const struct xattr *xattrs_find(const struct xattrs *set, const char *name)
{
        for (size_t i = 0; i < set->count; i++) {
                if (str_equal(set->items[i].name, name))
                        return &set->items[i];
        }
        return NULL;
}

bool xattr_equal(const struct xattr *a, const struct xattr *b)
{
        return !a->is_closed && !b->is_closed && str_equal(a->name, b->name) && a->size == b->size &&
               memcmp(a->value, b->value, a->size) == 0;
}

int timespec_compare(struct timespec a, struct timespec b)
{
        if (a.tv_sec != b.tv_sec)
                return a.tv_sec < b.tv_sec ? -1 : 1;
        if (a.tv_nsec != b.tv_nsec)
                return a.tv_nsec < b.tv_nsec ? -1 : 1;
        return 0;
}
