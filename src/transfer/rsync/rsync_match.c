/*
 * The window holds what has come and is neither matched nor handed over:
 *
 *      data              from           at               at + block          to
 *      |  done with       |   literal    |  the block that  |   what comes    |
 *                                           is looked at        behind it
 *
 * Where a block is expected (the one after the last that was found, and the one that had this offset in the old file)
 * it is compared without any table, which is all there is to do in what has not changed. Elsewhere the rolling checksum
 * moves byte by byte until the table says that some block may have it, or until the next such place.
 */
#include "transfer/rsync/rsync_match.h"

#include "transfer/rsync/rsync_slide.h"
#include "transfer/rsync/rsync_table.h"
#include "transfer/rsync/rsync_weak.h"

#include <assert.h>

enum {
        ROOM_MIN = 256 * 1024, /* for what comes */
        ROOM_BLOCKS = 4,
        CANDIDATES_MAX = 1024, /* of one window */
        CANDIDATE_COST = 64,   /* bytes that are summed up while a candidate is looked at */
};

static_assert(RSYNC_LITERAL_MAX + 5 * RSYNC_BLOCK_MAX + ROOM_MIN < 1200 * 1024, "the header says so");

/* A block that is expected at an offset of the new file; the next one follows @block_size bytes later. */
struct hope {
        uint64_t at, index;
};

struct rsync_match {
        struct rsync_match_target target;
        struct rsync_sums sums; /* no blocks: all is literal */
        struct rsync_table table;
        enum rsync_checksum checksum;
        int32_t seed;
        bool seed_first;
        uint32_t strong_size; /* that is compared */

        unsigned char *data;
        size_t capacity, from, at, to;
        uint64_t origin; /* the offset of data[0] in the content */

        struct hope next, same; /* after the last block that was found; at its own offset */
        struct rsync_weak weak; /* of the window */
        bool has_weak, is_looked_at;

        uint64_t literal_bytes, matched_bytes, waste_bytes;
        int error; /* the first */
};

static bool has_blocks(const struct rsync_sums *s)
{
        return s->count > 0 && s->strong_size > 0;
}

struct rsync_match *rsync_match_new(const struct rsync_session *session, const struct rsync_sums *sums,
                                    const struct rsync_match_target *target)
{
        _cleanup_(rsync_match_freep) struct rsync_match *m = calloc(1, sizeof(*m));

        assert(rsync_sums_are_sane(sums));
        if (!m)
                return NULL;
        m->target = *target;
        m->checksum = session->checksum;
        m->seed = session->seed;
        m->seed_first = session->compat & RSYNC_COMPAT_SEED_FIRST;
        m->strong_size = (uint32_t)size_min(sums->strong_size, rsync_checksum_size(session->checksum));
        if (has_blocks(sums)) {
                m->sums = *sums;
                if (rsync_table_init(&m->table, sums) < 0)
                        return NULL;
        }
        m->capacity =
                RSYNC_LITERAL_MAX + m->sums.block_size + size_max(ROOM_MIN, (size_t)ROOM_BLOCKS * m->sums.block_size);
        m->data = malloc(m->capacity);
        return m->data ? TAKE(m) : NULL;
}

struct rsync_match *rsync_match_free(struct rsync_match *m)
{
        if (!m)
                return NULL;
        rsync_table_deinit(&m->table);
        free(m->data);
        free(m);
        return NULL;
}

uint64_t rsync_match_literal_bytes(const struct rsync_match *m)
{
        return m->literal_bytes;
}

uint64_t rsync_match_matched_bytes(const struct rsync_match *m)
{
        return m->matched_bytes;
}

uint64_t rsync_match_waste_bytes(const struct rsync_match *m)
{
        return m->waste_bytes;
}

/* ---- what goes out ---- */

