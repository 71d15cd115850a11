/* Signatures. What a file has as holes is not read: blocks of zeros are counted. */
#include "transfer/delta/delta.h"

#include "base/content.h"
#include "base/fd.h"
#include "base/stop.h"
#include "transfer/delta/delta_format.h"
#include "transfer/delta/delta_search.h"

/* Of a piece, of what came before it, and of what is at the end. */
enum { SUMS_MAX = DELTA_PIECE / DELTA_UNIT, NUMBERS_MAX = 2 * SUMS_MAX + 4, PIECES_MAX = 64 };

struct delta_sign {
        struct delta_basis basis;
        uint64_t at, end; /* what of it is still to be read */
        int result;       /* the first outcome or error stays */
        char *piece;
        unsigned char out[DELTA_HEADER_SIZE + NUMBERS_MAX * DELTA_SUM_SIZE];
        size_t out_from, out_to;
        uint64_t forgotten;
        /* of the first one */
        struct delta_header header;
        uint64_t zero_sum;
        uint64_t zeros;              /* blocks of them that are not in the signature yet */
        uint64_t data_from, data_to; /* the next data at or behind @at, as far as it is known */
        /* of the one for the search */
        struct delta_signer *signer;
        size_t piece_from, piece_to;
        bool is_done;
};

static int allocate(struct delta_sign **ret, const struct delta_basis *basis)
{
        struct delta_sign *s = calloc(1, sizeof(*s));

        if (s)
                s->piece = malloc(DELTA_PIECE);
        if (!s || !s->piece) {
                free(s);
                return -ENOMEM;
        }
        s->basis = *basis;
        *ret = s;
        return 0;
}

int delta_sign_new(struct delta_sign **ret, const struct delta_sign_config *config)
{
        struct delta_sign *s;
        int r = allocate(&s, &config->basis);

        if (r < 0)
                return r;
        s->header = (struct delta_header){
                .basis_size = delta_basis_size(&config->basis),
                .old_size = config->basis.old_size,
                .seed = config->seed,
        };
        s->header.block = delta_block_size(delta_min(s->header.basis_size, config->new_size));
        s->end = delta_min(s->header.basis_size, delta_sum_count(&s->header, config->new_size) * s->header.block);
        s->zero_sum = delta_zero_sum(&s->header, s->piece);
        delta_header_put(&s->header, s->out);
        s->out_to = DELTA_HEADER_SIZE;
        *ret = s;
        return 0;
}

int delta_sign_search_new(struct delta_sign **ret, const struct delta_basis *basis, const struct delta_range *range)
{
        struct delta_sign *s;
        int r = allocate(&s, basis);

        if (r < 0)
                return r;
        r = delta_signer_new(&s->signer, range->size);
        if (r < 0) {
                delta_sign_free(s);
                return r;
        }
        /* Of the old version alone. */
        s->basis.partial_size = 0;
        s->at = s->forgotten = range->at;
        s->end = range->at + range->size;
        *ret = s;
        return 0;
}

struct delta_sign *delta_sign_free(struct delta_sign *s)
{
        if (!s)
                return NULL;
        delta_signer_free(s->signer);
        free(s->piece);
        free(s);
        return NULL;
}

/* The next piece. Where two files meet a piece goes on in the other one. */
static int read_piece(struct delta_sign *s, size_t *ret_size)
{
        size_t want = (size_t)delta_min(DELTA_PIECE, s->end - s->at);
        uint64_t end;
        ssize_t n;

        if (stop_requested())
                return -ECANCELED;
        n = delta_basis_read(&s->basis, s->piece, want, s->at);
        if (n < 0)
                return (int)n;
        if ((size_t)n < want)
                return DELTA_SHORT;
        *ret_size = want;
        delta_forget(delta_basis_at(&s->basis, s->at, &end), s->end, s->at, &s->forgotten);
        return 0;
}

static void put_number(struct delta_sign *s, uint64_t number)
{
        unsigned char bytes[8];

        delta_put64(bytes, number);
        memcpy(s->out + s->out_to, bytes, DELTA_SUM_SIZE);
        s->out_to += DELTA_SUM_SIZE;
}

