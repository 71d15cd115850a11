/*
 * Whatever the delta is: the result never exceeds the announced size, is complete when it is called good, and stays the
 * same when the bytes come one by one, or some at a time. The first byte chooses the announced size and the rest of the
 * circumstances.
 */
#include "base/fd.h"
#include "transfer/delta/delta.h"

#include <sys/mman.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OLD = 70000, PARTIAL = 66000, ONE_BY_ONE_MAX = 4096 };

static int file_of_noise(size_t size)
{
        static unsigned char bytes[OLD];
        int fd = memfd_create("basis", MFD_CLOEXEC);
        uint32_t state = 1;

        for (size_t i = 0; i < size; i++) {
                state = state * 1664525 + 1013904223;
                bytes[i] = i / 4096 % 5 == 4 ? 0 : (unsigned char)(state >> 24);
        }
        if (fd < 0 || fd_pwrite_full(fd, bytes, size, 0) < 0)
                abort();
        return fd;
}

static int apply(struct delta_apply_config *config, const uint8_t *data, size_t size, size_t piece)
{
        _cleanup_(delta_apply_freep) struct delta_apply *a = NULL;
        int r = delta_apply_new(&a, config);
        size_t n;

        for (size_t used = 0; (r == 0 || r == DELTA_SEARCH) && used < size; used += n) {
                struct delta_range range;

                r = delta_apply_feed(a, data + used, size_min(piece, size - used), &n);
                range = delta_apply_range(a);
                if (r == DELTA_SEARCH && (range.at > OLD || range.size == 0 || range.size > OLD - range.at))
                        abort();
        }
        return r;
}

static size_t read_result(int fd, char *data, size_t most)
{
        struct stat st;

        if (fstat(fd, &st) < 0 || st.st_size > (off_t)most || fd_pread_full(fd, data, most, 0) != st.st_size)
                abort();
        return (size_t)st.st_size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static int old = -1, partial = -1;
        static char results[2][1 << 18];
        size_t sizes[2];
        int outcomes[2];
        uint8_t how = size > 0 ? data[0] : 0;
        struct delta_apply_config config = {
                .size = how & 1 ? OLD : (uint64_t)(how >> 3) * 4099,
                .has_holes = how & 2,
                .seed = 4711,
        };

        if (old < 0) {
                old = file_of_noise(OLD);
                partial = file_of_noise(PARTIAL);
        }
        config.basis = (struct delta_basis){ .old = old, .old_size = OLD, .partial = -1 };
        if (how & 4) {
                config.basis.partial = partial;
                config.basis.partial_size = PARTIAL;
        }
        for (int i = 0; i < 2; i++) {
                config.to = memfd_create("result", MFD_CLOEXEC);
                outcomes[i] = apply(&config, data + 1, size > 0 ? size - 1 : 0, i ? 1 + size / ONE_BY_ONE_MAX : size);
                sizes[i] = read_result(config.to, results[i], config.size);
                close(config.to);
        }
        if (outcomes[0] != outcomes[1] || sizes[0] != sizes[1] || memcmp(results[0], results[1], sizes[0]) != 0)
                abort();
        if (outcomes[0] < 0 && outcomes[0] != -EPROTO)
                abort();
        if (outcomes[0] == DELTA_GOOD && sizes[0] != config.size)
                abort();
        return 0;
}
