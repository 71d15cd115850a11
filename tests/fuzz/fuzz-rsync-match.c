/*
 * An old and a new file that the input tells how to make: what is found in the new one are blocks of the old one, and
 * makes the new one again, in pieces of any size. Sums that are the input itself belong to no file, but lead to no
 * harm.
 */
#include "base/buf.h"
#include "transfer/rsync/rsync_match.h"
#include "transfer/rsync/rsync_weak.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD = 8, FILE_MAX = 20000 };

struct file {
        uint8_t *data;
        size_t size;
};

struct world {
        struct rsync_sums sums;
        struct file old, new; /* no old file: blocks are what they are told to be */
        size_t at;            /* so much of the new one is there again */
        bool is_broken;       /* the digests are too short to be relied on */
};

static void must_be(const struct world *w, const void *data, size_t size)
{
        if (size == 0 || size > w->new.size - w->at || memcmp(w->new.data + w->at, data, size) != 0)
                abort();
}

static int take_literal(void *context, const void *data, size_t size)
{
        struct world *w = context;

        must_be(w, data, size);
        w->at += size;
        return 0;
}

static int take_block(void *context, uint32_t index, const void *data, size_t size)
{
        struct world *w = context;

        must_be(w, data, size);
        if (index >= w->sums.count || size != rsync_sums_block(&w->sums, index))
                abort();
        if (w->old.data && !w->is_broken && memcmp(w->old.data + (size_t)index * w->sums.block_size, data, size) != 0)
                abort();
        w->at += size;
        return 0;
}

/* Bytes stand for themselves, but for one that repeats many of those before it, from somewhere. */
static void unfold(struct file *f, const uint8_t *data, size_t size)
{
        for (size_t i = 0; i < size; i++) {
                if (data[i] == 0xff && i + 3 < size && f->size > 0) {
                        size_t from = (data[i + 1] | (size_t)data[i + 2] << 8) % f->size;

                        for (size_t n = 1 + 4 * (size_t)data[i + 3]; n > 0 && f->size < FILE_MAX; n--)
                                f->data[f->size++] = f->data[from++];
                        i += 3;
                } else if (f->size < FILE_MAX) {
                        f->data[f->size++] = data[i];
                }
        }
}

static uint8_t *sum_up(const struct world *w, const struct rsync_session *session)
{
        uint8_t *data = malloc((size_t)rsync_sums_size(&w->sums) + 1), *to = data, digest[RSYNC_DIGEST_MAX] = { 0 };

        for (uint32_t i = 0; data && i < w->sums.count; i++) {
                const uint8_t *bytes = w->old.data + (size_t)i * w->sums.block_size;
                uint32_t size = rsync_sums_block(&w->sums, i), weak = rsync_weak_value(rsync_weak_of(bytes, size));

                for (unsigned b = 0; b < 4; b++)
                        *to++ = (uint8_t)(weak >> 8 * b);
                rsync_digest_block(session->checksum, session->seed, session->compat & RSYNC_COMPAT_SEED_FIRST, bytes,
                                   size, digest);
                memcpy(to, digest, w->sums.strong_size);
                to += w->sums.strong_size;
        }
        return data;
}

static void match(struct world *w, const struct rsync_session *session, size_t piece)
{
        struct rsync_match_target target = { take_literal, take_block, w };
        struct rsync_match *m = rsync_match_new(session, &w->sums, &target);
        int r = m ? 0 : -ENOMEM;

        w->at = 0;
        for (size_t at = 0; r == 0 && at < w->new.size; at += piece)
                r = rsync_match_feed(m, w->new.data + at, size_min(piece, w->new.size - at));
        if (r == 0)
                r = rsync_match_end(m);
        if (r != 0 || w->at != w->new.size ||
            rsync_match_literal_bytes(m) + rsync_match_matched_bytes(m) != w->new.size ||
            rsync_match_waste_bytes(m) > RSYNC_WASTE_FREE + (RSYNC_WASTE_EACH + 2) * (uint64_t)w->new.size)
                abort();
        rsync_match_free(m);
}

/* The input as sums: as many of them as there are. */
static void match_any(const uint8_t *data, size_t size, struct world *w, const struct rsync_session *session)
{
        struct rsync_sums *s = &w->sums;

        s->strong_size = data[5] % 20;
        s->remainder = data[6] | (uint32_t)data[7] << 8;
        s->count = (uint32_t)((size - HEAD) / (4 + s->strong_size));
        s->data = data + HEAD;
        w->new = w->old;
        w->old.data = NULL;
        if (rsync_sums_are_sane(s))
                match(w, session, 1 + w->new.size / 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static uint8_t old[FILE_MAX + 1], new[FILE_MAX + 1];
        struct world w = { .old = { .data = old }, .new = { .data = new } };
        struct rsync_session session = { .compat = RSYNC_COMPAT_SEED_FIRST };
        size_t first;
        uint8_t *sums;

        if (size < HEAD)
                return 0;
        session.checksum = (enum rsync_checksum)(data[0] % RSYNC_CHECKSUMS);
        session.seed = (int8_t)data[1];
        w.sums.block_size = 1 + (data[2] | (data[3] & 3u) << 8);
        first = HEAD + (size - HEAD) * data[4] / 256;
        unfold(&w.old, data + HEAD, first - HEAD);
        unfold(&w.new, data + first, size - first);
        w.sums.count = (uint32_t)((w.old.size + w.sums.block_size - 1) / w.sums.block_size);
        w.sums.remainder = (uint32_t)(w.old.size % w.sums.block_size);
        w.sums.strong_size = data[5] % 9;
        w.is_broken = w.sums.strong_size < 5;
        w.sums.data = sums = sum_up(&w, &session);
        if (sums) {
                match(&w, &session, 1 + data[6] * (size_t)data[7]);
                match(&w, &session, FILE_MAX);
        }
        free(sums);
        match_any(data, size, &w, &session);
        return 0;
}
