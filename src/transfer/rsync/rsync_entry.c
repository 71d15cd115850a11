/*
 * An entry is put in three steps: what can fail is gathered first (ACLs and attributes as literals, the group of hard
 * links), then the flags say which fields follow, then these are written. What the next entry may be the same as is
 * kept up to date with what the peer knows: for a name of a file that it has in this list already, which has no fields
 * of its own, that is what was told of the first.
 */
#include "transfer/rsync/rsync_entry.h"

#include "base/buf.h"
#include "base/entry.h"
#include "transfer/chains.h"
#include "transfer/rsync/rsync_acl.h"
#include "transfer/rsync/rsync_number.h"
#include "transfer/rsync/rsync_told.h"
#include "transfer/rsync/rsync_xattrs.h"

#include <assert.h>
#include <sys/sysmacros.h>

enum flag {
        TOP = 1 << 0,
        SAME_MODE = 1 << 1,
        TWO_BYTES = 1 << 2, /* as a varint: not zero */
        SAME_UID = 1 << 3,
        SAME_GID = 1 << 4,
        SAME_NAME = 1 << 5, /* as far as the byte says that follows */
        LONG_NAME = 1 << 6,
        SAME_TIME = 1 << 7,
        SAME_MAJOR = 1 << 8,    /* of a device */
        NO_CONTENT = 1 << 8,    /* of a directory */
        LINKED = 1 << 9,        /* one of several names */
        LINKED_FIRST = 1 << 12, /* the first of them; without LINKED: an error, at the end of a list */
        NANOSECONDS = 1 << 13,
};

enum { PREFIX_MAX = 255, SUFFIX_SHORT_MAX = 255, SIZE_LEAST = 3, TIME_LEAST = 4, PROTOCOL_31 = 31 };

/* What may be the same as with the entry before. */
struct common {
        int64_t mtime;
        uint32_t mode, uid, gid;
};

/* A file with several names. */
struct group {
        struct chains_item item;
        uint32_t dev; /* as the kernel has it */
        ino_t ino;
        struct common told; /* of its first name */
        int32_t number;     /* of its first name */
        uint32_t born;
};

_Static_assert(sizeof(struct group) <= 64, "memory for a file with several names is limited");

struct rsync_encoder {
        struct rsync_session session;
        int32_t start, count; /* of the list */
        struct chains groups;
        struct rsync_told access, defaults, sets;
        struct buf access_literal, default_literal, set_literal; /* of the entry that is being put */

        /* The entry before, of whatever list. */
        char path[RSYNC_PATH_MAX + 1];
        size_t path_size;
        struct common before;
        uint32_t major;
        bool is_before_known, is_major_known, is_bare, has_repeated;
};

static uint64_t group_hash(const void *item)
{
        const struct group *g = item;
        uint64_t h = (g->dev ^ g->ino * 0x9e3779b97f4a7c15ULL) * 0xff51afd7ed558ccdULL;

        return h ^ h >> 32;
}

struct rsync_encoder *rsync_encoder_new(const struct rsync_session *session)
{
        struct rsync_encoder *e = calloc(1, sizeof(*e));

        if (!e)
                return NULL;
        e->session = *session;
        e->groups = (struct chains){ .item_size = sizeof(struct group), .hash = group_hash };
        rsync_told_init(&e->access);
        rsync_told_init(&e->defaults);
        rsync_told_init(&e->sets);
        return e;
}

struct rsync_encoder *rsync_encoder_free(struct rsync_encoder *e)
{
        if (!e)
                return NULL;
        chains_deinit(&e->groups);
        rsync_told_deinit(&e->access);
        rsync_told_deinit(&e->defaults);
        rsync_told_deinit(&e->sets);
        buf_deinit(&e->access_literal);
        buf_deinit(&e->default_literal);
        buf_deinit(&e->set_literal);
        free(e);
        return NULL;
}

void rsync_encoder_be_bare(struct rsync_encoder *e)
{
        e->is_bare = true;
}

void rsync_encoder_begin(struct rsync_encoder *e, int32_t start)
{
        e->start = start;
        e->count = 0;
}

/* ---- hard links ---- */

enum link {
        LINK_NONE,
        LINK_FIRST,
        LINK_AGAIN, /* the first is in an earlier list: told of in full */
        LINK_SHORT, /* the first is in this one */
};

static bool is_device(const struct entry *entry)
{
        return S_ISCHR(entry->mode) || S_ISBLK(entry->mode);
}

