/*
 * libmount is told what to mount by an entry that was chosen here, and its return codes become errors here:
 * mnt_context_mount() returns an errno of the system call (positive), one of its own or a MNT_ERR_ (negative), or 0
 * though a mount.TYPE has failed. With `nofail` its exit code says success where nothing was mounted. So nothing but
 * mountinfo counts in the end.
 */
#include "storage/fstab.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "storage/fstab_table.h"
#include "storage/holders.h"
#include "storage/mounted.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libmount/libmount.h>
#include <limits.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <time.h>

/* linux/stat.h from Linux 6.8 on: an id that is not used again. */
#define GET_UNIQUE_MOUNT_ID 0x4000U

enum { BUSY_TIMEOUT_MS = 5000, BUSY_INTERVAL_MS = 100, SHOWN_MAX = 300 };

static int fail_root(const char *point, struct err *err)
{
        char shown[SHOWN_MAX];

        path_show(NULL, point, shown, sizeof(shown));
        return err_usage(err, "'%s' is the root of the system, which is neither mounted nor unmounted for a backup",
                         shown);
}

static bool is_root(const char *point)
{
        _cleanup_(freep) char *path = realpath(point, NULL);

        return path && str_equal(path, "/");
}

/* ---- errors ---- */

static int fail_other(const struct fstab_table *table, const struct origin *origin, const struct mount *m,
                      const char *point, struct err *err)
{
        char shown[SHOWN_MAX], wanted[SHOWN_MAX], source[SHOWN_MAX], root[SHOWN_MAX];

        path_show(NULL, point, shown, sizeof(shown));
        path_show(NULL, mnt_fs_get_source(origin->fs), wanted, sizeof(wanted));
        path_show(NULL, m->source, source, sizeof(source));
        path_show(NULL, m->root, root, sizeof(root));
        (void)err_runf(err, -EMEDIUMTYPE, "'%s' is mounted on '%s' (%s, its directory '%s') and not '%s'%s", source,
                       shown, m->type, root, wanted, origin->kind == ORIGIN_MISSING ? ", which is not there" : "");
        return err_hint(err, "unmount it first, or correct %s", table->path);
}

static int fail_missing(const struct origin *origin, const char *point, struct err *err)
{
        const char *source = mnt_fs_get_source(origin->fs);
        char shown[SHOWN_MAX], wanted[SHOWN_MAX];

        path_show(NULL, point, shown, sizeof(shown));
        path_show(NULL, source ? source : "", wanted, sizeof(wanted));
        (void)err_runf(err, -ENODEV, "cannot mount '%s': there is no '%s'", shown, wanted);
        return err_hint(err, "is the disk plugged in?");
}

static int check_point(struct libmnt_fs *fs, const char *point, struct err *err)
{
        char shown[SHOWN_MAX];
        struct stat st;

        if (stat(point, &st) == 0 && S_ISDIR(st.st_mode))
                return 0;
        if (mnt_fs_get_option(fs, "x-mount.mkdir", NULL, NULL) == 0 ||
            mnt_fs_get_option(fs, "X-mount.mkdir", NULL, NULL) == 0)
                return 0;
        path_show(NULL, point, shown, sizeof(shown));
        (void)err_runf(err, -ENOTDIR, "the mount point '%s' is not there, or is no directory", shown);
        return err_hint(err, "make it: mkdir -p '%s'", shown);
}

/* -ENODEV says that something is missing. The kernel also has that code for a type which it does not know. */
static int code_of(int rc)
{
        switch (rc) {
        case 0:
                return -EIO; /* a mount.TYPE has failed */
        case -MNT_ERR_NOSOURCE:
        case ENXIO:
        case ENOMEDIUM:
                return -ENODEV;
        case ENODEV:
                return -EPROTONOSUPPORT;
        default:
                return rc > 0 ? -rc : rc > -MNT_ERR_NOFSTAB ? rc : -EINVAL;
        }
}

static int fail_libmount(struct libmnt_context *context, int rc, const char *operation, const char *point,
                         struct err *err)
{
        char shown[SHOWN_MAX], text[512] = "";

