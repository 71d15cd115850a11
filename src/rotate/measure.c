/*
 * Trees are measured one after the other. A table has the inodes with several names; what it says of an inode belongs
 * to the tree that met it last, so that it need not be emptied between two trees: who meets it first in a tree begins
 * to count anew.
 *
 * A worker looks at some names of a directory, then counts them together under the lock, then asks for the extents of
 * those that turned out to be freed.
 */
#include "rotate/measure.h"

#include "base/buf.h"
#include "base/crew.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/listing.h"
#include "base/report.h"
#include "rotate/extents.h"
#include "rotate/inodes.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

enum { TOGETHER = 128 };

struct measuring {
        pthread_mutex_t lock;        /* guards what follows, while a tree is walked */
        struct inodes *inodes;       /* of the filesystem of the first tree; */
        struct inodes *other_inodes; /* of another one: a subvolume has its own, which nobody else shares */
        dev_t dev;
        bool has_dev;
        uint64_t total_bytes;
        bool lacks_total;
        struct measure now; /* of the tree */

        /* Set before it is walked. */
        const struct measure_config *config;
        struct extents_filesystem filesystem;
        dev_t tree_dev;
        struct inodes *tree_inodes;
};

int measuring_new(struct measuring **ret, struct err *err)
{
        struct measuring *m = calloc(1, sizeof(*m));

        if (!m)
                return err_oom(err);
        m->inodes = inodes_new();
        if (!m->inodes) {
                free(m);
                return err_oom(err);
        }
        pthread_mutex_init(&m->lock, NULL);
        *ret = m;
        return 0;
}

struct measuring *measuring_free(struct measuring *m)
{
        if (!m)
                return NULL;
        pthread_mutex_destroy(&m->lock);
        inodes_free(m->inodes);
        inodes_free(m->other_inodes);
        free(m);
        return NULL;
}

bool measuring_total(const struct measuring *m, uint64_t *ret_bytes)
{
        *ret_bytes = m->total_bytes;
        return !m->lacks_total;
}

/* ---- what cannot be looked at ---- */

static void mark_partial(struct measuring *m)
{
        pthread_mutex_lock(&m->lock);
        m->now.is_partial = true;
        pthread_mutex_unlock(&m->lock);
}

/* What went away meanwhile, or is something else now, is not there. */
static bool is_gone(int code)
{
        return code == -ENOENT || code == -ESTALE || code == -ENOTDIR || code == -ELOOP;
}

static bool is_fatal(int code)
{
        return code == -ENOMEM || code == -EMFILE || code == -ENFILE;
}

/* @name (may be "") of the directory cannot be looked at. What an ordinary user may not see is no error. */
static int pass_over(struct measuring *m, const struct crew_dir *d, int code, const char *name, struct err *err)
{
        _cleanup_(buf_deinit) struct buf path = { .data = NULL };
        _cleanup_(buf_deinit) struct buf shown = { .data = NULL };

        if (is_gone(code))
                return 0;
        mark_partial(m);
        if (code == -EACCES || code == -EPERM)
                return 0;
        if (crew_path(d, &path) < 0 ||
            buf_printf(&shown, "%s%s%s", m->config->shown, path.size ? "/" : "", buf_text(&path)) < 0)
                return err_oom(err);
        if (is_fatal(code))
                return err_run_at(err, code, "look at", shown.data, name);
        err_item_at(err, code, "look at", shown.data, name);
        report_item(m->config->report, err);
        return 0;
}

/* ---- counting ---- */

/* One name that was looked at. */
struct seen {
        const char *name;
        uint64_t ino, size_bytes, disk_bytes;
        uint32_t links;
        bool is_file, is_directory;
        bool is_freed; /* set by count(): this was its last link */
};

/* An inode of several names: met before in this tree, for the last time, ever? Return 0 or -ENOMEM. */
static int count_linked(struct measuring *m, struct seen *s)
{
        struct inodes_met met;

        if (inodes_meet(m->tree_inodes, s->ino, &met) < 0)
                return -ENOMEM;
        if (met.in_tree == 1)
                m->now.size_bytes += s->size_bytes;
        if (met.is_new)
                m->total_bytes += s->disk_bytes;
        s->is_freed = met.in_tree == s->links;
        return 0;
}

