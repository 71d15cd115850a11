/*
 * A sender in a thread, and a receiver that a test tells what to ask for. It checks what it is told: numbers, counts of
 * subdirectories, digests of directories and of trees, hashes of contents.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/report.h"
#include "scratch.h"
#include "transfer/channel.h"
#include "transfer/delta.h"
#include "transfer/filter.h"
#include "transfer/limits.h"
#include "transfer/message.h"
#include "transfer/pack.h"
#include "transfer/sender.h"
#include "transfer/source.h"
#include "transfer/sum.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

enum {
        DIRECTORIES_MAX = 20000,
        SOMEBODY = 65534,
        DEEP = 600,
        SEED = 7,
        SIGNATURE_PIECE = 1000,
        CHANGING = 8 * 1024 * 1024
};

/* An assertion that tells nobody but the user: those of check(3) write to a pipe each time. */
#define MUST(condition)                                 \
        do {                                            \
                if (!(condition))                       \
                        ck_abort_msg("%s", #condition); \
        } while (0)

/* ---- the sender ---- */

struct side {
        pthread_t thread;
        int fd;
        char path[300];
        struct sender_config config;
        struct limits limits;
        int result;
        struct err err;
        uint64_t items, vanished, unsteady;
        bool is_partial;
        unsigned ticks;
        bool is_somebody; /* who may not read everything */
};

static int on_other(void *context, const struct wire_message *m, struct err *err)
{
        (void)context;
        return m->type == MESSAGE_OK ? SENDER_END : err_runf(err, -EPROTO, "a message of type %u", m->type);
}

static void on_tick(void *context)
{
        ++*(unsigned *)context;
}

static struct channel *channel_of(int fd)
{
        const struct channel_config config = {
                .in_fd = fd, .out_fd = fd, .peer = "other side", .timeout_s = 20, .wire = { .program = "1" }
        };
        struct err err = { .kind = ERR_NONE };
        struct channel *c;

        ck_assert_int_eq(channel_new(&c, &config, &err), 0);
        return c;
}

/* Of this thread alone, which is what the C library does not do. */
static void become_somebody(void)
{
        if (geteuid() != 0)
                return;
        ck_assert_int_eq(syscall(SYS_setresgid, SOMEBODY, SOMEBODY, SOMEBODY), 0);
        ck_assert_int_eq(syscall(SYS_setresuid, SOMEBODY, SOMEBODY, SOMEBODY), 0);
}

static void *send_all(void *context)
{
        struct side *side = context;
        struct sender_config config = side->config;
        struct report *report;
        struct filter *filter;
        struct source *source;
        int r;

        if (side->is_somebody)
                become_somebody();
        r = report_new(&report, &(struct report_config){ .is_imagined = true }, &side->err);
        if (r == 0)
                r = filter_new(&filter, side->path, &side->err);
        if (r == 0)
                r = source_new(&source,
                               &(struct source_config){ .path = side->path, .filter = filter, .report = report },
                               &side->err);
        config.channel = channel_of(side->fd);
        config.source = source;
        config.limits = &side->limits;
        config.report = report;
        config.other = on_other;
        config.tick = on_tick;
        config.tick_context = &side->ticks;
        side->result = r == 0 ? sender_run(&config, &side->err) : r;
        side->items = report_items(report);
        side->vanished = report_vanished_count(report);
        side->unsteady = report_unsteady_count(report);
        side->is_partial = report_is_partial(report);
        channel_free(config.channel);
        source_free(source);
        filter_free(filter);
        report_free(report);
        close(side->fd);
        return NULL;
}

/* ---- the receiver ---- */

/* What it does with what it is told of. */
enum policy { POLICY_DONE, POLICY_LISTING, POLICY_FILES, POLICY_HASH, POLICY_DELTA, POLICY_WHOLE };

struct directory {
        struct entry entry;
        uint64_t parent;
        unsigned flags, depth;
        uint64_t subdirectories, told; /* as counted; as they came */
        uint8_t digest[MESSAGE_DIGEST_SIZE];
        size_t links, listed, files_left;
        struct entry *entries;
        struct message_place *places;
        size_t capacity;
        bool is_listed, is_told;
};

struct trees {
        uint64_t first, count;
        uint8_t digest[MESSAGE_DIGEST_SIZE];
};

struct receiver {
        struct side side;
        struct channel *channel;
        struct arena arena;
        struct message_digest *digest;
        int root; /* of the source, to look at */
        enum policy policy;
        bool is_silent;                                             /* says nothing to what it is told of */
        bool keeps;                                                 /* does not say that it has done with a directory */
        bool has_nothing;                                           /* that a delta could be made against */
        bool wants_trees;                                           /* all that goes together is asked for one by one */
        void (*on_file)(struct receiver *r, const struct entry *e); /* FILE came */
        void (*on_end)(struct receiver *r, unsigned outcome);

        struct directory *directories;
        uint64_t count; /* how many were told of, by number */
        struct trees trees[4096];
        size_t tree_count;
        uint64_t outstanding; /* answers */
        bool has_ended, is_partial;
        uint64_t in_trees; /* directories that came in TREES */
        uint64_t files, outcomes[4], hashes;

        struct entry file;
        unsigned file_flags;
        struct buf content;
};

static struct buf *begin(struct receiver *r, enum message_type type)
{
        return wire_begin(channel_wire(r->channel), (uint8_t)type);
}

static void put(struct receiver *r)
{
        struct err err = { .kind = ERR_NONE };

        MUST(wire_end(channel_wire(r->channel), &err) == 0);
        (void)channel_send(r->channel, false, &err);
        err_drop(&err, "the sender has ended");
}

static void ask(struct receiver *r, enum message_type type, uint64_t number)
{
        pack_varint(begin(r, type), number);
        put(r);
}

static void ask_files(struct receiver *r, enum message_type type, uint64_t number, uint64_t first, uint64_t count)
{
        struct buf *b = begin(r, type);

        pack_varint(b, number);
        pack_varint(b, first);
        if (type == MESSAGE_WANT_FILES)
                pack_varint(b, count);
        put(r);
        r->outstanding += count;
}

static void start(struct receiver *r, int root)
{
        char link[64];
        ssize_t n;
        int fds[2];

        snprintf(link, sizeof(link), "/proc/self/fd/%d", root);
        n = readlink(link, r->side.path, sizeof(r->side.path) - 1);
        MUST(n > 0);
        r->side.path[n] = '\0';
        r->root = root;
        r->digest = message_digest_new();
        r->directories = calloc(DIRECTORIES_MAX, sizeof(*r->directories));
        MUST(r->directories);
        if (r->side.limits.granularity_ns == 0)
                MUST(limits_probe(&r->side.limits, root, true, true, &r->side.err) == 0);
        MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        r->channel = channel_of(fds[0]);
        r->side.fd = fds[1];
        MUST(pthread_create(&r->side.thread, NULL, send_all, &r->side) == 0);
}

/* The result of the sender. */
static int finish(struct receiver *r)
{
        struct err err = { .kind = ERR_NONE };

        begin(r, MESSAGE_OK);
        put(r);
        (void)channel_send(r->channel, true, &err);
        err_drop(&err, "the sender has ended");
        MUST(pthread_join(r->side.thread, NULL) == 0);
        if (r->side.result == 0)
                ck_assert_msg(r->side.err.kind == ERR_NONE, "%s", r->side.err.text);
        return r->side.result;
}

static void deinit(struct receiver *r)
{
        for (uint64_t i = 0; i < r->count; i++) {
                free(r->directories[i].entries);
                free(r->directories[i].places);
        }
        err_clear(&r->side.err);
        free(r->directories);
        message_digest_free(r->digest);
        channel_free(r->channel);
        arena_deinit(&r->arena);
        buf_deinit(&r->content);
}

/* ---- what comes ---- */

static const struct trees *trees_of(const struct receiver *r, uint64_t number)
{
        for (size_t i = 0; i < r->tree_count; i++) {
                if (number >= r->trees[i].first && number - r->trees[i].first < r->trees[i].count)
                        return &r->trees[i];
        }
        return NULL;
}

static void take_links(struct receiver *r, struct unpack *u, struct directory *d)
{
        uint64_t count = unpack_varint(u, UINT32_MAX);

        (void)r;
        if (d)
                d->links = count;
        for (uint64_t i = 0; i < count; i++) {
                (void)unpack_varint(u, UINT32_MAX);
                MUST(unpack_varint(u, UINT64_MAX) > 0);
        }
}

/* The last of them: what they said together must be what they say one by one. */
static void check_trees(struct receiver *r, const struct trees *t)
{
        const struct directory *first = &r->directories[t->first];
        uint8_t digest[MESSAGE_DIGEST_SIZE];

        message_digest_begin(r->digest);
        for (uint64_t i = 0; i < t->count; i++) {
                const struct directory *d = &r->directories[t->first + i];

                MUST(d->is_told);
                MUST((d->flags & ~(unsigned)MESSAGE_DIRECTORY_WHOLE) == 0);
                MUST(message_digest_add_directory(r->digest, d->depth - first->depth, &d->entry, d->digest) == 0);
        }
        message_digest_end(r->digest, digest);
        MUST(memcmp(digest, t->digest, sizeof(digest)) == 0);
}

static void act(struct receiver *r, uint64_t number)
{
        struct directory *d = &r->directories[number];

        if (r->is_silent || (d->flags & MESSAGE_DIRECTORY_VANISHED))
                return;
        if (d->flags & MESSAGE_DIRECTORY_WHOLE)
                r->outstanding++;
        else if (r->policy == POLICY_DONE || (d->flags & MESSAGE_DIRECTORY_OMITTED))
                ask(r, MESSAGE_DONE, number);
        else {
                ask(r, r->policy == POLICY_WHOLE ? MESSAGE_WANT_TREE : MESSAGE_WANT_LISTING, number);
                r->outstanding++;
        }
}

static void take_directory(struct receiver *r, struct unpack *u)
{
        uint64_t number = unpack_varint(u, DIRECTORIES_MAX - 1);
        struct directory *d = &r->directories[number];
        const struct trees *t = trees_of(r, number);
        struct message_place place;

        MUST(!d->is_told);
        MUST(t || number == r->count);
        d->is_told = true;
        d->parent = unpack_varint(u, UINT64_MAX);
        d->flags = unpack_u8(u);
        MUST(message_get_entry(u, &d->entry, &place, &r->arena) == 0);
        MUST(!u->broken);
        if (number == 0) {
                MUST(str_equal(d->entry.name, MESSAGE_ROOT_NAME));
        } else {
                MUST(d->parent < number);
                d->depth = r->directories[d->parent].depth + 1;
                if (!t)
                        r->directories[d->parent].told++;
        }
        if (!(d->flags & MESSAGE_DIRECTORY_VANISHED)) {
                memcpy(d->digest, unpack_raw(u, sizeof(d->digest)), sizeof(d->digest));
                d->subdirectories = unpack_varint(u, UINT32_MAX);
                take_links(r, u, d);
        }
        if (t && number == t->first + t->count - 1)
                check_trees(r, t);
        if (t)
                r->outstanding--;
        else
                r->count++;
        act(r, number);
}

static void take_trees(struct receiver *r, struct unpack *u)
{
        struct trees *t = &r->trees[r->tree_count++];
        uint64_t parent, trees;
        char *first, *last;

        MUST(r->tree_count <= ARRAY_SIZE(r->trees));
        t->first = unpack_varint(u, UINT64_MAX);
        MUST(t->first == r->count);
        parent = unpack_varint(u, r->count - 1);
        t->count = unpack_varint(u, MESSAGE_TREES_MAX);
        trees = unpack_varint(u, t->count);
        first = unpack_text(u, 255);
        last = unpack_text(u, 255);
        MUST(!u->broken);
        MUST(strcmp(first, last) <= 0);
        MUST(str_equal(first, last) == (trees == 1));
        memcpy(t->digest, unpack_raw(u, sizeof(t->digest)), sizeof(t->digest));
        for (uint64_t i = 0; i < t->count; i++)
                take_links(r, u, NULL);
        r->directories[parent].told += trees;
        r->count += t->count;
        r->in_trees += t->count;
        free(first);
        free(last);
        if (!r->wants_trees) {
                ask(r, MESSAGE_DONE, t->first);
                return;
        }
        r->outstanding += t->count;
        ask(r, MESSAGE_WANT_DIRECTORIES, t->first);
}

static void add_entry(struct receiver *r, struct directory *d, struct unpack *u)
{
        if (d->listed == d->capacity) {
                d->capacity = d->capacity ? 2 * d->capacity : 64;
                d->entries = reallocarray(d->entries, d->capacity, sizeof(*d->entries));
                d->places = reallocarray(d->places, d->capacity, sizeof(*d->places));
                MUST(d->entries && d->places);
        }
        MUST(message_get_entry(u, &d->entries[d->listed], &d->places[d->listed], &r->arena) == 0);
        MUST(!u->broken);
        if (d->listed > 0)
                MUST(strcmp(d->entries[d->listed - 1].name, d->entries[d->listed].name) < 0);
        d->listed++;
}

static bool is_content(const struct directory *d, size_t i, bool whole)
{
        return entry_is_file(&d->entries[i]) && !(d->places[i].flags & MESSAGE_UNREADABLE) &&
               !(whole && (d->places[i].flags & MESSAGE_LINKED));
}

static void check_digest(struct receiver *r, const struct directory *d)
{
        uint8_t digest[MESSAGE_DIGEST_SIZE];

        message_digest_begin(r->digest);
        for (size_t i = 0; i < d->listed; i++) {
                if (!(d->places[i].flags & MESSAGE_UNREADABLE))
                        MUST(message_digest_add(r->digest, &d->entries[i]) == 0);
        }
        message_digest_end(r->digest, digest);
        MUST(memcmp(digest, d->digest, sizeof(digest)) == 0);
}

static void path_of(const struct receiver *r, uint64_t number, struct buf *ret)
{
        if (number == 0)
                return;
        path_of(r, r->directories[number].parent, ret);
        buf_puts(ret, r->directories[number].entry.name);
        buf_putc(ret, '/');
}

static int open_source_file(const struct receiver *r, uint64_t number, size_t index)
{
        _cleanup_(buf_deinit) struct buf path = { .data = NULL };
        int fd;

        path_of(r, number, &path);
        buf_puts(&path, r->directories[number].entries[index].name);
        fd = openat(r->root, path.data, O_RDONLY | O_CLOEXEC);
        MUST(fd >= 0);
        return fd;
}

static void load(const struct receiver *r, uint64_t number, size_t index, struct buf *ret)
{
        _cleanup_(fd_closep) int fd = open_source_file(r, number, index);
        struct stat st;

        MUST(fstat(fd, &st) == 0);
        MUST(buf_reserve(ret, (size_t)st.st_size) == 0);
        ret->size = (size_t)fd_read_full(fd, ret->data, (size_t)st.st_size);
}

/* In pieces, of which only the last says that it is. */
static void send_signature(struct receiver *r, uint64_t number, size_t index, const struct buf *signature)
{
        for (size_t at = 0, n; at < signature->size; at += n) {
                struct buf *b = begin(r, MESSAGE_WANT_DELTA);

                n = size_min(signature->size - at, SIGNATURE_PIECE);
                pack_varint(b, number);
                pack_varint(b, index);
                pack_u8(b, at + n < signature->size);
                buf_append(b, signature->data + at, n);
                put(r);
        }
}

static void read_signature(struct delta_sign *sign, struct buf *ret)
{
        size_t n;

        do {
                MUST(buf_reserve(ret, SIGNATURE_PIECE) == 0);
                MUST(delta_sign_read(sign, ret->data + ret->size, SIGNATURE_PIECE, &n) == 0);
                ret->size += n;
        } while (n > 0);
        delta_sign_free(sign);
}

/* Against the file as it is. */
static void want_delta(struct receiver *r, uint64_t number, size_t index)
{
        _cleanup_(fd_closep) int old = open_source_file(r, number, index);
        _cleanup_(buf_deinit) struct buf signature = { .data = NULL };
        uint64_t size = r->directories[number].entries[index].size;
        struct delta_sign_config config = { .basis = { .old = old, .old_size = size, .partial = -1 },
                                            .new_size = size,
                                            .seed = SEED };
        struct delta_sign *sign;

        if (r->has_nothing)
                config.basis = (struct delta_basis){ .old = -1, .partial = -1 };
        MUST(delta_sign_new(&sign, &config) == 0);
        read_signature(sign, &signature);
        send_signature(r, number, index, &signature);
        r->outstanding++;
}

/* Runs of files are asked for at once. */
static void want_contents(struct receiver *r, uint64_t number)
{
        struct directory *d = &r->directories[number];

        for (size_t i = 0, n; i < d->listed; i += n) {
                n = 1;
                if (!is_content(d, i, false))
                        continue;
                if (r->policy == POLICY_DELTA)
                        want_delta(r, number, i);
                else if (r->policy == POLICY_HASH)
                        ask_files(r, MESSAGE_WANT_HASH, number, i, 1);
                else {
                        while (i + n < d->listed && is_content(d, i + n, false))
                                n++;
                        ask_files(r, MESSAGE_WANT_FILES, number, i, n);
                }
        }
}

static void take_listing(struct receiver *r, struct unpack *u)
{
        uint64_t number = unpack_varint(u, r->count - 1);
        struct directory *d = &r->directories[number];
        bool more = unpack_u8(u);

        MUST(d->is_told && !d->is_listed);
        while (u->data < u->end)
                add_entry(r, d, u);
        if (more)
                return;
        d->is_listed = true;
        r->outstanding--;
        check_digest(r, d);
        if (r->policy == POLICY_WHOLE) {
                for (size_t i = 0; i < d->listed; i++)
                        r->outstanding += is_content(d, i, true);
        } else if (r->policy != POLICY_LISTING)
                want_contents(r, number);
        /* What was asked for before will be answered all the same. */
        if (!r->keeps)
                ask(r, MESSAGE_DONE, number);
}

static void take_file(struct receiver *r, struct unpack *u)
{
        uint64_t number = unpack_varint(u, r->count - 1);
        struct message_place place;
        struct directory *d = &r->directories[number];
        size_t index = unpack_varint(u, d->listed - 1);

        r->file_flags = unpack_u8(u);
        MUST(message_get_entry(u, &r->file, &place, &r->arena) == 0);
        MUST(!u->broken);
        MUST(str_equal(r->file.name, d->entries[index].name));
        buf_truncate(&r->content, 0);
        if (r->on_file)
                r->on_file(r, &r->file);
}

static void take_hole(struct receiver *r, struct unpack *u)
{
        uint64_t size = unpack_varint(u, INT64_MAX);

        MUST(buf_reserve(&r->content, size) == 0);
        memset(r->content.data + r->content.size, 0, size);
        r->content.size += size;
}

static void check_sum(const struct buf *content, struct unpack *u)
{
        _cleanup_(sum_freep) struct sum *sum = sum_new();
        uint8_t own[SUM_SIZE];

        sum_data(sum, content->data, content->size);
        sum_end(sum, own);
        MUST(memcmp(own, unpack_raw(u, sizeof(own)), sizeof(own)) == 0);
}

static void check_content(const struct receiver *r, uint64_t number, size_t index)
{
        _cleanup_(buf_deinit) struct buf want = { .data = NULL };

        if (r->on_file)
                return;
        load(r, number, index, &want);
        MUST(want.size == r->content.size);
        if (want.size > 0)
                MUST(memcmp(want.data, r->content.data, want.size) == 0);
}

/* What was sent is made of the source itself. */
static void check_delta(const struct receiver *r, uint64_t number, size_t index)
{
        _cleanup_(buf_deinit) struct buf want = { .data = NULL }, made = { .data = NULL };
        _cleanup_(fd_closep) int to = open(scratch_path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), old;
        struct delta_apply_config config = { .to = to, .size = r->file.size, .seed = SEED };
        struct delta_apply *apply;
        size_t used = 0, n;
        int code = 0;

        MUST(to >= 0);
        old = open_source_file(r, number, index);
        config.basis = (struct delta_basis){ .old = old, .old_size = r->file.size, .partial = -1 };
        MUST(delta_apply_new(&apply, &config) == 0);
        for (size_t at = 0; at < r->content.size && code == 0; at += used)
                code = delta_apply_feed(apply, r->content.data + at, r->content.size - at, &used);
        MUST(code == DELTA_GOOD);
        delta_apply_free(apply);
        load(r, number, index, &want);
        n = want.size;
        MUST(buf_reserve(&made, n) == 0);
        MUST(fd_pread_full(to, made.data, n, 0) == (ssize_t)n);
        MUST(n == 0 || memcmp(made.data, want.data, n) == 0);
}

static void take_file_end(struct receiver *r, struct unpack *u)
{
        uint64_t number = unpack_varint(u, r->count - 1);
        size_t index = unpack_varint(u, r->directories[number].listed - 1);
        unsigned outcome = unpack_u8(u);

        MUST(outcome <= MESSAGE_LOST);
        r->outcomes[outcome]++;
        if (r->on_end)
                r->on_end(r, outcome);
        if (outcome == MESSAGE_CHANGED)
                return;
        r->outstanding--;
        r->files++;
        if (outcome == MESSAGE_WHOLE && (r->file_flags & MESSAGE_FILE_DELTA))
                check_delta(r, number, index);
        if (outcome != MESSAGE_WHOLE || (r->file_flags & MESSAGE_FILE_DELTA))
                return;
        MUST(r->content.size == r->file.size);
        check_sum(&r->content, u);
        check_content(r, number, index);
}

static void take_hash(struct receiver *r, struct unpack *u)
{
        _cleanup_(buf_deinit) struct buf want = { .data = NULL };
        uint64_t number = unpack_varint(u, r->count - 1);
        size_t index = unpack_varint(u, r->directories[number].listed - 1);

        r->outcomes[unpack_u8(u)]++;
        r->outstanding--;
        r->hashes++;
        load(r, number, index, &want);
        check_sum(&want, u);
}

static void take_data(struct receiver *r, struct unpack *u)
{
        size_t size = (size_t)(u->end - u->data);

        MUST(size > 0);
        MUST(size <= MESSAGE_DATA_MAX);
        MUST(buf_append(&r->content, unpack_raw(u, size), size) == 0);
}

static void take(struct receiver *r, const struct wire_message *m)
{
        struct unpack u = unpack_begin(m->data, m->size);

        switch (m->type) {
        case MESSAGE_DIRECTORY:
                take_directory(r, &u);
                break;
        case MESSAGE_TREES:
                take_trees(r, &u);
                break;
        case MESSAGE_LISTING:
                take_listing(r, &u);
                break;
        case MESSAGE_FILE:
                take_file(r, &u);
                break;
        case MESSAGE_DATA:
                take_data(r, &u);
                break;
        case MESSAGE_HOLE:
                take_hole(r, &u);
                break;
        case MESSAGE_FILE_END:
                take_file_end(r, &u);
                break;
        case MESSAGE_HASH:
                take_hash(r, &u);
                break;
        case MESSAGE_END:
                r->has_ended = true;
                r->is_partial = unpack_u8(&u);
                break;
        default:
                ck_abort_msg("type %u", m->type);
        }
        MUST(unpack_end(&u));
}

/* One more message. False when the sender has ended. */
static bool take_next(struct receiver *r)
{
        struct err err = { .kind = ERR_NONE };
        struct wire_message m;
        int n = channel_receive(r->channel, &m, true, &err);

        err_drop(&err, "the sender has ended");
        if (n == 1)
                take(r, &m);
        return n == 1;
}

static void check_counts(const struct receiver *r)
{
        for (uint64_t i = 0; i < r->count; i++) {
                const struct directory *d = &r->directories[i];

                /* Of those in trees all subdirectories are in there too. */
                if (d->is_told && !trees_of(r, i))
                        MUST(d->subdirectories == d->told);
        }
}

static void receive_all(struct receiver *r)
{
        while (!r->has_ended || r->outstanding > 0)
                ck_assert_msg(take_next(r), "%s", "it has ended");
        check_counts(r);
        MUST(finish(r) == 0);
}

static struct receiver *new_receiver(enum policy policy)
{
        struct receiver *r = calloc(1, sizeof(*r));

        MUST(r);
        r->policy = policy;
        return r;
}

static void free_receiver(struct receiver *r)
{
        deinit(r);
        free(r);
}

/* As if everything were old and known. */
static void set_reference(struct receiver *r)
{
        r->side.config.has_reference = true;
        (void)clock_gettime(CLOCK_REALTIME, &r->side.config.reference);
        r->side.config.reference.tv_sec += 10;
}

/* For files whose content is not to be looked at. */
static void pass_file(struct receiver *r, const struct entry *e)
{
        (void)r;
        (void)e;
}

/* ---- trees ---- */

static void fill(char *data, size_t size, unsigned seed)
{
        uint64_t x = seed * 0x9e3779b97f4a7c15ULL + 1;

        for (size_t i = 0; i < size; i++) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                data[i] = (char)x;
        }
}

