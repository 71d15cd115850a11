/* Key files: which part of them is the key, and what is no key. Those on another device are tried in the guest. */
#include "base/err.h"
#include "base/fd.h"
#include "base/secret.h"
#include "scratch.h"
#include "storage/crypttab.h"
#include "storage/keyfile.h"

#include <errno.h>

static char path[300];
static struct crypttab_file file = { .path = path };

static void make_key(const char *text, size_t size)
{
        snprintf(path, sizeof(path), "%s/key", scratch_path);
        scratch_file(AT_FDCWD, path, text, size);
        ck_assert_int_eq(chmod(path, 0400), 0);
}

static void expect_key(uint64_t offset, uint64_t size, const char *wanted)
{
        struct keyfile_part part = { .offset = offset, .size = size };
        struct err err = { .kind = ERR_NONE };
        struct secret key = { .data = NULL };
        int r = keyfile_read(&key, &file, &part, 0, &err);

        ck_assert_msg(r == 0, "%s", err.text);
        ck_assert_uint_eq(key.size, strlen(wanted));
        ck_assert_mem_eq(key.data, wanted, strlen(wanted));
        secret_deinit(&key);
}

static void expect_failure(uint64_t offset, uint64_t size, int code, const char *text)
{
        struct keyfile_part part = { .offset = offset, .size = size };
        struct err err = { .kind = ERR_NONE };
        struct secret key = { .data = NULL };

        ck_assert_int_eq(keyfile_read(&key, &file, &part, 0, &err), code);
        ck_assert_int_eq(err.kind, ERR_RUN);
        ck_assert_msg(strstr(err.text, text) != NULL, "'%s' is not in: %s", text, err.text);
        ck_assert_ptr_null(key.data);
}

START_TEST(the_part_that_is_wanted_is_the_key)
{
        make_key("0123456789\n", 11);
        expect_key(0, 0, "0123456789\n");
        expect_key(3, 0, "3456789\n");
        expect_key(3, 4, "3456");
        expect_key(10, 1, "\n");
}
END_TEST

START_TEST(a_key_that_is_not_all_there_is_none)
{
        make_key("0123456789", 10);
        expect_failure(0, 11, -ENODATA, "too short: 10 bytes from offset 0");
        expect_failure(8, 3, -ENODATA, "too short: 2 bytes from offset 8");
        expect_failure(10, 0, -ENODATA, "too short: 0 bytes");
        expect_failure(UINT64_MAX, 1, -EOVERFLOW, "beyond the end");
        expect_failure(UINT64_MAX - 1, UINT64_MAX, -EOVERFLOW, "beyond the end");
        make_key("", 0);
        expect_failure(0, 0, -ENODATA, "too short");
}
END_TEST

START_TEST(what_is_no_key_file_is_not_read)
{
        snprintf(path, sizeof(path), "%s/none", scratch_path);
        expect_failure(0, 0, -ENOENT, "/none': No such file");
        snprintf(path, sizeof(path), "%s", scratch_path);
        expect_failure(0, 0, -EINVAL, "neither a file nor a device");
        snprintf(path, sizeof(path), "%s/fifo", scratch_path);
        ck_assert_int_eq(mkfifo(path, 0600), 0);
        expect_failure(0, 0, -EINVAL, "neither a file nor a device");
        snprintf(path, sizeof(path), "/dev/zero");
        expect_failure(0, 0, -EINVAL, "keyfile-size=");
        expect_failure(0, KEYFILE_SIZE_MAX + 1, -EFBIG, "too large");
        make_key("x", 1);
        ck_assert_int_eq(chmod(path, 0600), 0);
        ck_assert_int_eq(truncate(path, KEYFILE_SIZE_MAX + 1), 0);
        expect_failure(0, 0, -EFBIG, "too large");
}
END_TEST

START_TEST(a_device_gives_as_much_as_is_wanted)
{
        struct keyfile_part part = { .size = 32 };
        struct err err = { .kind = ERR_NONE };
        struct secret key = { .data = NULL };
        const char zeros[32] = { 0 };

        snprintf(path, sizeof(path), "/dev/zero");
        ck_assert_int_eq(keyfile_read(&key, &file, &part, 0, &err), 0);
        ck_assert_uint_eq(key.size, sizeof(zeros));
        ck_assert_mem_eq(key.data, zeros, sizeof(zeros));
        secret_deinit(&key);
}
END_TEST

/* What is logged while a key with these permissions is read. */
static void read_with_mode(mode_t mode, char *ret, size_t size)
{
        struct keyfile_part part = { .offset = 0 };
        struct err err = { .kind = ERR_NONE };
        struct secret key = { .data = NULL };
        int log[2], saved = dup(STDERR_FILENO);
        ssize_t n;

        make_key("key", 3);
        ck_assert_int_eq(chmod(path, mode), 0);
        ck_assert_int_eq(pipe(log), 0);
        ck_assert_int_ge(dup2(log[1], STDERR_FILENO), 0);
        ck_assert_int_eq(keyfile_read(&key, &file, &part, 0, &err), 0);
        secret_deinit(&key);
        ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
        fd_close(saved);
        fd_close(log[1]);
        n = read(log[0], ret, size - 1);
        ck_assert_int_ge(n, 0);
        ret[n] = '\0';
        fd_close(log[0]);
        ck_assert_int_eq(unlink(path), 0);
}

START_TEST(a_key_that_others_can_read_is_warned_of)
{
        char log[2000];

        read_with_mode(0400, log, sizeof(log));
        ck_assert_str_eq(log, "");
        read_with_mode(0604, log, sizeof(log));
        ck_assert_msg(strstr(log, "mode 0604") != NULL, "%s", log);
        read_with_mode(0440, log, sizeof(log));
        ck_assert_msg(strstr(log, "mode 0440") != NULL, "%s", log);
        /* The key itself is nowhere in it. */
        ck_assert_ptr_null(strstr(log, "'key'"));
}
END_TEST

START_TEST(a_device_that_is_not_there_is_told_from_a_file_that_is_not)
{
        struct crypttab_file away = { .path = (char[]){ "/key" }, .device = (char[]){ "UUID=not-there" } };
        struct keyfile_part part = { .offset = 0 };
        struct err err = { .kind = ERR_NONE };
        struct secret key = { .data = NULL };

        ck_assert_int_eq(keyfile_read(&key, &away, &part, 0, &err), -ENODEV);
        ck_assert_int_eq(keyfile_copy_header(&away, 0, &err), -ENODEV);
        ck_assert_int_eq(err.kind, ERR_NONE);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                the_part_that_is_wanted_is_the_key,      a_key_that_is_not_all_there_is_none,
                what_is_no_key_file_is_not_read,         a_device_gives_as_much_as_is_wanted,
                a_key_that_others_can_read_is_warned_of, a_device_that_is_not_there_is_told_from_a_file_that_is_not,
        };

        return scratch_run("keyfile", tests, ARRAY_SIZE(tests));
}
