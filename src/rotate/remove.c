/*
 * Unlink what is no directory, come back for each directory when it is empty. Never leaves the filesystem. A btrfs
 * subvolume goes as a whole where we may do that.
 */
#include "rotate/remove.h"

#include "base/buf.h"
#include "base/crew.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/listing.h"
#include "base/report.h"
#include "rotate/subvolume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct removal {
        const struct remove_config *config;
        dev_t dev;
};

/* An error of one entry is told; those that concern the whole filesystem go on to the caller. */
static int tell(const struct removal *m, const struct crew_dir *d, int code, const char *name, struct err *err)
{
        _cleanup_(buf_deinit) struct buf path = { .data = NULL };
        _cleanup_(buf_deinit) struct buf shown = { .data = NULL };

        if (crew_path(d, &path) < 0 ||
            buf_printf(&shown, "%s%s%s", m->config->shown, path.size ? "/" : "", buf_text(&path)) < 0)
                return err_oom(err);
        err_destination_at(err, code, "remove", shown.data, name);
        if (err->kind == ERR_RUN)
                return code;
        report_remains(m->config->report, err);
        return 0;
}

/* Return 1 for a directory, 0 when it is gone, or -errno. */
static int remove_name(int fd, const struct listing_name *n)
{
        if (n->type == DT_DIR)
                return 1;
        if (unlinkat(fd, n->name, 0) == 0 || errno == ENOENT)
                return 0;
        return errno == EISDIR ? 1 : -errno;
}

static int remove_names(struct crew_worker *w, struct crew_dir *d, int fd, const struct listing *names, struct err *err)
{
        const struct removal *m = crew_context(w);
        uint64_t removed = 0;
        int r = 0;

        for (size_t i = 0; i < names->count && r == 0; i++) {
                const char *name = names->names[i]->name;

                r = remove_name(fd, names->names[i]);
                removed += r == 0;
                if (r > 0)
                        r = crew_add(w, d, &(struct crew_child){ .name = name }, err);
                else if (r < 0)
                        r = tell(m, d, r, name, err);
                if (r == 0)
                        r = crew_check(w, err);
        }
        report_add(m->config->report, REPORT_REMOVED, removed);
        return r;
}

static int on_visit(struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        const struct removal *m = crew_context(w);
        struct listing names = { .names = NULL };
        int fd = crew_fd(w, d, CREW_TO), r = fd < 0 ? fd : 0;

        if (r == 0 && d->slots[CREW_TO].dev != m->dev)
                r = -EBUSY;
        if (r == 0)
                r = listing_read_unsorted(&names, fd, &w->arena);
        if (r < 0) {
                r = r == -ENOENT ? 0 : tell(m, d, r, "", err);
                r = r < 0 ? r : CREW_SKIP_FINISH;
        } else {
                r = remove_names(w, d, fd, &names, err);
        }
        listing_deinit(&names);
        return r;
}

static int on_finish(struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        const struct removal *m = crew_context(w);
        int parent, r;

        if (!d->parent)
                return 0;
        parent = crew_fd(w, d->parent, CREW_TO);
        r = parent < 0 ? parent : unlinkat(parent, d->name, AT_REMOVEDIR) < 0 ? -errno : 0;
        if (r == 0)
                report_add(m->config->report, REPORT_REMOVED, 1);
        /* Not empty: what is in it was told. */
        if (r == 0 || r == -ENOENT || r == -ENOTEMPTY || r == -EEXIST)
                return 0;
        return tell(m, d, r, "", err);
}

/* What is said about the root itself; @hint may be NULL. */
static int tell_root(const struct remove_config *c, int code, const char *hint, struct err *err)
{
        err_destination_at(err, code, "remove", c->shown, "");
        if (hint)
                err_hint(err, "%s", hint);
        if (err->kind == ERR_RUN)
                return code;
        report_remains(c->report, err);
        return 0;
}

static int remove_root(const struct remove_config *c, struct err *err)
{
        if (unlinkat(c->parent_fd, c->name, AT_REMOVEDIR) == 0) {
                report_add(c->report, REPORT_REMOVED, 1);
                return 0;
        }
        if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOENT)
                return 0;
        return tell_root(c, -errno, NULL, err);
}

/* An ordinary user may have closed the root of his own to himself. */
static void open_up(const struct remove_config *c)
{
        if (!c->privileged)
                (void)fchmodat(c->parent_fd, c->name, S_IRWXU, AT_SYMLINK_NOFOLLOW);
}

/* Return 0 or SUBVOLUME_BY_HAND, or a negative errno with @err filled. */
static int remove_subvolume(const struct remove_config *c, struct err *err)
{
        static const char *const hint = "it is a btrfs subvolume: its owner or root can remove it";
        int r = subvolume_remove(c->parent_fd, c->name);

        if (r == SUBVOLUME_BY_HAND) {
                r = subvolume_make_writable(c->parent_fd, c->name);
                if (r == 0)
                        open_up(c);
                if (r == 0)
                        r = subvolume_remove(c->parent_fd, c->name);
        }
        if (r < 0)
                return tell_root(c, r, r == -EPERM ? hint : NULL, err);
        if (r == 0)
                report_add(c->report, REPORT_REMOVED, 1);
        return r;
}

int remove_tree(const struct remove_config *config, struct err *err)
{
        static const struct crew_ops ops = { .visit = on_visit, .finish = on_finish };
        struct removal m = { .config = config };
        _cleanup_(fd_closep) int root = -1;
        struct entry e;
        int r;

        /* Something of ours, but not a directory: a file that somebody put there. */
        if (unlinkat(config->parent_fd, config->name, 0) == 0 || errno == ENOENT)
                return 0;
        if (subvolume_is_at(config->parent_fd, config->name)) {
                r = remove_subvolume(config, err);
                if (r != SUBVOLUME_BY_HAND)
                        return r;
        }
        open_up(config);
        root = fd_open_unmounted_at(config->parent_fd, config->name, O_DIRECTORY);
        r = root < 0 ? root : entry_stat_fd(&e, root);
        if (r < 0)
                return tell_root(config, r, NULL, err);
        m.dev = e.dev;
        r = crew_run(
                &(struct crew_config){ .ops = &ops,
                                       .context = &m,
                                       .root_fds = { -1, root },
                                       .access[CREW_TO] = config->privileged ? CREW_ACCESS_AS_IT_IS : CREW_ACCESS_TAKEN,
                                       .tick = config->tick,
                                       .tick_context = config->tick_context },
                err);
        return r < 0 ? r : remove_root(config, err);
}
