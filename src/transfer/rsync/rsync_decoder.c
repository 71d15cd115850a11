#include "transfer/rsync/rsync_decoder.h"

#include "transfer/rsync/rsync_number.h"

#include <sys/stat.h>

enum flag {
        TOP = 1 << 0,
        SAME_MODE = 1 << 1,
        TWO_BYTES = 1 << 2,
        SAME_UID = 1 << 3,
        SAME_GID = 1 << 4,
        SAME_NAME = 1 << 5,
        LONG_NAME = 1 << 6,
        SAME_TIME = 1 << 7,
        NO_CONTENT = 1 << 8,
        ERROR_AT_END = 1 << 12,
        NANOSECONDS = 1 << 13,
};

enum {
        KNOWN = TOP | SAME_MODE | TWO_BYTES | SAME_UID | SAME_GID | SAME_NAME | LONG_NAME | SAME_TIME | NO_CONTENT |
                NANOSECONDS,
        NANOSECONDS_MAX = 999999999,
        SIZE_LEAST = 3,
        TIME_LEAST = 4,
        PROTOCOL_31 = 31,
};

/* An entry on its way. */
struct next {
        unsigned flags;
        char path[RSYNC_PATH_MAX + 1];
        size_t path_size;
        mode_t mode;
        int64_t size, mtime;
};

static bool has_varint_flags(const struct rsync_decoder *d)
{
        return d->session.compat & RSYNC_COMPAT_VARINT_FLAGS;
}

static unsigned get_flags(const struct rsync_decoder *d, struct rsync_reader *r)
{
        unsigned flags;

        if (has_varint_flags(d))
                return rsync_get_varint(r);
        flags = rsync_get_byte(r);
        return flags & TWO_BYTES ? flags | (unsigned)rsync_get_byte(r) << 8 : flags;
}

static bool is_end(const struct rsync_decoder *d, unsigned flags)
{
        return flags == 0 || (!has_varint_flags(d) && flags == (ERROR_AT_END | TWO_BYTES));
}

/* ---- the path ---- */

/* No component is empty, "." or "..". */
static bool is_path_sane(const char *path)
{
        const char *end;

        if (str_equal(path, "."))
                return true;
        do {
                size_t size = strcspn(path, "/");

                if (size == 0 || (size == 1 && path[0] == '.') || (size == 2 && path[0] == '.' && path[1] == '.'))
                        return false;
                end = path + size;
                path = end + 1;
        } while (*end);
        return true;
}

static void get_path(const struct rsync_decoder *d, struct rsync_reader *r, struct next *n)
{
        size_t prefix = n->flags & SAME_NAME ? rsync_get_byte(r) : 0;
        size_t suffix = n->flags & LONG_NAME ? rsync_get_varint(r) : rsync_get_byte(r);
        const void *bytes;

        if (prefix > d->path_size || suffix > RSYNC_PATH_MAX - prefix) {
                r->is_broken = true;
                return;
        }
        bytes = rsync_get_bytes(r, suffix);
        if (!rsync_read_is_good(r))
                return;
        memcpy(n->path, d->path, prefix);
        if (suffix > 0)
                memcpy(n->path + prefix, bytes, suffix);
        n->path_size = prefix + suffix;
        n->path[n->path_size] = '\0';
        if (strlen(n->path) != n->path_size || !is_path_sane(n->path))
                r->is_broken = true;
}

/* ---- the rest ---- */

static bool is_type_known(mode_t mode)
{
        return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) || S_ISCHR(mode) || S_ISBLK(mode) || S_ISFIFO(mode) ||
               S_ISSOCK(mode);
}

static void get_metadata(const struct rsync_decoder *d, struct rsync_reader *r, struct next *n)
{
        n->size = rsync_get_varlong(r, SIZE_LEAST);
        n->mtime = n->flags & SAME_TIME ? d->mtime : rsync_get_varlong(r, TIME_LEAST);
        if (n->flags & NANOSECONDS && rsync_get_varint(r) > NANOSECONDS_MAX)
                r->is_broken = true;
        n->mode = n->flags & SAME_MODE ? d->mode : (mode_t)rsync_get_int(r);
        if (!rsync_read_is_good(r))
                return;
        if (n->size < 0 || n->mode > (S_IFMT | 07777) || !is_type_known(n->mode))
                r->is_broken = true;
        /* The bit means something else where numbers of devices are told, which they are not. */
        if (n->flags & NO_CONTENT && !S_ISDIR(n->mode))
                r->is_broken = true;
}

static int get_end(const struct rsync_decoder *d, struct rsync_reader *r, unsigned flags, struct rsync_decoded *ret)
{
        *ret = (struct rsync_decoded){ .path = "" };
        if (has_varint_flags(d) || flags != 0)
                ret->io_error = rsync_get_varint(r);
        return rsync_read_is_good(r) ? RSYNC_DECODER_END : 0;
}

static void remember(struct rsync_decoder *d, const struct next *n)
{
        memcpy(d->path, n->path, n->path_size + 1);
        d->path_size = n->path_size;
        d->mode = n->mode;
        d->mtime = n->mtime;
}

int rsync_decoder_get(struct rsync_decoder *d, struct rsync_reader *r, struct rsync_decoded *ret)
{
        struct next n = { .flags = get_flags(d, r) };

        if (!rsync_read_is_good(r))
                return 0;
        if (is_end(d, n.flags))
                return get_end(d, r, n.flags, ret);
        if (n.flags & ~(unsigned)KNOWN || (n.flags & NANOSECONDS && d->session.protocol < PROTOCOL_31))
                r->is_broken = true;
        get_path(d, r, &n);
        if (rsync_read_is_good(r))
                get_metadata(d, r, &n);
        if (!rsync_read_is_good(r))
                return 0;
        remember(d, &n);
        *ret = (struct rsync_decoded){ .path = d->path, .mode = n.mode, .size = (uint64_t)n.size, .mtime = n.mtime };
        return RSYNC_DECODER_ENTRY;
}
