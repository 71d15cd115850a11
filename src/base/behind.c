/*
 * Files gather in a batch. A batch that is full is sent to the disk, and the one before it, which had the time since
 * then, is waited for and forgotten. Who filled a batch does both, without the lock: a batch has one owner.
 */
#include "base/behind.h"

#include "base/err.h"
#include "base/memory.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
        FILES_MAX = 64,
        BATCH_BYTES = 8 * 1024 * 1024,
        /* This part of all memory is left to a run: a nightly one seldom takes more, and following behind costs a fifth
         * of the processor time. */
        LENIENT_PART = 16,
};

struct batch {
        int fds[FILES_MAX];
        unsigned count;
        uint64_t bytes;
};

struct behind {
        pthread_mutex_t lock; /* guards all but the last two, which stay as they are */
        uint64_t bytes;
        struct batch filling, sent;
        unsigned files_max;
        uint64_t lenient_bytes;
};

int behind_new(struct behind **ret, struct err *err)
{
        struct behind *b = calloc(1, sizeof(*b));
        struct rlimit limit;

        if (!b)
                return err_oom(err);
        pthread_mutex_init(&b->lock, NULL);
        b->lenient_bytes = memory_limit() / LENIENT_PART;
        b->files_max = FILES_MAX;
        /* Three batches can be open; most descriptors are for directories. */
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 12 < FILES_MAX)
                b->files_max = (unsigned)size_max((size_t)limit.rlim_cur / 12, 1);
        *ret = b;
        return 0;
}

static void send(const struct batch *batch)
{
        for (unsigned i = 0; i < batch->count; i++)
                (void)sync_file_range(batch->fds[i], 0, 0, SYNC_FILE_RANGE_WRITE);
}

static void forget(struct batch *batch)
{
        for (unsigned i = 0; i < batch->count; i++) {
                (void)sync_file_range(batch->fds[i], 0, 0,
                                      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
                (void)posix_fadvise(batch->fds[i], 0, 0, POSIX_FADV_DONTNEED);
                close(batch->fds[i]);
        }
        batch->count = 0;
}

struct behind *behind_free(struct behind *b)
{
        if (!b)
                return NULL;
        forget(&b->sent);
        forget(&b->filling);
        pthread_mutex_destroy(&b->lock);
        free(b);
        return NULL;
}

/* Under the lock. Is the batch full now? */
static bool gather(struct behind *b, int fd, uint64_t size)
{
        struct batch *batch = &b->filling;
        int copy;

        b->bytes += size;
        if (b->bytes <= b->lenient_bytes)
                return false;
        /* Without another descriptor its pages stay: no reason to fail. */
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        if (copy < 0)
                return false;
        batch->fds[batch->count++] = copy;
        batch->bytes += size;
        return batch->count >= b->files_max || batch->bytes >= BATCH_BYTES;
}

void behind_follow(struct behind *b, int fd, uint64_t size)
{
        struct batch full, before;
        bool is_full;

        pthread_mutex_lock(&b->lock);
        is_full = gather(b, fd, size);
        if (is_full) {
                full = b->filling;
                b->filling = (struct batch){ .count = 0 };
        }
        pthread_mutex_unlock(&b->lock);
        if (!is_full)
                return;
        send(&full);
        pthread_mutex_lock(&b->lock);
        before = b->sent;
        b->sent = full;
        pthread_mutex_unlock(&b->lock);
        forget(&before);
}
