/* Lines that libmount does not understand are left out; where no entry is found, the first of them is told of. */
#include "storage/fstab_table.h"

#include "base/err.h"
#include "base/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SHOWN_MAX = 300 };

static int note_broken_line(struct libmnt_table *entries, const char *path, int line)
{
        struct fstab_table *table = mnt_table_get_userdata(entries);

        (void)path;
        if (table->broken_line == 0)
                table->broken_line = line;
        return 1; /* leave it out and go on */
}

void fstab_table_deinit(struct fstab_table *table)
{
        mnt_unref_table(table->entries);
        mnt_unref_cache(table->cache);
}

int fstab_table_read(struct fstab_table *table, struct err *err)
{
        /* libmount does not look at it in a process that may not be dumped, as those are that know a passphrase. */
        const char *path = secure_getenv("LIBMOUNT_FSTAB");
        int r;

        table->path = path && *path ? path : mnt_get_fstab_path();
        table->entries = mnt_new_table();
        table->cache = mnt_new_cache();
        if (!table->entries || !table->cache || mnt_table_set_cache(table->entries, table->cache) < 0 ||
            mnt_table_set_userdata(table->entries, table) < 0 ||
            mnt_table_set_parser_errcb(table->entries, note_broken_line) < 0)
                return err_oom(err);
        r = mnt_table_parse_fstab(table->entries, table->path);
        if (r == 0)
                return 0;
        (void)err_usage(err, "cannot read '%s': %s", table->path, strerror(r < 0 ? -r : EINVAL));
        return err->code = r < 0 ? r : -EINVAL;
}

static bool is_for(struct libmnt_fs *fs, const char *point, struct libmnt_cache *cache)
{
        const char *target = mnt_fs_get_target(fs);

        return target && target[0] == '/' && !mnt_fs_is_swaparea(fs) && mnt_fs_match_target(fs, point, cache);
}

static int fail_no_entry(const struct fstab_table *table, const char *point, struct err *err)
{
        char shown[SHOWN_MAX];

        path_show(NULL, point, shown, sizeof(shown));
        (void)err_usage(err, "there is no entry for '%s' in %s", shown, table->path);
        err->code = -ENOENT;
        if (table->broken_line > 0)
                return err_hint(err, "line %d of it could not be understood", table->broken_line);
        return err_hint(err, "add one; with the option noauto if the disk is not always there");
}

int fstab_table_choose(const struct fstab_table *table, const char *point, const struct mount *m, struct origin *ret,
                       struct err *err)
{
        struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
        struct libmnt_fs *fs;
        bool found = false, mounted = false;

        if (!iter)
                return err_oom(err);
        while (!mounted && mnt_table_next_fs(table->entries, iter, &fs) == 0) {
                struct origin origin;

                if (!is_for(fs, point, table->cache))
                        continue;
                origin_find(&origin, fs, table->cache);
                mounted = m && origin_is_mounted(&origin, m, point, false);
                if (mounted || !found || (ret->kind == ORIGIN_MISSING && origin.kind != ORIGIN_MISSING))
                        *ret = origin;
                found = true;
        }
        mnt_free_iter(iter);
        return found ? mounted : fail_no_entry(table, point, err);
}

/* Names that udev gives to what is in a mapping, which are not there before it is. */
static bool may_be_inside(struct libmnt_fs *fs)
{
        const char *source = mnt_fs_get_source(fs);

        return mnt_fs_get_tag(fs, NULL, NULL) == 0 || (source && str_starts(source, "/dev/disk/"));
}

enum fstab_mapping fstab_table_compare(const struct origin *origin, const char *mapping)
{
        const char *source = mnt_fs_get_source(origin->fs);
        struct stat st;

        if (source && str_equal(source, mapping))
                return FSTAB_MAPPING_RIGHT;
        if (origin->kind == ORIGIN_MISSING && may_be_inside(origin->fs))
                return FSTAB_MAPPING_UNKNOWN;
        if (origin->kind == ORIGIN_DEVICE && stat(mapping, &st) == 0 && st.st_rdev == origin->st.st_rdev)
                return FSTAB_MAPPING_RIGHT;
        return FSTAB_MAPPING_OTHER;
}

int fstab_table_mapping(const struct fstab_table *table, const char *point, const char *mapping, struct err *err)
{
        struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
        enum fstab_mapping best = FSTAB_MAPPING_OTHER;
        struct libmnt_fs *fs;
        bool found = false;

        if (!iter)
                return err_oom(err);
        while (mnt_table_next_fs(table->entries, iter, &fs) == 0) {
                enum fstab_mapping mapped;
                struct origin origin;

                if (!is_for(fs, point, table->cache))
                        continue;
                origin_find(&origin, fs, table->cache);
                mapped = fstab_table_compare(&origin, mapping);
                best = mapped > best ? mapped : best;
                found = true;
        }
        mnt_free_iter(iter);
        return found ? (int)best : fail_no_entry(table, point, err);
}
