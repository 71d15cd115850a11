/*
 * librsync, and nothing else of librsync anywhere: the signature of a part of the old version, and the rolling search
 * for its blocks. Its results become -EPROTO, -ENOMEM or -EIO here.
 */
#pragma once

#include "base/util.h"

struct delta_emit;
struct delta_range;

/* The length of blocks for a part of that size: a multiple of 4096, at most 4 MiB. */
size_t delta_search_block(uint64_t size);
/* Bytes of its signature. */
uint64_t delta_search_signature_size(uint64_t size);

/* A stream through librsync: on return the members tell what is left of input and room. */
struct delta_pump {
        const unsigned char *in;
        size_t in_size;
        bool is_end; /* nothing follows */
        unsigned char *out;
        size_t out_size;
};

/* The signature of a part of @size bytes, made from its bytes. */
struct delta_signer;

int delta_signer_new(struct delta_signer **ret, uint64_t size);
struct delta_signer *delta_signer_free(struct delta_signer *s);
/* Return 0 or -errno; *ret_done: it is complete. */
int delta_signer_pump(struct delta_signer *s, struct delta_pump *pump, bool *ret_done);

/* The search. */
struct delta_search;

int delta_search_new(struct delta_search **ret, const struct delta_range *range);
struct delta_search *delta_search_free(struct delta_search *s);
/* Bytes of the signature. *ret_used is less than @size only when it is complete. */
int delta_search_load(struct delta_search *s, const void *data, size_t size, size_t *ret_used);
bool delta_search_is_loaded(const struct delta_search *s);
/* With its sums a search would take for ever, as nobody's file has them by chance. */
bool delta_search_is_hopeless(const struct delta_search *s);

/* From here on: @at is the offset of what comes in the new version. */
int delta_search_begin(struct delta_search *s, uint64_t at);
bool delta_search_is_on(const struct delta_search *s);
/* What came of a step. */
struct delta_found {
        size_t used;     /* so many bytes were taken */
        bool is_some;    /* something was found; a run of it is told when it ends */
        uint64_t missed; /* bytes since then that were not found */
};

/*
 * Search in @size bytes and put operations into @emit, as long as there is room. With @is_end nothing follows them;
 * when all is out the search is not on any more. Return 0 or -errno.
 */
int delta_search_step(struct delta_search *s, const void *data, size_t size, bool is_end, struct delta_emit *emit,
                      struct delta_found *ret);
