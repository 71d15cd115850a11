/*
 * What goes into librsync is our own: the header of a signature is compared with the one that we would have written,
 * the sums are counted beforehand, and what comes out is translated into operations of ours.
 *
 * librsync builds its table in quadratic time when many blocks have the same weak sum and different strong ones, so
 * the sums are sorted and looked at first; 12 bytes each, 16 MiB in all at most.
 */
#include "transfer/delta/delta_search.h"

#include "transfer/delta/delta.h"
#include "transfer/delta/delta_emit.h"
#include "transfer/delta/delta_format.h"

#include <librsync.h>
#include <pthread.h>

enum {
        STRONG = 12, /* bytes; what librsync advises for sizes up to 2^40 is less */
        RECORD = 4 + STRONG,
        HEADER = 12,
        BLOCKS_MAX = 256 * 1024,
        EQUAL_MAX = 64, /* weak sums with different strong ones */
        PER_BLOCK = 64, /* bytes that librsync allocates for each at most, its growth included */
        INPUT_MAX = 64 * 1024,
        SCRATCH = 4 * 1024 /* in the worst case all of it are commands, which become larger */
};

static void quiet(void)
{
        rs_trace_set_level(RS_LOG_EMERG);
}

static void init_library(void)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;

        pthread_once(&once, quiet);
}

static int to_errno(rs_result result)
{
        switch (result) {
        case RS_DONE:
        case RS_BLOCKED:
                return 0;
        case RS_MEM_ERROR:
                return -ENOMEM;
        case RS_BAD_MAGIC:
        case RS_CORRUPT:
        case RS_INPUT_ENDED:
                return -EPROTO;
        default:
                return -EIO;
        }
}

/* librsync aborts when it gets none. */
static int memory_for(size_t size)
{
        void *probe = malloc(size);

        if (!probe)
                return -ENOMEM;
        /* Or the compiler would leave out both. */
        __asm__ volatile("" : : "g"(probe) : "memory");
        free(probe);
        return 0;
}

size_t delta_search_block(uint64_t size)
{
        uint64_t block = DELTA_UNIT;

        while (block * block < size || block * BLOCKS_MAX < size)
                block += DELTA_UNIT;
        return (size_t)block;
}

static size_t block_count(uint64_t size)
{
        size_t block = delta_search_block(size);

        return (size_t)((size + block - 1) / block);
}

uint64_t delta_search_signature_size(uint64_t size)
{
        return HEADER + (uint64_t)block_count(size) * RECORD;
}

static rs_result iterate(rs_job_t *job, struct delta_pump *pump)
{
        rs_buffers_t b = {
                .next_in = (char *)pump->in,
                .avail_in = pump->in_size,
                .eof_in = pump->is_end,
                .next_out = (char *)pump->out,
                .avail_out = pump->out_size,
        };
        rs_result result = rs_job_iter(job, &b);

        pump->in = (const unsigned char *)b.next_in;
        pump->in_size = b.avail_in;
        pump->out = (unsigned char *)b.next_out;
        pump->out_size = b.avail_out;
        return result;
}

/* What it allocates depends on the block. */
static size_t job_memory(uint64_t size)
{
        return 4 * delta_search_block(size) + (size_t)256 * 1024;
}

struct delta_signer {
        rs_job_t *job;
};

int delta_signer_new(struct delta_signer **ret, uint64_t size)
{
        struct delta_signer *s = calloc(1, sizeof(*s));

        init_library();
        if (!s || memory_for(job_memory(size)) < 0) {
                free(s);
                return -ENOMEM;
        }
        s->job = rs_sig_begin(delta_search_block(size), STRONG, RS_RK_BLAKE2_SIG_MAGIC);
        *ret = s;
        return 0;
}

struct delta_signer *delta_signer_free(struct delta_signer *s)
{
        if (s)
                rs_job_free(s->job);
        free(s);
        return NULL;
}

int delta_signer_pump(struct delta_signer *s, struct delta_pump *pump, bool *ret_done)
{
        rs_result result = iterate(s->job, pump);

        *ret_done = result == RS_DONE;
        return to_errno(result);
}

/* A command of librsync's delta, as it comes. */
struct command {
        unsigned char head[1 + 8 + 8];
        size_t have, need;
        uint64_t data_left; /* of a literal */
};

