#include "transfer/suspect.h"

#include "base/entry.h"
#include "base/fd.h"
#include "base/meta.h"
#include "transfer/update.h"

#include <errno.h>
#include <fcntl.h>

bool suspect_is(const struct update_config *c, const struct entry *have)
{
        return c->has_suspect && timespec_compare(have->ctime, c->suspect) >= 0;
}

int suspect_write_fd(int fd, const struct entry *have)
{
        int r = meta_set_mtime(fd, have->mtime);

        /* Then the run that was cut off could not change it either. */
        return r == -EPERM || r == -EACCES ? 0 : r;
}

int suspect_write(int dirfd, const struct entry *have)
{
        _cleanup_(fd_closep) int fd = openat(dirfd, have->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        struct entry now = { .ino = 0 };
        int r = fd < 0 ? -errno : entry_stat_fd(&now, fd);

        if (r < 0)
                return r == -ENOENT ? 0 : r;
        return entry_is_same_inode(&now, have) ? suspect_write_fd(fd, &now) : 0;
}
