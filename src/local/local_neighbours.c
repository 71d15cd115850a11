#include "local/local_neighbours.h"

#include "base/directory.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "local/local_place.h"
#include "rotate/names.h"
#include "transfer/source.h"

#include <errno.h>
#include <fcntl.h>

/* ---- another destination beside this one ---- */

static int check_sibling(const struct local_place *p, struct err *err)
{
        char mine[PATH_SHOWN], other[PATH_SHOWN];

        if (!p->state.latest || str_equal(p->state.latest, p->latest))
                return 0;
        err_runf(err, -EEXIST, "backups beside '%s' go to '%s', their snapshots would mix", path_shown(p->path, mine),
                 path_shown(p->state.latest, other));
        return err_hint(err, "use another parent directory; --force if it was renamed");
}

/* ---- a destination inside of another one ---- */

/* The name of `latest` of the destination that lives in the directory @fd; malloc'd, or NULL. */
static char *living_in(int fd)
{
        _cleanup_(fd_closep) int state_fd = fd < 0 ? -1 : fd_open_at(fd, STATE_DIRECTORY, O_DIRECTORY);
        struct state state;
        char *latest = NULL;
        ERR_LOCAL(err);

        if (state_fd < 0)
                return NULL;
        if (state_load(&state, state_fd, &err) == 0) {
                latest = TAKE(state.latest);
                state_deinit(&state);
        }
        err_drop(&err, "what cannot be read is no reason against this run");
        return latest;
}

/* Is @e the `latest`, or one of the snapshots, of a destination that lives in the directory @fd? Return 1 or 0. */
static int is_kept_by_another(int fd, const struct entry *e)
{
        _cleanup_(freep) char *latest = living_in(fd);
        _cleanup_(source_avoid_deinit) struct source_avoid kept = { .parent_fd = -1 };
        _cleanup_(fd_closep) int readable = latest ? fd_open_at(fd, ".", O_DIRECTORY) : -1;
        const struct local_place other = { .parent_fd = readable, .latest = latest };
        ERR_LOCAL(err);
        int r = 0;

        if (readable < 0)
                return 0;
        if (local_place_avoid(&other, &kept, &err) == 0)
                r = source_avoids(&kept, e, fd);
        err_drop(&err, "what cannot be read is no reason against this run");
        return r > 0;
}

/* Would what is missing be made among another destination's snapshots, with the name of something that it keeps? */
static bool would_be_kept_by_another(const struct local_place *p)
{
        _cleanup_(freep) char *latest = p->missing ? living_in(p->above_fd) : NULL;
        _cleanup_(freep) char *name = latest ? strndup(p->missing, strcspn(p->missing, "/")) : NULL;

        return name && (str_equal(name, latest) || names_is_taken(name));
}

static int refuse_nested(const struct local_place *p, struct err *err)
{
        char shown[PATH_SHOWN];

        err_runf(err, -EEXIST, "'%s' is inside of what another destination keeps, whose next run deletes it",
                 path_shown(p->path, shown));
        return err_hint(err, "use a directory outside of it; --force if it is meant so");
}

/* The next run of the other one would delete all of it, as something that its source does not have, or rotate it away.
 */
static int check_nested(const struct local_place *p, struct err *err)
{
        _cleanup_(fd_closep) int fd = fcntl(local_place_fd(p), F_DUPFD_CLOEXEC, 0);
        bool is_root = false;

        if (would_be_kept_by_another(p))
                return refuse_nested(p, err);
        while (fd >= 0 && !is_root) {
                struct entry e = { .ino = 0 };

                if (entry_stat_fd(&e, fd) < 0 || directory_go_up(&fd, &e, &is_root) < 0)
                        return 0;
                if (is_kept_by_another(fd, &e))
                        return refuse_nested(p, err);
        }
        return 0;
}

/* ---- a destination that holds another one ---- */

/*
 * Its name was left out: a snapshot would hold all snapshots, and a transfer delete them. What has a state is known to
 * be a destination; its source may be the parent of another one, elsewhere.
 */
static int check_holds(const struct local_place *p, struct err *err)
{
        _cleanup_(freep) char *latest = p->has_state ? NULL : living_in(p->latest_fd);
        char shown[PATH_SHOWN], name[PATH_SHOWN];

        if (!latest)
                return 0;
        err_runf(err, -EEXIST, "'%s' is the directory in which the snapshots of another destination lie",
                 path_shown(p->path, shown));
        return err_hint(err, "is '%s/%s' meant? --force if not", shown, path_shown(latest, name));
}

int local_neighbours_check(const struct local_place *p, struct err *err)
{
        int r = check_sibling(p, err);

        r = r < 0 ? r : check_nested(p, err);
        return r < 0 ? r : check_holds(p, err);
}