static void make_file(int dirfd, const char *name, size_t size)
{
        _cleanup_(freep) char *data = malloc(size + 1);

        MUST(data);
        fill(data, size, (unsigned)size);
        scratch_file(dirfd, name, data, size);
}

static void make_sparse(int dirfd, const char *name)
{
        int fd = openat(dirfd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        MUST(fd >= 0);
        MUST(pwrite(fd, "begin", 5, 1000000) == 5);
        MUST(pwrite(fd, "middle", 6, 70000000) == 6);
        MUST(ftruncate(fd, 150000000) == 0);
        close(fd);
}

/* Some of everything. Return the number of regular files. */
static unsigned make_everything(int root)
{
        int a = scratch_subdirectory(root, "a"), b = scratch_subdirectory(a, "b\nodd \xff name");
        char name[32];

        make_file(root, "empty", 0);
        make_file(root, "large", 3000001);
        make_sparse(root, "sparse");
        MUST(linkat(root, "large", b, "another name of it", 0) == 0);
        MUST(symlinkat("../large", a, "symlink") == 0);
        MUST(mkfifoat(a, "fifo", 0640) == 0);
        close(scratch_subdirectory(root, "z"));
        for (int i = 0; i < 300; i++) {
                snprintf(name, sizeof(name), "%d", i);
                make_file(b, name, (size_t)i);
        }
        close(a);
        close(b);
        return 304;
}

static void make_directories(int root, unsigned count, bool deeper)
{
        char name[32];

        for (unsigned i = 0; i < count; i++) {
                int fd, below;

                snprintf(name, sizeof(name), "%05u", i);
                fd = scratch_subdirectory(root, name);
                scratch_file(fd, "file", name, strlen(name));
                if (deeper) {
                        below = scratch_subdirectory(fd, "below");
                        scratch_file(below, "file", "content", 7);
                        close(below);
                }
                close(fd);
        }
}

/* ---- what is told ---- */

static void check_everything_is_told_and_sent(int i)
{
        static const enum policy policies[] = { POLICY_FILES, POLICY_WHOLE, POLICY_HASH, POLICY_DELTA };
        struct receiver *r = new_receiver(policies[i % 4]);
        int root = scratch_directory();
        unsigned files = make_everything(root), whole = files - 2;

        if (i >= 4)
                set_reference(r);
        r->wants_trees = true;
        start(r, root);
        receive_all(r);
        ck_assert_uint_eq(r->count, 4);
        ck_assert_uint_eq(r->files + r->hashes, r->policy == POLICY_WHOLE ? whole : files);
        ck_assert_uint_eq(r->outcomes[MESSAGE_WHOLE], r->files + r->hashes);
        ck_assert(!r->is_partial);
        /* The other name of a file is told where its directory may not be listed. */
        ck_assert_uint_eq(r->directories[2].links, i >= 4 ? 1 : 0);
        close(root);
        free_receiver(r);
}

START_TEST(everything_is_told_and_sent)
{
        for (int i = 0; i < 8; i++)
                check_everything_is_told_and_sent(i);
}
END_TEST

START_TEST(trees_that_are_equal_are_told_together)
{
        struct receiver *r = new_receiver(POLICY_DONE);
        int root = scratch_directory();

        make_directories(root, 700, true);
        set_reference(r);
        start(r, root);
        receive_all(r);
        ck_assert_uint_eq(r->count, 1401);
        ck_assert_uint_gt(r->in_trees, 700);
        ck_assert_uint_lt(r->tree_count, 200);
        close(root);
        free_receiver(r);
}
END_TEST

START_TEST(trees_that_differ_are_told_one_by_one)
{
        struct receiver *r = new_receiver(POLICY_LISTING);
        int root = scratch_directory();

        make_directories(root, 700, true);
        set_reference(r);
        r->wants_trees = true;
        start(r, root);
        receive_all(r);
        ck_assert_uint_eq(r->count, 1401);
        for (uint64_t i = 0; i < r->count; i++)
                ck_assert(r->directories[i].is_listed);
        close(root);
        free_receiver(r);
}
END_TEST

START_TEST(what_changed_since_the_reference_must_be_listed)
{
        struct receiver *r = new_receiver(POLICY_LISTING);
        int root = scratch_directory();
        const struct directory *d;

        make_directories(root, 3, false);
        r->side.config.has_reference = true;
        start(r, root);
        receive_all(r);
        ck_assert_uint_eq(r->count, 4);
        d = &r->directories[3];
        ck_assert_uint_eq(d->flags, MESSAGE_DIRECTORY_MUST_LIST);
        ck_assert_uint_eq(d->places[0].flags, MESSAGE_COMPARE);
        ck_assert_uint_gt(d->places[0].device, 0);
        /* Only directories are in the root. */
        ck_assert_uint_eq(r->directories[0].flags, 0);
        close(root);
        free_receiver(r);
}
END_TEST

static void check_a_tree_may_be_deep(int i)
{
        static const char name[] = "a name that makes a path longer than any call takes";
        struct receiver *r = new_receiver(i == 0 ? POLICY_FILES : POLICY_WHOLE);
        int root = scratch_directory(), at = dup(root);

        for (int k = 0; k < DEEP; k++) {
                int next = scratch_subdirectory(at, name);

                scratch_file(next, "f", "x", 1);
                close(scratch_subdirectory(next, "z"));
                close(at);
                at = next;
        }
        close(at);
        r->on_file = pass_file; /* a path that no call takes */
        start(r, root);
        receive_all(r);
        ck_assert_uint_eq(r->count, 2 * DEEP + 1);
        ck_assert_uint_eq(r->outcomes[MESSAGE_WHOLE], DEEP);
        ck_assert_uint_eq(r->side.vanished, 0);
        ck_assert_uint_eq(r->side.items, 0);
        close(root);
        free_receiver(r);
}

START_TEST(a_tree_may_be_deep)
{
        for (int i = 0; i < 2; i++)
                check_a_tree_may_be_deep(i);
}
END_TEST

START_TEST(a_listing_comes_in_pieces)
{
        struct receiver *r = new_receiver(POLICY_LISTING);
        int root = scratch_directory();
        char name[256];

        memset(name, 'n', sizeof(name));
        for (int i = 0; i < 3000; i++) {
                snprintf(name + 240, sizeof(name) - 240, "%05d", i);
                scratch_file(root, name, "", 0);
        }
        start(r, root);
        receive_all(r);
        ck_assert_uint_eq(r->directories[0].listed, 3000);
        close(root);
        free_receiver(r);
}
END_TEST

/* ---- what is not as it should be ---- */

START_TEST(what_cannot_be_read_is_told)
{
        struct receiver *r = new_receiver(POLICY_FILES);
        int root = scratch_directory(), closed, blind;

        r->side.is_somebody = true;
        ck_assert_int_eq(fchmod(root, 0755), 0);
        scratch_file(root, "secret", "x", 1);
        ck_assert_int_eq(fchmodat(root, "secret", 0, 0), 0);
        closed = scratch_subdirectory(root, "closed");
        ck_assert_int_eq(fchmod(closed, 0), 0);
        /* It can be listed, but nothing of what is in it can be looked at. */
        blind = scratch_subdirectory(root, "names only");
        scratch_file(blind, "unseen", "x", 1);
        ck_assert_int_eq(fchmod(blind, 0444), 0);
        start(r, root);
        receive_all(r);
        ck_assert_uint_eq(r->side.items, 3);
        ck_assert_uint_eq(r->outcomes[MESSAGE_LOST], 1);
        ck_assert_uint_eq(r->count, 3);
        ck_assert(r->directories[1].flags & MESSAGE_DIRECTORY_UNREADABLE);
        ck_assert(r->directories[2].flags & MESSAGE_DIRECTORY_MUST_LIST);
        ck_assert_uint_eq(r->directories[2].places[0].flags, MESSAGE_UNREADABLE);
        ck_assert(r->is_partial);
        ck_assert_int_eq(fchmod(closed, 0700) + fchmod(blind, 0700), 0);
        close(closed);
        close(blind);
        close(root);
        free_receiver(r);
}
END_TEST

/* The sender waits with what is beyond the window, which vanishes meanwhile. */
START_TEST(the_window_is_kept_and_what_vanishes_is_told)
{
        struct receiver *r = new_receiver(POLICY_DONE);
        struct err err = { .kind = ERR_NONE };
        struct wire_message m;
        int root = scratch_directory();
        uint64_t last;

        make_directories(root, MESSAGE_WINDOW_DIRECTORIES + 100, false);
        start(r, root);
        r->is_silent = true;
        while (r->count < MESSAGE_WINDOW_DIRECTORIES)
                ck_assert(take_next(r));
        usleep(100000);
        ck_assert_int_eq(channel_receive(r->channel, &m, false, &err), 0);
        ck_assert_int_eq(unlinkat(root, "04150/file", 0), 0);
        ck_assert_int_eq(unlinkat(root, "04150", AT_REMOVEDIR), 0);
        ck_assert_int_eq(renameat(root, "04160", root, "old"), 0);
        close(scratch_subdirectory(root, "04160"));
        r->is_silent = false;
        last = r->count;
        for (uint64_t i = 0; i < last; i++)
                ask(r, MESSAGE_DONE, i);
        receive_all(r);
        ck_assert_uint_eq(r->count, MESSAGE_WINDOW_DIRECTORIES + 101);
        ck_assert_uint_eq(r->directories[4151].flags & MESSAGE_DIRECTORY_VANISHED, MESSAGE_DIRECTORY_VANISHED);
        ck_assert_uint_eq(r->directories[4161].flags & MESSAGE_DIRECTORY_VANISHED, MESSAGE_DIRECTORY_VANISHED);
        ck_assert_uint_eq(r->side.vanished, 2);
        close(root);
        free_receiver(r);
}
END_TEST

static void listed_before(struct receiver *r, int root)
{
        start(r, root);
        while (!r->has_ended || r->outstanding > 0)
                ck_assert(take_next(r));
}

START_TEST(files_that_vanished_are_told)
{
        struct receiver *r = new_receiver(POLICY_LISTING);
        int root = scratch_directory();

        r->keeps = true;
        make_file(root, "a", 10);
        make_file(root, "b", 10);
        make_file(root, "c", 10);
        make_file(root, "d", 10);
        listed_before(r, root);
        ck_assert_int_eq(unlinkat(root, "a", 0), 0);
        ck_assert_int_eq(unlinkat(root, "b", 0), 0);
        ck_assert_int_eq(symlinkat("c", root, "b"), 0);
        make_file(root, "c", 11);
        ask_files(r, MESSAGE_WANT_FILES, 0, 0, 4);
        receive_all(r);
        ck_assert_uint_eq(r->outcomes[MESSAGE_VANISHED], 2);
        ck_assert_uint_eq(r->outcomes[MESSAGE_WHOLE], 2);
        ck_assert_uint_eq(r->side.vanished, 2);
        close(root);
        free_receiver(r);
}
END_TEST

/* A file that is changed whenever it is begun; while it is sent it does not fit into what is on its way. */
static void grow_file(struct receiver *r, const struct entry *e)
{
        int fd = openat(r->root, e->name, O_WRONLY | O_APPEND | O_CLOEXEC);

        ck_assert_int_eq(write(fd, "more", 4), 4);
        close(fd);
}

static void shrink_file(struct receiver *r, const struct entry *e)
{
        int fd = openat(r->root, e->name, O_WRONLY | O_CLOEXEC);

        ck_assert_int_eq(ftruncate(fd, (off_t)e->size - CHANGING / 8), 0);
        close(fd);
}

static void check_a_file_that_changes_is_sent_three_times(int i)
{
        struct receiver *r = new_receiver(i < 2 ? POLICY_FILES : POLICY_DELTA);
        int root = scratch_directory();

        make_file(root, "file", CHANGING);
        r->on_file = i % 2 == 0 ? grow_file : shrink_file;
        r->has_nothing = true;
        start(r, root);
        receive_all(r);
        ck_assert_uint_eq(r->outcomes[MESSAGE_CHANGED], 2);
        ck_assert_uint_eq(r->outcomes[MESSAGE_WHOLE], 1);
        ck_assert_uint_eq(r->file_flags, MESSAGE_FILE_UNSTEADY);
        ck_assert_uint_eq(r->side.unsteady, 1);
        close(root);
        free_receiver(r);
}

START_TEST(a_file_that_changes_is_sent_three_times)
{
        for (int i = 0; i < 4; i++)
                check_a_file_that_changes_is_sent_three_times(i);
}
END_TEST

/* ---- who asks for what there is not ---- */

struct ask {
        uint8_t type;
        uint64_t numbers[3];
        unsigned count;
        const char *told; /* part of the message */
};

static const struct ask asks[] = {
        { MESSAGE_DONE, { 77 }, 1, "does not exist" },
        { MESSAGE_DONE, { UINT64_MAX }, 1, "does not exist" },
        { MESSAGE_WANT_LISTING, { 77 }, 1, "not told of" },
        { MESSAGE_WANT_TREE, { UINT64_MAX }, 1, "not told of" },
        { MESSAGE_WANT_DIRECTORIES, { 0 }, 1, "not told of" },
        { MESSAGE_WANT_FILES, { 0, 3, 1 }, 3, "does not exist" },
        { MESSAGE_WANT_FILES, { 0, 1, 3 }, 3, "does not exist" },
        { MESSAGE_WANT_FILES, { 0, 0, 0 }, 3, "does not exist" },
        { MESSAGE_WANT_FILES, { 0, 1, UINT64_MAX }, 3, "does not exist" },
        { MESSAGE_WANT_FILES, { 0, UINT64_MAX, 2 }, 3, "does not exist" },
        { MESSAGE_WANT_FILES, { 0, 0, 2 }, 3, "no file" },
        { MESSAGE_WANT_FILES, { 9, 0, 1 }, 3, "not told of" },
        { MESSAGE_WANT_FILES, { 0, 0 }, 2, "too long or short" },
        { MESSAGE_WANT_HASH, { 0, 1 }, 2, "no file" },
        { MESSAGE_WANT_HASH, { 0, 0, 0 }, 3, "too long or short" },
        { MESSAGE_WANT_HASH, { 0, 3 }, 2, "does not exist" },
        { MESSAGE_WANT_DELTA, { 0, 1, 0 }, 3, "no file" },
        { MESSAGE_WANT_DELTA, { 0, 5, 0 }, 3, "does not exist" },
        { 55, { 0 }, 1, "type 55" },
        { MESSAGE_DIRECTORY, { 0 }, 1, "type 32" },
};

static void check_who_breaks_the_protocol_is_refused(int i)
{
        const struct ask *a = &asks[i];
        struct receiver *r = new_receiver(POLICY_LISTING);
        int root = scratch_directory();
        struct buf *b;

        r->keeps = true;
        make_file(root, "a", 100);
        ck_assert_int_eq(symlinkat("a", root, "b"), 0);
        make_file(root, "c", 100);
        listed_before(r, root);
        b = begin(r, a->type);
        for (unsigned k = 0; k < a->count; k++)
                pack_varint(b, a->numbers[k]);
        put(r);
        r->outstanding = 10;
        while (take_next(r))
                continue;
        ck_assert_msg(finish(r) == -EPROTO, "case %d", i);
        ck_assert_msg(strstr(r->side.err.text, a->told), "%s", r->side.err.text);
        close(root);
        free_receiver(r);
}

START_TEST(who_breaks_the_protocol_is_refused)
{
        for (int i = 0; i < (int)ARRAY_SIZE(asks); i++)
                check_who_breaks_the_protocol_is_refused(i);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                everything_is_told_and_sent,
                trees_that_are_equal_are_told_together,
                trees_that_differ_are_told_one_by_one,
                what_changed_since_the_reference_must_be_listed,
                a_tree_may_be_deep,
                a_listing_comes_in_pieces,
                what_cannot_be_read_is_told,
                the_window_is_kept_and_what_vanishes_is_told,
                files_that_vanished_are_told,
                a_file_that_changes_is_sent_three_times,
                who_breaks_the_protocol_is_refused,
        };

        signal(SIGPIPE, SIG_IGN);
        return scratch_run("sender", tests, ARRAY_SIZE(tests));
}
