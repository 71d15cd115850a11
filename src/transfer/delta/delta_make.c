/*
 * The source's side. The first pass reads the file once, in pieces, block by block beside the sums as they come in:
 *
 *      equal: kept <- COMPARE -> different: pending; if it becomes too much: put off
 *                        |
 *                        +-- nothing was put off --------------------------> END
 *                        +-- a search cannot pay -----------------> FILL --> END
 *                        +-- it can: ask for the sums -> LOAD ----> FILL --> END
 *
 * The second pass, FILL, reads again what was put off, and searches in it or sends it as it is. The sum over all bytes
 * follows the order of the passes, so that it is right for what was sent, whatever happens to the file meanwhile.
 */
#include "transfer/delta/delta.h"

#include "base/content.h"
#include "base/fd.h"
#include "base/stop.h"
#include "transfer/delta/delta_emit.h"
#include "transfer/delta/delta_format.h"
#include "transfer/delta/delta_search.h"

#include <xxhash.h>

enum {
        SUMS_MAX = 8 * 1024,
        /* A search costs the other side 2.5 s of processor time for a GiB, and an exchange. */
        ASK_MIN = 128 * 1024,
        ASK_PART = 8, /* such a part of the range must have been put off */
        MIB = 1024 * 1024,
        /* It costs 30 ns a byte that is not found: for so long is nothing found before it is given up, */
        PATIENCE = 8 * MIB,
        /* but for a sample of this size after each pause; these become longer. */
        SAMPLE = MIB,
        PAUSE_MIN = 16 * MIB,
        PAUSE_MAX = 256 * MIB,
        STEP = 8 * MIB, /* of that are done at a time */
};

enum stage { HEADER, COMPARE, LOAD, FILL, DONE };

struct region {
        uint64_t at, size;
};

/* Blocks of the basis in a row: one, or some that are all zeros. */
struct sums {
        uint64_t sum, count;
};

struct delta_make {
        struct delta_make_config config;
        enum stage stage;
        int result; /* the first outcome or error stays */
        struct delta_emit emit;
        XXH3_state_t *digest;
        char *piece; /* DELTA_PIECE bytes */
        uint64_t piece_at;
        size_t piece_size;
        uint64_t forgotten;

        /* The signature. */
        unsigned char head[DELTA_HEADER_SIZE];
        size_t head_size;
        struct delta_header header;
        uint64_t zero_sum;
        unsigned char number[8]; /* that comes in, so far */
        size_t number_size;
        bool zeros_follow; /* it says how many blocks of zeros more there are */
        struct sums *sums; /* SUMS_MAX of those that came in */
        size_t sums_from, sums_to;
        uint64_t sums_index;            /* of the first block at sums_from */
        uint64_t sums_count, sums_left; /* in all; that have not come in yet */

        /* The first pass. */
        uint64_t at;
        uint64_t data_from, data_to; /* the next data at or behind @at, as far as it is known */
        struct region *regions;      /* DELTA_REGIONS_MAX of what was put off */
        size_t region_count;
        bool is_putting_off; /* the last of them goes on */
        bool is_hungry;      /* the next sum is not there yet */

        /* The second pass. */
        struct delta_search *search; /* or NULL */
        size_t region;
        uint64_t region_done;
        uint64_t filled; /* bytes, in all */
        uint64_t barren, patience, pause, pause_left;
        bool gives_up;
};

int delta_make_new(struct delta_make **ret, const struct delta_make_config *config)
{
        struct delta_make *m = calloc(1, sizeof(*m));

        if (!m)
                return -ENOMEM;
        m->config = *config;
        m->patience = PATIENCE;
        m->pause = PAUSE_MIN;
        m->piece = malloc(DELTA_PIECE);
        m->sums = malloc(SUMS_MAX * sizeof(*m->sums));
        m->regions = malloc(DELTA_REGIONS_MAX * sizeof(*m->regions));
        m->digest = XXH3_createState();
        if (delta_emit_init(&m->emit) < 0 || !m->piece || !m->sums || !m->regions || !m->digest) {
                delta_make_free(m);
                return -ENOMEM;
        }
        *ret = m;
        return 0;
}