        (void)mnt_context_get_excode(context, rc, text, sizeof(text));
        for (char *c = text; *c; c++) {
                if (iscntrl((unsigned char)*c))
                        *c = ' ';
        }
        if (mnt_context_helper_executed(context))
                snprintf(text, sizeof(text), "the helper for this type of filesystem ended with status %d",
                         mnt_context_get_helper_status(context));
        path_show(NULL, point, shown, sizeof(shown));
        return err_runf(err, code_of(rc), "cannot %s '%s': %s", operation, shown,
                        text[0] ? text : strerror(-code_of(rc)));
}

/* ---- mounting ---- */

static struct libmnt_context *free_context(struct libmnt_context *context)
{
        mnt_free_context(context);
        return NULL;
}

DEFINE_FREEP(struct libmnt_context, free_context)

/* What libmount is to do with the entry; @more is added to its options. */
static int prepare(struct libmnt_context **ret, const struct fstab_table *table, const struct origin *origin,
                   const char *more, struct err *err)
{
        _cleanup_(free_contextp) struct libmnt_context *context = mnt_new_context();
        struct libmnt_fs *fs = mnt_copy_fs(NULL, origin->fs);
        bool ready;

        ready = context && fs && (!more || mnt_fs_append_options(fs, more) == 0) &&
                mnt_context_set_cache(context, table->cache) == 0 && mnt_context_set_fs(context, fs) == 0;
        mnt_unref_fs(fs);
        if (!ready)
                return err_oom(err);
        (void)mnt_context_set_optsmode(context, MNT_OMODE_NOTAB);
        /* The kernel knows who may mount; libmount means a setuid mount(8). */
        (void)mnt_context_force_unrestricted(context);
        *ret = TAKE(context);
        return 0;
}

/* To libmount a helper has done its work when it could be executed. */
static bool has_mounted(struct libmnt_context *context)
{
        return mnt_context_helper_executed(context) ? mnt_context_get_helper_status(context) == 0
                                                    : mnt_context_get_status(context) == 1;
}

/* Return 0; -EBUSY without @err; or another negative errno with @err filled. */
static int unmount_once(const char *point, struct err *err)
{
        _cleanup_(free_contextp) struct libmnt_context *context = mnt_new_context();
        int rc;

        if (!context || mnt_context_set_target(context, point) < 0)
                return err_oom(err);
        (void)mnt_context_disable_helpers(context, 1);
        (void)mnt_context_force_unrestricted(context);
        rc = mnt_context_umount(context);
        if (rc == 0 || rc == EBUSY)
                return -rc;
        return fail_libmount(context, rc, "unmount", point, err);
}

/* What we have mounted is not what it should be. Fills @err. */
static int undo(const struct fstab_table *table, struct libmnt_context *context, int rc, const struct origin *origin,
                const struct mount *m, const char *point, struct err *err)
{
        ERR_LOCAL(ignored);

        if (rc != 0)
                (void)fail_libmount(context, rc, "mount", point, err);
        else if (m->point)
                (void)fail_other(table, origin, m, point, err);
        else
                (void)err_run(err, -ENOTCONN, "find what was mounted on", point);
        if (m->point && unmount_once(m->point, &ignored) < 0) {
                err_drop(&ignored, "the first error is the one to tell");
                (void)err_hint(err, "it stays mounted: unmount it by hand");
        }
        return err->code;
}

static int mount_entry(const struct fstab_table *table, struct origin *origin, const char *point, bool read_only,
                       struct err *err)
{
        _cleanup_(free_contextp) struct libmnt_context *context = NULL;
        _cleanup_(mount_deinit) struct mount m = { .line = NULL };
        int r = prepare(&context, table, origin, read_only ? "ro" : NULL, err), rc;
        bool ours, is_right;