/* Under the lock. Return 0 or -ENOMEM. */
static int count(struct measuring *m, struct seen *seen, size_t n)
{
        int r = 0;

        for (size_t i = 0; i < n && r == 0; i++) {
                struct seen *s = &seen[i];

                m->now.entries++;
                if (s->links > 1 && !s->is_directory) {
                        r = count_linked(m, s);
                        continue;
                }
                m->now.size_bytes += s->size_bytes;
                m->total_bytes += s->disk_bytes;
                s->is_freed = true;
        }
        return r;
}

/* What the removal of a freed one gives back. */
struct gain {
        uint64_t bytes;
        bool frees_less, frees_more;
};

static int add_extents(const struct measuring *m, const struct seen *s, int dirfd, struct gain *gain)
{
        _cleanup_(fd_closep) int fd = fd_open_file_at(dirfd, s->name);
        struct extents e;
        int r = fd < 0 ? fd : extents_read(&e, fd);

        if (r < 0)
                return r;
        gain->frees_less = gain->frees_less || e.is_encoded;
        gain->frees_more = gain->frees_more || e.shared > 0;
        if (m->filesystem.kind == EXTENTS_LOGICAL)
                gain->bytes += e.bytes - e.shared;
        else if (s->disk_bytes > e.shared)
                gain->bytes += s->disk_bytes - e.shared;
        return 0;
}

static int add_gain(const struct measuring *m, const struct seen *s, int dirfd, struct gain *gain)
{
        if (m->filesystem.kind == EXTENTS_OWN || (m->filesystem.kind == EXTENTS_MAYBE && !s->is_file)) {
                gain->bytes += s->disk_bytes;
                return 0;
        }
        return s->is_file && s->disk_bytes > 0 ? add_extents(m, s, dirfd, gain) : 0;
}

static int count_all(struct measuring *m, const struct crew_dir *d, int dirfd, struct seen *seen, size_t n,
                     struct err *err)
{
        struct gain gain = { .bytes = 0 };
        int r;

        report_add(m->config->report, REPORT_SURVEYED, n);
        pthread_mutex_lock(&m->lock);
        r = count(m, seen, n);
        pthread_mutex_unlock(&m->lock);
        if (r < 0)
                return err_oom(err);
        for (size_t i = 0; i < n && r == 0; i++) {
                int code = seen[i].is_freed ? add_gain(m, &seen[i], dirfd, &gain) : 0;

                if (code < 0)
                        r = pass_over(m, d, code, seen[i].name, err);
        }
        pthread_mutex_lock(&m->lock);
        m->now.freed_bytes += gain.bytes;
        m->now.frees_less = m->now.frees_less || gain.frees_less;
        m->now.frees_more = m->now.frees_more || gain.frees_more;
        pthread_mutex_unlock(&m->lock);
        return r;
}

/* ---- the walk ---- */

/*
 * On ext4 the few bytes that an inode has room for count as blocks (of 512 bytes), but are none; nothing that has
 * blocks has less than a whole one.
 */
static struct seen see(const struct measuring *m, const struct entry *e)
{
        uint64_t bytes = e->blocks * 512;

        return (struct seen){ .name = e->name,
                              .ino = e->ino,
                              .size_bytes = entry_is_file(e) ? e->size : 0,
                              .disk_bytes = bytes - bytes % m->filesystem.block_bytes,
                              .links = (uint32_t)e->nlink,
                              .is_file = entry_is_file(e),
                              .is_directory = entry_is_dir(e) };
}

/* Return 1 with @ret filled, 0 when there is nothing to count, or a negative errno with @err filled. */
static int look(struct crew_worker *w, struct crew_dir *d, int dirfd, const char *name, struct seen *ret,
                struct err *err)
{
        struct measuring *m = crew_context(w);
        struct entry e;
        int r = entry_stat(&e, dirfd, name);

        if (r < 0)
                return pass_over(m, d, r, name, err);
        /* What is mounted there hides what belongs to the tree, which could not be removed now. */
        if (e.is_mount_point || e.dev != m->tree_dev) {
                mark_partial(m);
                return 0;
        }
        *ret = see(m, &e);
        if (!ret->is_directory)
                return 1;
        r = crew_add(w, d, &(struct crew_child){ .name = name, .dev[CREW_FROM] = e.dev, .ino[CREW_FROM] = e.ino }, err);
        return r < 0 ? r : 1;
}