static bool is_special(const struct entry *entry)
{
        return S_ISFIFO(entry->mode) || S_ISSOCK(entry->mode);
}

static struct common common_of(const struct entry *entry)
{
        return (struct common){
                .mtime = entry->mtime.tv_sec, .mode = entry->mode, .uid = entry->uid, .gid = entry->gid
        };
}

static struct group *find_group(const struct rsync_encoder *e, const struct group *wanted)
{
        struct group *g = chains_first(&e->groups, group_hash(wanted));

        while (g && (g->dev != wanted->dev || g->ino != wanted->ino || !entry_born_together(g->born, wanted->born)))
                g = chains_next(&e->groups, g);
        return g;
}

/* -ENOMEM, or what kind of name it is, with its group, as it is from now on. */
static int enter_group(struct rsync_encoder *e, const struct entry *entry, struct group *ret)
{
        struct group *g;

        *ret = (struct group){
                .dev = major(entry->dev) << 20 | minor(entry->dev),
                .ino = entry->ino,
                .told = common_of(entry),
                .number = e->start + e->count,
                .born = entry->born,
        };
        if (S_ISDIR(entry->mode) || entry->nlink <= 1)
                return LINK_NONE;
        g = find_group(e, ret);
        if (!g)
                return chains_add(&e->groups, ret) ? (int)LINK_FIRST : -ENOMEM;
        /* Another file has got the number of one that went away meanwhile, where the filesystem tells of no birth. */
        if ((g->told.mode ^ entry->mode) & S_IFMT) {
                g->told = ret->told;
                g->number = ret->number;
                return LINK_FIRST;
        }
        ret->number = g->number;
        if (g->number < e->start)
                return LINK_AGAIN;
        ret->told = g->told;
        return LINK_SHORT;
}

/* ---- flags ---- */

/* What is put, as far as it takes thinking. */
struct put {
        const char *path;
        const struct entry *entry;
        enum link link;
        int32_t first;        /* the number of its first name */
        struct common common; /* of that, where the peer takes it from there */
        unsigned flags;       /* of enum flag */
        size_t path_size, prefix_size;
        bool has_device; /* its numbers are told */
};

static size_t common_prefix(const struct rsync_encoder *e, const char *path)
{
        size_t size = 0;

        /* The path before ends in a NUL. */
        while (size < PREFIX_MAX && path[size] && path[size] == e->path[size])
                size++;
        return size;
}

static unsigned flags_of_type(const struct rsync_encoder *e, const struct put *p, unsigned flags)
{
        if (S_ISDIR(p->entry->mode))
                return (flags & RSYNC_ENTRY_TOP ? TOP : 0) | (flags & RSYNC_ENTRY_CONTENT_OMITTED ? NO_CONTENT : 0);
        if (!p->has_device)
                return 0;
        if (is_special(p->entry) || (e->is_major_known && e->major == major(p->entry->rdev)))
                return SAME_MAJOR;
        return 0;
}

static unsigned flags_of_same(const struct rsync_encoder *e, const struct common *c)
{
        unsigned unowned = e->is_bare ? SAME_UID | SAME_GID : 0;

        if (!e->is_before_known)
                return unowned;
        return unowned | (e->before.mode == c->mode ? SAME_MODE : 0) | (e->before.uid == c->uid ? SAME_UID : 0) |
               (e->before.gid == c->gid ? SAME_GID : 0) | (e->before.mtime == c->mtime ? SAME_TIME : 0);
}

static void set_flags(const struct rsync_encoder *e, struct put *p, unsigned flags)
{
        p->prefix_size = common_prefix(e, p->path);
        p->has_device = is_device(p->entry) || (is_special(p->entry) && e->session.protocol < PROTOCOL_31);
        p->flags = flags_of_type(e, p, flags) | flags_of_same(e, &p->common);
        if (p->prefix_size > 0)
                p->flags |= SAME_NAME;
        if (p->path_size - p->prefix_size > SUFFIX_SHORT_MAX)
                p->flags |= LONG_NAME;
        if (p->link != LINK_NONE)
                p->flags |= LINKED;
        if (p->link == LINK_FIRST)
                p->flags |= LINKED_FIRST;
        if (p->entry->mtime.tv_nsec != 0 && e->session.protocol >= PROTOCOL_31)
                p->flags |= NANOSECONDS;
}

