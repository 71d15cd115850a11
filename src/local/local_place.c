/* Everything by descriptors relative to the parent; the parent itself is what the user named, symlinks included. */
#include "local/local_place.h"

#include "base/arena.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/listing.h"
#include "base/log.h"
#include "base/path.h"
#include "destination.h"
#include "local/local_fence.h"
#include "local/local_marks.h"
#include "rotate/names.h"
#include "rotate/subvolume.h"
#include "storage/lock.h"
#include "transfer/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

void local_place_init(struct local_place *p)
{
        *p = (struct local_place){ .above_fd = -1, .parent_fd = -1, .state_fd = -1, .latest_fd = -1, .lock = -1 };
}

void local_place_deinit(struct local_place *p)
{
        fd_close(p->latest_fd);
        fd_close(p->lock);
        fd_close(p->state_fd);
        fd_close(p->parent_fd);
        fd_close(p->above_fd);
        state_deinit(&p->state);
        free(p->path);
        free(p->parent);
        free(p->latest);
        local_place_init(p);
}

/* Symlinks are resolved as far as it exists: two ways to write one destination are one destination. */
static char *resolve(const char *parent, const char *point)
{
        const char *below = point ? path_below(parent, point) : NULL;
        _cleanup_(freep) char *real = below ? path_resolve(point) : NULL;

        if (!below)
                return path_resolve(parent);
        return real && *below ? path_join(real, below) : TAKE(real);
}

int local_place_name(struct local_place *p, const char *path, const char *point, struct err *err)
{
        _cleanup_(freep) char *parent = path_parent(path);
        const char *base = path_base(path);

        if (str_equal(path, "/"))
                return err_usage(err, "the destination cannot be the root directory: snapshots have to lie beside it");
        if (str_equal(base, "..") || str_equal(base, "."))
                return err_usage(err, "the destination must be named, not '%s'", base);
        local_place_deinit(p);
        p->parent = parent ? resolve(parent, point) : NULL;
        p->latest = strdup(base);
        p->path = p->parent ? path_join(p->parent, base) : NULL;
        return p->path && p->latest ? 0 : err_oom(err);
}

/* The nearest directory above the parent, which does not exist, and what is missing below that. */
static int open_above(struct local_place *p, struct err *err)
{
        _cleanup_(freep) char *above = path_parent(p->parent), *nearest = NULL;

        p->above_fd = above ? fd_open_nearest(above, &nearest) : -ENOMEM;
        if (p->above_fd < 0)
                return err_run(err, p->above_fd, "open directory", nearest ? nearest : p->parent);
        p->missing = path_below(p->parent, nearest);
        return 0;
}

static int open_parent(struct local_place *p, struct err *err)
{
        p->parent_fd = fd_open_directory(p->parent);
        if (p->parent_fd >= 0)
                return 0;
        return p->parent_fd == -ENOENT ? open_above(p, err) : err_run(err, p->parent_fd, "open directory", p->parent);
}

static int open_latest(struct local_place *p, struct err *err)
{
        p->latest_fd = fd_open_at(p->parent_fd, p->latest, O_DIRECTORY);
        p->latest_is_new = p->latest_is_new || p->latest_fd == -ENOENT;
        if (p->latest_fd == -EACCES && fchmodat(p->parent_fd, p->latest, S_IRWXU, AT_SYMLINK_NOFOLLOW) == 0)
                p->latest_fd = fd_open_at(p->parent_fd, p->latest, O_DIRECTORY);
        if (p->latest_fd >= 0 || p->latest_fd == -ENOENT)
                return 0;
        err_run(err, p->latest_fd, "open the destination", p->path);
        if (err->code == -ELOOP || err->code == -ENOTDIR)
                err_hint(err, "it must be a directory, and no symbolic link to one");
        return err->code;
}

/* ---- the state directory ---- */

static int check_state_owner(const struct local_place *p, struct err *err)
{
        struct entry e;
        int r = entry_stat_fd(&e, p->state_fd);

        if (r < 0)
                return err_run_at(err, r, "open directory", p->parent, STATE_DIRECTORY);
        if (e.uid == geteuid() || e.uid == 0)
                return 0;
        err_run_at(err, -EPERM, "trust the state directory", p->parent, STATE_DIRECTORY);
        return err_hint(err, "it belongs to user %u; run as that user, or remove it after a look at it", e.uid);
}

