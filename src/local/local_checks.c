/* Each check is a function that returns 0 or fills @err; the message of one that can be forced says so. */
#include "local/local_checks.h"

#include "base/directory.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "destination.h"
#include "local/local_neighbours.h"
#include "local/local_place.h"
#include "options/options.h"
#include "rotate/subvolume.h"
#include "transfer/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

/* ---- a transfer into a directory full of something else ---- */

static int check_swapped(const struct local_place *p, struct err *err)
{
        struct destination_snapshots snapshots;
        char shown[PATH_SHOWN];
        int r;

        if (p->latest_fd < 0 || p->has_state)
                return 0;
        r = directory_is_empty(p->latest_fd);
        if (r != 0)
                return r < 0 ? err_run(err, r, "read directory", p->path) : 0;
        r = local_place_snapshots(p, &snapshots, err);
        if (r < 0)
                return r;
        r = snapshots.count > 0;
        destination_snapshots_deinit(&snapshots);
        if (r > 0)
                return 0;
        err_runf(err, -EEXIST,
                 "'%s' is not empty and was never a destination of backups, what is in it would be deleted",
                 path_shown(p->path, shown));
        return err_hint(err, "are the arguments swapped? --force if it is meant so");
}

/* ---- a source inside of the destination ---- */

static int check_inside(const struct local_place *p, const struct options *o, int source_fd, struct err *err)
{
        _cleanup_(source_avoid_deinit) struct source_avoid avoid;
        char source[PATH_SHOWN], destination[PATH_SHOWN];
        int r = local_place_avoid(p, &avoid, err);

        if (r < 0)
                return r;
        r = source_avoids_above(&avoid, source_fd);
        if (r < 0)
                return err_run(err, r, "look above", o->source);
        if (r == 0)
                return 0;
        return err_runf(err, -EINVAL,
                        "the source '%s' is the destination '%s' itself, or inside of it or its snapshots",
                        path_shown(o->source, source), path_shown(p->path, destination));
}

/* ---- a source that lost everything ---- */

static int source_is_empty(const struct destination_config *c, int source_fd, struct err *err)
{
        int r = c->source_is_remote ? c->source_is_empty : directory_is_empty(source_fd);

        return r < 0 ? err_run(err, r, "read the source directory", c->options->source) : r;
}

static int check_source_empty(const struct local_place *p, const struct destination_config *c, int source_fd,
                              struct err *err)
{
        char shown[PATH_SHOWN] = "";
        int r = 1;

        /* Without a record (of an older program, or damaged) what the last run saw is in `latest`. */
        if (p->state.entries == 0 && p->latest_fd >= 0)
                r = directory_is_empty(p->latest_fd);
        if (r < 0)
                return err_run(err, r, "read directory", p->path);
        if (p->state.entries < 2 && r == 1)
                return 0;
        r = source_is_empty(c, source_fd, err);
        if (r <= 0)
                return r;
        if (c->source_is_remote)
                err_runf(err, -ENODATA, "the source is empty, it was not when it was backed up last");
        else
                err_runf(err, -ENODATA, "the source '%s' is empty, it was not when it was backed up last",
                         path_shown(c->options->source, shown));
        return err_hint(err, "is something not mounted? --force if it is meant so");
}

/* ---- another disk ---- */

static int check_disk(const struct local_place *p, struct err *err)
{
        char shown[PATH_SHOWN];
        bool is_known = state_knows_filesystem(&p->state, p->filesystem);

        if (!p->filesystem[0] || (is_known && p->has_state))
                return 0;
        if (p->state.filesystem_count == 0 && identity_recall(p->parent, p->filesystem) != IDENTITY_ANOTHER)
                return 0;
        err_runf(err, -ENODEV, "'%s' is on another disk than before (filesystem %s)", path_shown(p->parent, shown),
                 p->filesystem);
        return err_hint(err, "is the right disk mounted? --force if this one is meant to be used from now on");
}

/* ---- a destination that is not on what was mounted for it ---- */

