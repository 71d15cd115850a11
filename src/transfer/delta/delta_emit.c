#include "transfer/delta/delta_emit.h"

#include <assert.h>

int delta_emit_init(struct delta_emit *e)
{
        *e = (struct delta_emit){ .out = malloc(DELTA_EMIT_SIZE), .pending = malloc(DELTA_PENDING_MAX) };
        return e->out && e->pending ? 0 : -ENOMEM;
}

void delta_emit_deinit(struct delta_emit *e)
{
        free(e->out);
        free(e->pending);
}

bool delta_emit_has_room(const struct delta_emit *e)
{
        return e->out_to <= DELTA_EMIT_SIZE - DELTA_EMIT_ROOM;
}

static void write_bytes(struct delta_emit *e, const void *data, size_t size)
{
        assert(size <= DELTA_EMIT_SIZE - e->out_to);
        memcpy(e->out + e->out_to, data, size);
        e->out_to += size;
}

static void write_op(struct delta_emit *e, enum delta_op op, uint64_t at, uint64_t size)
{
        unsigned char bytes[1 + 2 * DELTA_NUMBER_MAX];
        size_t n = 0;

        bytes[n++] = (unsigned char)op;
        if (op == DELTA_COPY || op == DELTA_ASK)
                n += delta_put_number(bytes + n, at);
        if (op != DELTA_FILL)
                n += delta_put_number(bytes + n, size);
        write_bytes(e, bytes, n);
}

static void count(struct delta_stats *s, enum delta_op op, uint64_t size)
{
        switch (op) {
        case DELTA_KEEP:
                s->kept_bytes += size;
                break;
        case DELTA_COPY:
                s->copied_bytes += size;
                break;
        case DELTA_DATA:
                s->data_bytes += size;
                break;
        case DELTA_ZERO:
        case DELTA_HOLE:
                s->zero_bytes += size;
                break;
        default:
                break;
        }
}

/* The next stretch of what is pending that is all zeros, or not: up to the next unit of the file that is the other. */
static size_t stretch(const struct delta_emit *e, size_t from, bool *ret_is_zero)
{
        size_t at = from;

        while (at < e->pending_size) {
                size_t unit = DELTA_UNIT - (size_t)((e->pending_at + at) % DELTA_UNIT);
                size_t size = size_min(unit, e->pending_size - at);
                bool is_zero = size == DELTA_UNIT && delta_is_zero(e->pending + at, size);

                if (at > from && is_zero != *ret_is_zero)
                        break;
                *ret_is_zero = is_zero;
                at += size;
        }
        return at - from;
}

static void flush_pending(struct delta_emit *e)
{
        size_t size;

        for (size_t at = 0; at < e->pending_size; at += size) {
                bool is_zero = false;

                size = stretch(e, at, &is_zero);
                write_op(e, is_zero ? DELTA_ZERO : DELTA_DATA, 0, size);
                count(&e->stats, is_zero ? DELTA_ZERO : DELTA_DATA, size);
                if (!is_zero)
                        write_bytes(e, e->pending + at, size);
        }
        e->pending_size = 0;
}

static void flush_run(struct delta_emit *e)
{
        if (e->run == DELTA_END)
                return;
        write_op(e, e->run, e->run_at, e->run_size);
        count(&e->stats, e->run, e->run_size);
        e->run = DELTA_END;
}

void delta_emit_flush(struct delta_emit *e)
{
        flush_pending(e);
        flush_run(e);
}

static bool goes_on(const struct delta_emit *e, enum delta_op op, uint64_t at)
{
        if (e->run != op || op == DELTA_LATER)
                return false;
        return op != DELTA_COPY || at == e->run_at + e->run_size;
}

void delta_emit_run(struct delta_emit *e, enum delta_op op, uint64_t at, uint64_t size)
{
        flush_pending(e);
        if (goes_on(e, op, at)) {
                e->run_size += size;
                return;
        }
        flush_run(e);
        e->run = op;
        e->run_at = at;
        e->run_size = size;
}

void delta_emit_data(struct delta_emit *e, uint64_t at, const void *data, size_t size)
{
        flush_run(e);
        if (size > DELTA_PENDING_MAX - e->pending_size || at != e->pending_at + e->pending_size)
                flush_pending(e);
        if (e->pending_size == 0)
                e->pending_at = at;
        memcpy(e->pending + e->pending_size, data, size);
        e->pending_size += size;
}

void delta_emit_end(struct delta_emit *e, uint64_t size, const unsigned char digest[DELTA_DIGEST_SIZE])
{
        unsigned char bytes[9] = { DELTA_END };

        delta_emit_flush(e);
        delta_put64(bytes + 1, size);
        write_bytes(e, bytes, sizeof(bytes));
        write_bytes(e, digest, DELTA_DIGEST_SIZE);
}

size_t delta_emit_take(struct delta_emit *e, void *data, size_t size)
{
        size_t n = size_min(size, e->out_to - e->out_from);

        if (n > 0)
                memcpy(data, e->out + e->out_from, n);
        e->out_from += n;
        if (e->out_from == e->out_to)
                e->out_from = e->out_to = 0;
        return n;
}
