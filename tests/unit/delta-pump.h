/* Both sides of a delta in one process, and what lies between them: pieces of bytes, of sizes that a test chooses. */
#pragma once

#include "transfer/delta/delta.h"

#include <stdio.h>
#include <time.h>

struct pump {
        struct delta_basis basis;
        int from, to;
        uint64_t size, seed;
        bool has_holes;
        size_t (*piece)(void *context); /* how many bytes next, at most PUMP_PIECE_MAX; NULL: that many */
        /* What happens before a piece of the delta is made; may be NULL. */
        void (*meanwhile)(void *context, bool is_second);
        void *context;

        /* What came of it. */
        uint64_t signature_bytes, search_bytes, delta_bytes;
        bool has_searched;
        struct delta_stats stats;
        double sign_s, make_s, apply_s; /* processor time */
        const char *failed;             /* whose result was not 0 */
};

enum { PUMP_PIECE_MAX = 1024 * 1024, PUMP_STUCK = 99 };

static inline double pump_clock(void)
{
        struct timespec now;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline size_t pump_piece(const struct pump *p)
{
        return p->piece ? p->piece(p->context) : PUMP_PIECE_MAX;
}

struct pump_sides {
        struct delta_sign *sign;
        struct delta_make *make;
        struct delta_apply *apply;
        unsigned char *in, *out; /* a piece of the signature, of the delta */
        size_t in_from, in_to;
};

static inline int pump_fail(struct pump *p, const char *who, int r)
{
        if (r != 0)
                p->failed = who;
        return r;
}

static inline int pump_signature(struct pump *p, struct pump_sides *s)
{
        double began = pump_clock();
        size_t used;
        int r = 0;

        if (s->in_from == s->in_to) {
                s->in_from = 0;
                r = delta_sign_read(s->sign, s->in, pump_piece(p), &s->in_to);
                p->sign_s += pump_clock() - began;
                if (r == 0 && s->in_to == 0)
                        r = PUMP_STUCK;
                if (r != 0)
                        return pump_fail(p, "sign", r);
                p->signature_bytes += s->in_to;
                p->search_bytes += p->has_searched ? s->in_to : 0;
        }
        began = pump_clock();
        r = delta_make_feed(s->make, s->in + s->in_from, s->in_to - s->in_from, &used);
        p->make_s += pump_clock() - began;
        s->in_from += used;
        return pump_fail(p, "make", r);
}

/* What is left of the first signature is not needed any more; it could as well be fed. */
static inline int pump_second_signature(struct pump *p, struct pump_sides *s)
{
        struct delta_range range = delta_apply_range(s->apply);
        size_t used;
        int r = 0;

        p->has_searched = true;
        do {
                r = delta_make_feed(s->make, s->in + s->in_from, s->in_to - s->in_from, &used);
                s->in_from = 0;
                if (r == 0)
                        r = delta_sign_read(s->sign, s->in, PUMP_PIECE_MAX, &s->in_to);
        } while (r == 0 && s->in_to > 0);
        delta_sign_free(s->sign);
        s->sign = NULL;
        if (r == 0)
                r = delta_sign_search_new(&s->sign, &p->basis, &range);
        return pump_fail(p, "sign", r);
}

static inline int pump_delta(struct pump *p, struct pump_sides *s)
{
        double began = pump_clock();
        size_t size, used;
        int r;

        if (p->meanwhile)
                p->meanwhile(p->context, p->has_searched);
        r = delta_make_read(s->make, s->out, pump_piece(p), &size);
        p->make_s += pump_clock() - began;
        p->delta_bytes += size;
        if (r != 0)
                return pump_fail(p, "make", r);
        for (size_t at = 0; r == 0 && at < size; at += used) {
                began = pump_clock();
                r = delta_apply_feed(s->apply, s->out + at, size - at, &used);
                p->apply_s += pump_clock() - began;
                if (r == DELTA_SEARCH)
                        r = pump_second_signature(p, s);
        }
        return pump_fail(p, "apply", r);
}

static inline int pump_sides(struct pump *p, struct pump_sides *s)
{
        const struct delta_sign_config sign = { .basis = p->basis, .new_size = p->size, .seed = p->seed };
        const struct delta_make_config make = { .fd = p->from, .size = p->size, .has_holes = p->has_holes };
        const struct delta_apply_config apply = {
                .basis = p->basis, .to = p->to, .size = p->size, .seed = p->seed, .has_holes = p->has_holes
        };
        int r = delta_sign_new(&s->sign, &sign);

        if (r == 0)
                r = delta_make_new(&s->make, &make);
        if (r == 0)
                r = delta_apply_new(&s->apply, &apply);
        return pump_fail(p, "new", r);
}

/* DELTA_GOOD or what went wrong; PUMP_STUCK when nobody goes on. */
static inline int pump_run(struct pump *p)
{
        struct pump_sides s = { .in = malloc(PUMP_PIECE_MAX), .out = malloc(PUMP_PIECE_MAX) };
        int r = s.in && s.out ? pump_sides(p, &s) : -ENOMEM;

        while (r == 0) {
                enum delta_want want = delta_make_want(s.make);

                if (want == DELTA_WANT_NOTHING)
                        r = pump_fail(p, "end", PUMP_STUCK);
                else
                        r = want == DELTA_WANT_FEED ? pump_signature(p, &s) : pump_delta(p, &s);
        }
        if (s.make)
                p->stats = delta_make_stats(s.make);
        delta_sign_free(s.sign);
        delta_make_free(s.make);
        delta_apply_free(s.apply);
        free(s.in);
        free(s.out);
        return r;
}
