#include "agent/agent_asked.h"

#include "base/err.h"
#include "base/path.h"
#include "options/options.h"
#include "transfer/exchange/request.h"

#include <errno.h>

/* Relative paths are those of the home directory, where sshd starts us too. */
static int set_destination(struct options *o, const char *path, struct err *err)
{
        const char *home = getenv("HOME");
        _cleanup_(freep) char *joined = *path == '/' || !home || *home != '/' ? NULL : path_join(home, path);
        _cleanup_(freep) char *absolute = path_absolute(joined ? joined : path);

        return absolute ? location_set_local(&o->destination, absolute, err) : err_oom(err);
}

/* By the setters of the command line, for what they refuse. */
static int set_disk(struct options *o, const struct request_prepare *p, struct err *err)
{
        _cleanup_(settings_deinit) struct settings s = { .source = NULL };
        int r = *p->mount ? settings_set(&s, settings_find("mount"), p->mount, err) : 0;

        if (r < 0)
                return err_context(err, "--mount");
        r = *p->crypto ? settings_set(&s, settings_find("crypto"), p->crypto, err) : 0;
        if (r < 0)
                return err_context(err, "--crypto");
        o->mount = TAKE(s.mount);
        o->crypto = TAKE(s.crypto);
        return 0;
}

/* Who lists changes nothing, whatever else he announces. */
static int check_survey(const struct options *o, struct err *err)
{
        if (o->task == OPTIONS_RUN || (o->dry_run && !o->backup && !o->snapshot && !o->rotate))
                return 0;
        return err_runf(err, -EPROTO, "the client breaks the protocol: it announces a run and a list at once");
}

static int check_permitted(const struct options *o, const struct options *given, struct err *err)
{
        if (!given->append_only)
                return 0;
        if (o->force) {
                err_runf(err, -EPERM, "this agent is --append-only: nothing can be forced");
                return err_hint(err, "run it on the server itself, or without --force");
        }
        if (o->rotate && !o->backup && !o->snapshot) {
                err_runf(err, -EPERM, "this agent is --append-only: no snapshot can be removed");
                return err_hint(err, "rotate on the server: rsync-system-backup --rotate DESTINATION");
        }
        return 0;
}

int agent_asked(struct options **ret, const struct request_prepare *p, const struct options *given, struct err *err)
{
        _cleanup_(options_freep) struct options *o = calloc(1, sizeof(*o));
        int r;

        if (!o)
                return err_oom(err);
        o->dry_run = p->flags & REQUEST_DRY_RUN;
        o->force = p->flags & REQUEST_FORCE;
        o->no_sudo = p->flags & REQUEST_NO_SUDO;
        o->backup = p->flags & REQUEST_BACKUP;
        o->snapshot = p->flags & REQUEST_SNAPSHOT;
        o->rotate = p->flags & REQUEST_ROTATE;
        o->task = p->flags & REQUEST_SURVEY ? OPTIONS_LIST : OPTIONS_RUN;
        o->attended = p->flags & REQUEST_ATTENDED;
        o->verbosity = p->flags & REQUEST_DEBUG ? 2 : p->flags & REQUEST_VERBOSE ? 1 : 0;
        o->ionice = (enum settings_ionice)p->ionice;
        r = set_destination(o, p->path, err);
        if (r == 0)
                r = set_disk(o, p, err);
        if (r == 0)
                r = check_survey(o, err);
        if (r == 0)
                r = check_permitted(o, given, err);
        if (r < 0)
                return r;
        *ret = TAKE(o);
        return 0;
}