        if (r < 0)
                return r;
        rc = mnt_context_mount(context);
        ours = has_mounted(context);
        r = mounted_find(&m, point, err);
        if (r < 0)
                return r;
        is_right = r > 0 && origin_is_mounted(origin, &m, point, ours);
        if (ours)
                return rc == 0 && is_right ? FSTAB_MOUNTED : undo(table, context, rc, origin, &m, point, err);
        if (is_right)
                return FSTAB_ALREADY;
        if (r > 0)
                return fail_other(table, origin, &m, point, err);
        /* It may have been pulled since we looked. */
        origin_find(origin, origin->fs, table->cache);
        return origin->kind == ORIGIN_MISSING ? fail_missing(origin, point, err)
                                              : fail_libmount(context, rc, "mount", point, err);
}

int fstab_check(const char *point, struct err *err)
{
        _cleanup_(fstab_table_deinit) struct fstab_table table = { .entries = NULL };
        struct origin origin;
        int r;

        if (is_root(point))
                return fail_root(point, err);
        r = fstab_table_read(&table, err);
        if (r == 0)
                r = fstab_table_choose(&table, point, NULL, &origin, err);
        return r < 0 ? r : 0;
}

int fstab_find_mapping(const char *point, const char *name, struct err *err)
{
        _cleanup_(fstab_table_deinit) struct fstab_table table = { .entries = NULL };
        _cleanup_(mount_deinit) struct mount m = { .line = NULL };
        _cleanup_(freep) char *mapping = path_join("/dev/mapper", name);
        struct origin origin;
        int r = mapping ? fstab_table_read(&table, err) : err_oom(err);

        if (r == 0)
                r = mounted_find(&m, point, err);
        if (r > 0) {
                r = fstab_table_choose(&table, point, &m, &origin, err);
                if (r > 0)
                        return fstab_table_compare(&origin, mapping);
        }
        /* What else is mounted there fstab_mount() will not take for the entry's. */
        return r < 0 ? r : fstab_table_mapping(&table, point, mapping, err);
}

int fstab_mount(const char *point, bool read_only, struct err *err)
{
        _cleanup_(fstab_table_deinit) struct fstab_table table = { .entries = NULL };
        _cleanup_(mount_deinit) struct mount before = { .line = NULL };
        struct origin origin;
        int r, mounted;

        if (is_root(point))
                return fail_root(point, err);
        r = fstab_table_read(&table, err);
        if (r < 0)
                return r;
        mounted = mounted_find(&before, point, err);
        if (mounted < 0)
                return mounted;
        r = fstab_table_choose(&table, point, mounted > 0 ? &before : NULL, &origin, err);
        if (r != 0)
                return r < 0 ? r : FSTAB_ALREADY;
        if (mounted > 0)
                return fail_other(&table, &origin, &before, point, err);
        r = check_point(origin.fs, point, err);
        if (r < 0)
                return r;
        if (origin.kind == ORIGIN_MISSING)
                return fail_missing(&origin, point, err);
        return mount_entry(&table, &origin, point, read_only, err);
}

int fstab_remount_writable(const char *point, struct err *err)
{
        _cleanup_(free_contextp) struct libmnt_context *context = NULL;
        _cleanup_(fstab_table_deinit) struct fstab_table table = { .entries = NULL };
        _cleanup_(mount_deinit) struct mount m = { .line = NULL };
        struct origin origin;
        struct statvfs now;
        int r = fstab_table_read(&table, err), rc;

        if (r < 0)
                return r;
        r = mounted_find(&m, point, err);
        if (r <= 0)
                return r < 0 ? r : err_run(err, -ENOTCONN, "make writable what is mounted on", point);
        r = fstab_table_choose(&table, point, &m, &origin, err);
        if (r <= 0)
                return r < 0 ? r : fail_other(&table, &origin, &m, point, err);
        if (mnt_fs_get_option(origin.fs, "ro", NULL, NULL) == 0)
                return 0;
        r = prepare(&context, &table, &origin, "remount", err);
        if (r < 0)
                return r;
        rc = mnt_context_mount(context);
        if (rc == 0 && mnt_context_get_status(context) == 1 && (statvfs(point, &now) < 0 || !(now.f_flag & ST_RDONLY)))
                return 0;
        if (rc == 0 || rc == EACCES || rc == -EACCES)
                rc = EROFS;
        return fail_libmount(context, rc, "make writable what is mounted on", point, err);
}

/* ---- what is mounted ---- */