struct delta_search {
        struct delta_range range;
        size_t block;
        unsigned char *sums; /* until it is loaded: all of the signature */
        size_t sums_size, sums_have;
        rs_signature_t *signature;
        bool is_loaded, is_hopeless;
        rs_job_t *job;
        struct command command;
        uint64_t at; /* where in the new version what comes out belongs */
        bool header_seen;
        bool holds_some; /* librsync has more to put out */
        unsigned char scratch[SCRATCH];
};

int delta_search_new(struct delta_search **ret, const struct delta_range *range)
{
        struct delta_search *s = calloc(1, sizeof(*s));

        init_library();
        if (!s)
                return -ENOMEM;
        s->range = *range;
        s->block = delta_search_block(range->size);
        s->sums_size = (size_t)delta_search_signature_size(range->size);
        s->sums = malloc(s->sums_size);
        if (!s->sums) {
                free(s);
                return -ENOMEM;
        }
        *ret = s;
        return 0;
}

struct delta_search *delta_search_free(struct delta_search *s)
{
        if (!s)
                return NULL;
        if (s->job)
                rs_job_free(s->job);
        if (s->signature)
                rs_free_sumset(s->signature);
        free(s->sums);
        free(s);
        return NULL;
}

static bool is_our_header(const struct delta_search *s)
{
        const uint32_t values[] = { RS_RK_BLAKE2_SIG_MAGIC, (uint32_t)s->block, STRONG };

        for (size_t i = 0; i < HEADER; i++) {
                if (s->sums[i] != (unsigned char)(values[i / 4] >> (24 - 8 * (i % 4))))
                        return false;
        }
        return true;
}

static int compare_records(const void *a, const void *b)
{
        return memcmp(a, b, RECORD);
}

/* Are there so many different blocks with the same weak sum? Equal blocks count once, they are no burden. */
static int look_at_sums(struct delta_search *s)
{
        size_t count = (s->sums_size - HEADER) / RECORD, equal = 0;
        unsigned char *sorted = malloc(count * RECORD);

        if (!sorted)
                return -ENOMEM;
        memcpy(sorted, s->sums + HEADER, count * RECORD);
        qsort(sorted, count, RECORD, compare_records);
        for (size_t i = 1; i < count && equal < EQUAL_MAX; i++) {
                const unsigned char *record = sorted + i * RECORD;

                if (memcmp(record, record - RECORD, 4) != 0)
                        equal = 0;
                else
                        equal += memcmp(record, record - RECORD, RECORD) != 0;
        }
        s->is_hopeless = equal >= EQUAL_MAX;
        free(sorted);
        return 0;
}

static int build(struct delta_search *s)
{
        struct delta_pump pump = {
                .in = s->sums, .in_size = s->sums_size, .is_end = true, .out = s->scratch, .out_size = SCRATCH
        };
        size_t memory = block_count(s->range.size) * PER_BLOCK + job_memory(s->range.size);
        rs_result result;
        rs_job_t *job;
        int r = memory_for(memory);

        if (r < 0)
                return r;
        job = rs_loadsig_begin(&s->signature);
        result = iterate(job, &pump);
        rs_job_free(job);
        if (result == RS_DONE)
                result = rs_build_hash_table(s->signature);
        return result == RS_BLOCKED ? -EPROTO : to_errno(result);
}

int delta_search_load(struct delta_search *s, const void *data, size_t size, size_t *ret_used)
{
        size_t n = size_min(size, s->sums_size - s->sums_have);
        int r = 0;

        *ret_used = n;
        if (n > 0)
                memcpy(s->sums + s->sums_have, data, n);
        s->sums_have += n;
        if (s->sums_have >= HEADER && !is_our_header(s))
                return -EPROTO;
        if (s->sums_have < s->sums_size || s->is_loaded)
                return 0;
        r = look_at_sums(s);
        if (r == 0 && !s->is_hopeless)
                r = build(s);
        if (r < 0)
                return r;
        free(s->sums);
        s->sums = NULL;
        s->is_loaded = true;
        return 0;
}

bool delta_search_is_loaded(const struct delta_search *s)
{
        return s->is_loaded;
}

bool delta_search_is_hopeless(const struct delta_search *s)
{
        return s->is_hopeless;
}

