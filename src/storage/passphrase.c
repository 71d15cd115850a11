/* Who is asked, and in which words. */
#include "storage/passphrase.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/prompt.h"
#include "base/secret.h"
#include "storage/ask.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#define AGENTS_DIRECTORY "/run/systemd/ask-password"
#define CREDENTIAL_PREFIX "rsync-system-backup."

/* What systemd gives to a unit, all credentials together, systemd.exec(5). */
enum { CREDENTIAL_SIZE_MAX = 1024 * 1024, UNATTENDED_TIMEOUT_S = 300 };

enum { NAME_SHOWN_MAX = 256 };

/* ---- credentials ---- */

static int read_credential(struct secret *ret, int fd, const char *path, struct err *err)
{
        _cleanup_(secret_deinit) struct secret content = { .data = NULL };
        struct stat st;
        ssize_t size;

        if (fstat(fd, &st) < 0)
                return err_run(err, -errno, "read the credential", path);
        if (st.st_size > CREDENTIAL_SIZE_MAX)
                return err_run(err, -EFBIG, "read the credential", path);
        /* One byte more tells whether it has grown. */
        if (secret_init(&content, (size_t)st.st_size + 1) < 0)
                return err_oom(err);
        size = fd_read_full(fd, content.data, content.capacity);
        if (size < 0 || size > st.st_size)
                return err_run(err, size < 0 ? (int)size : -EAGAIN, "read the credential", path);
        content.size = (size_t)size;
        *ret = content;
        content = (struct secret){ .data = NULL };
        return 0;
}

int passphrase_credential(struct secret *ret, const char *name, struct err *err)
{
        const char *directory = getenv("CREDENTIALS_DIRECTORY");
        _cleanup_(fd_closep) int dirfd = -1, fd = -1;
        _cleanup_(freep) char *path = NULL;
        char file[NAME_MAX + 1];

        if (!directory || *directory != '/')
                return -ENOENT;
        if (strchr(name, '/') || (size_t)snprintf(file, sizeof(file), CREDENTIAL_PREFIX "%s", name) >= sizeof(file))
                return err_run(err, -EINVAL, "look for the credential of", name);
        dirfd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        fd = dirfd >= 0 ? fd_open_file_at(dirfd, file) : -errno;
        if (fd == -ENOENT)
                return fd;
        if (fd < 0)
                return err_run_at(err, fd, "open the credential", directory, file);
        path = path_join(directory, file);
        return path ? read_credential(ret, fd, path, err) : err_oom(err);
}

/* ---- asking ---- */

static int ask_on_terminal(struct secret *ret, const char *shown, unsigned timeout_s, struct err *err)
{
        char question[NAME_SHOWN_MAX + 64];
        int r;

        snprintf(question, sizeof(question), "Passphrase of the disk '%s':", shown);
        r = prompt_secret(ret, question, timeout_s, err);
        if (r < 0)
                return r;
        if (r == PROMPT_TIMED_OUT)
                log_warning("no passphrase of the disk '%s' was typed within %u seconds", shown, timeout_s);
        return r == PROMPT_ANSWERED ? PASSPHRASE_GOT : PASSPHRASE_REFUSED;
}

/* Nobody may be there at all: a job that hangs for ever is worse than one that has failed. */
static int ask_somewhere(struct secret *ret, const char *shown, unsigned given_timeout_s, struct err *err)
{
        const unsigned timeout_s = given_timeout_s > 0 ? given_timeout_s : UNATTENDED_TIMEOUT_S;
        char message[NAME_SHOWN_MAX + 64], id[NAME_SHOWN_MAX + 64];
        const struct ask_config config = {
                .directory = AGENTS_DIRECTORY,
                .message = message,
                .id = id,
                .timeout_s = timeout_s,
        };
        int r;

        snprintf(message, sizeof(message), "Passphrase of the disk '%s' (rsync-system-backup):", shown);
        snprintf(id, sizeof(id), "rsync-system-backup:%s", shown);
        log_info("asking password agents for the passphrase of the disk '%s'", shown);
        r = ask_agents(ret, &config, err);
        if (r < 0)
                return r;
        if (r == ASK_NO_AGENTS)
                return PASSPHRASE_NOBODY;
        if (r == ASK_TIMED_OUT)
                log_warning("no agent has answered within %u seconds", timeout_s);
        return r == ASK_ANSWERED ? PASSPHRASE_GOT : PASSPHRASE_REFUSED;
}

int passphrase_ask(struct secret *ret, const char *name, unsigned timeout_s, struct err *err)
{
        char shown[NAME_SHOWN_MAX];

        path_show(NULL, name, shown, sizeof(shown));
        if (prompt_is_possible())
                return ask_on_terminal(ret, shown, timeout_s, err);
        return ask_somewhere(ret, shown, timeout_s, err);
}
