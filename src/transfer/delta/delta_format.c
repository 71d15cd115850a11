/* Small things that both sides of a delta have to do alike. */
#include "transfer/delta/delta_format.h"

#include "base/fd.h"
#include "transfer/delta/delta.h"

#include <fcntl.h>
#include <xxhash.h>

static const unsigned char magic[4] = "dsg1";

enum {
        /* Below that a file costs less than the messages about it. */
        PAYS_MIN = 64 * 1024,
        /* An old version that is smaller by that factor cannot have much of the new one. */
        PAYS_FACTOR = 64,
        WINDOW = 8 * 1024 * 1024,
};

bool delta_pays(const struct delta_basis *basis, uint64_t new_size)
{
        uint64_t size = delta_basis_size(basis);

        return new_size >= PAYS_MIN && size >= PAYS_MIN && size >= new_size / PAYS_FACTOR;
}

static void put(unsigned char *data, uint64_t value, unsigned bytes)
{
        for (unsigned i = 0; i < bytes; i++)
                data[i] = (unsigned char)(value >> 8 * i);
}

void delta_put32(unsigned char *data, uint32_t value)
{
        put(data, value, 4);
}

void delta_put64(unsigned char *data, uint64_t value)
{
        put(data, value, 8);
}

uint64_t delta_get64(const unsigned char *data)
{
        uint64_t value = 0;

        for (unsigned i = 0; i < 8; i++)
                value |= (uint64_t)data[i] << 8 * i;
        return value;
}

size_t delta_put_number(unsigned char *data, uint64_t value)
{
        size_t n = 0;

        for (; value >= 0x80; value >>= 7)
                data[n++] = (unsigned char)(value | 0x80);
        data[n++] = (unsigned char)value;
        return n;
}

void delta_header_put(const struct delta_header *h, unsigned char data[DELTA_HEADER_SIZE])
{
        memcpy(data, magic, sizeof(magic));
        delta_put32(data + 4, h->block);
        delta_put64(data + 8, h->basis_size);
        delta_put64(data + 16, h->old_size);
        delta_put64(data + 24, h->seed);
}

int delta_header_get(struct delta_header *ret, const unsigned char data[DELTA_HEADER_SIZE])
{
        struct delta_header h = {
                .block = (uint32_t)(delta_get64(data) >> 32),
                .basis_size = delta_get64(data + 8),
                .old_size = delta_get64(data + 16),
                .seed = delta_get64(data + 24),
        };

        if (memcmp(data, magic, sizeof(magic)) != 0)
                return -EPROTO;
        if (h.block == 0 || h.block % DELTA_UNIT != 0 || h.block > DELTA_BLOCK_MAX)
                return -EPROTO;
        if (h.basis_size > DELTA_SIZE_MAX || h.old_size > h.basis_size)
                return -EPROTO;
        *ret = h;
        return 0;
}

uint32_t delta_block_size(uint64_t size)
{
        uint32_t block = DELTA_UNIT;

        /* 5 bytes for each: 0.12 % of 16 GiB are 20 MiB, of 64 GiB 40, and so on. */
        for (uint64_t most = UINT64_C(16) << 30; size > most && block < DELTA_BLOCK_MAX; most *= 4)
                block *= 2;
        return block;
}

uint64_t delta_sum_count(const struct delta_header *h, uint64_t new_size)
{
        if (h->basis_size > new_size)
                return new_size / h->block;
        return h->basis_size / h->block + (h->basis_size % h->block != 0);
}

uint64_t delta_sum(const void *data, size_t size, uint64_t seed)
{
        return XXH3_64bits_withSeed(data, size, seed) & ((UINT64_C(1) << 8 * DELTA_SUM_SIZE) - 1);
}

uint64_t delta_zero_sum(const struct delta_header *h, void *space)
{
        memset(space, 0, h->block);
        return delta_sum(space, h->block, h->seed);
}

uint64_t delta_basis_partial(const struct delta_basis *basis)
{
        return delta_round_down(basis->partial_size, DELTA_BLOCK_MAX);
}

uint64_t delta_basis_size(const struct delta_basis *basis)
{
        return delta_max(basis->old_size, delta_basis_partial(basis));
}

int delta_basis_at(const struct delta_basis *basis, uint64_t at, uint64_t *ret_end)
{
        bool is_partial = at < delta_basis_partial(basis);

        *ret_end = is_partial ? delta_basis_partial(basis) : basis->old_size;
        return is_partial ? basis->partial : basis->old;
}

ssize_t delta_basis_read(const struct delta_basis *basis, void *data, size_t size, uint64_t at)
{
        size_t done = 0;

        while (done < size && at + done < delta_basis_size(basis)) {
                uint64_t end;
                int fd = delta_basis_at(basis, at + done, &end);
                size_t want = (size_t)delta_min(size - done, end - at - done);
                ssize_t n = fd_pread_full(fd, (char *)data + done, want, (off_t)(at + done));

                if (n < 0)
                        return n;
                done += (size_t)n;
                if ((size_t)n < want)
                        break;
        }
        return (ssize_t)done;
}

bool delta_is_zero(const void *data, size_t size)
{
        const char *bytes = data;

        return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

void delta_forget(int fd, uint64_t file_size, uint64_t to, uint64_t *done)
{
        if (file_size < WINDOW || to < *done + WINDOW)
                return;
        (void)posix_fadvise(fd, (off_t)*done, (off_t)(to - *done), POSIX_FADV_DONTNEED);
        *done = to;
}
