/*
 * Whatever the signatures are, a delta of it describes the whole file, or they are refused. The first two bytes say
 * how many of the rest are the first signature.
 */
#include "base/fd.h"
#include "transfer/delta/delta.h"

#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE = 300000, DELTA_MAX = SIZE + SIZE / 100 + 1000 };

static int open_new(void)
{
        static unsigned char bytes[SIZE];
        int fd = memfd_create("new", MFD_CLOEXEC);
        uint32_t state = 1;

        for (size_t i = 0; i < SIZE; i++) {
                state = state * 1664525 + 1013904223;
                bytes[i] = i / 4096 % 5 == 4 ? 0 : (unsigned char)(state >> 24);
        }
        if (fd < 0 || fd_pwrite_full(fd, bytes, SIZE, 0) < 0)
                abort();
        return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static int fd = -1;
        static char out[4096];
        _cleanup_(delta_make_freep) struct delta_make *m = NULL;
        size_t first, used = 2, n, made = 0;
        int r;

        if (size < 2)
                return 0;
        first = size_min(size, 2 + (size_t)data[0] + (size_t)data[1] * 256);
        if (fd < 0)
                fd = open_new();
        r = delta_make_new(&m, &(struct delta_make_config){ .fd = fd, .size = SIZE });
        while (r == 0 && delta_make_want(m) != DELTA_WANT_NOTHING) {
                if (delta_make_want(m) == DELTA_WANT_READ) {
                        r = delta_make_read(m, out, sizeof(out), &n);
                        made += n;
                        continue;
                }
                if (used == size)
                        break;
                r = delta_make_feed(m, data + used, (used < first ? first : size) - used, &n);
                used += n;
        }
        if ((r != 0 && r != -EPROTO) || made > DELTA_MAX)
                abort();
        if (r == 0 && delta_make_want(m) == DELTA_WANT_NOTHING) {
                struct delta_stats s = delta_make_stats(m);

                if (s.kept_bytes + s.copied_bytes + s.data_bytes + s.zero_bytes != SIZE)
                        abort();
        }
        return 0;
}