struct delta_make *delta_make_free(struct delta_make *m)
{
        if (!m)
                return NULL;
        delta_search_free(m->search);
        delta_emit_deinit(&m->emit);
        XXH3_freeState(m->digest);
        free(m->piece);
        free(m->sums);
        free(m->regions);
        free(m);
        return NULL;
}

struct delta_stats delta_make_stats(const struct delta_make *m)
{
        return m->emit.stats;
}

enum delta_want delta_make_want(const struct delta_make *m)
{
        if (m->emit.out_from < m->emit.out_to)
                return DELTA_WANT_READ;
        if (m->stage == DONE)
                return DELTA_WANT_NOTHING;
        return m->stage == FILL || (m->stage == COMPARE && !m->is_hungry) ? DELTA_WANT_READ : DELTA_WANT_FEED;
}

static void count_progress(struct delta_make *m, uint64_t bytes)
{
        if (m->config.progress)
                m->config.progress(m->config.context, bytes);
}

/* The signature comes in. */

static int feed_header(struct delta_make *m, const void *data, size_t size, size_t *ret_used)
{
        size_t n = size_min(size, DELTA_HEADER_SIZE - m->head_size);
        int r;

        memcpy(m->head + m->head_size, data, n);
        m->head_size += n;
        *ret_used = n;
        if (m->head_size < DELTA_HEADER_SIZE)
                return 0;
        r = delta_header_get(&m->header, m->head);
        if (r < 0)
                return r;
        m->sums_count = delta_sum_count(&m->header, m->config.size);
        m->sums_left = m->sums_count;
        m->zero_sum = delta_zero_sum(&m->header, m->piece);
        XXH3_128bits_reset_withSeed(m->digest, m->header.seed);
        m->stage = COMPARE;
        return 0;
}

static bool awaits_sums(const struct delta_make *m)
{
        return m->sums_left > 0 || m->zeros_follow;
}

/* Where they are not needed any more they are thrown away. */
static void add_sums(struct delta_make *m, uint64_t sum, uint64_t count)
{
        if (m->stage == COMPARE)
                m->sums[m->sums_to++] = (struct sums){ .sum = sum, .count = count };
}

static int take_number(struct delta_make *m)
{
        uint64_t number = delta_get64(m->number);

        m->number_size = 0;
        if (m->zeros_follow) {
                if (number > m->sums_left)
                        return -EPROTO;
                m->zeros_follow = false;
                m->sums_left -= number;
                add_sums(m, m->zero_sum, number + 1);
                return 0;
        }
        m->sums_left--;
        m->zeros_follow = number == m->zero_sum;
        if (!m->zeros_follow)
                add_sums(m, number, 1);
        return 0;
}

static int feed_sums(struct delta_make *m, const unsigned char *data, size_t size, size_t *ret_used)
{
        size_t used = 0;
        int r = 0;

        memmove(m->sums, m->sums + m->sums_from, (m->sums_to - m->sums_from) * sizeof(*m->sums));
        m->sums_to -= m->sums_from;
        m->sums_from = 0;
        while (r == 0 && used < size && awaits_sums(m) && m->sums_to < SUMS_MAX) {
                m->number[m->number_size++] = data[used++];
                if (m->number_size == DELTA_SUM_SIZE)
                        r = take_number(m);
        }
        *ret_used = used;
        return r;
}

static int feed_search(struct delta_make *m, const void *data, size_t size, size_t *ret_used)
{
        int r = delta_search_load(m->search, data, size, ret_used);

        if (r == 0 && delta_search_is_loaded(m->search)) {
                if (delta_search_is_hopeless(m->search))
                        m->search = delta_search_free(m->search);
                m->stage = FILL;
        }
        return r;
}

