/* Listings of a hostile peer: an entry is refused, or it is one that a filesystem could have, and is written again the
 * same. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/entry.h"
#include "transfer/exchange/message.h"
#include "transfer/exchange/pack.h"

#include <limits.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct entry *e, const struct message_place *place, struct arena *arena)
{
        struct buf b = { .data = NULL };
        struct message_place place_again;
        struct entry again;
        struct unpack u;

        if (!*e->name || strchr(e->name, '/') || strlen(e->name) > NAME_MAX)
                abort();
        if (message_put_entry(&b, e, place) < 0)
                abort();
        u = unpack_begin(b.data, b.size);
        if (message_get_entry(&u, &again, &place_again, arena) < 0 || !unpack_end(&u) ||
            !str_equal(e->name, again.name) || e->mode != again.mode || e->size != again.size ||
            e->xattrs.count != again.xattrs.count || place->device != place_again.device || place->inode != place_again.inode)
                abort();
        buf_deinit(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct unpack u = unpack_begin(data, size);
        struct arena arena = { .chunk = NULL };
        struct message_place place;
        struct entry e;

        while (!u.broken && u.data < u.end) {
                if (message_get_entry(&u, &e, &place, &arena) < 0)
                        abort();
                if (!u.broken)
                        check(&e, &place, &arena);
        }
        arena_deinit(&arena);
        return 0;
}
