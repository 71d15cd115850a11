/*
 * A limit for how fast bytes go: a bucket of tokens that fills with time, and is emptied by what goes. Pure; the clock
 * is the caller's, in microseconds, and never goes back.
 */
#pragma once

#include "base/util.h"

#define BUCKET_RATE_MAX (UINT64_C(1) << 40)

struct bucket {
        uint64_t rate;   /* bytes a second, at most BUCKET_RATE_MAX; 0: no limit */
        uint64_t tokens; /* bytes that may go at once */
        uint64_t rest;   /* less than a byte: millionths */
        uint64_t filled_us;
};

void bucket_init(struct bucket *b, uint64_t rate, uint64_t now_us);

/* How many of @wanted bytes may go now? */
size_t bucket_allows(struct bucket *b, size_t wanted, uint64_t now_us);

/* So many, no more than was allowed, have gone. */
void bucket_take(struct bucket *b, size_t size);

/* How long until it is worth to ask again: microseconds, 0: now. */
uint64_t bucket_wait_us(const struct bucket *b);