/* A zero would end the list. */
static int put_flags(const struct rsync_encoder *e, struct buf *out, const struct put *p)
{
        unsigned flags = p->flags;

        if (e->session.compat & RSYNC_COMPAT_VARINT_FLAGS)
                return rsync_put_varint(out, flags ? flags : (unsigned)TWO_BYTES);
        if (flags > UINT8_MAX || (flags == 0 && S_ISDIR(p->entry->mode)))
                return rsync_put_short(out, (uint16_t)(flags | TWO_BYTES));
        /* That of the root of a transfer means nothing here. */
        return rsync_put_byte(out, (uint8_t)(flags ? flags : (unsigned)TOP));
}

/* ---- fields ---- */

static int put_path(struct buf *out, const struct put *p)
{
        size_t size = p->path_size - p->prefix_size;
        int r = p->flags & SAME_NAME ? rsync_put_byte(out, (uint8_t)p->prefix_size) : 0;

        if (r == 0)
                r = p->flags & LONG_NAME ? rsync_put_varint(out, (uint32_t)size) : rsync_put_byte(out, (uint8_t)size);
        return r < 0 ? r : buf_append(out, p->path + p->prefix_size, size);
}

static uint64_t size_of(const struct entry *entry)
{
        if (is_device(entry) || is_special(entry))
                return 0;
        return S_ISLNK(entry->mode) ? strlen(entry->target) : entry->size;
}

static int put_metadata(struct buf *out, const struct put *p)
{
        int r = rsync_put_varlong(out, (int64_t)size_of(p->entry), SIZE_LEAST);

        if (r == 0 && !(p->flags & SAME_TIME))
                r = rsync_put_varlong(out, p->common.mtime, TIME_LEAST);
        if (r == 0 && p->flags & NANOSECONDS)
                r = rsync_put_varint(out, (uint32_t)p->entry->mtime.tv_nsec);
        if (r == 0 && !(p->flags & SAME_MODE))
                r = rsync_put_int(out, (int32_t)p->common.mode);
        if (r == 0 && !(p->flags & SAME_UID))
                r = rsync_put_varint(out, p->common.uid);
        if (r == 0 && !(p->flags & SAME_GID))
                r = rsync_put_varint(out, p->common.gid);
        return r;
}

static int put_device(struct buf *out, const struct put *p)
{
        int r = p->flags & SAME_MAJOR ? 0 : rsync_put_varint(out, major(p->entry->rdev));

        return r < 0 ? r : rsync_put_varint(out, is_special(p->entry) ? 0 : minor(p->entry->rdev));
}

static int put_target(struct buf *out, const char *target)
{
        size_t size = strlen(target);
        int r = rsync_put_varint(out, (uint32_t)size);

        return r < 0 ? r : buf_append(out, target, size);
}

/* What the peer takes from the first name otherwise. */
static int put_fields(struct buf *out, const struct put *p)
{
        int r = put_metadata(out, p);

        if (r == 0 && p->has_device)
                r = put_device(out, p);
        if (r == 0 && S_ISLNK(p->entry->mode))
                r = put_target(out, p->entry->target);
        return r;
}

static int put_attributes(struct rsync_encoder *e, struct buf *out, const struct entry *entry)
{
        int r = 0;

        if (e->is_bare)
                return 0;
        if (!S_ISLNK(entry->mode))
                r = rsync_told_put(&e->access, out, e->access_literal.data, e->access_literal.size);
        if (r == 0 && S_ISDIR(entry->mode))
                r = rsync_told_put(&e->defaults, out, e->default_literal.data, e->default_literal.size);
        return r < 0 ? r : rsync_told_put(&e->sets, out, e->set_literal.data, e->set_literal.size);
}

static int put_entry(struct rsync_encoder *e, struct buf *out, const struct put *p)
{
        int r = put_flags(e, out, p);

        r = r < 0 ? r : put_path(out, p);
        if (r == 0 && (p->link == LINK_AGAIN || p->link == LINK_SHORT))
                r = rsync_put_varint(out, (uint32_t)p->first);
        if (r == 0 && p->link != LINK_SHORT)
                r = put_fields(out, p);
        return r < 0 ? r : put_attributes(e, out, p->entry);
}

/* ---- the whole ---- */

