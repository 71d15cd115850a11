/*
 * Copy and compare in pieces of 256 KiB (they fit the L2 cache; larger ones measured no faster), extent by extent where
 * a file has holes. A file of 8 MiB and more does not push everything else out of the page cache: what was written is
 * sent to the disk one window behind the copying and then dropped from memory, what was read is dropped at once.
 * Smaller files are followed by base/behind, and dropped where they were read unless they were in memory before: what
 * changed a moment ago may well be in use.
 */
#include "base/content.h"

#include "base/behind.h"
#include "base/fd.h"
#include "base/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

enum {
        PIECE = 256 * 1024,
        WINDOW = 8 * 1024 * 1024,
};

struct job {
        const struct content_config *config;
        enum content_side failed;
        char *data, *other; /* PIECE bytes each; @other for comparing only */
        uint64_t flushed;   /* copy: up to here pages were dropped */
        bool was_in_memory; /* copy: the first piece of @from */
};

static int fail(struct job *j, enum content_side side, int code)
{
        j->failed = side;
        return code;
}

static size_t piece_size(uint64_t left)
{
        return left < PIECE ? (size_t)left : PIECE;
}

int content_next_data(int fd, uint64_t at, uint64_t size, uint64_t *ret_from, uint64_t *ret_to)
{
        off_t start = lseek(fd, (off_t)at, SEEK_DATA), end;

        *ret_from = *ret_to = size;
        if (start < 0)
                return errno == ENXIO ? 0 : -errno;
        if ((uint64_t)start >= size)
                return 0;
        end = lseek(fd, start, SEEK_HOLE);
        if (end < 0)
                return -errno;
        *ret_from = (uint64_t)start;
        *ret_to = (uint64_t)end < size ? (uint64_t)end : size;
        return 0;
}

