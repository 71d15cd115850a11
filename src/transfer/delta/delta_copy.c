/*
 * What was shared or copied by the kernel is read from the result, not from the basis: only so the sum is that of the
 * result, should the basis change at that moment.
 */
#include "transfer/delta/delta_copy.h"

#include "base/fd.h"
#include "base/stop.h"
#include "transfer/delta/delta_format.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

enum {
        STEP = 8 * 1024 * 1024,
        CLONE_MIN = 16 * 1024, /* a smaller extent costs more than it saves */
        CLONE_MAX = 256 * 1024 * 1024,
};

static int fail(struct delta_copy *c, enum delta_side side, int code)
{
        c->failed = side;
        return code;
}

static void advance(struct delta_copy_job *job, uint64_t size)
{
        job->from += size;
        job->to += size;
        job->size -= size;
}

static int source(const struct delta_copy *c, const struct delta_copy_job *job, uint64_t *ret_size)
{
        uint64_t end = c->basis->old_size;
        int fd = job->from_old ? c->basis->old : delta_basis_at(c->basis, job->from, &end);

        *ret_size = delta_min(job->size, end - job->from);
        return fd;
}

/* Write, but for whole units of zeros where holes are welcome. */
static int write_piece(struct delta_copy *c, uint64_t to, size_t size)
{
        size_t from = 0, at = 0, n;
        int r = 0;

        for (; r == 0 && at < size; at += n) {
                n = size_min(size - at, DELTA_UNIT - (size_t)((to + at) % DELTA_UNIT));
                if (!c->has_holes || n < DELTA_UNIT || !delta_is_zero(c->piece + at, n))
                        continue;
                r = fd_pwrite_full(c->to, c->piece + from, at - from, (off_t)(to + from));
                c->written_to = at > from ? to + at : c->written_to;
                from = at + n;
        }
        if (r < 0 || from == size)
                return r;
        c->written_to = to + size;
        return fd_pwrite_full(c->to, c->piece + from, size - from, (off_t)(to + from));
}

/* Through our own memory, up to @size bytes. */
static int copy_by_hand(struct delta_copy *c, struct delta_copy_job *job, uint64_t size)
{
        for (uint64_t done = 0; done < size;) {
                uint64_t most;
                int fd = source(c, job, &most), r;
                size_t want = (size_t)delta_min(delta_min(most, size - done), DELTA_PIECE);
                ssize_t n = fd_pread_full(fd, c->piece, want, (off_t)job->from);

                if (n < 0)
                        return fail(c, DELTA_SIDE_BASIS, (int)n);
                if ((size_t)n < want)
                        return DELTA_MISMATCH;
                XXH3_128bits_update(c->digest, c->piece, want);
                r = write_piece(c, job->to, want);
                if (r < 0)
                        return fail(c, DELTA_SIDE_RESULT, r);
                advance(job, want);
                done += want;
        }
        return 0;
}

/* The sum over what is in the result already. */
static int read_back(struct delta_copy *c, struct delta_copy_job *job)
{
        for (uint64_t done = 0; done < STEP && job->to < job->shared_to;) {
                size_t want = (size_t)delta_min(job->shared_to - job->to, DELTA_PIECE);
                ssize_t n = fd_pread_full(c->to, c->piece, want, (off_t)job->to);

                if (n < 0)
                        return fail(c, DELTA_SIDE_RESULT, (int)n);
                if ((size_t)n < want)
                        return DELTA_MISMATCH;
                XXH3_128bits_update(c->digest, c->piece, want);
                advance(job, want);
                done += want;
        }
        return 0;
}

/* ioctl_ficlonerange(2); @size is a multiple of what filesystems share. */
static bool clone(struct delta_copy *c, int fd, struct delta_copy_job *job, uint64_t size)
{
        struct file_clone_range range = {
                .src_fd = fd,
                .src_offset = job->from,
                .src_length = delta_min(size, CLONE_MAX),
                .dest_offset = job->to,
        };

        if (c->no_clone)
                return false;
        c->no_clone = ioctl(c->to, FICLONERANGE, &range) < 0;
        if (!c->no_clone)
                c->written_to = job->shared_to = job->to + range.src_length;
        return !c->no_clone;
}

/* copy_file_range(2), for filesystems that have their own way, or whose other machine has. Others write what are zeros.
 */
static bool transfer(struct delta_copy *c, int fd, struct delta_copy_job *job, uint64_t size)
{
        off_t from = (off_t)job->from, to = (off_t)job->to;
        ssize_t n;

        if (c->no_transfer || c->has_holes)
                return false;
        n = copy_file_range(fd, &from, c->to, &to, (size_t)delta_min(size, STEP), 0);
        c->no_transfer = n <= 0;
        if (n > 0)
                c->written_to = job->shared_to = job->to + (uint64_t)n;
        return n > 0;
}

/* Share or transfer what can be; *ret_by_hand is what has to be copied before that. */
static bool share(struct delta_copy *c, struct delta_copy_job *job, uint64_t *ret_by_hand)
{
        uint64_t size, lead = (DELTA_UNIT - job->to % DELTA_UNIT) % DELTA_UNIT;
        int fd = source(c, job, &size);

        *ret_by_hand = delta_min(size, STEP);
        if (job->from % DELTA_UNIT != job->to % DELTA_UNIT || size < lead + CLONE_MIN ||
            (c->no_clone && c->no_transfer))
                return false;
        if (lead > 0) {
                *ret_by_hand = lead;
                return false;
        }
        size = delta_round_down(size, DELTA_UNIT);
        return clone(c, fd, job, size) || transfer(c, fd, job, size);
}

int delta_copy_step(struct delta_copy *c, struct delta_copy_job *job)
{
        uint64_t by_hand;

        if (stop_requested())
                return -ECANCELED;
        if (job->to < job->shared_to || share(c, job, &by_hand))
                return read_back(c, job);
        return copy_by_hand(c, job, by_hand);
}
