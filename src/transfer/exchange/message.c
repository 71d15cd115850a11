/* An entry is written by one function, for listings and for digests; what comes from the peer is checked field by
 * field. */
#include "transfer/exchange/message.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/entry.h"
#include "transfer/exchange/pack.h"
#include "transfer/limits.h"

#include <limits.h>
#include <linux/limits.h>
#include <sys/sysmacros.h>
#include <xxhash.h>

enum { XATTRS_MAX = 10000, XATTR_BYTES_MAX = 256 * 1024 };

/* ---- writing ---- */

static int put_xattrs(struct buf *b, const struct xattrs *set)
{
        int r = pack_varint(b, set->count);

        for (size_t i = 0; i < set->count && r == 0; i++) {
                r = pack_text(b, set->items[i].name);
                if (r == 0)
                        r = pack_bytes(b, set->items[i].value, set->items[i].size);
        }
        return r;
}

static int put_device(struct buf *b, dev_t device)
{
        int r = pack_varint(b, major(device));

        return r == 0 ? pack_varint(b, minor(device)) : r;
}

/* What its type has beyond what all have. */
static int put_own(struct buf *b, const struct entry *e)
{
        switch (e->mode & S_IFMT) {
        case S_IFREG:
                return pack_varint(b, e->size);
        case S_IFLNK:
                return pack_text(b, e->target);
        case S_IFBLK:
        case S_IFCHR:
                return put_device(b, e->rdev);
        default:
                return 0;
        }
}

static int put_metadata(struct buf *b, const struct entry *e)
{
        int r = pack_varint(b, e->mode);

        r = r < 0 ? r : pack_varint(b, e->uid);
        r = r < 0 ? r : pack_varint(b, e->gid);
        r = r < 0 ? r : pack_time(b, e->mtime);
        r = r < 0 ? r : put_own(b, e);
        return r < 0 ? r : put_xattrs(b, &e->xattrs);
}

int message_put_entry(struct buf *b, const struct entry *e, const struct message_place *place)
{
        int r = pack_text(b, e->name);

        r = r < 0 ? r : pack_u8(b, (uint8_t)place->flags);
        if (r < 0 || (place->flags & MESSAGE_UNREADABLE))
                return r;
        r = pack_varint(b, place->device);
        if (r == 0 && place->device > 0)
                r = pack_varint(b, place->inode);
        return r < 0 ? r : put_metadata(b, e);
}

static int check_xattrs(const struct xattrs *set)
{
        size_t left = XATTR_BYTES_MAX;

        if (set->count > XATTRS_MAX)
                return -E2BIG;
        for (size_t i = 0; i < set->count; i++) {
                const struct xattr *x = &set->items[i];

                if (i > 0 && strcmp(set->items[i - 1].name, x->name) >= 0)
                        return -EUCLEAN;
                if (strlen(x->name) + x->size > left)
                        return -E2BIG;
                left -= strlen(x->name) + x->size;
        }
        return 0;
}

int message_check_entry(const struct entry *e)
{
        if (!S_ISREG(e->mode) && !S_ISDIR(e->mode) && !S_ISLNK(e->mode) && !S_ISBLK(e->mode) && !S_ISCHR(e->mode) &&
            !S_ISFIFO(e->mode) && !S_ISSOCK(e->mode))
                return -EUCLEAN;
        if (strlen(e->name) > NAME_MAX)
                return -ENAMETOOLONG;
        if (S_ISREG(e->mode) && e->size > INT64_MAX)
                return -EOVERFLOW;
        if (S_ISLNK(e->mode) && (!e->target || !e->target[0]))
                return -EUCLEAN;
        if (e->uid == UINT32_MAX || e->gid == UINT32_MAX)
                return -EOVERFLOW;
        return check_xattrs(&e->xattrs);
}

/* ---- reading ---- */

/* Text of at most @max bytes without NUL, in the arena; NULL when memory is short or the reader is broken. */
static const char *get_text(struct unpack *u, size_t max, struct arena *arena)
{
        size_t size;
        const void *data = unpack_bytes(u, max, &size);

        if (!data || memchr(data, '\0', size)) {
                u->broken = true;
                return NULL;
        }
        return arena_copy(arena, data, size);
}

static int get_name(struct unpack *u, struct entry *e, struct arena *arena)
{
        e->name = get_text(u, NAME_MAX, arena);
        if (e->name && !unpack_is_name(e->name, strlen(e->name)))
                u->broken = true;
        return e->name || u->broken ? 0 : -ENOMEM;
}

static int get_xattr(struct unpack *u, struct xattr *ret, const struct xattr *before, struct arena *arena)
{
        const void *value;

        *ret = (struct xattr){ .name = get_text(u, XATTR_NAME_MAX, arena) };
        value = unpack_bytes(u, XATTR_SIZE_MAX, &ret->size);
        if (u->broken)
                return 0;
        ret->value = ret->name ? arena_copy(arena, value, ret->size) : NULL;
        if (!ret->value)
                return -ENOMEM;
        if (!xattr_is_kept(ret->name) || (before && strcmp(before->name, ret->name) >= 0))
                u->broken = true;
        return 0;
}

