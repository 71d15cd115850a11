/* Each chunk is an LZ4 block of its own, with no more in it than a receiver has room for. */
#include "transfer/rsync/rsync_chunks.h"
#include "transfer/rsync/rsync_compress.h"

#include <lz4.h>

enum { PLAIN_MAX = 32 * 1024 };

/* As many bytes of @data as fit into a chunk, when they are compressed. */
static int add(void *state, struct rsync_chunks *to, const void *data, size_t size)
{
        const char *bytes = data;
        int r = 0;

        (void)state;
        while (r == 0 && size > 0) {
                int taken = (int)size_min(size, PLAIN_MAX), made;
                size_t room;
                char *chunk = rsync_chunks_room(to, &room);

                made = LZ4_compress_destSize(bytes, chunk, &taken, RSYNC_CHUNK_MAX);
                bytes += taken;
                size -= (size_t)taken;
                r = rsync_chunks_filled(to, (size_t)made);
                if (r == 0)
                        r = rsync_chunks_flush(to, 0);
        }
        return r;
}

static int flush(void *state, struct rsync_chunks *to)
{
        (void)state;
        (void)to;
        return 0;
}

const struct rsync_compressor rsync_compress_lz4 = { .add = add, .flush = flush };