int delta_search_begin(struct delta_search *s, uint64_t at)
{
        int r = memory_for(job_memory(s->range.size));

        if (r < 0)
                return r;
        s->job = rs_delta_begin(s->signature);
        s->command = (struct command){ .need = 4 }; /* the magic first */
        s->header_seen = s->holds_some = false;
        s->at = at;
        return 0;
}

bool delta_search_is_on(const struct delta_search *s)
{
        return s->job != NULL;
}

static uint64_t big_endian(const unsigned char *data, size_t size)
{
        uint64_t value = 0;

        for (size_t i = 0; i < size; i++)
                value = value << 8 | data[i];
        return value;
}

/* Codes of librsync's delta: 0 the end, up to 0x40 a literal of that length, 4 literals with a length of 1, 2, 4 or 8
 * bytes, 16 copies with an offset and a length of as many. */
enum { LITERAL_N1 = 0x41, COPY_N1_N1 = 0x45, COPY_LAST = 0x54 };

static size_t parameters_size(unsigned code)
{
        if (code < LITERAL_N1 || code > COPY_LAST)
                return 0;
        if (code < COPY_N1_N1)
                return (size_t)1 << (code - LITERAL_N1);
        return ((size_t)1 << (code - COPY_N1_N1) / 4) + ((size_t)1 << (code - COPY_N1_N1) % 4);
}

/* A command is there, but for the bytes of a literal. */
static void obey(struct delta_search *s, struct delta_emit *emit, struct delta_found *found)
{
        const struct command *c = &s->command;
        unsigned code = c->head[0];

        if (code < LITERAL_N1) {
                s->command.data_left = code;
        } else if (code < COPY_N1_N1) {
                s->command.data_left = big_endian(c->head + 1, c->need - 1);
        } else {
                size_t first = (size_t)1 << (code - COPY_N1_N1) / 4;
                uint64_t size = big_endian(c->head + 1 + first, c->need - 1 - first);

                delta_emit_run(emit, DELTA_COPY, s->range.at + big_endian(c->head + 1, first), size);
                s->at += size;
                found->is_some = true;
                found->missed = 0;
        }
}

/* One more byte of a command. */
static void take_head(struct delta_search *s, unsigned char byte, struct delta_emit *emit, struct delta_found *found)
{
        struct command *c = &s->command;

        c->head[c->have++] = byte;
        if (c->have == 1 && s->header_seen)
                c->need = 1 + parameters_size(byte);
        if (c->have < c->need)
                return;
        if (s->header_seen)
                obey(s, emit, found);
        s->header_seen = true;
        c->have = 0;
        c->need = 1;
}

static void translate(struct delta_search *s, size_t size, struct delta_emit *emit, struct delta_found *found)
{
        const unsigned char *data = s->scratch, *end = data + size;

        while (data < end) {
                size_t n = (size_t)delta_min(s->command.data_left, (uint64_t)(end - data));

                if (n == 0) {
                        take_head(s, *data++, emit, found);
                        continue;
                }
                delta_emit_data(emit, s->at, data, n);
                found->missed += n;
                s->at += n;
                s->command.data_left -= n;
                data += n;
        }
}

int delta_search_step(struct delta_search *s, const void *data, size_t size, bool is_end, struct delta_emit *emit,
                      struct delta_found *ret)
{
        /* librsync takes in whatever it is given, also when it cannot put out as much: first what it holds. */
        size_t give = s->holds_some ? 0 : size_min(size, INPUT_MAX);
        struct delta_pump pump = { .in = data, .in_size = give, .is_end = is_end && give == size };
        rs_result result = RS_BLOCKED;
        bool is_stuck = false;

        *ret = (struct delta_found){ .used = 0 };
        while (result == RS_BLOCKED && !is_stuck && delta_emit_has_room(emit)) {
                size_t before = pump.in_size;

                pump.out = s->scratch;
                pump.out_size = SCRATCH;
                result = iterate(s->job, &pump);
                translate(s, SCRATCH - pump.out_size, emit, ret);
                is_stuck = pump.in_size == before && pump.out_size == SCRATCH;
        }
        ret->used = give - pump.in_size;
        s->holds_some = result == RS_BLOCKED && !is_stuck;
        if (result == RS_BLOCKED)
                return is_stuck && pump.is_end ? -EIO : 0;
        rs_job_free(s->job);
        s->job = NULL;
        return to_errno(result);
}
