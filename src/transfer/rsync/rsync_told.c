/*
 * A hash table by SHA-256 of the literals: of whatever size they are, what is kept of them has the same, and whoever
 * may set attributes in the source can neither make two of them one, nor long chains.
 */
#include "transfer/rsync/rsync_told.h"

#include "base/buf.h"
#include "transfer/rsync/rsync_number.h"

#include <nettle/sha2.h>

struct literal {
        struct chains_item item;
        uint32_t number; /* from 1, as it is told */
        uint8_t digest[SHA256_DIGEST_SIZE];
};

static uint64_t literal_hash(const void *item)
{
        uint64_t hash;

        memcpy(&hash, ((const struct literal *)item)->digest, sizeof(hash));
        return hash;
}

void rsync_told_init(struct rsync_told *t)
{
        *t = (struct rsync_told){ .literals = { .item_size = sizeof(struct literal), .hash = literal_hash } };
}

void rsync_told_deinit(struct rsync_told *t)
{
        chains_deinit(&t->literals);
        rsync_told_init(t);
}

static void digest(struct literal *l, const void *data, size_t size)
{
        struct sha256_ctx sha;

        sha256_init(&sha);
        sha256_update(&sha, size, data);
        sha256_digest(&sha, sizeof(l->digest), l->digest);
}

static const struct literal *find(const struct rsync_told *t, const struct literal *wanted)
{
        const struct literal *l = chains_first(&t->literals, literal_hash(wanted));

        while (l && memcmp(l->digest, wanted->digest, sizeof(l->digest)) != 0)
                l = chains_next(&t->literals, l);
        return l;
}

static void set_last(struct rsync_told *t, uint32_t number, const void *data, size_t size)
{
        t->last = size <= sizeof(t->last_data) ? number : 0;
        if (t->last == 0)
                return;
        memcpy(t->last_data, data, size);
        t->last_size = size;
}

static bool is_last(const struct rsync_told *t, const void *data, size_t size)
{
        return t->last > 0 && t->last_size == size && memcmp(t->last_data, data, size) == 0;
}

static int tell(struct rsync_told *t, struct buf *out, struct literal *l, const void *data, size_t size)
{
        int r;

        if (t->count == INT32_MAX)
                return -EOVERFLOW;
        r = rsync_put_varint(out, 0);
        r = r < 0 ? r : buf_append(out, data, size);
        if (r < 0)
                return r;
        l->number = ++t->count;
        return t->literals.count == RSYNC_TOLD_MAX || chains_add(&t->literals, l) ? 0 : -ENOMEM;
}

int rsync_told_put(struct rsync_told *t, struct buf *out, const void *data, size_t size)
{
        struct literal wanted = { .number = 0 };
        const struct literal *known;
        int r;

        if (is_last(t, data, size))
                return rsync_put_varint(out, t->last);
        digest(&wanted, data, size);
        known = find(t, &wanted);
        if (known)
                wanted.number = known->number;
        r = known ? rsync_put_varint(out, wanted.number) : tell(t, out, &wanted, data, size);
        if (r == 0)
                set_last(t, wanted.number, data, size);
        return r;
}
