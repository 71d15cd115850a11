/* For builds without libcryptsetup. */
#include "base/err.h"
#include "storage/cryptdisk.h"

#include <errno.h>

int cryptdisk_check(struct err *err)
{
        return err_usage(err, "--crypto is not in this build: it was made without libcryptsetup");
}

int cryptdisk_unlock(const struct crypttab_entry *entry, struct err *err)
{
        (void)entry;
        return cryptdisk_check(err);
}

bool cryptdisk_is_unlocked(const char *name)
{
        (void)name;
        return false;
}

int cryptdisk_instance(const char *name, char *ret, size_t size)
{
        (void)name;
        (void)ret;
        (void)size;
        return -ENOTSUP;
}

int cryptdisk_lock(const char *name, struct err *err)
{
        (void)name;
        (void)err;
        return 0;
}
