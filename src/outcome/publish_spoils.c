/* Snapshots never change, and `latest` is what the source is. By the path, also for who may not look; then by inodes.
 */
#include "outcome/publish_spoils.h"

#include "base/directory.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "local/local_place.h"
#include "options/location.h"
#include "rotate/names.h"
#include "transfer/source.h"

#include <errno.h>
#include <fcntl.h>

/* A name beside the destination that is ours: it, a snapshot, or what the state is kept in. */
static bool is_ours(const char *name, const char *destination)
{
        return str_equal(name, path_base(destination)) || names_is_taken(name);
}

static int is_ours_by_path(const char *place, const char *destination, const char *above)
{
        const char *below = path_below(place, above);
        _cleanup_(freep) char *name = below ? strndup(below, strcspn(below, "/")) : NULL;

        if (!below)
                return 0;
        return name ? is_ours(name, destination) : -ENOMEM;
}

/* By the directory that it would be in, however that is reached. */
static int is_ours_by_inode(const char *place, const char *destination, const char *above, struct err *err)
{
        _cleanup_(freep) char *directory = path_parent(place);
        _cleanup_(fd_closep) int fd = directory ? open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
        _cleanup_(fd_closep) int above_fd = fd_open_directory(above);
        struct local_place p = { .parent_fd = above_fd,
                                 .parent = (char *)above,
                                 .latest = (char *)path_base(destination) };
        _cleanup_(source_avoid_deinit) struct source_avoid avoid = { .parent_fd = -1 };
        int r;

        if (!directory)
                return err_oom(err);
        if (fd < 0 || above_fd < 0)
                return 0;
        r = directory_is_same(fd, above_fd);
        if (r > 0)
                return is_ours(path_base(place), destination);
        if (r == 0 && local_place_avoid(&p, &avoid, err) < 0)
                return err->code;
        if (r == 0)
                r = source_avoids_above(&avoid, fd);
        return r < 0 ? err_run(err, r, "look above", directory) : r;
}

int publish_spoils(const char *place, const struct location *destination, struct err *err)
{
        _cleanup_(freep) char *parent = destination->kind == LOCATION_LOCAL ? path_parent(destination->path) : NULL;
        _cleanup_(freep) char *above = parent ? path_resolve(parent) : NULL;
        int r;

        if (destination->kind != LOCATION_LOCAL)
                return 0;
        r = above ? is_ours_by_path(place, destination->path, above) : -ENOMEM;
        if (r < 0)
                return err_oom(err);
        return r > 0 ? r : is_ours_by_inode(place, destination->path, above, err);
}
