/* Digests as a real server and a real client computed them, and what their definitions give as examples. */
#include "base/secret.h"
#include "scratch.h"
#include "transfer/rsync/rsync_digest.h"

#include <xxhash.h>

static uint8_t pattern[1402];

/* The file of the recorded conversation: byte i is 7 i mod 251, and the new one has XY in its middle. */
static void fill_pattern(bool has_middle)
{
        size_t at = 0;

        for (size_t i = 0; i < 1400; i++) {
                if (has_middle && i == 700) {
                        pattern[at++] = 'X';
                        pattern[at++] = 'Y';
                }
                pattern[at++] = (uint8_t)(7 * i % 251);
        }
}

static void check_file(enum rsync_checksum c, const void *data, size_t size, const char *expected)
{
        uint8_t digest[RSYNC_DIGEST_MAX];
        struct rsync_digest *d = rsync_digest_new(c);

        ck_assert_ptr_nonnull(d);
        /* Twice, and the second time in pieces. */
        rsync_digest_add(d, data, size);
        rsync_digest_end(d, digest);
        ck_assert_mem_eq(digest, expected, rsync_checksum_size(c));
        rsync_digest_begin(d);
        for (size_t i = 0; i < size; i++)
                rsync_digest_add(d, (const char *)data + i, 1);
        memset(digest, 0, sizeof(digest));
        rsync_digest_end(d, digest);
        ck_assert_mem_eq(digest, expected, rsync_checksum_size(c));
        ck_assert_ptr_null(rsync_digest_free(d));
}

START_TEST(files_are_summed_as_recorded)
{
        check_file(RSYNC_MD5, "hello\n", 6, "\xb1\x94\x6a\xc9\x24\x92\xd2\x34\x7c\x62\x35\xb4\xd2\x61\x11\x84");
        fill_pattern(true);
        check_file(RSYNC_MD5, pattern, 1402, "\xdd\xcb\x1c\x63\xfa\x98\xb4\x74\x80\x04\xed\x78\x81\x74\x2b\x0b");
        check_file(RSYNC_XXH64, "", 0, "\x99\xe9\xd8\x51\x37\xdb\x46\xef");
        check_file(RSYNC_XXH3, "", 0, "\xc2\x94\xd3\x38\x05\x80\x06\x2d");
        check_file(RSYNC_XXH128, "", 0, "\x7f\x49\x8d\x46\x24\xc3\x01\x60\xd8\x98\x47\x01\xd3\x06\xaa\x99");
}
END_TEST

START_TEST(blocks_are_summed_as_recorded)
{
        uint8_t digest[RSYNC_DIGEST_MAX];

        fill_pattern(false);
        rsync_digest_block(RSYNC_MD5, 1, true, pattern, 700, digest);
        ck_assert_mem_eq(digest, "\xde\xc7", 2);
        rsync_digest_block(RSYNC_MD5, 1, true, pattern + 700, 700, digest);
        ck_assert_mem_eq(digest, "\x26\xa8", 2);
        /* MD5 of nothing: without a seed, wherever it would be. */
        rsync_digest_block(RSYNC_MD5, 0, true, NULL, 0, digest);
        ck_assert_mem_eq(digest, "\xd4\x1d\x8c\xd9\x8f\0\xb2\x04\xe9\x80\x09\x98\xec\xf8\x42\x7e", 16);
        rsync_digest_block(RSYNC_MD5, 0, false, NULL, 0, digest);
        ck_assert_mem_eq(digest, "\xd4\x1d\x8c\xd9\x8f\0\xb2\x04\xe9\x80\x09\x98\xec\xf8\x42\x7e", 16);
}
END_TEST

/* "abc" once with the seed before it, once with the seed behind it. */
START_TEST(the_seed_goes_where_it_should)
{
        const int32_t seed = 'a' | 'b' << 8 | 'c' << 16 | 'd' << 24;
        uint8_t expected[16], digest[RSYNC_DIGEST_MAX];

        rsync_digest_value("abcdef", 6, expected);
        rsync_digest_block(RSYNC_MD5, seed, true, "ef", 2, digest);
        ck_assert_mem_eq(digest, expected, 16);
        rsync_digest_value("efabcd", 6, expected);
        rsync_digest_block(RSYNC_MD5, seed, false, "ef", 2, digest);
        ck_assert_mem_eq(digest, expected, 16);
}
END_TEST

START_TEST(seeds_keep_their_sign)
{
        const uint64_t seed = 0xffffffffffffffb3; /* -77 */
        uint64_t expected = XXH64("data", 4, seed);
        XXH128_hash_t both = XXH3_128bits_withSeed("data", 4, seed);
        uint8_t digest[RSYNC_DIGEST_MAX];

        rsync_digest_block(RSYNC_XXH64, -77, true, "data", 4, digest);
        for (unsigned i = 0; i < 8; i++)
                ck_assert_uint_eq(digest[i], expected >> (8 * i) & 0xff);
        expected = XXH3_64bits_withSeed("data", 4, seed);
        rsync_digest_block(RSYNC_XXH3, -77, true, "data", 4, digest);
        for (unsigned i = 0; i < 8; i++)
                ck_assert_uint_eq(digest[i], expected >> (8 * i) & 0xff);
        rsync_digest_block(RSYNC_XXH128, -77, true, "data", 4, digest);
        for (unsigned i = 0; i < 8; i++) {
                ck_assert_uint_eq(digest[i], both.low64 >> (8 * i) & 0xff);
                ck_assert_uint_eq(digest[8 + i], both.high64 >> (8 * i) & 0xff);
        }
}
END_TEST

/* The examples of FIPS 180, RFC 1320 and 1321: all of them have "abc". */
START_TEST(passwords_are_answered_for)
{
        static const struct {
                const char *name, *answer;
        } expected[RSYNC_AUTHS] = {
                [RSYNC_AUTH_SHA512] = { "sha512",
                                        "3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q8"
                                        "6A4qmslPpUyknw" },
                [RSYNC_AUTH_SHA256] = { "sha256", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0" },
                [RSYNC_AUTH_SHA1] = { "sha1", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0" },
                [RSYNC_AUTH_MD5] = { "md5", "kAFQmDzST7DWlj99KOF/cg" },
                [RSYNC_AUTH_MD4] = { "md4", "pEgBeq8h2FJfwQroeqZynQ" },
        };
        struct secret password;

        ck_assert_int_eq(secret_init(&password, 10), 0);
        password.data[0] = 'a';
        password.size = 1;
        for (unsigned a = 0; a < RSYNC_AUTHS; a++) {
                char answer[RSYNC_ANSWER_MAX];

                ck_assert_str_eq(rsync_auth_name((enum rsync_auth)a), expected[a].name);
                rsync_auth_answer((enum rsync_auth)a, &password, "bc", answer);
                ck_assert_str_eq(answer, expected[a].answer);
        }
        secret_deinit(&password);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                files_are_summed_as_recorded, blocks_are_summed_as_recorded, the_seed_goes_where_it_should,
                seeds_keep_their_sign,        passwords_are_answered_for,
        };

        return scratch_run("rsync-digest", tests, ARRAY_SIZE(tests));
}