static int get_xattrs(struct unpack *u, struct xattrs *ret, struct arena *arena)
{
        size_t count = unpack_varint(u, XATTRS_MAX);
        int r = 0;

        *ret = (struct xattrs){ .count = 0 };
        /* Each takes two bytes at least: nothing is allocated for what cannot be there. */
        if (count > (size_t)(u->end - u->data) / 2)
                u->broken = true;
        if (u->broken || count == 0)
                return 0;
        ret->items = arena_alloc(arena, count * sizeof(*ret->items));
        if (!ret->items)
                return -ENOMEM;
        for (; ret->count < count && r == 0 && !u->broken; ret->count++) {
                struct xattr *x = &ret->items[ret->count];

                r = get_xattr(u, x, ret->count > 0 ? x - 1 : NULL, arena);
        }
        return r;
}

static int get_own(struct unpack *u, struct entry *e, struct arena *arena)
{
        unsigned device;

        switch (e->mode & S_IFMT) {
        case S_IFREG:
                e->size = unpack_varint(u, INT64_MAX);
                return 0;
        case S_IFLNK:
                e->target = get_text(u, PATH_MAX, arena);
                e->size = e->target ? strlen(e->target) : 0;
                u->broken = u->broken || (e->target && e->size == 0);
                return e->target || u->broken ? 0 : -ENOMEM;
        case S_IFBLK:
        case S_IFCHR:
                device = (unsigned)unpack_varint(u, UINT32_MAX);
                e->rdev = makedev(device, (unsigned)unpack_varint(u, UINT32_MAX));
                return 0;
        case S_IFDIR:
        case S_IFIFO:
        case S_IFSOCK:
                return 0;
        default:
                u->broken = true;
                return 0;
        }
}

int message_get_entry(struct unpack *u, struct entry *ret, struct message_place *ret_place, struct arena *arena)
{
        int r;

        *ret = (struct entry){ .nlink = 1 };
        *ret_place = (struct message_place){ .device = 0 };
        r = get_name(u, ret, arena);
        ret_place->flags = unpack_u8(u);
        if (r < 0 || (ret_place->flags & MESSAGE_UNREADABLE))
                return r;
        ret_place->device = unpack_varint(u, MESSAGE_DEVICE_MAX);
        if (ret_place->device > 0)
                ret_place->inode = unpack_varint(u, UINT64_MAX);
        ret->dev = ret_place->device;
        ret->ino = ret_place->inode;
        ret->mode = (mode_t)unpack_varint(u, S_IFMT | 07777);
        ret->uid = (uid_t)unpack_varint(u, UINT32_MAX - 1);
        ret->gid = (gid_t)unpack_varint(u, UINT32_MAX - 1);
        ret->mtime = unpack_time(u);
        ret->nlink = ret_place->flags & MESSAGE_LINKED ? 2 : 1;
        if (ret->nlink > 1 && ret_place->device == 0)
                u->broken = true;
        ret->content_omitted = ret_place->flags & MESSAGE_CONTENT_OMITTED;
        r = get_own(u, ret, arena);
        r = r < 0 ? r : get_xattrs(u, &ret->xattrs, arena);
        if (r < 0)
                u->broken = true;
        return r;
}

static void pass_varints(struct unpack *u, unsigned count)
{
        while (count-- > 0)
                (void)unpack_varint(u, UINT64_MAX);
}

void message_pass_entry(struct unpack *u)
{
        size_t size;
        mode_t mode;

        (void)unpack_bytes(u, NAME_MAX, &size);
        if (unpack_u8(u) & MESSAGE_UNREADABLE)
                return;
        if (unpack_varint(u, UINT64_MAX) > 0)
                pass_varints(u, 1);
        mode = (mode_t)unpack_varint(u, UINT32_MAX);
        pass_varints(u, 4); /* owners and time */
        if (S_ISREG(mode))
                pass_varints(u, 1);
        else if (S_ISLNK(mode))
                (void)unpack_bytes(u, PATH_MAX, &size);
        else if (S_ISBLK(mode) || S_ISCHR(mode))
                pass_varints(u, 2);
        for (uint64_t left = unpack_varint(u, XATTRS_MAX); left > 0; left--) {
                (void)unpack_bytes(u, XATTR_NAME_MAX, &size);
                (void)unpack_bytes(u, XATTR_SIZE_MAX, &size);
        }
}

/* ---- limits ---- */

enum {
        LIMITS_ASSUMED,
        LIMITS_PRIVILEGED,
        LIMITS_ACCEPTED,
        LIMITS_OWNER,
        LIMITS_MODE,
        LIMITS_ACL,
        LIMITS_XATTR_USER,
        LIMITS_XATTR_SYSTEM,
        LIMITS_XATTR_PROPERTY,
        LIMITS_DEVICES
};

