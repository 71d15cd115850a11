/*
 * The sum by which both ends of an exchange know that they have the same content (docs/agent-protocol.md): XXH3-128
 * over blocks of 64 KiB, the last one may be short, of each that is not all zeros its offset (8 bytes, little-endian)
 * and its bytes. So it does not matter where holes are, and they cost nothing.
 */
#pragma once

#include "base/util.h"

enum { SUM_SIZE = 16 };

struct sum;

/* NULL when memory is short. */
struct sum *sum_new(void);
struct sum *sum_free(struct sum *s);
DEFINE_FREEP(struct sum, sum_free)

/* Begin anew. */
void sum_begin(struct sum *s);
/* What comes next: bytes, in pieces of any size, */
void sum_data(struct sum *s, const void *data, size_t size);
/* or zeros. */
void sum_zeros(struct sum *s, uint64_t size);
void sum_end(struct sum *s, uint8_t ret[SUM_SIZE]);