/* By descriptors: a symlink may lead away from there, or something else be mounted in between. */
int local_check_mounted(const struct local_place *p, const struct options *o, struct err *err)
{
        _cleanup_(fd_closep) int point_fd = o->mount ? fd_open_directory(o->mount) : -1;
        char shown[PATH_SHOWN], shown_point[PATH_SHOWN];
        int r;

        if (!o->mount)
                return 0;
        if (point_fd < 0)
                return err_run(err, point_fd, "open the mount point", o->mount);
        r = directory_is_below(local_place_fd(p), point_fd, true);
        if (r < 0)
                return err_run(err, r, "look above", p->parent);
        if (r > 0)
                return 0;
        return err_runf(err, -EXDEV, "'%s' is not on the filesystem that is mounted at '%s'",
                        path_shown(p->parent, shown), path_shown(o->mount, shown_point));
}

/* ---- a destination that went elsewhere meanwhile ---- */

static int open_path(int dirfd, const char *path, int flags)
{
        int fd = openat(dirfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC | flags);

        return fd < 0 ? -errno : fd;
}

/* By the path as it was given, whose symlinks may lead elsewhere by now. Return 1, 0 or -errno. */
static int is_still_there(const struct local_place *p, const char *path)
{
        _cleanup_(freep) char *parent = path_parent(path);
        _cleanup_(fd_closep) int parent_fd = parent ? open_path(AT_FDCWD, parent, 0) : -ENOMEM, latest_fd = -1;
        int r = parent_fd < 0 ? parent_fd : directory_is_same(parent_fd, p->parent_fd);

        if (r > 0 && p->latest_fd >= 0) {
                latest_fd = open_path(parent_fd, p->latest, O_NOFOLLOW);
                r = latest_fd < 0 ? latest_fd : directory_is_same(latest_fd, p->latest_fd);
        }
        return r == -ENOENT || r == -ENOTDIR || r == -ELOOP ? 0 : r;
}

int local_check_still_there(const struct local_place *p, const struct options *o, struct err *err)
{
        char link[32], now[PATH_MAX], shown[PATH_SHOWN], shown_now[PATH_SHOWN];
        int r = is_still_there(p, o->destination.path);
        ssize_t n;

        if (r != 0)
                return r < 0 ? err_run(err, r, "look for what was done in", o->destination.path) : 0;
        snprintf(link, sizeof(link), "/proc/self/fd/%d", p->latest_fd >= 0 ? p->latest_fd : p->parent_fd);
        n = readlink(link, now, sizeof(now) - 1);
        now[n < 0 ? 0 : n] = '\0';
        err_runf(err, -ESTALE, "'%s' leads elsewhere now than when this run began: what it did is in '%s'",
                 path_shown(o->destination.path, shown), n < 0 ? "?" : path_shown(now, shown_now));
        return err_hint(err, "it was moved, replaced or mounted over meanwhile");
}

/* ---- what there must be ---- */

/* Hard links do not cross mounts. Of a btrfs subvolume the filesystem itself makes snapshots. */
static int check_mount_point(const struct local_place *p, const struct options *o, struct err *err)
{
        char shown[PATH_SHOWN];
        struct entry latest = { .dev = 0 }, parent = { .dev = 0 };
        int r;

        if (p->latest_fd < 0)
                return 0;
        r = entry_stat_fd(&latest, p->latest_fd);
        if (r == 0)
                r = entry_stat_fd(&parent, p->parent_fd);
        if (r < 0)
                return err_run(err, r, "read the metadata of", p->path);
        if (!latest.is_mount_point && (latest.dev == parent.dev || !o->snapshot || subvolume_is(p->latest_fd)))
                return 0;
        err_runf(err, -EXDEV, "'%s' is %s: no snapshots can lie beside it", path_shown(p->path, shown),
                 latest.is_mount_point ? "a mount point" : "on another filesystem than the directory above it");
        return err_hint(err, "use '%s/latest'", shown);
}

