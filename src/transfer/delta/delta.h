/*
 * What of a new version of a file is not in the old one, when each of them is on another machine.
 *
 *      the tree's side, which has the old version         the source's side, which has the new one
 *      ------------------------------------------         ----------------------------------------
 *      delta_sign_new()             signature ->          delta_make_new(), delta_make_feed()
 *      delta_apply_new()                <- delta          delta_make_read()
 *      delta_apply_feed() tells DELTA_SEARCH, seldom:
 *      delta_sign_search_new()      signature ->          delta_make_feed()
 *      delta_apply_feed()               <- delta          delta_make_read(), until it wants nothing
 *      DELTA_GOOD or DELTA_MISMATCH
 *
 * Both streams can be cut into pieces of any size; nothing here knows what carries them. All of it is done in pieces: a
 * delta begins before its signature is complete, and whoever feeds delta_make must take what it makes meanwhile.
 * There are one or two exchanges per file, never more.
 *
 * First the sums (XXH3, 5 bytes each) of blocks at the same offsets are compared, which finds all that images,
 * databases and logs keep, and costs 0.12 % of the size, of holes nothing. Where 64 KiB and more in a row are not the
 * same, and where it can pay, a rolling search by librsync (RabinKarp and 12 bytes of BLAKE2b) follows; what it needs
 * is sent only if the delta asks for it, for that part of the old version that is in question. Where nothing is found
 * for some MiB it is given up but for samples. What is not found is sent as it is.
 *
 * The result is whatever the source's side read, also from a file that changes meanwhile: each byte of the result is
 * read once for it, and both sides keep one XXH3-128 sum of all of them. Blocks at their old offsets are shared
 * (FICLONERANGE, else copy_file_range) where the filesystem can, then read back from the result for that sum: an old
 * version that changes meanwhile ends in DELTA_MISMATCH.
 *
 * Peers are not trusted: what they send can be refused, waste time, and fill the announced size; no more. Memory: under
 * 1 MiB each for signing, making and applying; with a search another 12 MiB for signing, 32 MiB for making. Nothing is
 * shared between two deltas, which may be in two threads. librsync aborts when it gets no memory: it is asked for
 * before.
 *
 * All functions that return int: 0; an outcome of enum delta_outcome; -EPROTO for what the peer sent; -ENOMEM;
 * -ECANCELED when a stop is requested; or another -errno of the files. After an outcome or an error they return the
 * same again.
 */
#pragma once

#include "base/util.h"

enum delta_outcome {
        DELTA_SHORT = 1, /* sign, make: the file ended before the size it was said to have: begin anew */
        DELTA_SEARCH,    /* apply: answer with delta_sign_search_new(), then go on; told once */
        DELTA_GOOD,      /* apply: complete, and what the source's side read */
        DELTA_MISMATCH,  /* apply: complete, and something else: send all of the file */
};

/*
 * What there is already; borrowed. Also what an interrupted transfer left of the new version is of use: as far as it
 * goes it takes the place of the old version, at equal offsets; the search is for the old version alone.
 */
struct delta_basis {
        int old;           /* open for reading, -1: none */
        uint64_t old_size; /* 0 if there is none */
        int partial;       /* the same */
        uint64_t partial_size;
};

/* Can it pay, or is the file better sent whole? */
bool delta_pays(const struct delta_basis *basis, uint64_t new_size);

/* A part of the old version. */
struct delta_range {
        uint64_t at, size;
};

/* The signature. */

struct delta_sign_config {
        struct delta_basis basis;
        uint64_t new_size; /* of the new version, as it was announced */
        uint64_t seed;     /* a random number: nobody can prepare blocks with equal sums, and a second try differs */
};

struct delta_sign;

int delta_sign_new(struct delta_sign **ret, const struct delta_sign_config *config);
/* The second one, for the search: @range is what delta_apply_range() told. */
int delta_sign_search_new(struct delta_sign **ret, const struct delta_basis *basis, const struct delta_range *range);
struct delta_sign *delta_sign_free(struct delta_sign *s);
DEFINE_FREEP(struct delta_sign, delta_sign_free)

/* The next @size bytes of it, or less. None: it is complete. */
int delta_sign_read(struct delta_sign *s, void *data, size_t size, size_t *ret_size);

/* The delta. */

struct delta_make_config {
        int fd;                                          /* the new version, open for reading, borrowed */
        uint64_t size;                                   /* what is read of it; as it was announced */
        bool has_holes;                                  /* look for holes */
        void (*progress)(void *context, uint64_t bytes); /* so many more are done with; may be NULL */
        void *context;
};

struct delta_stats {
        uint64_t kept_bytes;   /* equal at their offset */
        uint64_t copied_bytes; /* found elsewhere */
        uint64_t data_bytes;   /* sent as they are */
        uint64_t zero_bytes;   /* holes, and blocks of zeros that are in neither */
};

enum delta_want { DELTA_WANT_FEED, DELTA_WANT_READ, DELTA_WANT_NOTHING };

struct delta_make;

int delta_make_new(struct delta_make **ret, const struct delta_make_config *config);
struct delta_make *delta_make_free(struct delta_make *m);
DEFINE_FREEP(struct delta_make, delta_make_free)

/* Bytes of a signature, of which *ret_used are taken; if that is not all, read first. */
int delta_make_feed(struct delta_make *m, const void *data, size_t size, size_t *ret_used);
/* The next bytes of the delta, at most @size. None may mean that it searches: it reads and compares some MiB at a time.
 */
int delta_make_read(struct delta_make *m, void *data, size_t size, size_t *ret_size);
/* Nothing: the delta is complete and was read. What is still to come of a signature may be fed or not. */
enum delta_want delta_make_want(const struct delta_make *m);
struct delta_stats delta_make_stats(const struct delta_make *m);

/* The result. */

enum delta_side { DELTA_SIDE_BASIS, DELTA_SIDE_RESULT };

struct delta_apply_config {
        struct delta_basis basis;
        int to;         /* an empty file, open for reading and writing, borrowed */
        uint64_t size;  /* of the new version, as it was announced: neither more nor less is accepted */
        uint64_t seed;  /* as for the signature */
        bool has_holes; /* leave holes for zeros */
        void (*progress)(void *context, uint64_t bytes);
        void *context;
};

struct delta_apply;

int delta_apply_new(struct delta_apply **ret, const struct delta_apply_config *config);
struct delta_apply *delta_apply_free(struct delta_apply *a);
DEFINE_FREEP(struct delta_apply, delta_apply_free)

/*
 * Bytes of the delta, of which *ret_used are taken: feed the rest again, as long as it returns 0. It returns after at
 * most some MiB of copying, so that the caller can see to other things. What was made until an error is of use as
 * a `partial`: its size tells how far it came.
 */
int delta_apply_feed(struct delta_apply *a, const void *data, size_t size, size_t *ret_used);
/* After DELTA_SEARCH. */
struct delta_range delta_apply_range(const struct delta_apply *a);
/* After an error that is one of the files: which. */
enum delta_side delta_apply_failed(const struct delta_apply *a);
