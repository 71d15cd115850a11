/*
 * Bytes of a hostile peer: no more memory than a packet may have, nothing read beyond what came, and the same messages
 * however the bytes are cut. The first byte says in what pieces they come the second time.
 */
#include "base/err.h"
#include "transfer/exchange/wire.h"

#include <stdio.h>

/* A number that stands for all messages. */
struct outcome {
        uint64_t sum;
        int code;
};

static void add(struct outcome *o, const unsigned char *data, size_t size)
{
        for (size_t i = 0; i < size; i++)
                o->sum = (o->sum ^ data[i]) * 0x100000001b3ULL;
}

static void take_messages(struct wire *w, struct outcome *o, struct err *err)
{
        struct wire_message m;

        while ((o->code = wire_next(w, &m, err)) > 0) {
                if (m.size > WIRE_PACKET_MAX)
                        abort();
                add(o, &m.type, 1);
                add(o, m.data, m.size);
        }
}

static struct outcome converse(const uint8_t *data, size_t size, size_t piece)
{
        const struct wire_config config = { .program = "1", .features = WIRE_FEATURE_ZSTD, .level = 1 };
        struct outcome o = { .sum = 0xcbf29ce484222325ULL };
        struct err err = { .kind = ERR_NONE };
        struct wire *w;

        if (wire_new(&w, &config, &err) < 0)
                abort();
        for (size_t at = 0, n; at < size && o.code >= 0; at += n) {
                n = size_min(piece, size - at);
                if (wire_feed(w, data + at, n, &err) < 0)
                        abort();
                take_messages(w, &o, &err);
        }
        if ((o.code < 0) != (err.kind != ERR_NONE))
                abort();
        err_drop(&err, "that it is one is what counts");
        wire_free(w);
        return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct outcome whole, cut;

        if (size < 1)
                return 0;
        whole = converse(data + 1, size - 1, size);
        cut = converse(data + 1, size - 1, data[0] + 1U);
        if (whole.sum != cut.sum || whole.code != cut.code)
                abort();
        return 0;
}