static uint64_t limits_bits(const struct limits *l)
{
        return (uint64_t)l->assumed << LIMITS_ASSUMED | (uint64_t)l->privileged << LIMITS_PRIVILEGED |
               (uint64_t)l->accepted << LIMITS_ACCEPTED | (uint64_t)l->owner << LIMITS_OWNER |
               (uint64_t)l->mode << LIMITS_MODE | (uint64_t)l->acl << LIMITS_ACL |
               (uint64_t)l->xattr_user << LIMITS_XATTR_USER | (uint64_t)l->xattr_system << LIMITS_XATTR_SYSTEM |
               (uint64_t)l->xattr_property << LIMITS_XATTR_PROPERTY | (uint64_t)l->devices << LIMITS_DEVICES;
}

int message_put_limits(struct buf *b, const struct limits *l)
{
        int r = pack_varint(b, limits_bits(l));

        r = r < 0 ? r : pack_signed(b, l->time_min);
        r = r < 0 ? r : pack_signed(b, l->time_max);
        r = r < 0 ? r : pack_varint(b, l->granularity_ns);
        r = r < 0 ? r : pack_varint(b, l->file_mode);
        r = r < 0 ? r : pack_varint(b, l->dir_mode);
        r = r < 0 ? r : pack_varint(b, l->uid);
        r = r < 0 ? r : pack_varint(b, l->gid);
        r = r < 0 ? r : pack_varint(b, l->group_count);
        for (size_t i = 0; i < l->group_count && r == 0; i++)
                r = pack_varint(b, l->groups[i]);
        return r;
}

void message_get_limits(struct unpack *u, struct limits *ret)
{
        enum { GRANULARITY_MAX_NS = 2000000000 };
        uint64_t bits = unpack_varint(u, UINT32_MAX);

        *ret = (struct limits){
                .assumed = bits >> LIMITS_ASSUMED & 1,
                .privileged = bits >> LIMITS_PRIVILEGED & 1,
                .accepted = bits >> LIMITS_ACCEPTED & 1,
                .owner = bits >> LIMITS_OWNER & 1,
                .mode = bits >> LIMITS_MODE & 1,
                .acl = bits >> LIMITS_ACL & 1,
                .xattr_user = bits >> LIMITS_XATTR_USER & 1,
                .xattr_system = bits >> LIMITS_XATTR_SYSTEM & 1,
                .xattr_property = bits >> LIMITS_XATTR_PROPERTY & 1,
                .devices = bits >> LIMITS_DEVICES & 1,
        };
        ret->time_min = unpack_signed(u);
        ret->time_max = unpack_signed(u);
        ret->granularity_ns = (uint32_t)unpack_varint(u, GRANULARITY_MAX_NS);
        ret->file_mode = (mode_t)unpack_varint(u, 07777);
        ret->dir_mode = (mode_t)unpack_varint(u, 07777);
        ret->uid = (uid_t)unpack_varint(u, UINT32_MAX);
        ret->gid = (gid_t)unpack_varint(u, UINT32_MAX);
        ret->group_count = (size_t)unpack_varint(u, ARRAY_SIZE(ret->groups));
        for (size_t i = 0; i < ret->group_count; i++)
                ret->groups[i] = (gid_t)unpack_varint(u, UINT32_MAX);
        if (ret->granularity_ns == 0 || ret->time_min > ret->time_max)
                u->broken = true;
}

/* ---- digests ---- */

struct message_digest {
        XXH3_state_t *state;
        struct buf entry;
};

struct message_digest *message_digest_new(void)
{
        struct message_digest *d = calloc(1, sizeof(*d));

        if (!d)
                return NULL;
        d->state = XXH3_createState();
        return d->state ? d : message_digest_free(d);
}

struct message_digest *message_digest_free(struct message_digest *d)
{
        if (!d)
                return NULL;
        XXH3_freeState(d->state);
        buf_deinit(&d->entry);
        free(d);
        return NULL;
}

void message_digest_begin(struct message_digest *d)
{
        XXH3_128bits_reset(d->state);
}

int message_digest_add(struct message_digest *d, const struct entry *e)
{
        int r;

        buf_truncate(&d->entry, 0);
        r = pack_text(&d->entry, e->name);
        if (r == 0)
                r = entry_is_dir(e) ? pack_varint(&d->entry, S_IFDIR) : put_metadata(&d->entry, e);
        if (r == 0)
                XXH3_128bits_update(d->state, d->entry.data, d->entry.size);
        return r;
}

int message_digest_add_directory(struct message_digest *d, unsigned depth, const struct entry *e,
                                 const uint8_t digest[MESSAGE_DIGEST_SIZE])
{
        int r;

        buf_truncate(&d->entry, 0);
        r = pack_varint(&d->entry, depth);
        r = r < 0 ? r : pack_text(&d->entry, e->name);
        r = r < 0 ? r : put_metadata(&d->entry, e);
        r = r < 0 ? r : buf_append(&d->entry, digest, MESSAGE_DIGEST_SIZE);
        if (r == 0)
                XXH3_128bits_update(d->state, d->entry.data, d->entry.size);
        return r;
}

void message_digest_end(struct message_digest *d, uint8_t ret[MESSAGE_DIGEST_SIZE])
{
        XXH128_canonical_t canonical;

        XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(d->state));
        memcpy(ret, canonical.digest, MESSAGE_DIGEST_SIZE);
}
