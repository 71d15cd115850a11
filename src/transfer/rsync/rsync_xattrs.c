/* They are sorted already, as bytes (base/entry.h), which is the order that the numbers go by. */
#include "transfer/rsync/rsync_xattrs.h"

#include "base/buf.h"
#include "base/entry.h"
#include "transfer/rsync/rsync_digest.h"
#include "transfer/rsync/rsync_number.h"

static bool is_told(const struct xattr *x)
{
        return !xattr_is_acl(x->name) && !str_starts(x->name, "user.rsync.%");
}

static int put_value(struct buf *out, const struct xattr *x)
{
        uint8_t digest[16];

        if (x->size <= RSYNC_XATTR_SHORT)
                return buf_append(out, x->value, x->size);
        rsync_digest_value(x->value, x->size, digest);
        return buf_append(out, digest, sizeof(digest));
}

static int put_xattr(struct buf *out, const struct xattr *x)
{
        size_t name_size = strlen(x->name) + 1; /* its NUL goes with it */
        int r = rsync_put_varint(out, (uint32_t)name_size);

        r = r < 0 ? r : rsync_put_varint(out, (uint32_t)x->size);
        r = r < 0 ? r : buf_append(out, x->name, name_size);
        return r < 0 ? r : put_value(out, x);
}

int rsync_xattrs_put(struct buf *out, const struct xattrs *set)
{
        uint32_t count = 0;
        int r;

        for (size_t i = 0; i < set->count; i++) {
                if (set->items[i].size > INT32_MAX)
                        return -EOVERFLOW;
                count += is_told(&set->items[i]);
        }
        r = rsync_put_varint(out, count);
        for (size_t i = 0; i < set->count && r == 0; i++)
                r = is_told(&set->items[i]) ? put_xattr(out, &set->items[i]) : 0;
        return r;
}

const struct xattr *rsync_xattrs_find(const struct xattrs *set, uint32_t number)
{
        for (size_t i = 0; i < set->count; i++) {
                if (is_told(&set->items[i]) && --number == 0)
                        return &set->items[i];
        }
        return NULL;
}

uint16_t rsync_xattrs_names(const struct xattrs *set)
{
        uint64_t h = 0;

        for (size_t i = 0; i < set->count; i++) {
                const char *name = set->items[i].name;

                for (size_t size = strlen(name) + 1; is_told(&set->items[i]) && size > 0; size--)
                        h = (h + (unsigned char)*name++ + 1) * 0x9e3779b97f4a7c15ULL;
        }
        return h == 0 ? 0 : (uint16_t)(h >> 48 | 1);
}
