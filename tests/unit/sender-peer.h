/*
 * A sender in a thread, and a receiver that a test tells what to ask for. It checks what it is told: numbers, counts of
 * subdirectories, digests of directories and of trees, sums of contents.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/report.h"
#include "scratch.h"
#include "transfer/delta/delta.h"
#include "transfer/exchange/channel.h"
#include "transfer/exchange/message.h"
#include "transfer/exchange/pack.h"
#include "transfer/exchange/sender.h"
#include "transfer/exchange/sum.h"
#include "transfer/filter/filter.h"
#include "transfer/limits.h"
#include "transfer/source.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>

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
        struct filter *filter = NULL;
        struct source *source = NULL;
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
        struct delta_apply *apply;
        int applied, to, old; /* of the delta: its result, where it is made, against what; */
        uint64_t number;      /* and of which file it is */
        size_t index;
        int older; /* against this, if there is one */
        bool has_older;
        unsigned searches;
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

/* ---- what comes ---- */

static const struct trees *trees_of(const struct receiver *r, uint64_t number)
{
        for (size_t i = 0; i < r->tree_count; i++) {
                if (number >= r->trees[i].first && number - r->trees[i].first < r->trees[i].count)
                        return &r->trees[i];
        }
        return NULL;
}

static void take_links(struct unpack *u, struct directory *d)
{
        uint64_t count = unpack_varint(u, UINT32_MAX);

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
                take_links(u, d);
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
                take_links(u, NULL);
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

static void put_signature(struct receiver *r, uint64_t number, size_t index, bool more, const void *data, size_t size)
{
        struct buf *b = begin(r, MESSAGE_WANT_DELTA);

        pack_varint(b, number);
        pack_varint(b, index);
        pack_u8(b, more);
        buf_append(b, data, size);
        put(r);
}

/* In pieces, of which only the last says that it is. */
static void send_signature(struct receiver *r, uint64_t number, size_t index, const struct buf *signature)
{
        for (size_t at = 0, n; at < signature->size; at += n) {
                n = size_min(signature->size - at, SIGNATURE_PIECE);
                put_signature(r, number, index, at + n < signature->size, signature->data + at, n);
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

/* The file as it is, or another one that was given. */
static struct delta_basis basis_of(struct receiver *r, uint64_t number, size_t index)
{
        struct stat st;

        r->old = fd_close(r->old);
        if (r->has_nothing)
                return (struct delta_basis){ .old = -1, .partial = -1 };
        r->old = r->has_older ? dup(r->older) : open_source_file(r, number, index);
        MUST(r->old >= 0 && fstat(r->old, &st) == 0);
        return (struct delta_basis){ .old = r->old, .old_size = (uint64_t)st.st_size, .partial = -1 };
}

static void want_delta(struct receiver *r, uint64_t number, size_t index)
{
        _cleanup_(buf_deinit) struct buf signature = { .data = NULL };
        struct delta_sign_config config = { .new_size = r->directories[number].entries[index].size, .seed = SEED };
        struct delta_sign *sign;

        config.basis = basis_of(r, number, index);
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

/* It came out right as far as the delta knows; is it what is there? */
static void check_delta(struct receiver *r, uint64_t number, size_t index)
{
        _cleanup_(buf_deinit) struct buf want = { .data = NULL }, made = { .data = NULL };

        MUST(r->applied == DELTA_GOOD);
        load(r, number, index, &want);
        MUST(want.size == r->file.size && buf_reserve(&made, want.size) == 0);
        MUST(fd_pread_full(r->to, made.data, want.size, 0) == (ssize_t)want.size);
        MUST(memcmp(made.data, buf_text(&want), want.size) == 0);
}

static void begin_delta(struct receiver *r, uint64_t number, size_t index)
{
        struct delta_apply_config config = { .size = r->file.size, .seed = SEED };

        r->number = number;
        r->index = index;
        r->to = open(scratch_path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        MUST(r->to >= 0);
        config.to = r->to;
        config.basis = basis_of(r, number, index);
        r->applied = 0;
        MUST(delta_apply_new(&r->apply, &config) == 0);
}

static void end_delta(struct receiver *r)
{
        r->apply = delta_apply_free(r->apply);
        r->to = fd_close(r->to);
}

static void search(struct receiver *r)
{
        _cleanup_(buf_deinit) struct buf signature = { .data = NULL };
        const struct delta_basis basis = basis_of(r, r->number, r->index);
        const struct delta_range range = delta_apply_range(r->apply);
        struct delta_sign *sign;

        MUST(delta_sign_search_new(&sign, &basis, &range) == 0);
        read_signature(sign, &signature);
        send_signature(r, r->number, r->index, &signature);
        r->searches++;
}

static void apply(struct receiver *r, const char *data, size_t size)
{
        for (size_t at = 0, used; at < size && r->applied == 0; at += used) {
                r->applied = delta_apply_feed(r->apply, data + at, size - at, &used);
                if (r->applied != DELTA_SEARCH)
                        continue;
                search(r);
                r->applied = 0;
        }
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
        if (r->file_flags & MESSAGE_FILE_DELTA)
                begin_delta(r, number, index);
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

static void take_file_end(struct receiver *r, struct unpack *u)
{
        uint64_t number = unpack_varint(u, r->count - 1);
        size_t index = unpack_varint(u, r->directories[number].listed - 1);
        unsigned outcome = unpack_u8(u);

        MUST(outcome <= MESSAGE_LOST);
        r->outcomes[outcome]++;
        if (outcome == MESSAGE_WHOLE && r->apply)
                check_delta(r, number, index);
        end_delta(r);
        if (outcome == MESSAGE_CHANGED)
                return;
        r->outstanding--;
        r->files++;
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
        if (r->file_flags & MESSAGE_FILE_DELTA)
                apply(r, unpack_raw(u, size), size);
        else
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
        end_delta(r);
        fd_close(r->old);
}

static struct receiver *new_receiver(enum policy policy)
{
        struct receiver *r = calloc(1, sizeof(*r));

        MUST(r);
        r->to = r->old = -1;
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