int fstab_is_mounted(const char *point, struct err *err)
{
        _cleanup_(mount_deinit) struct mount m = { .line = NULL };

        return mounted_find(&m, point, err);
}

/* The root is always mounted. */
static bool is_above(struct libmnt_fs *fs, const char *path)
{
        const char *target = mnt_fs_get_target(fs);

        return target && target[0] == '/' && target[1] != '\0' && !mnt_fs_is_swaparea(fs) && path_below(path, target);
}

bool fstab_is_awaited(const char *path, char **ret_point)
{
        _cleanup_(fstab_table_deinit) struct fstab_table table = { .entries = NULL };
        struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
        const char *nearest = NULL;
        struct libmnt_fs *fs;
        ERR_LOCAL(err);

        if (iter && fstab_table_read(&table, &err) == 0) {
                while (mnt_table_next_fs(table.entries, iter, &fs) == 0) {
                        if (is_above(fs, path) && (!nearest || strlen(mnt_fs_get_target(fs)) > strlen(nearest)))
                                nearest = mnt_fs_get_target(fs);
                }
        }
        mnt_free_iter(iter);
        if (err.kind == ERR_NONE && nearest && fstab_is_mounted(nearest, &err) == 0)
                *ret_point = strdup(nearest);
        else
                nearest = NULL;
        err_drop(&err, "it is not told");
        return nearest && *ret_point;
}

int fstab_instance(const char *point, char ret[FSTAB_INSTANCE_SIZE])
{
        _cleanup_(mount_deinit) struct mount m = { .line = NULL };
        ERR_LOCAL(err);
        struct statx x;
        int r = mounted_find(&m, point, &err);
        uint64_t id;

        if (r <= 0) {
                err_drop(&err, "the caller gets its code");
                return r < 0 ? r : -ENOENT;
        }
        id = (uint64_t)m.id;
        if (statx(AT_FDCWD, point, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, GET_UNIQUE_MOUNT_ID, &x) == 0 &&
            (x.stx_mask & GET_UNIQUE_MOUNT_ID))
                id = x.stx_mnt_id;
        snprintf(ret, FSTAB_INSTANCE_SIZE, "%u:%u %" PRIu64, major(m.device), minor(m.device), id);
        return 0;
}

/* ---- unmounting ---- */

static int fail_busy(const struct mount *m, struct err *err)
{
        _cleanup_(buf_deinit) struct buf holders = { .data = NULL };
        char shown[SHOWN_MAX];

        path_show(NULL, m->point, shown, sizeof(shown));
        (void)holders_describe(&holders, m->device, 0);
        (void)err_runf(err, -EBUSY, "cannot unmount '%s': it is in use%s%s", shown, holders.size > 0 ? " by " : "",
                       buf_text(&holders));
        return err_hint(err, "end what uses it, then unmount it by hand");
}

/* Is @m still there? What cannot be told counts as yes. */
static bool is_gone(const struct mount *m, const char *point)
{
        _cleanup_(mount_deinit) struct mount now = { .line = NULL };
        ERR_LOCAL(err);
        int r = mounted_find(&now, point, &err);

        err_drop(&err, "the caller has an error of its own");
        return r == 0 || (r > 0 && now.id != m->id);
}

int fstab_unmount(const char *point, struct err *err)
{
        _cleanup_(mount_deinit) struct mount m = { .line = NULL };
        const struct timespec interval = { .tv_nsec = BUSY_INTERVAL_MS * 1000000L };
        int r = mounted_find(&m, point, err), waited_ms = 0;

        if (r <= 0)
                return r;
        if (str_equal(m.point, "/"))
                return fail_root(point, err);
        for (;;) {
                r = unmount_once(m.point, err);
                if (r == 0)
                        return 0;
                if (is_gone(&m, point)) {
                        if (r != -EBUSY)
                                err_drop(err, "somebody else has unmounted it");
                        return 0;
                }
                if (r != -EBUSY)
                        return r;
                if (waited_ms >= BUSY_TIMEOUT_MS)
                        return fail_busy(&m, err);
                (void)nanosleep(&interval, NULL);
                waited_ms += BUSY_INTERVAL_MS;
        }
}
