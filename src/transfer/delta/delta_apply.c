/*
 * The tree's side: operations come in byte by byte, are checked, and done. There is one position, in the result: in the
 * first pass it goes from its beginning to its end, in the second one through the parts that were put off. So no
 * operation can touch what another one has made, and all has been made in the end.
 */
#include "transfer/delta/delta.h"

#include "base/fd.h"
#include "base/stop.h"
#include "transfer/delta/delta_copy.h"
#include "transfer/delta/delta_format.h"

#include <fcntl.h>
#include <xxhash.h>

enum {
        TRAILER_SIZE = 8 + DELTA_DIGEST_SIZE,
        STEP = 8 * 1024 * 1024,
        /* What was written is sent to the disk one window behind, and then dropped from memory, as in base/content. */
        WINDOW = 8 * 1024 * 1024,
};

enum stage {
        OPERATION, /* the next byte is one */
        NUMBERS,   /* it belongs to the numbers of one */
        WORK,      /* an operation is being done */
        TRAILER,
};

struct region {
        uint64_t at, size;
};

struct delta_apply {
        struct delta_apply_config config;
        enum stage stage;
        int result; /* the first outcome or error stays; not DELTA_SEARCH */
        enum delta_side failed;
        XXH3_state_t *digest;
        struct delta_copy copy;

        /* The operation that comes in. */
        enum delta_op op;
        uint64_t numbers[2];
        unsigned number_count, number_shift;
        unsigned char trailer[TRAILER_SIZE];
        size_t trailer_size;
        struct delta_copy_job job; /* of all that are done in steps: what is left */

        /* The position, and how far it may go. */
        uint64_t at, end;
        uint64_t result_size; /* of the file as it is */
        uint64_t flushed;
        bool is_second;
        struct region *regions; /* DELTA_REGIONS_MAX */
        size_t region_count, region;
        struct delta_range range;
};

int delta_apply_new(struct delta_apply **ret, const struct delta_apply_config *config)
{
        struct delta_apply *a = calloc(1, sizeof(*a));

        if (!a)
                return -ENOMEM;
        a->config = *config;
        a->end = config->size;
        a->digest = XXH3_createState();
        a->regions = malloc(DELTA_REGIONS_MAX * sizeof(*a->regions));
        a->copy = (struct delta_copy){
                .basis = &a->config.basis,
                .to = config->to,
                .has_holes = config->has_holes,
                .digest = a->digest,
                .piece = malloc(DELTA_PIECE),
        };
        if (!a->digest || !a->regions || !a->copy.piece) {
                delta_apply_free(a);
                return -ENOMEM;
        }
        XXH3_128bits_reset_withSeed(a->digest, config->seed);
        *ret = a;
        return 0;
}

struct delta_apply *delta_apply_free(struct delta_apply *a)
{
        if (!a)
                return NULL;
        XXH3_freeState(a->digest);
        free(a->regions);
        free(a->copy.piece);
        free(a);
        return NULL;
}

struct delta_range delta_apply_range(const struct delta_apply *a)
{
        return a->range;
}

enum delta_side delta_apply_failed(const struct delta_apply *a)
{
        return a->failed;
}

/* -EPROTO is the peer's alone. */
static int fail(struct delta_apply *a, enum delta_side side, int code)
{
        a->failed = side;
        return code == -EPROTO ? -EIO : code;
}

/* Make the file at least so large: what is skipped becomes a hole, and XFS allocates nothing before it. */
static int grow(struct delta_apply *a, uint64_t size)
{
        if (size <= a->result_size)
                return 0;
        if (ftruncate(a->config.to, (off_t)size) < 0)
                return fail(a, DELTA_SIDE_RESULT, -errno);
        a->result_size = size;
        return 0;
}

