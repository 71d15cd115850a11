/* Both ends of MEASURES (docs/agent-protocol.md, section 3). */
#include "base/buf.h"
#include "destination.h"
#include "rotate/names.h"
#include "survey/survey.h"
#include "transfer/exchange/pack.h"

#include <errno.h>
#include <limits.h>

enum { IS_BUSY = 1 << 0, HAS_TOTAL = 1 << 1, HAS_FREE = 1 << 2, FLAGS_MAX = (1 << 3) - 1 };
enum {
        IS_COMPLETE = 1 << 0,
        IS_PARTIAL = 1 << 1,
        FREES_LESS = 1 << 2,
        FREES_MORE = 1 << 3,
        ITEM_FLAGS_MAX = (1 << 4) - 1
};

static int put_item(struct buf *b, const struct survey_item *item)
{
        const struct measure *m = &item->takes;
        int r = pack_text(b, item->name);

        r = r < 0 ? r : pack_signed(b, item->time);
        r = r < 0 ? r
                  : pack_varint(b, (item->complete ? IS_COMPLETE : 0U) | (m->is_partial ? IS_PARTIAL : 0U) |
                                           (m->frees_less ? FREES_LESS : 0U) | (m->frees_more ? FREES_MORE : 0U));
        r = r < 0 ? r : pack_varint(b, m->entries);
        r = r < 0 ? r : pack_varint(b, m->size_bytes);
        return r < 0 ? r : pack_varint(b, m->freed_bytes);
}

int survey_put(struct buf *b, const struct survey *s, size_t first)
{
        size_t end = first + size_min(s->count - first, SURVEY_TOGETHER);
        int r = pack_u8(b, end < s->count);

        r = r < 0 ? r : pack_signed(b, s->now);
        r = r < 0 ? r
                  : pack_varint(b, (s->is_busy ? IS_BUSY : 0U) | (s->has_total ? HAS_TOTAL : 0U) |
                                           (s->has_free ? HAS_FREE : 0U));
        r = r < 0 ? r : pack_varint(b, s->total_bytes);
        r = r < 0 ? r : pack_varint(b, s->free_bytes);
        r = r < 0 ? r : pack_varint(b, end - first);
        for (size_t i = first; i < end && r == 0; i++)
                r = put_item(b, &s->items[i]);
        return r;
}

static int take_item(struct survey *s, struct unpack *u)
{
        _cleanup_(freep) char *name = unpack_text(u, NAME_MAX);
        struct destination_snapshot one = { .name = name };
        struct measure m = { .entries = 0 };
        unsigned flags;

        (void)unpack_signed(u);
        flags = (unsigned)unpack_varint(u, ITEM_FLAGS_MAX);
        m.entries = unpack_varint(u, UINT64_MAX);
        m.size_bytes = unpack_varint(u, UINT64_MAX);
        m.freed_bytes = unpack_varint(u, UINT64_MAX);
        m.is_partial = flags & IS_PARTIAL;
        m.frees_less = flags & FREES_LESS;
        m.frees_more = flags & FREES_MORE;
        one.complete = flags & IS_COMPLETE;
        /* The name tells the time. */
        if (u->broken || !names_parse(name, &one.time))
                return -EPROTO;
        return survey_add(s, &one, &m);
}

int survey_take(struct survey *s, struct unpack *u)
{
        unsigned more = unpack_u8(u), flags;
        uint64_t count;
        int r = 0;

        s->now = unpack_signed(u);
        flags = (unsigned)unpack_varint(u, FLAGS_MAX);
        s->is_busy = flags & IS_BUSY;
        s->has_total = flags & HAS_TOTAL;
        s->has_free = flags & HAS_FREE;
        s->total_bytes = unpack_varint(u, UINT64_MAX);
        s->free_bytes = unpack_varint(u, UINT64_MAX);
        count = unpack_varint(u, SURVEY_TOGETHER);
        /* Nobody prepares a destination that has more of them. */
        if (count > SURVEY_MAX - s->count || (count == 0 && more) || more > 1)
                return -EPROTO;
        for (uint64_t i = 0; i < count && r == 0; i++)
                r = take_item(s, u);
        if (r == 0 && !unpack_end(u))
                r = -EPROTO;
        return r < 0 ? r : (int)more;
}
