/*
 * Both ends choose by themselves and must come to the same: rsync up to 3.4 takes the first name of the client's list
 * that the server has, 3.5 the first of the server's that the client has. So the order of what we offer is that of
 * rsync's own lists, whatever is left out of it; then both rules agree, and ours is either of them.
 */
#include "transfer/rsync/rsync_hello_parts.h"

/* Names of one kind, the best first; @value is the bit of a mask. */
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

static const struct kind auths = {
        .name = auth_name,
        .count = 5,
        .values = { RSYNC_AUTH_SHA512, RSYNC_AUTH_SHA256, RSYNC_AUTH_SHA1, RSYNC_AUTH_MD5, RSYNC_AUTH_MD4 },
};

static const struct kind checksums = {
        .name = checksum_name,
        .count = 4,
        .values = { RSYNC_XXH128, RSYNC_XXH3, RSYNC_XXH64, RSYNC_MD5 },
};

static const struct kind compressions = {
        .name = compression_name,
        .count = 4,
        .values = { RSYNC_COMPRESSION_ZSTD, RSYNC_COMPRESSION_LZ4, RSYNC_COMPRESSION_ZLIBX, RSYNC_COMPRESSION_ZLIB },
};

static bool is_offered(unsigned mask, unsigned value)
{
        return mask == 0 || (mask & 1u << value) != 0;
}

static int put(struct buf *out, const struct kind *kind, unsigned mask)
{
        const char *blank = "";
        int r = 0;

        for (size_t i = 0; i < kind->count && r == 0; i++) {
                if (!is_offered(mask, kind->values[i]))
                        continue;
                r = buf_printf(out, "%s%s", blank, kind->name(kind->values[i]));
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

static int choose(const struct kind *kind, unsigned mask, const char *list, size_t size)
{
        for (size_t i = 0; i < kind->count; i++) {
                unsigned value = kind->values[i];

                if (is_offered(mask, value) && has_name(list, size, kind->name(value)))
                        return (int)value;
        }
        return -1;
}

int rsync_hello_put_auths(struct buf *out, unsigned mask)
{
        return put(out, &auths, mask);
}

int rsync_hello_put_checksums(struct buf *out, unsigned mask)
{
        return put(out, &checksums, mask);
}

int rsync_hello_put_compressions(struct buf *out, unsigned mask)
{
        return put(out, &compressions, mask);
}

int rsync_hello_choose_auth(unsigned mask, const char *list, size_t size)
{
        return choose(&auths, mask, list, size);
}

int rsync_hello_choose_checksum(unsigned mask, const char *list, size_t size)
{
        return choose(&checksums, mask, list, size);
}

int rsync_hello_choose_compression(unsigned mask, const char *list, size_t size)
{
        return choose(&compressions, mask, list, size);
}
