/*
 * What stands in the streams of transfer/delta, for its own files only. Numbers of fixed size are little-endian; a
 * "number" has 7 bits in each byte, the least first, and bit 7 set in all but the last (at most ten).
 *
 * The signature: magic "dsg1", block size (4 bytes), size of the basis (8), of the old version (8), seed (8); then for
 * each block of the basis that the new version can have, the low 5 bytes of its XXH3-64 with that seed. A last block
 * may be short. Behind the sum of a block of zeros stands, also in 5 bytes, how many more of them follow, which have no
 * sums of their own: a hole costs 10 bytes, however large it is.
 *
 * The signature for the search is one of librsync's (RabinKarp and BLAKE2b, 12 bytes), of the part that was asked for,
 * with the block length that delta_search_block() tells.
 *
 * The delta: operations, a byte each, followed by numbers. They make the result from its beginning on, but for those
 * parts that are put off: after DELTA_FILL or DELTA_ASK the parts, in their order, are made by the same operations. At
 * the end stand the size of the result (8 bytes) and the XXH3-128, with the seed of the signature, of all bytes in the
 * order in which they were made, holes left out (16 bytes, as XXH128_canonicalFromHash() writes them).
 */
#pragma once

#include "base/util.h"

enum delta_op {
        DELTA_END,
        DELTA_KEEP,  /* size: what the basis has at this offset */
        DELTA_COPY,  /* offset, size: from the old version */
        DELTA_DATA,  /* size, and so many bytes */
        DELTA_ZERO,  /* size */
        DELTA_HOLE,  /* size */
        DELTA_LATER, /* size: put off; first pass only, 4096 times at most */
        DELTA_FILL,  /* now what was put off */
        DELTA_ASK,   /* offset, size: the same, with a search in that part of the old version */
        DELTA_OPS
};

enum {
        DELTA_UNIT = 4096,        /* what filesystems share */
        DELTA_PIECE = 256 * 1024, /* read at a time; they fit the L2 cache */
        DELTA_BLOCK_MAX = 64 * 1024,
        DELTA_HEADER_SIZE = 32,
        DELTA_SUM_SIZE = 5,
        DELTA_DIGEST_SIZE = 16,
        DELTA_NUMBER_MAX = 10,
        DELTA_REGIONS_MAX = 4096,
};

/* How many blocks of zeros can follow one. */
#define DELTA_ZEROS_MAX ((UINT64_C(1) << 8 * DELTA_SUM_SIZE) - 1)
/* Of any file; off_t has no more. */
#define DELTA_SIZE_MAX ((uint64_t)INT64_MAX)
/* Of what can be searched. */
#define DELTA_SEARCH_MAX (UINT64_C(1) << 40)

struct delta_basis;

struct delta_header {
        uint32_t block;
        uint64_t basis_size, old_size, seed;
};

void delta_put32(unsigned char *data, uint32_t value);
void delta_put64(unsigned char *data, uint64_t value);
uint64_t delta_get64(const unsigned char *data);
/* Return the number of bytes, at most DELTA_NUMBER_MAX. */
size_t delta_put_number(unsigned char *data, uint64_t value);

void delta_header_put(const struct delta_header *h, unsigned char data[DELTA_HEADER_SIZE]);
/* Return 0, or -EPROTO for what cannot be. */
int delta_header_get(struct delta_header *ret, const unsigned char data[DELTA_HEADER_SIZE]);

/* The size of blocks: such that all sums of a file cost little, and less the larger it is. */
uint32_t delta_block_size(uint64_t size);
/* How many sums there are. Of the last block a new version has less than the basis: then they cannot be equal. */
uint64_t delta_sum_count(const struct delta_header *h, uint64_t new_size);
uint64_t delta_sum(const void *data, size_t size, uint64_t seed);
/* The sum of a block of zeros; @space is for one. */
uint64_t delta_zero_sum(const struct delta_header *h, void *space);

/* How far the partial one counts: whole blocks, whatever their size. */
uint64_t delta_basis_partial(const struct delta_basis *basis);
uint64_t delta_basis_size(const struct delta_basis *basis);
/* The descriptor that has what is at @at, and up to where. */
int delta_basis_at(const struct delta_basis *basis, uint64_t at, uint64_t *ret_end);
/* Read from the basis. Return the number of bytes, less than @size only at its end, or -errno. */
ssize_t delta_basis_read(const struct delta_basis *basis, void *data, size_t size, uint64_t at);

bool delta_is_zero(const void *data, size_t size);
/* Do not push everything else out of memory: what was read of a large file, up to @to; *done is how far it was. */
void delta_forget(int fd, uint64_t file_size, uint64_t to, uint64_t *done);

static inline uint64_t delta_min(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

static inline uint64_t delta_max(uint64_t a, uint64_t b)
{
        return a > b ? a : b;
}

static inline uint64_t delta_round_down(uint64_t value, uint64_t unit)
{
        return value - value % unit;
}