static int feed(struct delta_make *m, const void *data, size_t size, size_t *ret_used)
{
        *ret_used = 0;
        if (m->stage == HEADER)
                return feed_header(m, data, size, ret_used);
        if (awaits_sums(m))
                return feed_sums(m, data, size, ret_used);
        if (m->stage == LOAD)
                return feed_search(m, data, size, ret_used);
        return -EPROTO;
}

int delta_make_feed(struct delta_make *m, const void *data, size_t size, size_t *ret_used)
{
        size_t done = 0, n = 1;

        m->is_hungry = false;
        while (m->result == 0 && done < size && n > 0) {
                m->result = feed(m, (const char *)data + done, size - done, &n);
                done += n;
        }
        *ret_used = done;
        return m->result;
}

enum sum { SUM_THERE, SUM_NONE, SUM_MISSING };

/* The sum of a block: those before it are not asked for again. */
static enum sum next_sum(struct delta_make *m, uint64_t index, uint64_t *ret_sum)
{
        if (index >= m->sums_count)
                return SUM_NONE;
        for (; m->sums_from < m->sums_to; m->sums_from++) {
                const struct sums *s = &m->sums[m->sums_from];

                if (index - m->sums_index < s->count) {
                        *ret_sum = s->sum;
                        return SUM_THERE;
                }
                m->sums_index += s->count;
        }
        return SUM_MISSING;
}

/* The first pass. */

static int read_piece(struct delta_make *m, uint64_t at, uint64_t size)
{
        size_t want = (size_t)delta_min(DELTA_PIECE, size);
        ssize_t n;

        if (stop_requested())
                return -ECANCELED;
        n = fd_pread_full(m->config.fd, m->piece, want, (off_t)at);
        if (n == -EPROTO) /* not the peer's */
                return -EIO;
        if (n < 0)
                return (int)n;
        if ((size_t)n < want)
                return DELTA_SHORT;
        m->piece_at = at;
        m->piece_size = want;
        delta_forget(m->config.fd, m->config.size, at, &m->forgotten);
        return 0;
}

/* What is pending is sent as it is: it did not become too much. */
static void settle_pending(struct delta_make *m)
{
        XXH3_128bits_update(m->digest, m->emit.pending, m->emit.pending_size);
        count_progress(m, m->emit.pending_size);
        delta_emit_flush(&m->emit);
}

/* What was put off ends here. */
static void end_region(struct delta_make *m)
{
        if (m->is_putting_off)
                delta_emit_run(&m->emit, DELTA_LATER, 0, m->regions[m->region_count - 1].size);
        m->is_putting_off = false;
}

static void keep(struct delta_make *m, const char *data, size_t size)
{
        end_region(m);
        if (m->emit.pending_size > 0)
                settle_pending(m);
        XXH3_128bits_update(m->digest, data, size);
        delta_emit_run(&m->emit, DELTA_KEEP, 0, size);
        count_progress(m, size);
}

/* Instead of being sent, what is pending is put off. */
static bool begin_region(struct delta_make *m)
{
        if (m->region_count == DELTA_REGIONS_MAX)
                return false;
        m->regions[m->region_count++] = (struct region){ .at = m->emit.pending_at, .size = m->emit.pending_size };
        m->emit.pending_size = 0;
        m->is_putting_off = true;
        return true;
}

static void differs(struct delta_make *m, const char *data, size_t size)
{
        if (!m->is_putting_off && m->emit.pending_size + size > DELTA_PENDING_MAX && !begin_region(m))
                settle_pending(m);
        if (m->is_putting_off)
                m->regions[m->region_count - 1].size += size;
        else
                delta_emit_data(&m->emit, m->at, data, size);
}

/* How much from here on is a hole, in whole blocks. What cannot be found out is data. */
static uint64_t hole_size(struct delta_make *m)
{
        const struct delta_make_config *c = &m->config;

        if (!c->has_holes)
                return 0;
        if (m->at >= m->data_to && content_next_data(c->fd, m->at, c->size, &m->data_from, &m->data_to) < 0) {
                m->data_from = m->at;
                m->data_to = c->size;
        }
        if (m->data_from <= m->at)
                return 0;
        /* That a file ends in a hole could also be that it has become shorter. */
        if (m->data_from == c->size && lseek(c->fd, 0, SEEK_END) < (off_t)c->size)
                return 0;
        if (m->data_from == c->size)
                return c->size - m->at;
        return delta_round_down(m->data_from - m->at, m->header.block);
}

