/*
 * Owner, then attributes, then mode. Each of the first two may change the mode behind our back, so it is read again
 * before it is compared.
 */
#include "base/meta.h"

#include "base/entry.h"
#include "base/xattr_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static const char capability[] = "security.capability";

static int set_owner(int fd, uid_t uid, gid_t gid)
{
        return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) == 0 ? 0 : -errno;
}

static int remove_xattr(int fd, const char *name)
{
        int r = xattr_fd_remove(fd, name);

        /* Removing a trivial ACL or something that has just gone is no failure. */
        return r == -ENODATA ? 0 : r;
}

/* fchmodat(2) takes no AT_EMPTY_PATH before Linux 6.6: the way that a C library goes is this one as well. */
static int chmod_found(int fd, mode_t mode)
{
        char path[32];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        return chmod(path, mode) == 0 ? 0 : -errno;
}

int meta_set_mode(int fd, unsigned mode)
{
        if (fchmod(fd, mode & 07777) == 0)
                return 0;
        return errno == EBADF ? chmod_found(fd, mode & 07777) : -errno;
}

int meta_set_mtime(int fd, struct timespec mtime)
{
        const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, mtime };

        if (futimens(fd, times) == 0)
                return 0;
        return errno == EBADF && utimensat(fd, "", times, AT_EMPTY_PATH) == 0 ? 0 : -errno;
}

static int read_mode(int fd, mode_t *ret)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        *ret = st.st_mode;
        return 0;
}

/* Which attributes are set in one go. */
enum kind { KIND_ACL, KIND_ALL_ELSE, KIND_UNPRIVILEGED };

static bool is_set_apart(const char *name, enum kind kind)
{
        return str_equal(name, capability) || xattr_is_acl(name) != (kind == KIND_ACL) ||
               (kind == KIND_UNPRIVILEGED && xattr_is_privileged(name));
}

/* Set what differs, of ACLs or of all but them. Return 1 when something was changed, 0, or -errno. */
static int apply_kind(int fd, const struct xattrs *want, const struct xattrs *have, enum kind kind)
{
        int changed = 0, r = 0;

        for (size_t i = 0; i < have->count && r == 0; i++) {
                const char *name = have->items[i].name;

                if (is_set_apart(name, kind) || xattrs_find(want, name))
                        continue;
                r = remove_xattr(fd, name);
                changed = 1;
        }
        for (size_t i = 0; i < want->count && r == 0; i++) {
                const struct xattr *x = &want->items[i], *old = xattrs_find(have, x->name);

                if (is_set_apart(x->name, kind) || (old && xattr_equal(old, x)))
                        continue;
                r = xattr_fd_set(fd, x->name, x->value, x->size);
                changed = 1;
        }
        return r < 0 ? r : changed;
}

/*
 * The user.* attributes of a file are for those who may write it, which an ordinary user may have denied himself: then
 * he gives himself leave for the time being. ACLs come after them for the same reason. Capabilities are left for last.
 */
static int apply_xattrs(int fd, const struct entry *want, const struct entry *have, unsigned flags)
{
        enum kind kind = flags & META_KEEP_LABELS ? KIND_UNPRIVILEGED : KIND_ALL_ELSE;
        int others = apply_kind(fd, &want->xattrs, &have->xattrs, kind), acls;

        if (others == -EACCES && meta_set_mode(fd, have->mode | S_IWUSR) == 0)
                others = apply_kind(fd, &want->xattrs, &have->xattrs, kind);
        acls = others < 0 ? others : apply_kind(fd, &want->xattrs, &have->xattrs, KIND_ACL);
        return acls < 0 ? acls : others | acls;
}

static int apply_capability(int fd, const struct xattrs *want, const struct xattrs *have, bool was_dropped)
{
        const struct xattr *new = xattrs_find(want, capability), *old = xattrs_find(have, capability);

        if (!new)
                return old && !was_dropped ? remove_xattr(fd, capability) : 0;
        if (old && !was_dropped && xattr_equal(old, new))
                return 0;
        return xattr_fd_set(fd, new->name, new->value, new->size);
}

static int apply_mode(int fd, const struct entry *want, mode_t has, unsigned flags)
{
        mode_t mode = want->mode & 07777;

        if (S_ISLNK(want->mode))
                return 0;
        if (flags & META_KEEP_ACCESS)
                mode |= S_IRWXU;
        return mode == (has & 07777) ? 0 : meta_set_mode(fd, mode);
}

int meta_apply(int fd, const struct entry *want, const struct entry *have, unsigned flags, const char **ret_failed)
{
        bool new_owner = want->uid != have->uid || want->gid != have->gid;
        mode_t mode = have->mode;
        int changed, r;

        *ret_failed = "set the owner of";
        if (new_owner) {
                r = set_owner(fd, want->uid, want->gid);
                if (r < 0)
                        return r;
        }
        *ret_failed = "set the extended attributes of";
        changed = apply_xattrs(fd, want, have, flags);
        if (changed < 0)
                return changed;
        r = flags & META_KEEP_LABELS ? 0 : apply_capability(fd, &want->xattrs, &have->xattrs, new_owner);
        if (r < 0)
                return r;
        *ret_failed = "set the mode of";
        if (new_owner || changed) {
                r = read_mode(fd, &mode);
                if (r < 0)
                        return r;
        }
        return apply_mode(fd, want, mode, flags);
}
