/*
 * Sums of xxHash go out with their least significant byte first, also where the library's canonical form has it the
 * other way round.
 */
#include "transfer/rsync/rsync_digest.h"

#include "base/secret.h"

#include <assert.h>
#include <nettle/base64.h>
#include <nettle/md4.h>
#include <nettle/md5.h>
#include <nettle/nettle-meta.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <xxhash.h>

static const struct {
        const char *name;
        size_t size;
} checksums[RSYNC_CHECKSUMS] = {
        [RSYNC_MD5] = { "md5", MD5_DIGEST_SIZE },
        [RSYNC_XXH64] = { "xxh64", 8 },
        [RSYNC_XXH3] = { "xxh3", 8 },
        [RSYNC_XXH128] = { "xxh128", 16 },
};

const char *rsync_checksum_name(enum rsync_checksum c)
{
        assert(c < RSYNC_CHECKSUMS);
        return checksums[c].name;
}

size_t rsync_checksum_size(enum rsync_checksum c)
{
        assert(c < RSYNC_CHECKSUMS);
        return checksums[c].size;
}

static void store(uint8_t *to, uint64_t n)
{
        for (unsigned i = 0; i < sizeof(n); i++)
                to[i] = (uint8_t)(n >> (8 * i));
}

static void store_128(uint8_t *to, XXH128_hash_t n)
{
        store(to, n.low64);
        store(to + 8, n.high64);
}

/* ---- of blocks ---- */

/* A seed of 0 is left out. */
static void md5_block(int32_t seed, bool seed_first, const void *data, size_t size, uint8_t *ret)
{
        uint8_t bytes[8];
        size_t seed_size = seed != 0 ? 4 : 0;
        struct md5_ctx md5;

        store(bytes, (uint32_t)seed);
        md5_init(&md5);
        if (seed_first)
                md5_update(&md5, seed_size, bytes);
        md5_update(&md5, size, data);
        if (!seed_first)
                md5_update(&md5, seed_size, bytes);
        md5_digest(&md5, MD5_DIGEST_SIZE, ret);
}

void rsync_digest_block(enum rsync_checksum c, int32_t seed, bool seed_first, const void *data, size_t size,
                        uint8_t ret[RSYNC_DIGEST_MAX])
{
        uint64_t wide = (uint64_t)(int64_t)seed; /* with its sign */

        switch (c) {
        case RSYNC_XXH64:
                store(ret, XXH64(data, size, wide));
                break;
        case RSYNC_XXH3:
                store(ret, XXH3_64bits_withSeed(data, size, wide));
                break;
        case RSYNC_XXH128:
                store_128(ret, XXH3_128bits_withSeed(data, size, wide));
                break;
        case RSYNC_MD5:
        case RSYNC_CHECKSUMS:
                md5_block(seed, seed_first, data, size, ret);
                break;
        }
}

void rsync_digest_value(const void *data, size_t size, uint8_t ret[16])
{
        md5_block(0, false, data, size, ret);
}

/* ---- of files ---- */

struct rsync_digest {
        enum rsync_checksum kind;
        XXH3_state_t
                *xxh3; /* of both its sizes; one for the whole life, since it must be aligned in a way of its own */
        XXH64_state_t *xxh64;
        struct md5_ctx md5;
};

struct rsync_digest *rsync_digest_new(enum rsync_checksum c)
{
        _cleanup_(rsync_digest_freep) struct rsync_digest *d = calloc(1, sizeof(*d));

        assert(c < RSYNC_CHECKSUMS);
        if (!d)
                return NULL;
        d->kind = c;
        if (c == RSYNC_XXH64)
                d->xxh64 = XXH64_createState();
        else if (c != RSYNC_MD5)
                d->xxh3 = XXH3_createState();
        if (c != RSYNC_MD5 && !d->xxh64 && !d->xxh3)
                return NULL;
        rsync_digest_begin(d);
        return TAKE(d);
}

