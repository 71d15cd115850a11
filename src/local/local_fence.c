/* By names first, since mounting and unlocking must not even be tried; then by descriptors, which cannot be exchanged.
 */
#include "local/local_fence.h"

#include "base/directory.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "options/options.h"
#include "rotate/names.h"
#include "storage/fstab.h"

#include <errno.h>

static int refuse(const struct local_fence *f, const char *what, const char *path, struct err *err)
{
        char shown[PATH_SHOWN], directory[PATH_SHOWN];

        err_runf(err, -EPERM, "%s '%s' is refused: this agent is restricted to '%s'", what, path_shown(path, shown),
                 path_shown(f->directory, directory));
        return err_hint(err, "see --restrict in rsync-system-backup(8)");
}

static bool goes_up(const char *path)
{
        while (path) {
                path += strspn(path, "/");
                if (str_starts(path, "..") && (path[2] == '/' || path[2] == '\0'))
                        return true;
                path = strchr(path, '/');
        }
        return false;
}

/* Is one component of @path? */
static int holds_taken(const char *path)
{
        _cleanup_(freep) char *copy = strdup(path);
        char *rest = copy, *name;

        if (!copy)
                return -ENOMEM;
        while ((name = strsep(&rest, "/"))) {
                if (names_is_taken(name))
                        return 1;
        }
        return 0;
}

/* DIR without symlinks; what is below a mount point, where something is still to be mounted, is left as it is. */
static char *resolve(const char *directory, const char *point)
{
        const char *below = point ? path_below(directory, point) : NULL;
        _cleanup_(freep) char *real = below ? path_resolve(point) : NULL;

        if (!below)
                return path_resolve(directory);
        return real && *below ? path_join(real, below) : TAKE(real);
}

static int check_disk(const struct local_fence *f, const struct options *o, const char *directory, struct err *err)
{
        _cleanup_(freep) char *point = o->mount ? path_resolve(o->mount) : NULL;

        if (o->crypto && !o->mount)
                return refuse(f, "unlocking without --mount", o->crypto, err);
        if (!o->mount)
                return 0;
        if (!point)
                return err_oom(err);
        if (goes_up(o->mount) || (!path_below(point, directory) && !path_below(directory, point)))
                return refuse(f, "the mount point", o->mount, err);
        return 0;
}

/*
 * A mount point of one's own is no reason to unlock another disk. What an entry names that lies in the encrypted device
 * can be told only when that is unlocked: then this is asked again, and what was unlocked is locked again.
 */
static int check_crypto(const struct local_fence *f, const struct options *o, struct err *err)
{
        char shown[PATH_SHOWN], point[PATH_SHOWN], directory[PATH_SHOWN];
        int r = o->crypto ? fstab_find_mapping(o->mount, o->crypto, err) : FSTAB_MAPPING_RIGHT;

        if (r != FSTAB_MAPPING_OTHER)
                return r < 0 ? r : 0;
        err_runf(err, -EPERM,
                 "unlocking '%s', which is not what fstab has for '%s', is refused: this agent is restricted to '%s'",
                 path_shown(o->crypto, shown), path_shown(o->mount, point), path_shown(f->directory, directory));
        return err_hint(err, "see --restrict in rsync-system-backup(8)");
}

int local_fence_check(const struct local_fence *f, const struct options *o, const char *parent, const char *latest,
                      struct err *err)
{
        _cleanup_(freep) char *directory = resolve(f->directory, o->mount);
        const char *below;
        int r;

        if (!directory)
                return err_oom(err);
        r = check_disk(f, o, directory, err);
        if (r < 0)
                return r;
        below = goes_up(o->destination.path) || goes_up(parent) ? NULL : path_below(parent, directory);
        if (!below)
                return refuse(f, "the destination", o->destination.path, err);
        r = names_is_taken(latest) ? 1 : holds_taken(below);
        if (r < 0)
                return err_oom(err);
        if (r > 0)
                return refuse(f, "a part of another destination,", o->destination.path, err);
        return check_crypto(f, o, err);
}

int local_fence_check_fd(const struct local_fence *f, int fd, const char *path, struct err *err)
{
        _cleanup_(fd_closep) int directory = fd_open_directory(f->directory);
        int r;

        if (directory < 0) {
                err_run(err, directory, "open the directory of --restrict,", f->directory);
                return err_hint(err, "it must exist on the server");
        }
        r = directory_is_below(fd, directory, false);
        if (r < 0)
                return err_run(err, r, "look above", path);
        return r == 0 ? refuse(f, "the destination", path, err) : 0;
}
