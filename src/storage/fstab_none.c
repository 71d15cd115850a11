/* For builds without libmount. */
#include "base/err.h"
#include "storage/fstab.h"

#include <errno.h>

int fstab_check(const char *point, struct err *err)
{
        (void)point;
        return err_usage(err, "--mount is not in this build: it was made without libmount");
}

int fstab_find_mapping(const char *point, const char *name, struct err *err)
{
        (void)name;
        return fstab_check(point, err);
}

int fstab_mount(const char *point, bool read_only, struct err *err)
{
        (void)read_only;
        return fstab_check(point, err);
}

int fstab_is_mounted(const char *point, struct err *err)
{
        (void)point;
        (void)err;
        return 0;
}

bool fstab_is_awaited(const char *path, char **ret_point)
{
        (void)path;
        (void)ret_point;
        return false;
}

int fstab_instance(const char *point, char ret[FSTAB_INSTANCE_SIZE])
{
        (void)point;
        (void)ret;
        return -ENOENT;
}

int fstab_remount_writable(const char *point, struct err *err)
{
        (void)point;
        (void)err;
        return 0;
}

int fstab_unmount(const char *point, struct err *err)
{
        (void)point;
        (void)err;
        return 0;
}