struct rsync_digest *rsync_digest_free(struct rsync_digest *d)
{
        if (d) {
                XXH3_freeState(d->xxh3);
                XXH64_freeState(d->xxh64);
        }
        free(d);
        return NULL;
}

void rsync_digest_begin(struct rsync_digest *d)
{
        switch (d->kind) {
        case RSYNC_XXH64:
                XXH64_reset(d->xxh64, 0);
                break;
        case RSYNC_XXH3:
                XXH3_64bits_reset(d->xxh3);
                break;
        case RSYNC_XXH128:
                XXH3_128bits_reset(d->xxh3);
                break;
        case RSYNC_MD5:
        case RSYNC_CHECKSUMS:
                md5_init(&d->md5);
                break;
        }
}

void rsync_digest_add(struct rsync_digest *d, const void *data, size_t size)
{
        switch (d->kind) {
        case RSYNC_XXH64:
                XXH64_update(d->xxh64, data, size);
                break;
        case RSYNC_XXH3:
                XXH3_64bits_update(d->xxh3, data, size);
                break;
        case RSYNC_XXH128:
                XXH3_128bits_update(d->xxh3, data, size);
                break;
        case RSYNC_MD5:
        case RSYNC_CHECKSUMS:
                md5_update(&d->md5, size, data);
                break;
        }
}

void rsync_digest_end(struct rsync_digest *d, uint8_t ret[RSYNC_DIGEST_MAX])
{
        switch (d->kind) {
        case RSYNC_XXH64:
                store(ret, XXH64_digest(d->xxh64));
                break;
        case RSYNC_XXH3:
                store(ret, XXH3_64bits_digest(d->xxh3));
                break;
        case RSYNC_XXH128:
                store_128(ret, XXH3_128bits_digest(d->xxh3));
                break;
        case RSYNC_MD5:
        case RSYNC_CHECKSUMS:
                md5_digest(&d->md5, MD5_DIGEST_SIZE, ret);
                break;
        }
}

/* ---- of passwords ---- */

static const struct {
        const char *name;
        const struct nettle_hash *hash;
} auths[RSYNC_AUTHS] = {
        [RSYNC_AUTH_SHA512] = { "sha512", &nettle_sha512 }, [RSYNC_AUTH_SHA256] = { "sha256", &nettle_sha256 },
        [RSYNC_AUTH_SHA1] = { "sha1", &nettle_sha1 },       [RSYNC_AUTH_MD5] = { "md5", &nettle_md5 },
        [RSYNC_AUTH_MD4] = { "md4", &nettle_md4 },
};

const char *rsync_auth_name(enum rsync_auth a)
{
        assert(a < RSYNC_AUTHS);
        return auths[a].name;
}

/* The last group of base64 is filled up by '=', which nobody sends here. */
static void encode(const uint8_t *digest, size_t size, char ret[RSYNC_ANSWER_MAX])
{
        size_t length = BASE64_ENCODE_RAW_LENGTH(size);

        assert(length < RSYNC_ANSWER_MAX);
        base64_encode_raw(ret, size, digest);
        while (length > 0 && ret[length - 1] == '=')
                length--;
        ret[length] = '\0';
}

void rsync_auth_answer(enum rsync_auth a, const struct secret *password, const char *challenge,
                       char ret[RSYNC_ANSWER_MAX])
{
        const struct nettle_hash *hash = auths[a].hash;
        union {
                struct sha512_ctx sha512;
                struct sha256_ctx sha256;
                struct sha1_ctx sha1;
                struct md5_ctx md5;
                struct md4_ctx md4;
        } context;
        uint8_t digest[SHA512_DIGEST_SIZE];

        assert(hash->context_size <= sizeof(context));
        hash->init(&context);
        hash->update(&context, password->size, (const uint8_t *)password->data);
        hash->update(&context, strlen(challenge), (const uint8_t *)challenge);
        hash->digest(&context, hash->digest_size, digest);
        encode(digest, hash->digest_size, ret);
        explicit_bzero(&context, sizeof(context));
        explicit_bzero(digest, sizeof(digest));
}
