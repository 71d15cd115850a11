/*
 * sudo starts with a clean environment: what the run depends on is named, and a DESTINATION that came from
 * $RSYNC_MODULE_PATH becomes an argument.
 */
#include "superuser.h"

#include "base/err.h"
#include "base/privileges.h"
#include "options/options.h"

#include <errno.h>
#include <limits.h>

/* Where the backup goes to another machine it is written there: here, all has to be read. */
static bool is_privileged(const struct options *o)
{
        if (o->destination.kind != LOCATION_LOCAL)
                return privilege_held(PRIVILEGE_READ_ALL);
        return privilege_held(PRIVILEGE_READ_ALL) && privilege_held(PRIVILEGE_WRITE_ALL) &&
               privilege_held(PRIVILEGE_CHOWN) && privilege_held(PRIVILEGE_OWNER);
}

static int execute(char **arguments, struct err *err)
{
        execvp(arguments[0], arguments);
        err_run(err, -errno, "execute", arguments[0]);
        if (err->code == -ENOENT) {
                err_clear(err);
                err_runf(err, -EPERM, "superuser privileges are needed, and there is no sudo to get them");
        }
        return err_hint(err, "run this as root, or with --no-sudo keep what an ordinary user can");
}

int superuser_become(const struct options *o, int argc, char **argv, struct err *err)
{
        static char sudo[] = "sudo", end_of_options[] = "--",
                    keep[] = "--preserve-env=SSH_AUTH_SOCK,RSYNC_PASSWORD,NO_COLOR,RSYNC_MODULE_PATH,RSYNC_EXIT_STATUS";
        enum { EXTRA = 8 };
        char self[PATH_MAX];
        char **arguments;
        ssize_t n;
        int used = 0, r;

        /* An agent is what its account is; and what is asked of one, but for reading the source, needs nothing here. No
         * more does a list of what a daemon has, or a look at what is remembered. */
        if (o->server || o->task == OPTIONS_STATUS || (o->destination.kind == LOCATION_SSH && !o->backup) ||
            (o->destination.kind == LOCATION_DAEMON && o->task == OPTIONS_LIST))
                return 0;
        if (o->no_sudo || geteuid() == 0 || is_privileged(o))
                return 0;
        n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        arguments = calloc((size_t)argc + EXTRA, sizeof(*arguments));
        if (n < 0 || !arguments) {
                free(arguments);
                return err_run(err, n < 0 ? -errno : -ENOMEM, "find the program itself", NULL);
        }
        self[n] = '\0';
        arguments[used++] = sudo;
        arguments[used++] = keep;
        arguments[used++] = end_of_options;
        arguments[used++] = self;
        for (int i = 1; i < argc; i++)
                arguments[used++] = argv[i];
        if (o->destination_from_environment)
                arguments[used++] = o->destination.path;
        r = execute(arguments, err);
        free(arguments);
        return r;
}
