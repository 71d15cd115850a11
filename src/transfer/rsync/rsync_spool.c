/*
 * Records of a head, a name with its NUL and the bytes of the wire, one behind the other; the end of a list has no
 * name. One buffer serves for writing, and later for reading.
 */
#include "transfer/rsync/rsync_spool.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "transfer/rsync/rsync_session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { PIECE = 256 * 1024 };

struct head {
        uint32_t name_size; /* with its NUL */
        uint32_t size;      /* of the bytes; of the end of a list, what went wrong */
        int32_t parent;
        uint32_t mode, flags;
};

struct rsync_spool {
        int fd, code; /* the first error of writing */
        bool is_complete;
        struct rsync_session session;
        struct buf buffer;
        uint64_t at;   /* of the buffer in the file */
        uint64_t size; /* of what was written */
        size_t used;   /* of the buffer, when it is read */
};

static int open_unnamed(const char *directory)
{
        _cleanup_(buf_deinit) struct buf path = { .data = NULL };
        int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
                return fd >= 0 ? fd : -errno;
        if (buf_printf(&path, "%s/rsync-system-backup.XXXXXX", directory) < 0)
                return -ENOMEM;
        fd = mkostemp(path.data, O_CLOEXEC);
        if (fd < 0)
                return -errno;
        (void)unlink(path.data);
        return fd;
}

int rsync_spool_new(struct rsync_spool **ret, struct err *err)
{
        const char *directory = getenv("TMPDIR");
        struct rsync_spool *s = calloc(1, sizeof(*s));

        if (!s)
                return err_oom(err);
        directory = directory && *directory ? directory : "/var/tmp";
        s->fd = open_unnamed(directory);
        if (s->fd < 0) {
                int r = err_run(err, s->fd, "make a temporary file in", directory);

                rsync_spool_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

struct rsync_spool *rsync_spool_free(struct rsync_spool *s)
{
        if (!s)
                return NULL;
        fd_close(s->fd);
        buf_deinit(&s->buffer);
        free(s);
        return NULL;
}

bool rsync_spool_is_complete(const struct rsync_spool *s)
{
        return s->is_complete && s->code == 0;
}

/* ---- writing ---- */

void rsync_spool_begin(struct rsync_spool *s, const struct rsync_session *session)
{
        buf_truncate(&s->buffer, 0);
        s->session = *session;
        s->at = s->size = s->used = 0;
        s->is_complete = false;
        s->code = ftruncate(s->fd, 0) < 0 ? -errno : 0;
}

static int flush(struct rsync_spool *s)
{
        int r = fd_pwrite_full(s->fd, buf_text(&s->buffer), s->buffer.size, (off_t)s->at);

        s->at += s->buffer.size;
        s->size = s->at;
        buf_truncate(&s->buffer, 0);
        return r;
}

static void put(struct rsync_spool *s, const struct head *h, const char *name, const void *bytes)
{
        struct buf *b = &s->buffer;

        if (s->code == 0)
                s->code = buf_append(b, h, sizeof(*h));
        if (s->code == 0)
                s->code = buf_append(b, name, h->name_size);
        if (s->code == 0 && h->name_size > 0)
                s->code = buf_append(b, bytes, h->size);
        if (s->code == 0 && b->size >= PIECE)
                s->code = flush(s);
}

void rsync_spool_put(struct rsync_spool *s, const struct rsync_spooled *entry)
{
        const struct head h = { .name_size = (uint32_t)strlen(entry->name) + 1,
                                .size = (uint32_t)entry->size,
                                .parent = entry->parent,
                                .mode = entry->mode,
                                .flags = entry->flags };

        if (entry->size > UINT32_MAX)
                s->code = s->code ? s->code : -EOVERFLOW;
        else
                put(s, &h, entry->name, entry->bytes);
}

void rsync_spool_put_end(struct rsync_spool *s, unsigned io_error)
{
        put(s, &(struct head){ .size = io_error }, "", NULL);
}

void rsync_spool_complete(struct rsync_spool *s)
{
        if (s->code == 0)
                s->code = flush(s);
        s->is_complete = true;
}

/* ---- reading ---- */

static bool is_same_form(const struct rsync_session *a, const struct rsync_session *b)
{
        const unsigned forms = RSYNC_COMPAT_INCREMENTAL | RSYNC_COMPAT_VARINT_FLAGS;

        return a->protocol == b->protocol && ((a->compat ^ b->compat) & forms) == 0;
}

int rsync_spool_rewind(struct rsync_spool *s, const struct rsync_session *session, const char *peer, struct err *err)
{
        if (s->code < 0)
                return err_runf(err, -ENOTSUP, "the lists of files could not be kept in a temporary file: %s",
                                strerror(-s->code));
        if (!s->is_complete)
                return err_runf(err, -ENOTSUP, "the lists of files were not sent to their end before");
        if (!is_same_form(&s->session, session))
                return err_runf(err, -ENOTSUP, "%s: the server does not speak as it did before", peer);
        buf_truncate(&s->buffer, 0);
        s->at = s->used = 0;
        return 0;
}

/* Have @size bytes behind what is used. */
static int fill(struct rsync_spool *s, size_t size)
{
        struct buf *b = &s->buffer;
        size_t left = b->size - s->used, want;
        ssize_t n;

        if (left >= size)
                return 0;
        want = size_max(size, PIECE) - left;
        if (want > s->size - s->at)
                want = (size_t)(s->size - s->at);
        if (left > 0)
                memmove(b->data, b->data + s->used, left);
        buf_truncate(b, left);
        s->used = 0;
        if (left + want < size)
                return -EIO;
        if (buf_reserve(b, want) < 0)
                return -ENOMEM;
        n = fd_pread_full(s->fd, b->data + left, want, (off_t)s->at);
        if (n < 0 || (size_t)n < want)
                return n < 0 ? (int)n : -EIO;
        b->size = left + want;
        b->data[b->size] = '\0';
        s->at += want;
        return 0;
}

static int get(struct rsync_spool *s, struct rsync_spooled *ret)
{
        struct head h;
        const char *data;
        int r = fill(s, sizeof(h));

        if (r < 0)
                return r;
        memcpy(&h, s->buffer.data + s->used, sizeof(h));
        if (h.name_size == 0) {
                *ret = (struct rsync_spooled){ .io_error = h.size };
                s->used += sizeof(h);
                return 0;
        }
        r = fill(s, sizeof(h) + h.name_size + h.size);
        if (r < 0)
                return r;
        data = s->buffer.data + s->used + sizeof(h);
        *ret = (struct rsync_spooled){ .parent = h.parent,
                                       .mode = h.mode,
                                       .flags = h.flags,
                                       .name = data,
                                       .bytes = data + h.name_size,
                                       .size = h.size };
        s->used += sizeof(h) + h.name_size + h.size;
        return 0;
}

int rsync_spool_next(struct rsync_spool *s, struct rsync_spooled *ret, struct err *err)
{
        int r = get(s, ret);

        return r < 0 ? err_run(err, r, "read the temporary file", NULL) : 0;
}