/* A btrfs snapshot that somebody put in the place of `latest`, say. */
static int check_writable(const struct local_place *p, const struct options *o, struct err *err)
{
        char shown[PATH_SHOWN];

        if (!o->backup || p->latest_fd < 0 || !subvolume_is(p->latest_fd) || !subvolume_is_read_only(p->latest_fd))
                return 0;
        err_runf(err, -EROFS, "'%s' is a read-only btrfs subvolume", path_shown(p->path, shown));
        return err_hint(err, "'btrfs property set -ts ... ro false' makes it writable");
}

static int check_exists(const struct local_place *p, const struct options *o, struct err *err)
{
        if (!o->backup && p->parent_fd < 0) {
                err_run(err, -ENOENT, "open directory", p->parent);
                return err_hint(err, "there is no backup yet, or a disk is missing there");
        }
        if (p->parent_fd < 0 && !o->mount && strchr(p->missing, '/')) {
                _cleanup_(freep) char *above = path_parent(p->parent);

                err_run(err, -ENOENT, "create the destination in", above ? above : p->parent);
                return err_hint(err, "only the destination and its parent are created; is a disk missing there?");
        }
        if (!o->backup && o->snapshot && p->latest_fd < 0) {
                err_run(err, -ENOENT, "take a snapshot of", p->path);
                return err_hint(err, "there is no backup yet");
        }
        return 0;
}

static int check_interrupted(const struct local_place *p, const struct options *o, struct err *err)
{
        if (o->backup || !o->snapshot || !p->state.running)
                return 0;
        err_runf(err, -EBUSY, "the last transfer did not end well: a snapshot now would hold a mixture");
        return err_hint(err, "transfer again, or --force to take it and have it recorded as incomplete");
}

static void warn_of_readers(const struct local_place *p)
{
        char shown[PATH_SHOWN];
        struct stat st;

        if (p->parent_fd >= 0 && geteuid() == 0 && fstat(p->parent_fd, &st) == 0 && (st.st_mode & S_IXOTH))
                log_warning("everybody can look into '%s', where snapshots hold files of all users; chmod 700 it",
                            path_shown(p->parent, shown));
}

/* Those that --force overrides, in two parts: what is at stake belongs to others, too; */
static int check_for_others(const struct local_place *p, const struct options *o, struct err *err)
{
        int r = check_disk(p, err);

        r = r < 0 ? r : local_neighbours_check(p, err);
        return r < 0 || !o->backup ? r : check_swapped(p, err);
}

/* or it is the backup's own. */
static int check_for_itself(const struct local_place *p, const struct destination_config *c, int source_fd,
                            struct err *err)
{
        int r = check_interrupted(p, c->options, err);

        return r < 0 || !c->options->backup ? r : check_source_empty(p, c, source_fd, err);
}

/* Who is kept behind a fence cannot force what is not his alone. */
static int check_forcible(const struct local_place *p, const struct destination_config *c, int source_fd,
                          struct err *err)
{
        bool force = c->options->force;
        int r = force && !c->fence ? 0 : check_for_others(p, c->options, err);

        if (r < 0 && c->fence)
                err_hint(err, "only on the server itself it can be forced");
        return r < 0 || force ? r : check_for_itself(p, c, source_fd, err);
}

int local_check_source(const struct local_place *p, const struct destination_config *c, int source_fd, struct err *err)
{
        int r = check_inside(p, c->options, source_fd, err);

        return r < 0 || c->options->force ? r : check_source_empty(p, c, source_fd, err);
}

int local_checks(const struct local_place *p, const struct destination_config *c, struct err *err)
{
        _cleanup_(fd_closep) int source_fd = -1;
        const struct options *o = c->options;
        int r = check_exists(p, o, err);

        if (r == 0)
                r = local_check_mounted(p, o, err);
        if (r == 0)
                r = check_mount_point(p, o, err);
        if (r == 0)
                r = check_writable(p, o, err);
        if (r == 0 && o->backup && !c->source_is_remote) {
                source_fd = fd_open_directory(o->source);
                if (source_fd < 0)
                        return err_run(err, source_fd, "read the source directory", o->source);
                r = check_inside(p, o, source_fd, err);
        }
        if (r == 0)
                r = check_forcible(p, c, source_fd, err);
        if (r == 0)
                warn_of_readers(p);
        return r;
}
