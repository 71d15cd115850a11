#include "server/password.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/prompt.h"
#include "base/secret.h"
#include "options/options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { SIZE_MAX_BYTES = 1024, QUESTION_SIZE = 300, SHOWN_SIZE = 200 };

/* The first line. */
static void cut(struct secret *s)
{
        const char *end = memchr(s->data, '\n', s->size);
        size_t size = end ? (size_t)(end - s->data) : s->size;

        if (size > 0 && s->data[size - 1] == '\r')
                size--;
        secret_keep(s, 0, size);
}

static int check_file(int fd, const char *path, struct err *err)
{
        char shown[SHOWN_SIZE];
        struct stat st;

        if (fstat(fd, &st) < 0)
                return err_run(err, -errno, "read the password file", path);
        path_show(NULL, path, shown, sizeof(shown));
        if (st.st_mode & (S_IRWXO | S_IWGRP)) {
                err_usage(err, "others may read or change the password file '%s'", shown);
                return err_hint(err, "chmod 600 '%s'", shown);
        }
        if (geteuid() == 0 && st.st_uid != 0)
                return err_usage(err, "the password file '%s' must be root's when root uses it", shown);
        return 0;
}

static int read_from(struct secret *ret, int fd, const char *path, struct err *err)
{
        ssize_t n;

        if (secret_init(ret, SIZE_MAX_BYTES) < 0)
                return err_oom(err);
        n = fd_read_full(fd, ret->data, SIZE_MAX_BYTES);
        if (n < 0) {
                secret_deinit(ret);
                return err_run(err, (int)n, "read the password file", path);
        }
        ret->size = (size_t)n;
        cut(ret);
        return 0;
}

static int from_file(struct secret *ret, const char *path, struct err *err)
{
        _cleanup_(fd_closep) int fd = -1;
        int r;

        if (str_equal(path, "-"))
                return read_from(ret, STDIN_FILENO, "standard input", err);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return err_run(err, -errno, "read the password file", path);
        r = check_file(fd, path, err);
        return r < 0 ? r : read_from(ret, fd, path, err);
}

static int from_environment(struct secret *ret, const char *password, struct err *err)
{
        size_t size = strlen(password);

        if (secret_init(ret, size > 0 ? size : 1) < 0)
                return err_oom(err);
        memcpy(ret->data, password, size);
        ret->size = size;
        return 0;
}

static int from_terminal(struct secret *ret, const struct options *o, struct err *err)
{
        char question[QUESTION_SIZE], shown[SHOWN_SIZE];
        int r;

        location_show(&o->destination, shown, sizeof(shown));
        if (!o->attended) {
                err_runf(err, -EACCES, "%s wants a password, and there is nobody to ask", shown);
                return err_hint(err, "put it into a file for --password-file, or into $RSYNC_PASSWORD");
        }
        snprintf(question, sizeof(question), "Password for %s: ", shown);
        r = prompt_secret(ret, question, 0, err);
        if (r == PROMPT_ANSWERED)
                return 0;
        return r < 0 ? r : err_runf(err, -EACCES, "no password for %s was given", shown);
}

int password_find(struct secret *ret, const struct options *o, struct err *err)
{
        const char *password = getenv("RSYNC_PASSWORD");

        if (o->link.password_file)
                return from_file(ret, o->link.password_file, err);
        return password ? from_environment(ret, password, err) : from_terminal(ret, o, err);
}