/* Literal bytes up to the window, as far as they fill whole pieces; @is_all: all of them. */
static int put_literal(struct rsync_match *m, bool is_all)
{
        while (m->from < m->at && (is_all || m->at - m->from >= RSYNC_LITERAL_MAX)) {
                size_t size = size_min(m->at - m->from, RSYNC_LITERAL_MAX);
                int r = m->target.literal(m->target.context, m->data + m->from, size);

                if (r < 0)
                        return r;
                m->from += size;
                m->literal_bytes += size;
        }
        return 0;
}

static int put_block(struct rsync_match *m, uint32_t index)
{
        size_t size = rsync_sums_block(&m->sums, index);
        int r = put_literal(m, true);

        if (r == 0)
                r = m->target.block(m->target.context, index, m->data + m->at, size);
        if (r < 0)
                return r;
        m->at += size;
        m->from = m->at;
        m->matched_bytes += size;
        m->next = (struct hope){ m->origin + m->at, (uint64_t)index + 1 };
        m->has_weak = m->is_looked_at = false;
        return 0;
}

/* ---- is it a block? ---- */

/* The bytes that may be one, and what was computed of them. */
struct look {
        const unsigned char *data;
        uint32_t size, weak;
        bool has_strong;
        uint8_t strong[RSYNC_DIGEST_MAX];
};

static bool is_block(struct rsync_match *m, struct look *l, uint32_t index)
{
        if (rsync_sums_weak(&m->sums, index) != l->weak)
                return false;
        if (!l->has_strong) {
                rsync_digest_block(m->checksum, m->seed, m->seed_first, l->data, l->size, l->strong);
                l->has_strong = true;
                m->waste_bytes += l->size;
        }
        if (memcmp(rsync_sums_strong(&m->sums, index), l->strong, m->strong_size) != 0)
                return false;
        m->waste_bytes -= l->size;
        return true;
}

/* The last block, which is shorter than others. */
static bool is_short_block(struct rsync_match *m)
{
        uint32_t index = m->sums.count - 1;
        struct look l = { .data = m->data + m->at, .size = rsync_sums_block(&m->sums, index) };

        l.weak = rsync_weak_value(rsync_weak_of(l.data, l.size));
        return is_block(m, &l, index);
}

static bool has_short_block(const struct rsync_match *m)
{
        return m->sums.remainder > 0 && m->sums.remainder < m->sums.block_size;
}

static bool is_expected(struct rsync_match *m, struct look *l, const struct hope *h)
{
        if (h->at != m->origin + m->at || h->index >= m->sums.count)
                return false;
        if (h->index == m->sums.count - 1 && has_short_block(m))
                return is_short_block(m);
        return is_block(m, l, (uint32_t)h->index);
}

/* Some block of the table, unless too much was spent on it already. */
static bool find_anywhere(struct rsync_match *m, struct look *l, uint32_t *ret_index)
{
        uint32_t number = rsync_table_first(&m->table, l->weak);

        if (m->waste_bytes > RSYNC_WASTE_FREE + RSYNC_WASTE_EACH * (m->origin + m->at))
                return false;
        for (unsigned i = 0; number != RSYNC_TABLE_NONE && i < CANDIDATES_MAX; i++) {
                if (is_block(m, l, number - 1)) {
                        *ret_index = number - 1;
                        return true;
                }
                m->waste_bytes += CANDIDATE_COST;
                number = rsync_table_next(&m->table, number);
        }
        return false;
}

/* The first place at @offset or behind it. */
static void move_hope(struct hope *h, uint64_t offset, uint32_t block_size)
{
        uint64_t steps;

        if (h->at >= offset)
                return;
        steps = (offset - h->at + block_size - 1) / block_size;
        h->at += steps * block_size;
        h->index += steps;
}

static void move_hopes(struct rsync_match *m, uint64_t offset)
{
        move_hope(&m->next, offset, m->sums.block_size);
        move_hope(&m->same, offset, m->sums.block_size);
}