static void leave_hole(struct delta_make *m, uint64_t size)
{
        end_region(m);
        if (m->emit.pending_size > 0)
                settle_pending(m);
        delta_emit_run(&m->emit, DELTA_HOLE, 0, size);
        count_progress(m, size);
        m->at += size;
}

static int have_piece(struct delta_make *m)
{
        if (m->piece_size > 0 && m->at >= m->piece_at && m->at < m->piece_at + m->piece_size)
                return 0;
        return read_piece(m, m->at, m->config.size - m->at);
}

/* One block of the new version. */
static int compare_block(struct delta_make *m)
{
        uint64_t hole = hole_size(m), index = m->at / m->header.block, sum = 0;
        size_t size = (size_t)delta_min(m->header.block, m->config.size - m->at), equal = 0;
        enum sum found;
        const char *data;
        int r;

        if (hole > 0) {
                leave_hole(m, hole);
                return 0;
        }
        found = next_sum(m, index, &sum);
        m->is_hungry = found == SUM_MISSING;
        r = m->is_hungry ? 0 : have_piece(m);
        if (r != 0 || m->is_hungry)
                return r;
        data = m->piece + (m->at - m->piece_at);
        if (found == SUM_THERE) {
                /* The last block of the basis may be shorter: something was appended. */
                equal = (size_t)delta_min(size, m->header.basis_size - m->at);
                if (delta_sum(data, equal, m->header.seed) == sum)
                        keep(m, data, equal);
                else
                        equal = 0;
        }
        m->at += equal;
        if (size > equal)
                differs(m, data + equal, size - equal);
        m->at += size - equal;
        return 0;
}

/* Between both passes. */

/* What of the old version may have moved into what was put off: from where the first was on. */
static struct delta_range search_range(const struct delta_make *m)
{
        const struct region *last = &m->regions[m->region_count - 1];
        uint64_t from = delta_round_down(m->regions[0].at, DELTA_UNIT), to = last->at + last->size;

        if (to == m->config.size || to > m->header.old_size)
                to = m->header.old_size;
        return (struct delta_range){ .at = from, .size = to > from ? to - from : 0 };
}

static bool search_pays(const struct delta_make *m, const struct delta_range *range)
{
        uint64_t size = 0;

        for (size_t i = 0; i < m->region_count; i++)
                size += m->regions[i].size;
        return size >= ASK_MIN && range->size >= DELTA_UNIT && range->size / ASK_PART <= size &&
               range->size <= DELTA_SEARCH_MAX;
}

static void finish(struct delta_make *m)
{
        XXH128_canonical_t digest;

        XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(m->digest));
        delta_emit_end(&m->emit, m->config.size, digest.digest);
        m->stage = DONE;
}

static int end_first_pass(struct delta_make *m)
{
        struct delta_range range;
        int r;

        end_region(m);
        settle_pending(m);
        m->sums_from = m->sums_to = 0;
        m->piece_size = 0;
        m->forgotten = 0;
        if (m->region_count == 0) {
                finish(m);
                return 0;
        }
        range = search_range(m);
        m->stage = FILL;
        if (search_pays(m, &range)) {
                r = delta_search_new(&m->search, &range);
                if (r < 0)
                        return r;
                m->stage = LOAD;
        }
        delta_emit_run(&m->emit, m->search ? DELTA_ASK : DELTA_FILL, range.at, range.size);
        delta_emit_flush(&m->emit);
        return 0;
}

/* The second pass. */

static void found_something(struct delta_make *m)
{
        m->barren = 0;
        m->patience = PATIENCE;
        m->pause = PAUSE_MIN;
}

