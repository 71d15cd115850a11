#include "transfer/rsync/rsync_chunks.h"

#include "base/buf.h"

#include <assert.h>

enum { CODE_DATA = 0x40, DROP_MAX = 4 };

static int put(struct rsync_chunks *c, size_t size)
{
        const unsigned char head[] = { (unsigned char)(CODE_DATA | size >> 8), (unsigned char)size };
        int r = buf_append(c->out, head, sizeof(head));

        if (r == 0)
                r = buf_append(c->out, c->data, size);
        c->size -= size;
        memmove(c->data, c->data + size, c->size);
        return r;
}

void *rsync_chunks_room(struct rsync_chunks *c, size_t *ret_size)
{
        *ret_size = sizeof(c->data) - c->size;
        return c->data + c->size;
}

int rsync_chunks_filled(struct rsync_chunks *c, size_t size)
{
        int r = 0;

        c->size += size;
        while (r == 0 && c->size >= RSYNC_CHUNK_MAX + DROP_MAX)
                r = put(c, RSYNC_CHUNK_MAX);
        return r;
}

int rsync_chunks_flush(struct rsync_chunks *c, size_t drop)
{
        int r = 0;

        assert(drop <= DROP_MAX && drop <= c->size);
        c->size -= drop;
        while (r == 0 && c->size > 0)
                r = put(c, size_min(c->size, RSYNC_CHUNK_MAX));
        return r;
}
