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

/* What came of setting one thing after the other. */
struct outcome {
        bool changed; /* something was attempted: the mode may be another */
        int failure;  /* the first, 0 or -errno; */
        const char *failed;
};

static void note(struct outcome *o, int r, const char *failed)
{
        o->changed = true;
        if (r < 0 && o->failure == 0) {
                o->failure = r;
                o->failed = failed;
        }
}

/* Set what differs, of ACLs or of all but them. What one of them cannot have does not keep the others away. */
static struct outcome apply_kind(int fd, const struct xattrs *want, const struct xattrs *have, enum kind kind)
{
        struct outcome o = { .changed = false };

        for (size_t i = 0; i < have->count; i++) {
                const char *name = have->items[i].name;

                if (!is_set_apart(name, kind) && !xattrs_find(want, name))
                        note(&o, remove_xattr(fd, name), "remove an extended attribute of");
        }
        for (size_t i = 0; i < want->count; i++) {
                const struct xattr *x = &want->items[i], *old = xattrs_find(have, x->name);

                if (!is_set_apart(x->name, kind) && !(old && xattr_equal(old, x)))
                        note(&o, xattr_fd_set(fd, x->name, x->value, x->size),
                             kind == KIND_ACL ? "set the access control list of" : "set the extended attributes of");
        }
        return o;
}

/*
 * The user.* attributes of a file are for those who may write it, which an ordinary user may have denied himself: then
 * he gives himself leave for the time being.
 */
static struct outcome apply_xattrs(int fd, const struct entry *want, const struct entry *have, unsigned flags)
{
        enum kind kind = flags & META_KEEP_LABELS ? KIND_UNPRIVILEGED : KIND_ALL_ELSE;
        struct outcome o = apply_kind(fd, &want->xattrs, &have->xattrs, kind);

        if (o.failure == -EACCES && meta_set_mode(fd, have->mode | S_IWUSR) == 0)
                o = apply_kind(fd, &want->xattrs, &have->xattrs, kind);
        return o;
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

static int apply_mode(int fd, mode_t mode, mode_t has, unsigned flags)
{
        if (S_ISLNK(mode))
                return 0;
        if (flags & META_KEEP_ACCESS)
                mode |= S_IRWXU;
        return (mode & 07777) == (has & 07777) ? 0 : meta_set_mode(fd, mode);
}

/*
 * The mode that goes with what could be set: no set-id bit for an owner that it was not given for, and group bits that
 * are the mask of an ACL are not for the group itself.
 */
static mode_t fitting_mode(const struct entry *want, bool has_owner, bool has_acl)
{
        mode_t mode = want->mode;

        if (!has_owner)
                mode &= ~(mode_t)(S_ISUID | S_ISGID);
        if (!has_acl && xattrs_find(&want->xattrs, "system.posix_acl_access"))
                mode &= ~(mode_t)S_IRWXG;
        return mode;
}

int meta_apply(int fd, const struct entry *want, const struct entry *have, unsigned flags, const char **ret_failed)
{
        bool new_owner = want->uid != have->uid || want->gid != have->gid;
        struct outcome all = { .failure = 0 }, xattrs, acls;
        mode_t mode = have->mode;
        bool has_owner;
        int r = 0;

        if (new_owner)
                note(&all, set_owner(fd, want->uid, want->gid), "set the owner of");
        has_owner = all.failure == 0;
        xattrs = apply_xattrs(fd, want, have, flags);
        acls = apply_kind(fd, &want->xattrs, &have->xattrs, KIND_ACL);
        if (xattrs.changed)
                note(&all, xattrs.failure, xattrs.failed);
        if (acls.changed)
                note(&all, acls.failure, acls.failed);
        if (!(flags & META_KEEP_LABELS) && has_owner)
                r = apply_capability(fd, &want->xattrs, &have->xattrs, new_owner);
        if (r < 0)
                note(&all, r, "set the capabilities of");
        r = all.changed ? read_mode(fd, &mode) : 0;
        if (r == 0)
                r = apply_mode(fd, fitting_mode(want, has_owner, acls.failure == 0), mode, flags);
        if (r < 0)
                note(&all, r, "set the mode of");
        *ret_failed = all.failed;
        return all.failure;
}