/* The search was given up: go on without it for a while. */
static void rest(struct delta_make *m)
{
        m->barren = 0;
        m->pause_left = m->pause;
        m->pause = delta_min(2 * m->pause, PAUSE_MAX);
        m->patience = delta_max(SAMPLE, 4 * delta_search_block(m->header.old_size));
}

/* Bytes of the piece, as they are. */
static void fill_plainly(struct delta_make *m, size_t *ret_used)
{
        size_t size = (size_t)delta_min(m->piece_size, DELTA_PENDING_MAX);

        if (m->search)
                size = (size_t)delta_min(size, m->pause_left);
        delta_emit_data(&m->emit, m->piece_at, m->piece, size);
        m->pause_left -= m->search ? size : 0;
        *ret_used = size;
}

/* When it is given up what librsync still holds has to come out first: then it takes nothing more. */
static int fill_by_search(struct delta_make *m, bool is_last, size_t *ret_used)
{
        struct delta_found found = { .used = 0 };
        int r = 0;

        m->gives_up |= m->barren >= m->patience;
        if (!delta_search_is_on(m->search))
                r = delta_search_begin(m->search, m->piece_at);
        if (r == 0)
                r = delta_search_step(m->search, m->piece, m->gives_up ? 0 : m->piece_size, m->gives_up || is_last,
                                      &m->emit, &found);
        if (r < 0)
                return r;
        *ret_used = found.used;
        if (found.is_some)
                found_something(m);
        m->barren += found.missed;
        if (delta_search_is_on(m->search))
                return 0;
        if (m->gives_up && m->barren >= m->patience)
                rest(m);
        m->gives_up = false;
        return 0;
}

/* The rest of the piece moves to its front. */
static void use_piece(struct delta_make *m, size_t used)
{
        memmove(m->piece, m->piece + used, m->piece_size - used);
        m->piece_size -= used;
        m->piece_at += used;
        m->filled += used;
        count_progress(m, used);
}

static int fill_region(struct delta_make *m)
{
        const struct region *region = &m->regions[m->region];
        uint64_t left = region->size - m->region_done;
        bool is_on = m->search && delta_search_is_on(m->search);
        size_t used = 0;
        int r = 0;

        if (m->piece_size == 0 && left == 0 && !is_on) {
                delta_emit_flush(&m->emit); /* no operation goes on in the next one */
                m->region++;
                m->region_done = 0;
                return 0;
        }
        if (m->piece_size == 0 && left > 0) {
                r = read_piece(m, region->at + m->region_done, left);
                if (r != 0)
                        return r;
                XXH3_128bits_update(m->digest, m->piece, m->piece_size);
                m->region_done += m->piece_size;
                left -= m->piece_size;
        }
        if (m->search && m->pause_left == 0)
                r = fill_by_search(m, left == 0, &used);
        else
                fill_plainly(m, &used);
        use_piece(m, used);
        return r;
}

static int step(struct delta_make *m)
{
        if (m->stage == COMPARE)
                return m->at < m->config.size ? compare_block(m) : end_first_pass(m);
        if (m->region < m->region_count)
                return fill_region(m);
        finish(m);
        return 0;
}

/* A search can go on for long without anything to show. */
static bool is_time_to_return(const struct delta_make *m, uint64_t began_at)
{
        return m->stage == FILL && m->filled - began_at >= STEP;
}

int delta_make_read(struct delta_make *m, void *data, size_t size, size_t *ret_size)
{
        uint64_t began_at = m->filled;
        size_t done = 0, n = 1;

        while (m->result == 0 && done < size && n > 0) {
                while (m->result == 0 && (m->stage == COMPARE || m->stage == FILL) && !m->is_hungry &&
                       delta_emit_has_room(&m->emit) && !is_time_to_return(m, began_at))
                        m->result = step(m);
                n = m->result == 0 ? delta_emit_take(&m->emit, (char *)data + done, size - done) : 0;
                done += n;
        }
        *ret_size = done;
        return m->result;
}
