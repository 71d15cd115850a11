/* A status alone explains little: what the shell and the command wrote is looked at, and quoted. */
#include "transfer/ssh/ssh_end.h"

#include "base/err.h"
#include "base/path.h"

#include <errno.h>
#include <stdio.h>

enum { SHOWN_MAX = 200 };

static const char *last_line(const char *said)
{
        const char *newline = strrchr(said, '\n');
        const char *line = newline ? newline + 1 : said;

        return line + strspn(line, " \t");
}

static enum ssh_end_kind kind_of(const struct ssh_bridge_end *end)
{
        if (*end->why)
                return SSH_END_LOST;
        if (*end->signal)
                return SSH_END_SIGNAL;
        if (end->status < 0)
                return SSH_END_CLOSED;
        if (end->status == 127)
                return SSH_END_NO_COMMAND;
        /* What Debian's and util-linux' nologin print; it exits with 1. */
        if (end->status == 1 && strstr(end->head, "This account is currently not available"))
                return SSH_END_NO_LOGIN;
        return SSH_END_STATUS;
}

/* Usage begins with what is wrong, and what fails ends with it. */
static void quote(struct ssh_end *ret, const struct ssh_bridge_end *end)
{
        char last[SHOWN_MAX];
        size_t used = strlen(ret->text);
        bool is_one;

        if (!*end->said)
                return;
        path_show(NULL, last_line(end->said), last, sizeof(last));
        is_one = str_equal(end->first, last) || ret->kind != SSH_END_STATUS;
        snprintf(ret->text + used, sizeof(ret->text) - used, ": %s%s%s", is_one ? "" : end->first,
                 is_one ? "" : " ... ", last);
}

static void put_text(struct ssh_end *ret, const char *name, const struct ssh_bridge_end *end)
{
        const size_t size = sizeof(ret->text);

        switch (ret->kind) {
        case SSH_END_LOST:
                snprintf(ret->text, size, "%s: the connection was lost: %s", name, end->why);
                break;
        case SSH_END_SIGNAL:
                snprintf(ret->text, size, "%s: the command was killed by signal %s", name, end->signal);
                break;
        case SSH_END_CLOSED:
                snprintf(ret->text, size, "%s: the connection was closed", name);
                break;
        case SSH_END_NO_COMMAND:
                snprintf(ret->text, size, "%s: the command is not there (status 127)", name);
                break;
        case SSH_END_NO_LOGIN:
                snprintf(ret->text, size, "%s: the account may not run commands (nologin)", name);
                break;
        default:
                snprintf(ret->text, size, "%s: the command ended with status %d", name, ret->status);
                break;
        }
}

void ssh_end_tell(struct ssh_end *ret, const char *name, const struct ssh_bridge_end *end)
{
        ret->kind = kind_of(end);
        ret->status = end->status;
        _Static_assert(sizeof(ret->said) == sizeof(end->said), "one is copied to the other");
        memcpy(ret->said, end->said, sizeof(ret->said));
        put_text(ret, name, end);
        quote(ret, end);
}

int ssh_end_explain(const struct ssh_end *end, struct err *err)
{
        if (end->kind == SSH_END_LOST)
                return err_replace(err, -ECONNRESET, end->text);
        err_replace(err, -EACCES, end->text);
        return err_hint(err, "another account is needed, whose shell runs commands");
}
