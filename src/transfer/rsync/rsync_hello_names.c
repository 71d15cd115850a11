/*
 * Both ends choose by themselves and must come to the same: rsync up to 3.4 takes the first name of the client's list
 * that the server has, 3.5 the first of the server's that the client has. So the order of what we offer is that of
 * rsync's own lists, whatever is left out of it; then both rules agree, and ours is either of them.
 */
#include "transfer/rsync/rsync_hello_parts.h"

/* Names of one kind, the best first; values are those of its enum, and bits of the mask of what is permitted. */
struct kind {
        const char *(*name)(unsigned value);
        size_t count;
        unsigned char values[8];
};

static const char *auth_name(unsigned value)
{
        return rsync_auth_name((enum rsync_auth)value);
}

static const char *checksum_name(unsigned value)
{
        return rsync_checksum_name((enum rsync_checksum)value);
}

static const char *compression_name(unsigned value)
{
        return rsync_compression_name((enum rsync_compression)value);
}

static const struct kind kinds[] = {
        [RSYNC_HELLO_AUTHS] = {
                .name = auth_name,
                .count = 5,
                .values = { RSYNC_AUTH_SHA512, RSYNC_AUTH_SHA256, RSYNC_AUTH_SHA1, RSYNC_AUTH_MD5, RSYNC_AUTH_MD4 },
        },
        [RSYNC_HELLO_CHECKSUMS] = {
                .name = checksum_name,
                .count = 4,
                .values = { RSYNC_XXH128, RSYNC_XXH3, RSYNC_XXH64, RSYNC_MD5 },
        },
        [RSYNC_HELLO_COMPRESSIONS] = {
                .name = compression_name,
                .count = 4,
                .values = { RSYNC_COMPRESSION_ZSTD, RSYNC_COMPRESSION_LZ4, RSYNC_COMPRESSION_ZLIBX,
                            RSYNC_COMPRESSION_ZLIB },
        },
};

static bool is_permitted(const struct rsync_hello *h, enum rsync_hello_kind kind, unsigned value)
{
        const unsigned masks[] = {
                [RSYNC_HELLO_AUTHS] = h->config.auths,
                [RSYNC_HELLO_CHECKSUMS] = h->config.checksums,
                [RSYNC_HELLO_COMPRESSIONS] = h->config.compressions,
        };

        return masks[kind] == 0 || (masks[kind] & 1u << value) != 0;
}

int rsync_hello_put_names(const struct rsync_hello *h, enum rsync_hello_kind kind, struct buf *out)
{
        const struct kind *k = &kinds[kind];
        const char *blank = "";
        int r = 0;

        for (size_t i = 0; i < k->count && r == 0; i++) {
                if (!is_permitted(h, kind, k->values[i]))
                        continue;
                r = buf_printf(out, "%s%s", blank, k->name(k->values[i]));
                blank = " ";
        }
        return r;
}

static bool has_name(const char *list, size_t size, const char *name)
{
        const char *at = list, *end = list + size, *blank;
        size_t length = strlen(name), word;

        while (at < end) {
                blank = memchr(at, ' ', (size_t)(end - at));
                word = (size_t)((blank ? blank : end) - at);
                if (word == length && memcmp(at, name, length) == 0)
                        return true;
                at += word + 1;
        }
        return false;
}

int rsync_hello_choose(const struct rsync_hello *h, enum rsync_hello_kind kind, const char *list, size_t size)
{
        const struct kind *k = &kinds[kind];

        for (size_t i = 0; i < k->count; i++) {
                if (is_permitted(h, kind, k->values[i]) && has_name(list, size, k->name(k->values[i])))
                        return k->values[i];
        }
        return -1;
}
