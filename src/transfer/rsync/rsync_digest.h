/*
 * The digests that rsync knows: of passwords, of blocks and of whole files (docs/rsync-protocol.md, sections 3 and 7).
 * XXH64, XXH3: libxxhash; the others: nettle.
 */
#pragma once

#include "base/util.h"

struct buf;
struct secret;

/* ---- of blocks and files ---- */

enum rsync_checksum { RSYNC_MD5, RSYNC_XXH64, RSYNC_XXH3, RSYNC_XXH128, RSYNC_CHECKSUMS };

enum { RSYNC_DIGEST_MAX = 16 };

/* As it is negotiated: "xxh128". */
const char *rsync_checksum_name(enum rsync_checksum c);
size_t rsync_checksum_size(enum rsync_checksum c);

/* Of a block, with the seed of the session. @seed_first: of RSYNC_COMPAT_SEED_FIRST. */
void rsync_digest_block(enum rsync_checksum c, int32_t seed, bool seed_first, const void *data, size_t size,
                        uint8_t ret[RSYNC_DIGEST_MAX]);

/* Of a file, piece by piece, never with a seed. */
struct rsync_digest;

struct rsync_digest *rsync_digest_new(enum rsync_checksum c); /* NULL when memory is short */
struct rsync_digest *rsync_digest_free(struct rsync_digest *d);
DEFINE_FREEP(struct rsync_digest, rsync_digest_free)

void rsync_digest_begin(struct rsync_digest *d);
void rsync_digest_add(struct rsync_digest *d, const void *data, size_t size);
void rsync_digest_end(struct rsync_digest *d, uint8_t ret[RSYNC_DIGEST_MAX]);

/* Of the value of an extended attribute: always MD5. */
void rsync_digest_value(const void *data, size_t size, uint8_t ret[16]);

/* ---- of passwords ---- */

enum rsync_auth { RSYNC_AUTH_SHA512, RSYNC_AUTH_SHA256, RSYNC_AUTH_SHA1, RSYNC_AUTH_MD5, RSYNC_AUTH_MD4, RSYNC_AUTHS };

/* As it is negotiated: "sha512". In the order of the enum, which is that of preference. */
const char *rsync_auth_name(enum rsync_auth a);

enum { RSYNC_ANSWER_MAX = 96 };

/*
 * The answer to @challenge: the digest of password and challenge in base64 without padding. What was computed with is
 * wiped.
 */
void rsync_auth_answer(enum rsync_auth a, const struct secret *password, const char *challenge,
                       char ret[RSYNC_ANSWER_MAX]);