static void drop_behind(struct delta_apply *a)
{
        int to = a->config.to;
        uint64_t end;

        if (a->config.size < WINDOW || a->at < a->flushed + 2 * (uint64_t)WINDOW)
                return;
        end = a->at - WINDOW;
        (void)sync_file_range(to, (off_t)a->flushed, (off_t)(end - a->flushed),
                              SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
        (void)posix_fadvise(to, (off_t)a->flushed, (off_t)(end - a->flushed), POSIX_FADV_DONTNEED);
        if (a->config.basis.old >= 0)
                (void)posix_fadvise(a->config.basis.old, (off_t)a->flushed, (off_t)(end - a->flushed),
                                    POSIX_FADV_DONTNEED);
        (void)sync_file_range(to, (off_t)end, WINDOW, SYNC_FILE_RANGE_WRITE);
        a->flushed = end;
}

/* @size bytes of the result are done with. */
static void advance(struct delta_apply *a, uint64_t size)
{
        a->at += size;
        if (a->config.progress)
                a->config.progress(a->config.context, size);
        drop_behind(a);
}

static unsigned numbers_of(enum delta_op op)
{
        switch (op) {
        case DELTA_END:
        case DELTA_FILL:
                return 0;
        case DELTA_COPY:
        case DELTA_ASK:
                return 2;
        default:
                return 1;
        }
}

/* Between two regions of the second pass the position jumps. */
static void enter_region(struct delta_apply *a)
{
        if (!a->is_second || a->at < a->end || a->region == a->region_count)
                return;
        a->at = a->regions[a->region].at;
        a->end = a->at + a->regions[a->region].size;
        a->flushed = delta_max(a->flushed, delta_round_down(a->at, WINDOW));
        a->region++;
}

static int put_off(struct delta_apply *a, uint64_t size)
{
        int r;

        if (a->is_second || a->region_count == DELTA_REGIONS_MAX)
                return -EPROTO;
        a->regions[a->region_count++] = (struct region){ .at = a->at, .size = size };
        r = grow(a, a->at + size);
        a->at += size;
        return r;
}

static int begin_second(struct delta_apply *a)
{
        if (a->is_second || a->region_count == 0 || a->at != a->config.size)
                return -EPROTO;
        a->is_second = true;
        a->end = a->at;
        a->flushed = 0;
        enter_region(a);
        return 0;
}

static int ask(struct delta_apply *a)
{
        uint64_t at = a->numbers[0], size = a->numbers[1];
        int r;

        if (size == 0 || size > DELTA_SEARCH_MAX || at > a->config.basis.old_size ||
            size > a->config.basis.old_size - at)
                return -EPROTO;
        r = begin_second(a);
        if (r < 0)
                return r;
        a->range = (struct delta_range){ .at = at, .size = size };
        return DELTA_SEARCH;
}

/* Can so many bytes come from there? */
static bool has_basis(const struct delta_apply *a, uint64_t from, uint64_t size)
{
        uint64_t all = a->op == DELTA_COPY ? a->config.basis.old_size : delta_basis_size(&a->config.basis);

        return from <= all && size <= all - from;
}

static int begin_work(struct delta_apply *a)
{
        uint64_t size = a->numbers[a->number_count - 1], from = a->op == DELTA_COPY ? a->numbers[0] : a->at;

        if (size == 0 || size > a->end - a->at)
                return -EPROTO;
        if (a->op == DELTA_LATER)
                return put_off(a, size);
        if ((a->op == DELTA_KEEP || a->op == DELTA_COPY) && !has_basis(a, from, size))
                return -EPROTO;
        a->job = (struct delta_copy_job){ .from_old = a->op == DELTA_COPY, .from = from, .to = a->at, .size = size };
        a->stage = WORK;
        return 0;
}

/* All of it has come in, but for the bytes of DELTA_DATA. */
static int begin(struct delta_apply *a)
{
        a->stage = OPERATION;
        switch (a->op) {
        case DELTA_END:
                a->stage = TRAILER;
                return 0;
        case DELTA_FILL:
                return begin_second(a);
        case DELTA_ASK:
                return ask(a);
        default:
                return begin_work(a);
        }
}

static int take_op(struct delta_apply *a, unsigned char byte)
{
        if (byte >= DELTA_OPS)
                return -EPROTO;
        a->op = (enum delta_op)byte;
        a->number_count = a->number_shift = 0;
        a->numbers[0] = a->numbers[1] = 0;
        enter_region(a);
        if (numbers_of(a->op) == 0)
                return begin(a);
        a->stage = NUMBERS;
        return 0;
}

static int take_number(struct delta_apply *a, unsigned char byte)
{
        uint64_t *number = &a->numbers[a->number_count];

        /* No size and no offset has more than 63 bits. */
        if (a->number_shift >= 63)
                return -EPROTO;
        *number |= (uint64_t)(byte & 0x7f) << a->number_shift;
        a->number_shift += 7;
        if (byte & 0x80)
                return 0;
        a->number_shift = 0;
        if (++a->number_count < numbers_of(a->op))
                return 0;
        return begin(a);
}

static int write_data(struct delta_apply *a, const void *data, size_t size, size_t *ret_used)
{
        size_t n = (size_t)delta_min(size, a->job.size);
        int r = fd_pwrite_full(a->config.to, data, n, (off_t)a->at);

        if (r < 0)
                return fail(a, DELTA_SIDE_RESULT, r);
        a->result_size = delta_max(a->result_size, a->at + n);
        XXH3_128bits_update(a->digest, data, n);
        a->job.size -= n;
        advance(a, n);
        *ret_used = n;
        return 0;
}

static int make_zeros(struct delta_apply *a)
{
        size_t n = (size_t)delta_min(a->job.size, DELTA_PIECE);
        int r;

        memset(a->copy.piece, 0, n);
        r = a->config.has_holes ? grow(a, a->at + n) : fd_pwrite_full(a->config.to, a->copy.piece, n, (off_t)a->at);
        if (r < 0)
                return fail(a, DELTA_SIDE_RESULT, r);
        a->result_size = delta_max(a->result_size, a->at + n);
        XXH3_128bits_update(a->digest, a->copy.piece, n);
        a->job.size -= n;
        advance(a, n);
        return 0;
}

static int make_hole(struct delta_apply *a)
{
        int r = grow(a, a->at + a->job.size);

        if (r < 0)
                return r;
        advance(a, a->job.size);
        a->job.size = 0;
        return 0;
}

static int copy(struct delta_apply *a)
{
        uint64_t before = a->job.size;
        int r = delta_copy_step(&a->copy, &a->job);

        a->result_size = delta_max(a->result_size, a->copy.written_to);
        advance(a, before - a->job.size);
        if (r < 0 && r != -ECANCELED)
                return fail(a, a->copy.failed, r);
        return r == 0 ? grow(a, a->at) : r;
}

static int work(struct delta_apply *a, const void *data, size_t size, size_t *ret_used)
{
        int r;

        switch (a->op) {
        case DELTA_DATA:
                r = write_data(a, data, size, ret_used);
                break;
        case DELTA_ZERO:
                r = make_zeros(a);
                break;
        case DELTA_HOLE:
                r = make_hole(a);
                break;
        default:
                r = copy(a);
        }
        if (r == 0 && a->job.size == 0)
                a->stage = OPERATION;
        return r;
}

/* The end: is it complete, and right? */
static int judge(struct delta_apply *a)
{
        XXH128_canonical_t digest;
        int r;

        /* Had there been another part to come, the position would be at its beginning. */
        if (a->at != a->end || (a->region_count > 0 && !a->is_second) || delta_get64(a->trailer) != a->config.size)
                return -EPROTO;
        a->result_size = 0;
        r = grow(a, a->config.size);
        if (r < 0)
                return r;
        XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(a->digest));
        return memcmp(digest.digest, a->trailer + 8, DELTA_DIGEST_SIZE) == 0 ? DELTA_GOOD : DELTA_MISMATCH;
}

static int take_trailer(struct delta_apply *a, unsigned char byte)
{
        a->trailer[a->trailer_size++] = byte;
        return a->trailer_size == TRAILER_SIZE ? judge(a) : 0;
}

static int take(struct delta_apply *a, const unsigned char *data, size_t size, size_t *ret_used)
{
        *ret_used = 1;
        switch (a->stage) {
        case OPERATION:
                return take_op(a, *data);
        case NUMBERS:
                return take_number(a, *data);
        case TRAILER:
                return take_trailer(a, *data);
        default:
                *ret_used = 0;
                return work(a, data, size, ret_used);
        }
}

int delta_apply_feed(struct delta_apply *a, const void *data, size_t size, size_t *ret_used)
{
        const unsigned char *bytes = data;
        uint64_t worked = 0;
        size_t done = 0;
        int r = a->result;

        while (r == 0 && done < size && worked < STEP) {
                uint64_t before = a->stage == WORK ? a->job.size : 0;
                size_t n = 0;

                r = stop_requested() ? -ECANCELED : take(a, bytes + done, size - done, &n);
                done += n;
                worked += before > a->job.size ? before - a->job.size : 0;
        }
        *ret_used = done;
        if (r != DELTA_SEARCH)
                a->result = r;
        return r;
}
