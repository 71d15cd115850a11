/*
 * Signatures come in pieces, and before the delta that they are for is begun. Where a delta has become pointless (the
 * file has changed, vanished, cannot be read) pieces may still be under way: they are passed over.
 */
#include "base/err.h"
#include "transfer/exchange/sender_parts.h"

#include <errno.h>

/* Of one alone, not fed yet: of 3 TiB, if every second block of it is zeros. */
enum { SIGNATURE_MAX = 384 * 1024 * 1024 };

static struct sender_open *find_open(struct sender *s, uint64_t number, uint64_t index)
{
        for (size_t i = 0; i < s->asks.open_count; i++) {
                struct sender_open *o = &s->asks.open[i];

                if (o->number == number && o->index == index)
                        return o;
        }
        return NULL;
}

static void remove_open(struct sender *s, struct sender_open *o)
{
        *o = s->asks.open[--s->asks.open_count];
}

static int add_open(struct sender *s, struct sender_ask *a, struct err *err)
{
        if (s->asks.open_count == SENDER_OPEN_MAX)
                return sender_ask_refuse(err, "too many deltas, without saying by what");
        s->asks.open[s->asks.open_count++] =
                (struct sender_open){ .number = a->node->number, .index = a->end - 1, .ask = a };
        return 0;
}

static int append(struct sender *s, struct sender_ask *a, const void *data, size_t size, struct err *err)
{
        size_t own = a->signature.size - a->fed + size;

        s->asks.signature_bytes += size;
        if (own > SIGNATURE_MAX || (s->asks.signature_bytes > MESSAGE_SIGNATURES_MAX && s->asks.signature_bytes > own))
                return sender_ask_refuse(err, "deltas by signatures without end");
        return buf_append(&a->signature, data, size) < 0 ? err_oom(err) : 0;
}

/* The one for the search, which only the delta that is being made can have asked for. */
static struct sender_ask *asked_again(struct sender *s, uint64_t number, uint64_t index)
{
        struct sender_ask *a = s->file.ask;

        if (!s->file.node || s->file.kind != SENDER_FILE_DELTA || a->node->number != number || s->file.index != index ||
            a->signatures != 1)
                return NULL;
        return a;
}

int sender_signature_take(struct sender *s, uint64_t number, uint64_t index, bool more, const void *data, size_t size,
                          struct err *err)
{
        struct sender_open *o = find_open(s, number, index);
        struct sender_ask *a = o ? o->ask : asked_again(s, number, index);

        if (!o && !a)
                a = !more && size == 0 ? NULL : sender_ask_delta(s, number, index, err);
        if (!o && !a && !more && size == 0) /* the end of a delta that was done already */
                return 0;
        if (!o && !a)
                return err->code;
        if (a && append(s, a, data, size, err) < 0)
                return err->code;
        if (!more && a)
                a->signatures++;
        if (!more && o)
                remove_open(s, o);
        return more && !o ? add_open(s, a, err) : 0;
}

void sender_signature_used(struct sender *s, struct sender_ask *a, size_t size)
{
        a->fed += size;
        s->asks.signature_bytes -= size;
        /* Each byte is moved once at most. */
        if (a->fed < a->signature.size - a->fed)
                return;
        memmove(a->signature.data, a->signature.data + a->fed, a->signature.size - a->fed);
        buf_truncate(&a->signature, a->signature.size - a->fed);
        a->fed = 0;
}

void sender_signature_end(struct sender *s, struct sender_ask *a)
{
        s->asks.signature_bytes -= a->signature.size - a->fed;
        a->fed = a->signature.size;
        for (size_t i = 0; i < s->asks.open_count; i++) {
                if (s->asks.open[i].ask == a)
                        s->asks.open[i].ask = NULL;
        }
}

int sender_signature_done(struct sender *s, uint64_t number, struct err *err)
{
        for (size_t i = s->asks.open_count; i > 0; i--) {
                struct sender_open *o = &s->asks.open[i - 1];

                if (o->number == number && o->ask)
                        return sender_ask_refuse(err, "a delta without saying by what");
                if (o->number == number)
                        remove_open(s, o);
        }
        return 0;
}
