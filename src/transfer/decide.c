/*
 * First the type, then what cannot be changed in place (content, target, device), then metadata. An inode that anything
 * else may link to is never changed: whether the other links are snapshots cannot be told, and need not be.
 */
#include "transfer/decide.h"

#include "base/entry.h"
#include "base/report.h"

static bool has_acl_difference(const struct xattrs *a, const struct xattrs *b, bool acl)
{
        size_t i = 0, j = 0;

        for (;;) {
                while (i < a->count && xattr_is_acl(a->items[i].name) != acl)
                        i++;
                while (j < b->count && xattr_is_acl(b->items[j].name) != acl)
                        j++;
                if (i == a->count || j == b->count)
                        return i != a->count || j != b->count;
                if (!xattr_equal(&a->items[i++], &b->items[j++]))
                        return true;
        }
}

static unsigned compare_metadata(const struct entry *want, const struct entry *have)
{
        unsigned why = 0;

        if (!S_ISLNK(want->mode) && (want->mode & 07777) != (have->mode & 07777))
                why |= REPORT_WHY_MODE;
        if (want->uid != have->uid)
                why |= REPORT_WHY_OWNER;
        if (want->gid != have->gid)
                why |= REPORT_WHY_GROUP;
        if (want->xattrs.count > 0 || have->xattrs.count > 0) {
                if (has_acl_difference(&want->xattrs, &have->xattrs, true))
                        why |= REPORT_WHY_ACL;
                if (has_acl_difference(&want->xattrs, &have->xattrs, false))
                        why |= REPORT_WHY_XATTRS;
        }
        return why;
}

static bool is_device(const struct entry *e)
{
        return S_ISCHR(e->mode) || S_ISBLK(e->mode);
}

/* What makes a new inode necessary whatever the link count is. */
static unsigned compare_substance(const struct entry *want, const struct entry *have)
{
        bool same_mtime = timespec_compare(want->mtime, have->mtime) == 0;
        unsigned why = 0;

        if (S_ISLNK(want->mode) && !str_equal(want->target, have->target))
                why |= REPORT_WHY_TARGET;
        if (is_device(want) && want->rdev != have->rdev)
                why |= REPORT_WHY_DEVICE;
        if (entry_is_file(want) && want->size != have->size)
                why |= REPORT_WHY_SIZE;
        if (entry_is_file(want) && !same_mtime)
                why |= REPORT_WHY_MTIME;
        return why;
}

/*
 * Who may write in the same directory of `latest` can have put a file of his own there, with the right size and mtime:
 * it must not be given what its content then has the power of.
 */
static bool is_powerful(const struct entry *want)
{
        return entry_is_file(want) &&
               (want->mode & (S_ISUID | S_ISGID) || xattrs_find(&want->xattrs, "security.capability"));
}

struct decision decide(const struct entry *want, const struct entry *have, const struct decide_hints *hints)
{
        unsigned why;

        if (!want || !have)
                return (struct decision){ .verdict = want ? DECIDE_MAKE : DECIDE_REMOVE };
        if ((want->mode & S_IFMT) != (have->mode & S_IFMT))
                return (struct decision){ .verdict = DECIDE_RETYPE };
        why = compare_substance(want, have);
        if (why)
                return (struct decision){ .verdict = DECIDE_REPLACE, .why = why | compare_metadata(want, have) };
        if (entry_is_file(want) && hints->verify && !hints->verified)
                return (struct decision){ .verdict = DECIDE_COMPARE };
        why = compare_metadata(want, have);
        if (timespec_compare(want->mtime, have->mtime) != 0)
                why |= REPORT_WHY_MTIME;
        if (hints->wrong_inode)
                return (struct decision){ .verdict = DECIDE_RELINK, .why = why | REPORT_WHY_LINKS };
        if (!why)
                return (struct decision){ .verdict = DECIDE_KEEP };
        if (is_powerful(want))
                return (struct decision){ .verdict = DECIDE_REPLACE, .why = why };
        if (entry_is_dir(want) || (entry_is_file(want) && have->nlink == 1))
                return (struct decision){ .verdict = DECIDE_ADJUST, .why = why };
        return (struct decision){ .verdict = DECIDE_RELINK, .why = why };
}
