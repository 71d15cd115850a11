/*
 * Headers on image files, and whether keys fit them; no mapping is made, which needs device-mapper and is for the
 * guest. The key derivation is as cheap as the library lets it be.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/secret.h"
#include "scratch.h"
#include "storage/crypttab.h"
#include "storage/cryptvolume.h"

#include <errno.h>
#include <libcryptsetup.h>

static const char right[] = "right", other[] = "other one";

static void silent(int level, const char *message, void *unused)
{
        (void)level;
        (void)message;
        (void)unused;
}

static const char *image_path(const char *name)
{
        static char path[300];

        snprintf(path, sizeof(path), "%s/%s", scratch_path, name);
        return path;
}

/* `right` opens key slot 0, `other` key slot 3. */
static const char *make_luks(const char *name, const char *type, const char *pbkdf_type)
{
        const struct crypt_pbkdf_type pbkdf = {
                .type = pbkdf_type,
                .hash = "sha256",
                .iterations = str_equal(pbkdf_type, "argon2id") ? 4 : 1000,
                .max_memory_kb = str_equal(pbkdf_type, "argon2id") ? 64 : 0,
                .parallel_threads = str_equal(pbkdf_type, "argon2id") ? 1 : 0,
                .flags = CRYPT_PBKDF_NO_BENCHMARK,
        };
        struct crypt_device *device = NULL;
        const char *path = image_path(name);

        scratch_file(AT_FDCWD, path, "", 0);
        ck_assert_int_eq(truncate(path, 20L << 20), 0);
        crypt_set_log_callback(NULL, silent, NULL);
        ck_assert_int_eq(crypt_init(&device, path), 0);
        ck_assert_int_eq(crypt_set_pbkdf_type(device, &pbkdf), 0);
        ck_assert_int_eq(crypt_format(device, type, "aes", "xts-plain64", NULL, NULL, 64, NULL), 0);
        ck_assert_int_eq(crypt_keyslot_add_by_volume_key(device, 0, NULL, 0, right, strlen(right)), 0);
        ck_assert_int_eq(crypt_keyslot_add_by_volume_key(device, 3, NULL, 0, other, strlen(other)), 3);
        crypt_free(device);
        return path;
}

static int try(struct cryptvolume *v, const char *text, bool is_file)
{
        _cleanup_(secret_deinit) struct secret key = { .data = NULL };
        struct err err = { .kind = ERR_NONE };
        int r;

        ck_assert_int_eq(secret_init(&key, 64), 0);
        memcpy(key.data, text, strlen(text));
        key.size = strlen(text);
        r = cryptvolume_try(v, NULL, &key, is_file, &err);
        ck_assert_msg(r >= 0, "%s", err.text);
        return r;
}

static struct cryptvolume *open_volume(const struct crypttab_entry *entry, const char *device, const char *header)
{
        struct cryptvolume *v = NULL;
        struct err err = { .kind = ERR_NONE };
        int r = cryptvolume_open(&v, entry, device, header, &err);

        ck_assert_msg(r == 0, "%s", err.text);
        return v;
}

static void expect_refused(const struct crypttab_entry *entry, const char *device, const char *text)
{
        struct cryptvolume *v = NULL;
        struct err err = { .kind = ERR_NONE };

        ck_assert_int_lt(cryptvolume_open(&v, entry, device, NULL, &err), 0);
        ck_assert_int_eq(err.kind, ERR_RUN);
        ck_assert_msg(strstr(err.text, text) != NULL, "'%s' is not in: %s", text, err.text);
        ck_assert_ptr_null(v);
}

static const struct crypttab_entry luks = { .name = (char[]){ "x" }, .type = CRYPTTAB_LUKS, .key_slot = -1 };