/* Is the window a block? Does nothing when that was found out before. */
static bool find(struct rsync_match *m, uint32_t *ret_index)
{
        struct look l = { .data = m->data + m->at, .size = m->sums.block_size };

        if (m->is_looked_at)
                return false;
        if (!m->has_weak)
                m->weak = rsync_weak_of(l.data, l.size);
        l.weak = rsync_weak_value(m->weak);
        m->has_weak = m->is_looked_at = true;
        move_hopes(m, m->origin + m->at);
        if (is_expected(m, &l, &m->next)) {
                *ret_index = (uint32_t)m->next.index;
                return true;
        }
        if (m->same.index != m->next.index && is_expected(m, &l, &m->same)) {
                *ret_index = (uint32_t)m->same.index;
                return true;
        }
        return rsync_table_may_have(&m->table, l.weak) && find_anywhere(m, &l, ret_index);
}

/* ---- through the content ---- */

/* Move the window to where it may be a block, or else as far as the bytes suffice. */
static void slide(struct rsync_match *m)
{
        const unsigned char *at = m->data + m->at, *end = m->data + m->to - m->sums.block_size;
        uint64_t here = m->origin + m->at, stop;

        move_hopes(m, here + 1);
        stop = (m->next.at < m->same.at ? m->next.at : m->same.at) - here;
        if (stop < (uint64_t)(end - at))
                end = at + stop;
        m->at += (size_t)(rsync_slide(&m->table, &m->weak, m->sums.block_size, at, end) - at);
        m->is_looked_at = false;
}

static int scan(struct rsync_match *m)
{
        size_t size = m->sums.block_size;
        uint32_t index;
        int r = 0;

        if (!has_blocks(&m->sums)) {
                m->at = m->to;
                return put_literal(m, false);
        }
        while (r == 0 && m->to - m->at >= size) {
                if (find(m, &index)) {
                        r = put_block(m, index);
                } else if (m->to - m->at == size) {
                        break;
                } else {
                        slide(m);
                        r = put_literal(m, false);
                }
        }
        return r;
}

void *rsync_match_room(struct rsync_match *m, size_t *ret_size)
{
        size_t kept = m->to - m->from;

        /* What is kept is small against the room that there is then, so that it moves seldom. */
        if (kept == 0 || m->capacity - m->to < ROOM_MIN / 2) {
                memmove(m->data, m->data + m->from, kept);
                m->origin += m->from;
                m->at -= m->from;
                m->to = kept;
                m->from = 0;
        }
        *ret_size = m->capacity - m->to;
        return m->data + m->to;
}

int rsync_match_filled(struct rsync_match *m, size_t size)
{
        assert(size <= m->capacity - m->to);
        m->to += size;
        if (m->error == 0)
                m->error = scan(m);
        return m->error;
}

int rsync_match_feed(struct rsync_match *m, const void *data, size_t size)
{
        const unsigned char *bytes = data;

        while (m->error == 0 && size > 0) {
                size_t n;
                void *room = rsync_match_room(m, &n);

                n = size_min(n, size);
                memcpy(room, bytes, n);
                bytes += n;
                size -= n;
                rsync_match_filled(m, n);
        }
        return m->error;
}

/* The short block in what is less than a window: where it is expected, or else as the last thing. */
static bool find_short_block(struct rsync_match *m)
{
        if (!has_short_block(m) || m->to - m->at < m->sums.remainder)
                return false;
        if (m->next.at == m->origin + m->at && m->next.index == m->sums.count - 1 && is_short_block(m))
                return true;
        m->at = m->to - m->sums.remainder;
        return is_short_block(m);
}

int rsync_match_end(struct rsync_match *m)
{
        if (m->error == 0 && find_short_block(m))
                m->error = put_block(m, m->sums.count - 1);
        m->at = m->to;
        if (m->error == 0)
                m->error = put_literal(m, true);
        return m->error;
}
