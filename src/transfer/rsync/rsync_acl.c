/*
 * The kernel's form (linux/posix_acl_xattr.h) is a version and entries of tag, permissions and id, all little-endian.
 * It is read into the four entries that need no id, and a list of the others; what is to be left out is taken away; and
 * what remains is written.
 */
#include "transfer/rsync/rsync_acl.h"

#include "base/buf.h"
#include "transfer/rsync/rsync_number.h"

#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

enum { NAMED_MAX = 65536, PERMISSIONS = 7, ABSENT = 8 };

/* As they are told, in this order. */
enum plain { USER_OBJ, GROUP_OBJ, MASK, OTHER, PLAIN };
enum { HAS_NAMED = 1 << PLAIN, IS_USER = 2, PERMISSIONS_SHIFT = 2 };

struct named {
        uint32_t id;
        uint8_t is_group, permissions;
};

struct acl {
        uint8_t plain[PLAIN]; /* permissions or ABSENT */
        struct named *named;
        size_t named_count;
};

static void acl_deinit(struct acl *a)
{
        free(a->named);
}

/* ---- reading ---- */

static int add_plain(struct acl *a, enum plain which, unsigned permissions)
{
        if (a->plain[which] != ABSENT)
                return -EINVAL;
        a->plain[which] = (uint8_t)permissions;
        return 0;
}

static int add_named(struct acl *a, bool is_group, unsigned permissions, uint32_t id)
{
        a->named[a->named_count++] =
                (struct named){ .id = id, .is_group = is_group, .permissions = (uint8_t)permissions };
        return 0;
}

static int read_entry(struct acl *a, struct rsync_reader *r)
{
        unsigned tag = rsync_get_short(r), permissions = rsync_get_short(r);
        uint32_t id = (uint32_t)rsync_get_int(r);

        if (permissions > PERMISSIONS)
                return -EINVAL;
        switch (tag) {
        case ACL_USER_OBJ:
                return add_plain(a, USER_OBJ, permissions);
        case ACL_GROUP_OBJ:
                return add_plain(a, GROUP_OBJ, permissions);
        case ACL_MASK:
                return add_plain(a, MASK, permissions);
        case ACL_OTHER:
                return add_plain(a, OTHER, permissions);
        case ACL_USER:
        case ACL_GROUP:
                return add_named(a, tag == ACL_GROUP, permissions, id);
        default:
                return -EINVAL;
        }
}

static bool is_whole(const struct acl *a)
{
        return a->plain[USER_OBJ] != ABSENT && a->plain[GROUP_OBJ] != ABSENT && a->plain[OTHER] != ABSENT &&
               (a->plain[MASK] != ABSENT || a->named_count == 0);
}

static int compare_named(const void *a, const void *b)
{
        const struct named *x = a, *y = b;

        if (x->is_group != y->is_group)
                return x->is_group < y->is_group ? -1 : 1;
        return x->id < y->id ? -1 : x->id > y->id;
}

static int read_acl(struct acl *a, const void *value, size_t size)
{
        struct rsync_reader r = rsync_read_begin(value, size);
        size_t count = size / sizeof(struct posix_acl_xattr_entry);

        if (size % sizeof(struct posix_acl_xattr_entry) != sizeof(struct posix_acl_xattr_header) || count > NAMED_MAX ||
            rsync_get_int(&r) != POSIX_ACL_XATTR_VERSION)
                return -EINVAL;
        if (count == 0)
                return 0;
        a->named = calloc(count, sizeof(*a->named));
        if (!a->named)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++) {
                if (read_entry(a, &r) < 0)
                        return -EINVAL;
        }
        /* The kernel keeps them as they were set, which need not be sorted. */
        qsort(a->named, a->named_count, sizeof(*a->named), compare_named);
        return is_whole(a) ? 0 : -EINVAL;
}

/* ---- what the mode says ---- */

/* Permissions of the group in a mode are those of the mask where there is one. */
static void strip(struct acl *a, unsigned mode)
{
        unsigned group = mode >> 3 & PERMISSIONS;

        a->plain[USER_OBJ] = a->plain[OTHER] = ABSENT;
        if (a->plain[MASK] == ABSENT || a->plain[GROUP_OBJ] == group)
                a->plain[GROUP_OBJ] = ABSENT;
        if (a->named_count > 0 && a->plain[MASK] == group)
                a->plain[MASK] = ABSENT;
}

/* ---- writing ---- */

static int put_named(struct buf *out, const struct named *n)
{
        uint32_t access = (uint32_t)n->permissions << PERMISSIONS_SHIFT | (n->is_group ? 0 : IS_USER);
        int r = rsync_put_varint(out, n->id);

        return r < 0 ? r : rsync_put_varint(out, access);
}

static int put_acl(struct buf *out, const struct acl *a)
{
        unsigned flags = a->named_count > 0 ? HAS_NAMED : 0;
        int r;

        for (unsigned i = 0; i < PLAIN; i++)
                flags |= a->plain[i] != ABSENT ? 1u << i : 0;
        r = rsync_put_byte(out, (uint8_t)flags);
        for (unsigned i = 0; i < PLAIN && r == 0; i++)
                r = a->plain[i] != ABSENT ? rsync_put_varint(out, a->plain[i]) : 0;
        if (r == 0 && a->named_count > 0)
                r = rsync_put_varint(out, (uint32_t)a->named_count);
        for (size_t i = 0; i < a->named_count && r == 0; i++)
                r = put_named(out, &a->named[i]);
        return r;
}

#define ACL_EMPTY ((struct acl){ .plain = { ABSENT, ABSENT, ABSENT, ABSENT } })

int rsync_acl_put_access(struct buf *out, const void *value, size_t size, unsigned mode)
{
        _cleanup_(acl_deinit) struct acl a = ACL_EMPTY;
        int r = size > 0 ? read_acl(&a, value, size) : 0;

        if (r < 0)
                return r;
        strip(&a, mode);
        return put_acl(out, &a);
}

int rsync_acl_put_default(struct buf *out, const void *value, size_t size)
{
        _cleanup_(acl_deinit) struct acl a = ACL_EMPTY;
        int r = size > 0 ? read_acl(&a, value, size) : 0;

        return r < 0 ? r : put_acl(out, &a);
}
