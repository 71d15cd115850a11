#include "transfer/ssh/ssh_reader.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>

enum { FILE_SIZE_MAX = 16 * 1024 * 1024 };

static int refuse(struct err *err, int code, const char *path)
{
        err_usage(err, "cannot read '%s': %s", path, strerror(-code));
        return err->code = code;
}

/* Somebody else could have us connect to where they like. */
static bool is_safe(const struct stat *st)
{
        return (st->st_uid == 0 || st->st_uid == geteuid()) && (st->st_mode & 022) == 0;
}

static int read_file(struct buf *ret, const char *path, bool is_users, struct err *err)
{
        _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
        struct stat st;
        ssize_t size;

        /* A link that leads nowhere must not end the list. */
        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR ? 0 : refuse(err, errno_negative(), path);
        if (fstat(fd, &st) < 0)
                return refuse(err, errno_negative(), path);
        if (is_users && !is_safe(&st)) {
                err_usage(err, "'%s' belongs to somebody else, or others could change it", path);
                return err_hint(err, "chmod go-w %s", path);
        }
        if (S_ISDIR(st.st_mode))
                return refuse(err, -EISDIR, path);
        if (st.st_size > FILE_SIZE_MAX)
                return refuse(err, -EFBIG, path);
        if (buf_reserve(ret, (size_t)st.st_size + 1) < 0)
                return err_oom(err);
        size = fd_read_full(fd, ret->data, (size_t)st.st_size);
        if (size < 0)
                return refuse(err, (int)size, path);
        ret->size = (size_t)size;
        ret->data[size] = '\0';
        return 0;
}

static int nth_match(char **ret, const char *pattern, size_t index)
{
        glob_t found;
        int r = glob(pattern, 0, NULL, &found);

        if (r != 0)
                return r == GLOB_NOSPACE ? -ENOMEM : SSH_CONFIG_NO_FILE;
        r = SSH_CONFIG_NO_FILE;
        if (index < found.gl_pathc) {
                *ret = strdup(found.gl_pathv[index]);
                r = *ret ? 0 : -ENOMEM;
        }
        globfree(&found);
        return r;
}

int ssh_reader_open(void *context, const char *pattern, size_t index, char **ret_path, struct buf *ret_text,
                    struct err *err)
{
        const struct ssh_reader *reader = context;
        _cleanup_(freep) char *path = NULL;
        int r = nth_match(&path, pattern, index);

        if (r == -ENOMEM)
                return err_oom(err);
        if (r == 0)
                r = read_file(ret_text, path, reader->user_file && str_equal(path, reader->user_file), err);
        if (r == 0)
                *ret_path = TAKE(path);
        return r;
}

const char *ssh_reader_environment(void *context, const char *name)
{
        (void)context;
        return getenv(name);
}
