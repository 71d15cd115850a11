/* Finding devices: by path, and (as root, on loop devices) by what stands on them where no udev runs. */
#include "base/err.h"
#include "base/fd.h"
#include "scratch.h"
#include "storage/device.h"

#include <errno.h>
#include <linux/loop.h>
#include <signal.h>
#include <sys/ioctl.h>

static int find(char **ret, const char *spec)
{
        struct err err = { .kind = ERR_NONE };
        int r = device_find(ret, spec, &err);

        ck_assert_msg(err.kind == ERR_NONE, "%s: %s", spec, err.text);
        return r;
}

static void expect_none(const char *spec)
{
        char *device = NULL;

        ck_assert_int_eq(find(&device, spec), -ENODEV);
        ck_assert_ptr_null(device);
}

static void expect_refused(const char *spec)
{
        struct err err = { .kind = ERR_NONE };
        char *device = NULL;

        ck_assert_int_eq(device_find(&device, spec, &err), -ENOTBLK);
        ck_assert_ptr_nonnull(strstr(err.text, "is no block device"));
}

START_TEST(a_path_is_the_device_or_the_image_that_is_there)
{
        char image[300], link[300];
        _cleanup_(freep) char *device = NULL;

        scratch_file(AT_FDCWD, (snprintf(image, sizeof(image), "%s/image", scratch_path), image), "x", 1);
        ck_assert_int_eq(find(&device, image), 0);
        ck_assert_str_eq(device, image);
        snprintf(link, sizeof(link), "%s/link", scratch_path);
        ck_assert_int_eq(symlink("gone", link), 0);
        expect_none(link);
        expect_refused(scratch_path);
        expect_refused("/dev/null");
}
END_TEST

START_TEST(what_is_no_device_is_told_and_what_is_away_is_not_an_error)
{
        struct err err = { .kind = ERR_NONE };
        char *device = NULL;

        ck_assert_int_eq(device_find(&device, "NONSENSE=x", &err), -EINVAL);
        ck_assert_ptr_nonnull(strstr(err.text, "NONSENSE=x"));
        err_clear(&err);
        ck_assert_int_eq(device_find(&device, "sdb1", &err), -EINVAL);
        err_clear(&err);
        expect_none("UUID=00000000-1111-2222-3333-444444444444");
        expect_none("partuuid=00000000-1111-2222-3333-444444444444");
        expect_none("LABEL=\"a label that nobody gave\"");
        expect_none("LABEL=../../../dev/null");
        expect_none("ID=");
        expect_none("ID=nothing");
}
END_TEST

START_TEST(waiting_ends_when_the_time_is_over)
{
        struct err err = { .kind = ERR_NONE };
        char *device = NULL;

        ck_assert_int_eq(device_await(&device, "/dev/not-there", 0, &err), -ENODEV);
        ck_assert_int_eq(device_await(&device, "/dev/not-there", 1, &err), -ENODEV);
        ck_assert_int_eq(err.kind, ERR_NONE);
}
END_TEST

START_TEST(waiting_ends_when_it_is_there)
{
        struct err err = { .kind = ERR_NONE };
        _cleanup_(freep) char *device = NULL;
        char image[300];
        pid_t child;

        snprintf(image, sizeof(image), "%s/later", scratch_path);
        child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
                usleep(400000);
                scratch_file(AT_FDCWD, image, "x", 1);
                _exit(0);
        }
        ck_assert_int_eq(device_await(&device, image, 250, &err), 0);
        ck_assert_str_eq(device, image);
}
END_TEST

/* ---- loop devices ---- */

/* Attach @image; the device goes when its descriptor is closed. Return -1 where there are none. */
static int attach(const char *image, char *ret, size_t size)
{
        int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), file = open(image, O_RDWR | O_CLOEXEC), number;
        struct loop_config config = { .fd = (unsigned)file, .info = { .lo_flags = LO_FLAGS_AUTOCLEAR } };
        int loop = -1;

        number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
        if (number >= 0) {
                snprintf(ret, size, "/dev/loop%d", number);
                loop = open(ret, O_RDWR | O_CLOEXEC);
                if (loop >= 0 && ioctl(loop, LOOP_CONFIGURE, &config) < 0)
                        loop = fd_close(loop);
        }
        fd_close(control);
        fd_close(file);
        return loop;
}

START_TEST(a_filesystem_is_found_by_what_stands_in_it)
{
        _cleanup_(freep) char *by_label = NULL, *by_uuid = NULL, *by_capitals = NULL;
        char image[300], command[700], device[32];
        int loop;

        if (geteuid() != 0 || access("/run/udev/control", F_OK) == 0)
                return;
        snprintf(image, sizeof(image), "%s/disk", scratch_path);
        snprintf(command, sizeof(command),
                 "truncate -s 4M '%s' && mkfs.ext4 -q -L 'Bücher / 1' -U 3b1e0a52-7c9f-4d7e-9f55-0123456789ab '%s'",
                 image, image);
        if (system(command) != 0)
                return;
        loop = attach(image, device, sizeof(device));
        if (loop < 0)
                return;
        ck_assert_int_eq(find(&by_label, "Label='Bücher / 1'"), 0);
        ck_assert_str_eq(by_label, device);
        ck_assert_int_eq(find(&by_uuid, "UUID=3b1e0a52-7c9f-4d7e-9f55-0123456789ab"), 0);
        ck_assert_str_eq(by_uuid, device);
        ck_assert_int_eq(find(&by_capitals, "UUID=3B1E0A52-7C9F-4D7E-9F55-0123456789AB"), 0);
        ck_assert_str_eq(by_capitals, device);
        expect_none("LABEL='Bücher / 2'");
        fd_close(loop);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                a_path_is_the_device_or_the_image_that_is_there,
                what_is_no_device_is_told_and_what_is_away_is_not_an_error,
                waiting_ends_when_the_time_is_over,
                waiting_ends_when_it_is_there,
                a_filesystem_is_found_by_what_stands_in_it,
        };

        return scratch_run("device", tests, ARRAY_SIZE(tests));
}