static bool has_file(const struct local_place *p, const char *name)
{
        return faccessat(p->state_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int read_state(struct local_place *p, struct err *err)
{
        int r;

        p->has_state = has_file(p, "state");
        r = state_load(&p->state, p->state_fd, err);
        if (r != -EBADMSG)
                return r;
        log_err(LOG_LEVEL_WARNING, err);
        log_warning("all files of '%s' will be compared by content", p->path);
        p->state.running = true;
        return 0;
}

static int open_state(struct local_place *p, bool dry_run, struct err *err)
{
        bool was_locked;
        int r;

        p->state_fd = fd_open_at(p->parent_fd, STATE_DIRECTORY, O_DIRECTORY);
        if (p->state_fd == -ENOENT)
                return 0;
        if (p->state_fd < 0)
                return err_run_at(err, p->state_fd, "open directory", p->parent, STATE_DIRECTORY);
        r = check_state_owner(p, err);
        if (r < 0)
                return r;
        was_locked = has_file(p, "lock");
        p->lock = lock_take(p->state_fd, "lock", !dry_run, err);
        if (p->lock < 0 && err->kind != ERR_NONE)
                return p->lock;
        r = read_state(p, err);
        p->state_is_lost = was_locked && !p->has_state;
        return r;
}

static int check_writable(const struct local_place *p, struct err *err)
{
        char shown[PATH_SHOWN];
        struct statvfs v;

        if (fstatvfs(local_place_fd(p), &v) < 0 || !(v.f_flag & ST_RDONLY))
                return 0;
        path_show(NULL, p->parent, shown, sizeof(shown));
        err_runf(err, -EROFS, "the filesystem of '%s' is mounted read-only", shown);
        return err_hint(err, "was it mounted so, is the disk write-protected, or has the kernel found errors on it?");
}

int local_place_open(struct local_place *p, bool dry_run, const struct local_fence *fence, struct err *err)
{
        int r = open_parent(p, err);

        p->latest_is_new = p->parent_fd < 0;
        if (r == 0 && fence)
                r = local_fence_check_fd(fence, local_place_fd(p), p->parent, err);
        if (r == 0)
                identity_place(local_place_fd(p), p->filesystem);
        if (r == 0 && !dry_run)
                r = check_writable(p, err);
        if (r < 0 || p->parent_fd < 0)
                return r;
        r = open_state(p, dry_run, err);
        if (r == 0)
                r = open_latest(p, err);
        p->state_is_lost = p->state_is_lost && !p->latest_is_new;
        return r;
}

static int look_at_state(struct local_place *p, struct err *err)
{
        int r;

        p->state_fd = fd_open_at(p->parent_fd, STATE_DIRECTORY, O_DIRECTORY);
        if (p->state_fd == -ENOENT || p->state_fd == -EACCES)
                return 0;
        if (p->state_fd < 0)
                return err_run_at(err, p->state_fd, "open directory", p->parent, STATE_DIRECTORY);
        r = state_load(&p->state, p->state_fd, err);
        if (r != -EBADMSG && r != -EACCES)
                return r;
        log_err(LOG_LEVEL_WARNING, err);
        return 0;
}

int local_place_look(struct local_place *p, const struct local_fence *fence, struct err *err)
{
        int r;

        p->parent_fd = fd_open_directory(p->parent);
        if (p->parent_fd < 0) {
                err_run(err, p->parent_fd, "open directory", p->parent);
                return err->code == -ENOENT ? err_hint(err, "is a disk missing there?") : err->code;
        }
        r = fence ? local_fence_check_fd(fence, p->parent_fd, p->parent, err) : 0;
        if (r == 0)
                r = look_at_state(p, err);
        if (r == 0)
                p->latest_fd = fd_open_at(p->parent_fd, p->latest, O_DIRECTORY);
        return r;
}

/* ---- creating ---- */

/* What somebody put there since it was missing, be it a symlink to elsewhere, was not looked at. */
static int create_parent(struct local_place *p, struct err *err)
{
        _cleanup_(freep) char *names = strdup(p->missing);
        char *rest = names, *name;

        if (!names)
                return err_oom(err);
        while ((name = strsep(&rest, "/"))) {
                if (mkdirat(p->above_fd, name, 0700) < 0)
                        return err_run(err, -errno, "create directory", p->parent);
                p->parent_fd = fd_open_at(p->above_fd, name, O_DIRECTORY);
                if (p->parent_fd < 0)
                        return err_run(err, p->parent_fd, "open directory", p->parent);
                fd_close(p->above_fd);
                p->above_fd = rest ? TAKE_FD(p->parent_fd) : -1;
        }
        identity_place(local_place_fd(p), p->filesystem);
        return 0;
}

static int create_state(struct local_place *p, struct err *err)
{
        if (mkdirat(p->parent_fd, STATE_DIRECTORY, 0700) < 0 && errno != EEXIST)
                return err_run_at(err, -errno, "create directory", p->parent, STATE_DIRECTORY);
        return open_state(p, false, err);
}

/*
 * A subvolume where we can remove one as well, which is tried with this one, since rights and mount options do not tell
 * (containers). What is left of it when that is refused is an empty directory to rmdir().
 */
static bool create_subvolume(const struct local_place *p)
{
        if (subvolume_create(p->parent_fd, p->latest) < 0)
                return false;
        if (subvolume_remove(p->parent_fd, p->latest) == 0)
                return subvolume_create(p->parent_fd, p->latest) == 0;
        (void)unlinkat(p->parent_fd, p->latest, AT_REMOVEDIR);
        return false;
}

static int create_latest(struct local_place *p, struct err *err)
{
        char shown[PATH_SHOWN];

        if (create_subvolume(p)) {
                path_show(NULL, p->path, shown, sizeof(shown));
                log_info("'%s' is made as a btrfs subvolume: btrfs itself makes the snapshots of it", shown);
        } else if (mkdirat(p->parent_fd, p->latest, 0700) < 0) {
                return err_run(err, -errno, "create directory", p->path);
        }
        return open_latest(p, err);
}

int local_place_create(struct local_place *p, bool with_latest, struct err *err)
{
        int r = 0;

        if (p->parent_fd < 0)
                r = create_parent(p, err);
        if (r == 0 && p->state_fd < 0)
                r = create_state(p, err);
        if (r == 0 && with_latest && p->latest_fd < 0)
                r = create_latest(p, err);
        return r;
}

/* ---- what lies there ---- */

static bool is_directory(const struct local_place *p, const char *name)
{
        struct entry e;

        return entry_stat(&e, p->parent_fd, name) == 0 && entry_is_dir(&e);
}

static int read_parent(const struct local_place *p, struct listing *ret, struct arena *arena, struct err *err)
{
        int r;

        *ret = (struct listing){ .names = NULL };
        if (p->parent_fd < 0)
                return 0;
        r = listing_read(ret, p->parent_fd, arena);
        return r < 0 ? err_run(err, r, "read directory", p->parent) : 0;
}

int local_place_snapshots(const struct local_place *p, struct destination_snapshots *ret, struct err *err)
{
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        _cleanup_(listing_deinit) struct listing names;
        _cleanup_(fd_closep) int marks = local_marks_open(p);
        int r = read_parent(p, &names, &arena, err);

        *ret = (struct destination_snapshots){ .items = NULL };
        if (r == 0 && marks < -1)
                r = err_run_at(err, marks, "read directory", p->parent, STATE_DIRECTORY "/" LOCAL_MARKS);
        for (size_t i = 0; i < names.count && r == 0; i++) {
                const char *name = names.names[i]->name;
                struct destination_snapshot s;
                enum local_mark mark;
                int64_t time;

                if (!names_parse(name, &time) || str_equal(name, p->latest) || !is_directory(p, name))
                        continue;
                mark = local_marks_look(marks, name);
                if (mark == LOCAL_MARK_MISSING)
                        continue;
                s = (struct destination_snapshot){ .name = (char *)name,
                                                   .time = time,
                                                   .complete = mark == LOCAL_MARK_COMPLETE &&
                                                               state_is_complete(&p->state, name) };
                if (destination_snapshots_add(ret, &s) < 0)
                        r = err_oom(err);
        }
        if (r < 0)
                destination_snapshots_deinit(ret);
        return r;
}

static bool is_leftover(const char *name)
{
        return str_equal(name, LOCAL_PLACE_NEW) || str_starts(name, LOCAL_PLACE_TRASH);
}

int local_place_leftovers(const struct local_place *p, char ***ret, size_t *ret_count, struct err *err)
{
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        _cleanup_(listing_deinit) struct listing names;
        int r = read_parent(p, &names, &arena, err);
        size_t count = 0;
        char **list = NULL;

        if (r == 0) {
                list = calloc(names.count + 1, sizeof(*list));
                r = list ? 0 : err_oom(err);
        }
        for (size_t i = 0; i < names.count && r == 0; i++) {
                if (!is_leftover(names.names[i]->name))
                        continue;
                list[count] = strdup(names.names[i]->name);
                if (!list[count++])
                        r = err_oom(err);
        }
        if (r < 0) {
                while (list && count > 0)
                        free(list[--count]);
                free(list);
                return r;
        }
        *ret = list;
        *ret_count = count;
        return 0;
}

int local_place_avoid(const struct local_place *p, struct source_avoid *ret, struct err *err)
{
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        _cleanup_(listing_deinit) struct listing names;
        int r = read_parent(p, &names, &arena, err);
        int64_t time;

        *ret = (struct source_avoid){ .parent_fd = p->parent_fd };
        if (r < 0)
                return r;
        ret->items = calloc(names.count + 1, sizeof(*ret->items));
        if (!ret->items)
                return err_oom(err);
        for (size_t i = 0; i < names.count; i++) {
                const char *name = names.names[i]->name;
                struct entry e;

                if (!str_equal(name, p->latest) && !str_equal(name, STATE_DIRECTORY) && !is_leftover(name) &&
                    !names_parse(name, &time))
                        continue;
                if (entry_stat(&e, p->parent_fd, name) == 0 && entry_is_dir(&e))
                        ret->items[ret->count++] = (struct source_avoided){ .dev = e.dev, .ino = e.ino };
        }
        return 0;
}
