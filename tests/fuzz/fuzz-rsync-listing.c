/*
 * The list of a directory as a hostile rsync server sends it: what is taken is sane, and the same however the bytes are
 * cut. The first byte says which protocol (times 0 to 2 below the latest, 4: flags are varints), the second one in what
 * pieces they come the second time.
 */
#include "base/util.h"
#include "transfer/rsync/rsync_decoder.h"
#include "transfer/rsync/rsync_number.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct outcome {
        uint64_t sum;
        unsigned entries;
        bool is_broken, has_ended;
};

static void add(struct outcome *o, const void *data, size_t size)
{
        const unsigned char *at = data;

        for (size_t i = 0; i < size; i++)
                o->sum = (o->sum ^ at[i]) * 0x100000001b3ULL;
}

static void check(const struct rsync_decoded *e)
{
        char path[RSYNC_PATH_MAX + 3];

        if (strlen(e->path) > RSYNC_PATH_MAX || !*e->path || e->size > INT64_MAX || (e->mode & S_IFMT) == 0)
                abort();
        snprintf(path, sizeof(path), "/%s/", e->path);
        if (strstr(path, "//") || strstr(path, "/../") || (strstr(path, "/./") && !str_equal(e->path, ".")))
                abort();
}

/* Take what there is of the @size bytes; return how many are used up. */
static size_t take(struct outcome *o, struct rsync_decoder *d, const uint8_t *data, size_t size)
{
        size_t at = 0;

        while (!o->is_broken && !o->has_ended) {
                struct rsync_reader r = rsync_read_begin(data + at, size - at);
                struct rsync_decoded e;
                int code = rsync_decoder_get(d, &r, &e);

                if ((code == 0) == rsync_read_is_good(&r))
                        abort();
                o->is_broken = r.is_broken;
                o->has_ended = code == RSYNC_DECODER_END;
                if (code == 0)
                        break;
                at += (size_t)(r.at - (data + at));
                if (code == RSYNC_DECODER_END) {
                        add(o, &e.io_error, sizeof(e.io_error));
                        break;
                }
                check(&e);
                o->entries++;
                add(o, e.path, strlen(e.path));
                add(o, &e.mode, sizeof(e.mode));
                add(o, &e.size, sizeof(e.size));
                add(o, &e.mtime, sizeof(e.mtime));
        }
        return at;
}

static struct outcome decode(unsigned setup, const uint8_t *data, size_t size, size_t piece)
{
        struct outcome o = { .sum = 1 };
        struct rsync_decoder *d = calloc(1, sizeof(*d));
        size_t used = 0;

        if (!d)
                abort();
        d->session.protocol = RSYNC_PROTOCOL_MAX - (int)(setup % 4 % 3);
        d->session.compat = setup & 4 ? RSYNC_COMPAT_VARINT_FLAGS : 0;
        for (size_t there = size_min(piece, size); !o.is_broken && !o.has_ended;
             there = size_min(there + piece, size)) {
                used += take(&o, d, data + used, there - used);
                if (there == size)
                        break;
        }
        free(d);
        return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct outcome whole, cut;

        if (size < 2)
                return 0;
        whole = decode(data[0], data + 2, size - 2, size);
        cut = decode(data[0], data + 2, size - 2, data[1] + 1U);
        /* What is broken may be seen before all of it is there. */
        if (whole.sum != cut.sum || whole.entries != cut.entries || whole.is_broken != cut.is_broken ||
            whole.has_ended != cut.has_ended)
                abort();
        return 0;
}
