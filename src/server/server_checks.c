/*
 * Looking before changing, where nothing but names can be seen, and each look is a connection of its own. So it is only
 * done for a destination that was never sent to from here; afterwards what is there is what we sent.
 */
#include "server/server.h"

#include "base/directory.h"
#include "base/err.h"
#include "base/log.h"
#include "base/path.h"
#include "rotate/names.h"
#include "server/server_inventory.h"
#include "storage/identity.h"
#include "storage/state.h"

#include <errno.h>

/* ---- what was sent to before ---- */

/* What this machine has sent to is remembered, beside its disks, as this. NULL when memory is short. */
static char *known_as(const struct server *s)
{
        return location_expression(&s->d.config->options->destination);
}

void server_remember(const struct server *s)
{
        _cleanup_(freep) char *known = known_as(s);
        ERR_LOCAL(minor);

        if (known && identity_remember(known, IDENTITY_NO_UUID, &minor) < 0)
                log_err(LOG_LEVEL_WARNING, &minor);
}

/* ---- the whole machine ---- */

static int check_root(const struct server *s, struct err *err)
{
        if (s->is_daemon || !str_equal(s->d.config->options->destination.path, "/"))
                return 0;
        err_usage(err, "%s: the destination cannot be '/': all of that machine would be deleted", s->name);
        return err_hint(err, "use a directory of its own");
}

/* ---- a destination inside of another one ---- */

/* Is the path one into a snapshot, or into what is kept under the usual name? By names; what there is nobody tells. */
static bool leads_into_another(const char *path)
{
        const char *part = path + strspn(path, "/"), *slash;

        for (; (slash = strchr(part, '/')); part = slash + strspn(slash, "/")) {
                _cleanup_(freep) char *name = strndup(part, (size_t)(slash - part));

                if (!name || str_equal(name, "latest") || names_is_taken(name))
                        return true;
        }
        return false;
}

static int check_nested(const struct server *s, struct err *err)
{
        const struct location *l = &s->d.config->options->destination;
        char shown[PATH_SHOWN];

        if (!leads_into_another(l->path))
                return 0;
        location_show(l, shown, sizeof(shown));
        err_runf(err, -EEXIST, "'%s' is inside of what another destination keeps, as its path says", shown);
        return err_hint(err, "use a directory outside of it; --force if it is meant so");
}

/* ---- a transfer into a directory full of something else ---- */

/* What a directory holds. */
struct content {
        size_t count, snapshots;
        bool has_state;
};

static int take_content(void *content, const char *name, mode_t mode, uint64_t size, int64_t mtime, struct err *err)
{
        struct content *c = content;
        int64_t time;

        (void)mode, (void)size, (void)mtime, (void)err;
        c->count++;
        c->snapshots += names_parse(name, &time);
        c->has_state = c->has_state || str_equal(name, STATE_DIRECTORY);
        return 0;
}

static int look_into(struct server *s, const char *path, struct content *ret, struct err *err)
{
        int r = server_look_into(s, path, take_content, ret, err);

        if (r == -ENOENT) {
                err_drop(err, "there is nothing to lose");
                return 0;
        }
        if (r == -ENOTSUP || (r == -EACCES && !*err->hint))
                err_hint(err, "the first transfer from here looks at what it would delete there; --force if there is "
                              "nothing to lose");
        return r;
}

/* Beside it there is what backups leave: it was one, of a machine that has forgotten it. */
static int is_beside_snapshots(struct server *s, struct err *err)
{
        const struct options *o = s->d.config->options;
        _cleanup_(freep) char *parent = server_path(s, NULL);
        struct content c = { .count = 0 };
        int r;

        if (o->lacks_parent || !*o->destination.path)
                return 0;
        r = parent ? look_into(s, parent, &c, err) : err_oom(err);
        return r < 0 ? r : c.has_state || c.snapshots > 0;
}

static int check_content(struct server *s, const char *path, struct err *err)
{
        const struct location *l = &s->d.config->options->destination;
        struct content c = { .count = 0 };
        bool is_parent;
        char shown[PATH_SHOWN];
        int r = look_into(s, path, &c, err);

        if (r < 0 || c.count == 0)
                return r;
        is_parent = c.has_state || c.snapshots > 0;
        r = is_parent ? 0 : is_beside_snapshots(s, err);
        if (r != 0)
                return r < 0 ? r : 0;
        location_show(l, shown, sizeof(shown));
        err_runf(err, -EEXIST,
                 "'%s' is not empty and was never a destination of backups, what is in it would be deleted", shown);
        return err_hint(err, "%s",
                        is_parent ? "is it the directory above 'latest'? --force if it is meant so"
                                  : "are the arguments swapped? --force if it is meant so");
}

/* ---- another destination beside this one ---- */

/* When the transfer has been made it is known anyway, and too late. */
static int check_owner(struct server *s, struct err *err)
{
        const struct options *o = s->d.config->options;
        int r = o->snapshot && !s->d.transfers_only ? server_inventory_take(s, err) : 0;

        s->inventory = server_inventory_free(s->inventory);
        return r;
}

/* ---- all of it ---- */

int server_check_source(const struct server *s, int fd, struct err *err)
{
        const struct options *o = s->d.config->options;
        int r = directory_is_empty(fd);

        if (r < 0)
                return err_run(err, r, "read the source directory", o->source);
        if (r == 0 || o->force)
                return 0;
        err_runf(err, -ENODATA, "the source is empty: all that the server has would be deleted");
        return err_hint(err, "a disk that is not mounted? --force goes on");
}

int server_check_destination(struct server *s, const char *path, struct err *err)
{
        _cleanup_(freep) char *known = known_as(s);
        int r = known ? check_root(s, err) : err_oom(err);

        if (r < 0 || s->d.config->options->force || identity_is_known(known, IDENTITY_NO_UUID))
                return r;
        r = check_nested(s, err);
        r = r < 0 ? r : check_content(s, path, err);
        return r < 0 ? r : check_owner(s, err);
}