static void drop_behind(struct job *j, uint64_t at, bool all)
{
        const struct content_config *c = j->config;

        if (c->size < WINDOW || (at - j->flushed < 2 * (uint64_t)WINDOW && !all))
                return;
        /* Wait for the older window, which is on its way to the disk already, then forget it. */
        uint64_t end = all ? at : at - WINDOW;

        (void)sync_file_range(c->to, (off_t)j->flushed, (off_t)(end - j->flushed),
                              SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
        (void)posix_fadvise(c->to, (off_t)j->flushed, (off_t)(end - j->flushed), POSIX_FADV_DONTNEED);
        (void)posix_fadvise(c->from, (off_t)j->flushed, (off_t)(end - j->flushed), POSIX_FADV_DONTNEED);
        j->flushed = end;
        if (!all)
                (void)sync_file_range(c->to, (off_t)end, WINDOW, SYNC_FILE_RANGE_WRITE);
}

/* The first piece of a file, before reading ahead has brought anything: if it can be had without a disk, it was there.
 */
static bool read_from_memory(struct job *j, size_t want, uint64_t at)
{
        struct iovec piece = { .iov_base = j->data, .iov_len = want };

        if (!j->config->behind || j->config->size >= WINDOW || at > 0)
                return false;
        j->was_in_memory = preadv2(j->config->from, &piece, 1, 0, RWF_NOWAIT) == (ssize_t)want;
        return j->was_in_memory;
}

static int copy_stretch(struct job *j, uint64_t at, uint64_t end)
{
        const struct content_config *c = j->config;

        while (at < end) {
                size_t want = piece_size(end - at);
                ssize_t n;
                int r;

                if (stop_requested())
                        return -ECANCELED;
                n = (ssize_t)want;
                if (!read_from_memory(j, want, at))
                        n = fd_pread_full(c->from, j->data, want, (off_t)at);
                if (n < 0)
                        return fail(j, CONTENT_SIDE_FROM, (int)n);
                r = fd_pwrite_full(c->to, j->data, (size_t)n, (off_t)at);
                if (r < 0)
                        return fail(j, CONTENT_SIDE_TO, r);
                at += (uint64_t)n;
                if (c->progress)
                        c->progress(c->context, (uint64_t)n);
                if ((size_t)n < want)
                        return ftruncate(c->to, (off_t)at) < 0 ? fail(j, CONTENT_SIDE_TO, -errno) : CONTENT_SHORT;
                drop_behind(j, at, false);
        }
        return 0;
}

static int copy_stretches(struct job *j)
{
        const struct content_config *c = j->config;
        uint64_t at = 0, from, to;
        int r = 0;

        if (!c->has_holes)
                return copy_stretch(j, 0, c->size);
        /* First the size: XFS would allocate what lies between two writes beyond the end. */
        if (ftruncate(c->to, (off_t)c->size) < 0)
                return fail(j, CONTENT_SIDE_TO, -errno);
        while (r == 0 && at < c->size) {
                r = content_next_data(c->from, at, c->size, &from, &to);
                if (r < 0)
                        return fail(j, CONTENT_SIDE_FROM, r);
                r = copy_stretch(j, from, to);
                at = to;
        }
        return r;
}

int content_reflink(int from, int to)
{
        return ioctl(to, FICLONE, from) == 0 ? 0 : -errno;
}

static void leave_behind(const struct job *j)
{
        const struct content_config *c = j->config;

        if (!c->behind || c->size >= WINDOW)
                return;
        if (!j->was_in_memory)
                (void)posix_fadvise(c->from, 0, 0, POSIX_FADV_DONTNEED);
        behind_follow(c->behind, c->to, c->size);
}

int content_copy(const struct content_config *config, enum content_side *ret_failed)
{
        struct job j = { .config = config };
        int r = -ENOMEM;

        *ret_failed = CONTENT_SIDE_FROM;
        if (config->size == 0)
                return 0;
        j.data = malloc(piece_size(config->size));
        if (j.data)
                r = copy_stretches(&j);
        if (r == 0) {
                drop_behind(&j, config->size, true);
                leave_behind(&j);
        }
        free(j.data);
        *ret_failed = j.failed;
        return r;
}

static int compare_stretch(struct job *j, uint64_t at, uint64_t end)
{
        const struct content_config *c = j->config;

        while (at < end) {
                size_t want = piece_size(end - at);
                ssize_t a, b;

                if (stop_requested())
                        return -ECANCELED;
                a = fd_pread_full(c->from, j->data, want, (off_t)at);
                if (a < 0)
                        return fail(j, CONTENT_SIDE_FROM, (int)a);
                b = fd_pread_full(c->to, j->other, want, (off_t)at);
                if (b < 0)
                        return fail(j, CONTENT_SIDE_TO, (int)b);
                if (a != b || (size_t)a < want || memcmp(j->data, j->other, (size_t)a) != 0)
                        return CONTENT_DIFFERS;
                at += (uint64_t)a;
                if (c->progress)
                        c->progress(c->context, (uint64_t)a);
        }
        return 0;
}

/* Walk over what is data on either side: where both have a hole there is nothing to compare. */
static int compare_stretches(struct job *j)
{
        const struct content_config *c = j->config;
        uint64_t at = 0;
        int r = 0;

        while (r == 0 && at < c->size) {
                uint64_t from_a, to_a, from_b, to_b, end;

                r = content_next_data(c->from, at, c->size, &from_a, &to_a);
                if (r < 0)
                        return fail(j, CONTENT_SIDE_FROM, r);
                r = content_next_data(c->to, at, c->size, &from_b, &to_b);
                if (r < 0)
                        return fail(j, CONTENT_SIDE_TO, r);
                if (from_a <= from_b)
                        at = from_a, end = to_a;
                else
                        at = from_b, end = to_b;
                r = compare_stretch(j, at, end);
                at = end;
        }
        return r;
}

int content_compare(const struct content_config *config, enum content_side *ret_failed)
{
        struct job j = { .config = config };
        int r;

        *ret_failed = CONTENT_SIDE_FROM;
        if (config->size == 0)
                return 0;
        if (config->from_disk)
                (void)posix_fadvise(config->to, 0, 0, POSIX_FADV_DONTNEED);
        j.data = malloc(2 * (size_t)PIECE);
        if (!j.data)
                return -ENOMEM;
        j.other = j.data + PIECE;
        r = config->has_holes ? compare_stretches(&j) : compare_stretch(&j, 0, config->size);
        free(j.data);
        *ret_failed = j.failed;
        return r;
}
