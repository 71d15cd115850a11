#include "base/directory.h"

#include "base/arena.h"
#include "base/entry.h"
#include "base/fd.h"
#include "base/listing.h"
#include "base/mount.h"

#include <errno.h>
#include <fcntl.h>

int directory_is_empty(int dirfd)
{
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        _cleanup_(listing_deinit) struct listing names;
        int r = listing_read_unsorted(&names, dirfd, &arena);

        return r < 0 ? r : names.count == 0;
}

int directory_is_same(int fd, int other_fd)
{
        struct entry e, other = { .ino = 0 };
        int r = entry_stat_fd(&e, fd);

        if (r == 0)
                r = entry_stat_fd(&other, other_fd);
        return r < 0 ? r : entry_is_same_inode(&e, &other);
}

/* A directory can be mounted below itself: then it is not the root yet. */
int directory_go_up(int *fd, const struct entry *e, bool *ret_is_root)
{
        int up = openat(*fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct entry above = { .ino = 0 };
        int r = up < 0 ? -errno : entry_stat_fd(&above, up);

        *ret_is_root = r == 0 && entry_is_same_inode(e, &above) && mount_id(*fd) == mount_id(up);
        fd_close(*fd);
        *fd = up;
        return r;
}

int directory_is_below(int start_fd, int above_fd, bool on_one_filesystem)
{
        _cleanup_(fd_closep) int fd = fcntl(start_fd, F_DUPFD_CLOEXEC, 0);
        struct entry above = { .ino = 0 }, e = { .ino = 0 };
        bool is_root = false;
        int r = fd < 0 ? -errno : entry_stat_fd(&above, above_fd);

        while (r == 0 && !is_root) {
                r = entry_stat_fd(&e, fd);
                if (r == 0 && on_one_filesystem && e.dev != above.dev)
                        return 0;
                if (r == 0 && entry_is_same_inode(&e, &above) && mount_id(fd) == mount_id(above_fd))
                        return 1;
                if (r == 0)
                        r = directory_go_up(&fd, &e, &is_root);
        }
        return r;
}