static void flush_zeros(struct delta_sign *s)
{
        if (s->zeros == 0)
                return;
        put_number(s, s->zero_sum);
        put_number(s, s->zeros - 1);
        s->zeros = 0;
}

static void put_zeros(struct delta_sign *s, uint64_t blocks)
{
        if (blocks > DELTA_ZEROS_MAX - s->zeros)
                flush_zeros(s);
        s->zeros += blocks;
}

static void put_sum(struct delta_sign *s, uint64_t sum)
{
        if (sum == s->zero_sum) {
                put_zeros(s, 1);
                return;
        }
        flush_zeros(s);
        put_number(s, sum);
}

/* How much from here on is a hole, in whole blocks. What cannot be found out is data. */
static uint64_t hole_size(struct delta_sign *s)
{
        uint64_t end;
        int fd = delta_basis_at(&s->basis, s->at, &end);

        end = delta_min(end, s->end);
        if (s->at >= s->data_to && content_next_data(fd, s->at, end, &s->data_from, &s->data_to) < 0) {
                s->data_from = s->at;
                s->data_to = end;
        }
        if (s->data_from <= s->at)
                return 0;
        /* Of more blocks than can be counted there will be another hole. */
        return delta_round_down(delta_min(delta_min(s->data_from, end) - s->at, DELTA_ZEROS_MAX * s->header.block),
                                s->header.block);
}

static int sum_piece(struct delta_sign *s)
{
        uint64_t hole = hole_size(s);
        size_t size = 0, block = s->header.block;
        int r = hole > 0 ? 0 : read_piece(s, &size);

        if (r != 0)
                return r;
        put_zeros(s, hole / block);
        for (size_t at = 0; at < size; at += block)
                put_sum(s, delta_sum(s->piece + at, size_min(block, size - at), s->header.seed));
        s->at += hole + size;
        if (s->at == s->end)
                flush_zeros(s);
        return 0;
}

/* Zeros without end are told of now and then, so that the caller can see to other things. */
static int sum_some(struct delta_sign *s)
{
        int r = 0;

        for (unsigned pieces = 0; r == 0 && s->out_to == 0 && s->at < s->end; pieces++) {
                r = sum_piece(s);
                if (pieces == PIECES_MAX)
                        flush_zeros(s);
        }
        return r;
}

static int search_piece(struct delta_sign *s)
{
        struct delta_pump pump;
        int r;

        if (s->piece_from == s->piece_to && s->at < s->end) {
                s->piece_from = 0;
                r = read_piece(s, &s->piece_to);
                if (r != 0) {
                        s->piece_to = 0;
                        return r;
                }
                s->at += s->piece_to;
        }
        pump = (struct delta_pump){
                .in = (unsigned char *)s->piece + s->piece_from,
                .in_size = s->piece_to - s->piece_from,
                .is_end = s->at == s->end,
                .out = s->out,
                .out_size = sizeof(s->out),
        };
        r = delta_signer_pump(s->signer, &pump, &s->is_done);
        s->piece_from = s->piece_to - pump.in_size;
        s->out_to = sizeof(s->out) - pump.out_size;
        return r;
}

/* Make some more. Return 0 when there is some in s->out, or it is complete. */
static int refill(struct delta_sign *s)
{
        int r = 0;

        s->out_from = s->out_to = 0;
        if (!s->signer)
                return sum_some(s);
        while (r == 0 && s->out_to == 0 && !s->is_done)
                r = search_piece(s);
        return r;
}

int delta_sign_read(struct delta_sign *s, void *data, size_t size, size_t *ret_size)
{
        size_t done = 0;

        while (s->result == 0 && done < size) {
                size_t n;

                if (s->out_from == s->out_to)
                        s->result = refill(s);
                n = size_min(size - done, s->out_to - s->out_from);
                if (n == 0)
                        break;
                memcpy((char *)data + done, s->out + s->out_from, n);
                s->out_from += n;
                done += n;
        }
        *ret_size = done;
        return s->result;
}