START_TEST(keys_of_all_kinds_of_headers_fit_or_do_not)
{
        static const struct {
                const char *type, *pbkdf;
        } kinds[] = {
                { CRYPT_LUKS1, "pbkdf2" },
                { CRYPT_LUKS2, "pbkdf2" },
                { CRYPT_LUKS2, "argon2id" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                struct cryptvolume *v = open_volume(&luks, make_luks("luks", kinds[i].type, kinds[i].pbkdf), NULL);

                ck_assert_int_eq(try(v, "wrong", false), CRYPTVOLUME_WRONG);
                ck_assert_int_eq(try(v, "right\n", true), CRYPTVOLUME_WRONG);
                ck_assert_int_eq(try(v, "", false), CRYPTVOLUME_WRONG);
                ck_assert_int_eq(try(v, right, true), CRYPTVOLUME_FITS);
                ck_assert_int_eq(try(v, other, false), CRYPTVOLUME_FITS);
                cryptvolume_free(v);
        }
}
END_TEST

START_TEST(a_key_slot_that_is_named_is_the_only_one)
{
        struct crypttab_entry entry = luks;
        struct cryptvolume *v;

        entry.key_slot = 3;
        v = open_volume(&entry, make_luks("slots", CRYPT_LUKS2, "pbkdf2"), NULL);
        ck_assert_int_eq(try(v, right, false), CRYPTVOLUME_WRONG);
        ck_assert_int_eq(try(v, other, false), CRYPTVOLUME_FITS);
        cryptvolume_free(v);
}
END_TEST

START_TEST(a_key_slot_that_does_not_exist_is_an_error)
{
        _cleanup_(secret_deinit) struct secret key = { .data = NULL };
        struct crypttab_entry entry = luks;
        struct err err = { .kind = ERR_NONE };
        struct cryptvolume *v;

        entry.key_slot = 5;
        v = open_volume(&entry, make_luks("slots", CRYPT_LUKS2, "pbkdf2"), NULL);
        ck_assert_int_eq(secret_init(&key, 16), 0);
        ck_assert_int_lt(cryptvolume_try(v, NULL, &key, false, &err), 0);
        ck_assert_msg(strstr(err.hint, "key-slot") != NULL, "%s (%s)", err.text, err.hint);
        cryptvolume_free(v);
}
END_TEST

START_TEST(a_detached_header_is_used)
{
        char data[300];
        struct cryptvolume *v;

        snprintf(data, sizeof(data), "%s", image_path("data"));
        scratch_file(AT_FDCWD, data, "", 0);
        ck_assert_int_eq(truncate(data, 1 << 20), 0);
        v = open_volume(&luks, data, make_luks("header", CRYPT_LUKS2, "pbkdf2"));
        ck_assert_int_eq(try(v, "wrong", false), CRYPTVOLUME_WRONG);
        ck_assert_int_eq(try(v, right, false), CRYPTVOLUME_FITS);
        cryptvolume_free(v);
}
END_TEST

START_TEST(what_is_not_luks_is_told)
{
        const char *path = image_path("zeros");

        scratch_file(AT_FDCWD, path, "", 0);
        expect_refused(&luks, path, "zeros'");
        ck_assert_int_eq(truncate(path, 20L << 20), 0);
        expect_refused(&luks, path, "cannot read the LUKS header of '");
        expect_refused(&luks, image_path("nothing"), "nothing'");
        expect_refused(&luks, "/dev/null", "/dev/null'");
}
END_TEST

/* Overwrite @size bytes at @offset. */
static void patch(const char *path, off_t offset, const void *data, size_t size)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(pwrite(fd, data, size, offset), (ssize_t)size);
        fd_close(fd);
}

START_TEST(a_header_that_asks_for_endless_work_is_refused)
{
        /* The iterations of the digest and of the first key slot. */
        static const off_t work[] = { 164, 212 };
        const unsigned char endless[] = { 0xff, 0xff, 0xff, 0xff };

        for (size_t i = 0; i < ARRAY_SIZE(work); i++) {
                const char *path = make_luks("endless", CRYPT_LUKS1, "pbkdf2");

                patch(path, work[i], endless, sizeof(endless));
                expect_refused(&luks, path, "more work than is believable");
        }
}
END_TEST