/* Entries and sets have been loaded from a disk; their forms are not for granted. */
static int check(const struct rsync_encoder *e, const char *path, const struct entry *entry)
{
        assert(!e->is_bare || S_ISDIR(entry->mode) || (S_ISREG(entry->mode) && entry->nlink <= 1));
        if (strlen(path) > RSYNC_PATH_MAX)
                return -ENAMETOOLONG;
        if (e->start > INT32_MAX - e->count || entry->size > INT64_MAX)
                return -EOVERFLOW;
        return S_ISLNK(entry->mode) && (!entry->target || !entry->target[0]) ? -EINVAL : 0;
}

/* The ACLs and attributes of @entry become literals. */
static int gather(struct rsync_encoder *e, const struct entry *entry)
{
        static const struct xattr none = { .size = 0 };
        const struct xattr *access = xattrs_find(&entry->xattrs, "system.posix_acl_access");
        const struct xattr *defaults = xattrs_find(&entry->xattrs, "system.posix_acl_default");
        int r;

        access = access ? access : &none;
        defaults = defaults ? defaults : &none;
        buf_truncate(&e->access_literal, 0);
        buf_truncate(&e->default_literal, 0);
        buf_truncate(&e->set_literal, 0);
        r = rsync_acl_put_access(&e->access_literal, access->value, access->size, entry->mode);
        r = r < 0 ? r : rsync_acl_put_default(&e->default_literal, defaults->value, defaults->size);
        return r < 0 ? r : rsync_xattrs_put(&e->set_literal, &entry->xattrs);
}

/* What the next entry is relative to. */
static void remember(struct rsync_encoder *e, const struct put *p)
{
        memcpy(e->path, p->path, p->path_size + 1);
        e->path_size = p->path_size;
        e->before = p->common;
        e->is_before_known = true;
        e->has_repeated = p->link == LINK_AGAIN || p->link == LINK_SHORT;
        /* Whether a device without numbers of its own counts as the last one is not worth knowing. */
        if (p->has_device && p->link == LINK_SHORT)
                e->is_major_known = false;
        else if (is_device(p->entry)) {
                e->major = major(p->entry->rdev);
                e->is_major_known = true;
        }
        e->count++;
}

int rsync_encoder_put(struct rsync_encoder *e, struct buf *out, const char *path, const struct entry *entry,
                      unsigned flags)
{
        struct put p = { .path = path, .entry = entry };
        struct group group;
        size_t before = out->size;
        int r = check(e, path, entry);

        r = r < 0 ? r : gather(e, entry);
        r = r < 0 ? r : enter_group(e, entry, &group);
        if (r < 0)
                return r;
        p.link = (enum link)r;
        p.first = group.number;
        p.common = group.told;
        p.path_size = strlen(path);
        set_flags(e, &p, flags);
        r = put_entry(e, out, &p);
        if (r < 0)
                buf_truncate(out, before);
        else
                remember(e, &p);
        return r;
}

bool rsync_encoder_has_repeated(const struct rsync_encoder *e)
{
        return e->has_repeated;
}

int rsync_encoder_end(struct rsync_encoder *e, struct buf *out, unsigned io_error)
{
        bool takes_error = e->session.protocol >= PROTOCOL_31 || e->session.compat & RSYNC_COMPAT_SAFE_LIST_END;
        int r;

        if (e->session.compat & RSYNC_COMPAT_VARINT_FLAGS) {
                r = rsync_put_varint(out, 0);
                return r < 0 ? r : rsync_put_varint(out, io_error);
        }
        if (io_error == 0 || !takes_error) {
                r = rsync_put_byte(out, 0);
                return r < 0 || io_error == 0 ? r : (int)RSYNC_ENCODER_TELL;
        }
        r = rsync_put_short(out, LINKED_FIRST | TWO_BYTES);
        return r < 0 ? r : rsync_put_varint(out, io_error);
}

unsigned rsync_entry_set(const struct entry *entry)
{
        return (unsigned)rsync_xattrs_names(&entry->xattrs) << RSYNC_ENTRY_SET_SHIFT;
}

const struct xattr *rsync_entry_xattr(const struct entry *entry, uint32_t number)
{
        return rsync_xattrs_find(&entry->xattrs, number);
}

int rsync_compare_directories(const char *a, const char *b)
{
        unsigned char x, y;

        while (*a && *a == *b)
                a++, b++;
        x = *a ? (unsigned char)*a : '/';
        y = *b ? (unsigned char)*b : '/';
        if (x != y)
                return x < y ? -1 : 1;
        return 0;
}