static int look_at_names(struct crew_worker *w, struct crew_dir *d, int dirfd, const struct listing *names,
                         struct err *err)
{
        struct measuring *m = crew_context(w);
        struct seen seen[TOGETHER];
        size_t n = 0;
        int r = 0;

        for (size_t i = 0; i < names->count && r >= 0; i++) {
                r = look(w, d, dirfd, names->names[i]->name, &seen[n], err);
                n += r > 0;
                if (r >= 0 && n == TOGETHER) {
                        r = count_all(m, d, dirfd, seen, n, err);
                        n = 0;
                }
                if (r >= 0)
                        r = crew_check(w, err);
        }
        if (r >= 0 && n > 0)
                r = count_all(m, d, dirfd, seen, n, err);
        return r < 0 ? r : 0;
}

static int on_visit(struct crew_worker *w, struct crew_dir *d, struct err *err)
{
        struct measuring *m = crew_context(w);
        struct listing names = { .names = NULL };
        int fd = crew_fd(w, d, CREW_FROM), r = fd < 0 ? fd : listing_read_unsorted(&names, fd, &w->arena);

        r = r < 0 ? pass_over(m, d, r, "", err) : look_at_names(w, d, fd, &names, err);
        listing_deinit(&names);
        return r;
}

/* ---- a tree ---- */

/* Choose the table, which lives as long as there may be links between trees. */
static int choose_inodes(struct measuring *m, const struct entry *root)
{
        if (!m->has_dev)
                m->dev = root->dev;
        m->has_dev = true;
        m->tree_dev = root->dev;
        m->tree_inodes = m->inodes;
        if (root->dev != m->dev) {
                m->other_inodes = inodes_free(m->other_inodes);
                m->tree_inodes = m->other_inodes = inodes_new();
        }
        if (!m->tree_inodes)
                return -ENOMEM;
        inodes_begin_tree(m->tree_inodes);
        return 0;
}

static int begin(struct measuring *m, int root_fd, struct entry *ret, struct err *err)
{
        const char *shown = m->config->shown;
        struct seen root;
        int r = entry_stat_fd(ret, root_fd);

        if (r == 0)
                r = extents_look(&m->filesystem, root_fd);
        if (r < 0)
                return err_run(err, r, "look at", shown);
        if (choose_inodes(m, ret) < 0)
                return err_oom(err);
        m->lacks_total = m->lacks_total || m->filesystem.kind != EXTENTS_OWN;
        m->now = (struct measure){ .entries = 0 };
        root = see(m, ret);
        return count_all(m, NULL, root_fd, &root, 1, err);
}

/* Is it still there, so that what was seen of it is true? */
static bool is_still(const struct measure_config *c, const struct entry *root)
{
        struct entry e;

        return entry_stat(&e, c->parent_fd, c->name) == 0 && entry_is_same_inode(&e, root);
}

static int walk(struct measuring *m, int root_fd, struct err *err)
{
        static const struct crew_ops ops = { .visit = on_visit };

        return crew_run(&(struct crew_config){ .ops = &ops,
                                               .context = m,
                                               .root_fds = { root_fd, -1 },
                                               .tick = m->config->tick,
                                               .tick_context = m->config->tick_context },
                        err);
}

int measure_tree(struct measuring *m, const struct measure_config *config, struct measure *ret, struct err *err)
{
        _cleanup_(fd_closep) int root_fd = fd_open_unmounted_at(config->parent_fd, config->name, O_DIRECTORY);
        struct entry root;
        int r;

        m->config = config;
        if (root_fd == -EACCES || root_fd == -EPERM || root_fd == -EXDEV) {
                m->lacks_total = true;
                *ret = (struct measure){ .entries = 1, .is_partial = true };
                return 0;
        }
        if (root_fd < 0)
                return is_gone(root_fd) ? MEASURE_GONE : err_run(err, root_fd, "open directory", config->shown);
        r = begin(m, root_fd, &root, err);
        if (r == 0)
                r = walk(m, root_fd, err);
        if (r < 0)
                return r;
        m->lacks_total = m->lacks_total || m->now.is_partial;
        *ret = m->now;
        return is_still(config, &root) ? 0 : MEASURE_GONE;
}