START_TEST(a_missing_token_is_an_error_to_go_on_from)
{
        struct cryptvolume *v = open_volume(&luks, make_luks("tokens", CRYPT_LUKS2, "pbkdf2"), NULL);
        struct err err = { .kind = ERR_NONE };

        ck_assert_int_lt(cryptvolume_try_token(v, NULL, "systemd-tpm2", NULL, &err), 0);
        ck_assert_int_eq(err.kind, ERR_RUN);
        err_clear(&err);
        ck_assert_int_eq(try(v, right, false), CRYPTVOLUME_FITS);
        cryptvolume_free(v);
}
END_TEST

/* A token's plugin, as one would come with systemd: it answers with what stands here. */
static int token_answer;

static int open_token(struct crypt_device *device, int token, char **buffer, size_t *size, void *unused)
{
        (void)device;
        (void)token;
        (void)unused;
        if (token_answer < 0)
                return token_answer;
        *buffer = strdup(right);
        *size = strlen(right);
        return 0;
}

static void free_token_buffer(void *buffer, size_t size)
{
        explicit_bzero(buffer, size);
        free(buffer);
}

static int try_token(struct cryptvolume *v, int answer, struct err *err)
{
        token_answer = answer;
        return cryptvolume_try_token(v, NULL, "test-token", NULL, err);
}

START_TEST(a_token_opens_or_wants_its_pin_or_is_away)
{
        const crypt_token_handler handler = { .name = "test-token",
                                              .open = open_token,
                                              .buffer_free = free_token_buffer };
        const char *path = make_luks("tokens", CRYPT_LUKS2, "pbkdf2");
        struct crypt_device *device = NULL;
        struct err err = { .kind = ERR_NONE };
        struct cryptvolume *v;

        ck_assert_int_eq(crypt_token_register(&handler), 0);
        ck_assert_int_eq(crypt_init(&device, path), 0);
        ck_assert_int_eq(crypt_load(device, CRYPT_LUKS2, NULL), 0);
        ck_assert_int_ge(
                crypt_token_json_set(device, CRYPT_ANY_TOKEN, "{\"type\":\"test-token\",\"keyslots\":[\"0\"]}"), 0);
        crypt_free(device);
        v = open_volume(&luks, path, NULL);
        ck_assert_int_eq(try_token(v, -ENOANO, &err), CRYPTVOLUME_NEEDS_PIN);
        ck_assert_int_eq(try_token(v, -EAGAIN, &err), CRYPTVOLUME_ABSENT);
        ck_assert_int_eq(err.kind, ERR_NONE);
        ck_assert_int_lt(try_token(v, -EINVAL, &err), 0);
        ck_assert_int_eq(err.kind, ERR_RUN);
        err_clear(&err);
        ck_assert_int_eq(try_token(v, 0, &err), CRYPTVOLUME_FITS);
        cryptvolume_free(v);
}
END_TEST

START_TEST(the_key_of_a_plain_disk_has_a_fixed_size)
{
        struct crypttab_entry entry = { .type = CRYPTTAB_PLAIN };

        ck_assert_uint_eq(cryptvolume_key_size(&entry), 32);
        entry.key_bits = 512;
        ck_assert_uint_eq(cryptvolume_key_size(&entry), 64);
        ck_assert_uint_eq(cryptvolume_key_size(&luks), 0);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                keys_of_all_kinds_of_headers_fit_or_do_not,
                a_key_slot_that_is_named_is_the_only_one,
                a_key_slot_that_does_not_exist_is_an_error,
                a_detached_header_is_used,
                what_is_not_luks_is_told,
                a_header_that_asks_for_endless_work_is_refused,
                a_missing_token_is_an_error_to_go_on_from,
                a_token_opens_or_wants_its_pin_or_is_away,
                the_key_of_a_plain_disk_has_a_fixed_size,
        };

        return scratch_run("cryptvolume", tests, ARRAY_SIZE(tests));
}
