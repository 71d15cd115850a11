/*
 * A hostile sender, and a small tree that is made equal to what it tells. The input is what packets hold: messages,
 * each with its type, its size and its payload (docs/agent-protocol.md); the first byte chooses the circumstances.
 * Mutations go on messages, and put in such as make sense; sums of contents are set right where they are not meant to
 * be wrong, so that contents get through.
 *
 * Afterwards: nothing beside the tree has changed, nothing unfinished is left in it, no descriptor is left open, and a
 * dry run has changed nothing at all.
 */
#include "base/arena.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/report.h"
#include "base/temporary.h"
#include "transfer/exchange/channel.h"
#include "transfer/exchange/message.h"
#include "transfer/exchange/pack.h"
#include "transfer/exchange/receiver.h"
#include "transfer/exchange/sum.h"
#include "transfer/limits.h"
#include "transfer/links.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

enum circumstance {
        DRY_RUN = 1 << 0,
        HAS_REFERENCE = 1 << 1,
        HAS_SUSPECT = 1 << 2,
        IS_NEW = 1 << 3,
        IS_UNPRIVILEGED = 1 << 4,
        HAS_PARTIAL = 1 << 5,
        IS_AGAIN = 1 << 6,
        LISTS_CHANGES = 1 << 7,
};

enum { NUMBERS = 6, MESSAGES_MAX = 512, WRONG_SUM = 0xbd, FILE_MAX = 16 * 1024 * 1024 };

/* The same each time: what was recorded fits, and a run can be repeated. */
ssize_t getrandom(void *data, size_t size, unsigned flags)
{
        (void)flags;
        memset(data, 1, size);
        return (ssize_t)size;
}

/* ---- the sender ---- */

/* Sums of contents, as they come by. */
struct content {
        struct sum *sum;
        bool is_delta;
};

static void watch(struct content *c, const struct wire_message *m)
{
        struct unpack u = unpack_begin(m->data, m->size);

        if (m->type == MESSAGE_FILE) {
                (void)unpack_varint(&u, UINT64_MAX);
                (void)unpack_varint(&u, UINT64_MAX);
                c->is_delta = unpack_u8(&u) & MESSAGE_FILE_DELTA;
                sum_begin(c->sum);
        } else if (m->type == MESSAGE_DATA) {
                sum_data(c->sum, m->data, m->size);
        } else if (m->type == MESSAGE_HOLE) {
                sum_zeros(c->sum, unpack_varint(&u, 1 << 20));
        }
}

/* Put the message in, a sum at its end set right. */
static void put_message(struct wire *w, struct content *c, const struct wire_message *m, struct err *err)
{
        struct buf *b = wire_begin(w, m->type);
        uint8_t *sum;

        if (buf_append(b, m->data, m->size) < 0)
                abort();
        sum = m->size >= SUM_SIZE ? (uint8_t *)b->data + m->size - SUM_SIZE : NULL;
        if (m->type == MESSAGE_FILE_END && sum && !c->is_delta && sum[0] != WRONG_SUM)
                sum_end(c->sum, sum);
        if (wire_end(w, err) < 0)
                abort();
}

static bool next_message(struct unpack *u, struct wire_message *ret)
{
        ret->type = unpack_u8(u);
        ret->data = unpack_bytes(u, WIRE_MESSAGE_MAX, &ret->size);
        return !u->broken;
}

/* Return a file of what the sender says. */
static int make_stream(const uint8_t *data, size_t size)
{
        const struct wire_config config = { .program = "fuzz" };
        struct content c = { .sum = sum_new() };
        struct unpack u = unpack_begin(data, size);
        int fd = memfd_create("stream", MFD_CLOEXEC);
        struct wire_message m;
        const void *out;
        struct wire *w;
        ERR_LOCAL(err);

        if (!c.sum || fd < 0 || wire_new(&w, &config, &err) < 0)
                abort();
        while (next_message(&u, &m)) {
                watch(&c, &m);
                put_message(w, &c, &m, &err);
        }
        if (wire_flush(w, &err) < 0)
                abort();
        out = wire_output(w, &size);
        if (fd_write_full(fd, out, size) < 0 || lseek(fd, 0, SEEK_SET) < 0)
                abort();
        wire_free(w);
        sum_free(c.sum);
        return fd;
}

/* ---- the receiver ---- */

static int out_fd = -1;

static int on_other(void *context, const struct wire_message *m, struct err *err)
{
        (void)context;
        return m->type == MESSAGE_CANCEL ? 0 : err_runf(err, -EPROTO, "message %u", m->type);
}

static void ignore_log(void *context, enum log_level level, const char *text)
{
        (void)context;
        (void)level;
        if (strpbrk(text, "\n\033"))
                abort();
}

static void ignore_line(void *context, const struct report_line *line)
{
        (void)context;
        if (!line->name && !line->directory)
                abort();
}

static void receive(const struct tree *t, unsigned how, int in_fd, struct limits *limits)
{
        const struct channel_config channel = {
                .in_fd = in_fd,
                .out_fd = out_fd,
                .peer = "sender",
                .never_compress = true,
                .wire = { .program = "fuzz" },
        };
        struct receiver_config config = { .to_fd = t->to_fd,
                                          .to_is_new = how & IS_NEW,
                                          .partial_fd = how & HAS_PARTIAL && !(how & DRY_RUN) ? t->partial_fd : -1,
                                          .limits = limits,
                                          .dry_run = how & DRY_RUN,
                                          .has_reference = how & HAS_REFERENCE,
                                          .has_suspect = how & HAS_SUSPECT,
                                          .other = on_other };
        struct report_config report = { .list_changes = how & LISTS_CHANGES, .take_line = ignore_line };
        ERR_LOCAL(err);
        int r;

        limits->privileged = geteuid() == 0 && !(how & IS_UNPRIVILEGED);
        if (channel_new(&config.channel, &channel, &err) < 0 || report_new(&config.report, &report, &err) < 0 ||
            links_new(&config.links, &err) < 0)
                abort();
        r = receiver_run(&config, &err);
        if (r > 0 || (r < 0) != (err.kind != ERR_NONE) || (r < 0 && err.code != r))
                abort();
        err_clear(&err);
        channel_free(config.channel);
        report_free(config.report);
        links_free(config.links);
}

static int lowest_free_fd(void)
{
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        close(fd);
        return fd;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
        (void)argc;
        (void)argv;
        log_divert(ignore_log, NULL, LOG_LEVEL_DEBUG);
        out_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        /* Who announces 2^62 bytes, and sends zeros, is stopped here. */
        (void)signal(SIGXFSZ, SIG_IGN);
        (void)setrlimit(RLIMIT_FSIZE, &(struct rlimit){ FILE_MAX, FILE_MAX });
        umask(0);
        tree_init();
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct limits limits;
        static bool is_probed;
        unsigned how = size > 0 ? data[0] : 0;
        struct tree t;
        uint64_t before;
        int lowest, in_fd;
        ERR_LOCAL(err);

        if (size == 0)
                return -1;
        tree_make(&t);
        if (!is_probed && limits_probe(&limits, t.partial_fd, true, true, &err) < 0)
                abort();
        is_probed = true;
        in_fd = make_stream(data + 1, size - 1);
        before = tree_fingerprint(t.to_fd);
        lowest = lowest_free_fd();
        receive(&t, how, in_fd, &limits);
        if (how & DRY_RUN && tree_fingerprint(t.to_fd) != before)
                abort();
        if (lowest_free_fd() != lowest)
                abort();
        tree_check(&t);
        close(in_fd);
        tree_remove(&t);
        return 0;
}

/* ---- mutations ---- */

static uint32_t chance_state;

static unsigned chance(unsigned n)
{
        chance_state = chance_state * 1664525 + 1013904223;
        return (chance_state >> 8) % n;
}

/* Sorted. */
static const char *const names[] = { "a",     "b",    "big",   "dir", "fifo",    "file",     "hard1",
                                     "hard2", "next", "power", "sub", "symlink", "symlink2", "void" };

static void put(struct buf *b, uint64_t n)
{
        (void)pack_varint(b, n);
}

/* Messages are put into a buffer as they stand in the input. */
static struct buf message;

static void begin(void)
{
        buf_truncate(&message, 0);
}

static void end(struct buf *out, enum message_type type)
{
        (void)pack_u8(out, (uint8_t)type);
        (void)pack_bytes(out, buf_text(&message), message.size);
}

static void put_entry(const char *name, mode_t mode, uint64_t size)
{
        static const unsigned char value[20] = { 1, 0, 0, 2 };
        static struct xattr xattrs[] = { { .name = "security.capability", .value = value, .size = 20 },
                                         { .name = "user.x", .value = value, .size = 4 } };
        struct entry e = { .name = name, .mode = mode, .size = size, .target = "../outside/file" };
        struct message_place place = { .device = 1, .inode = chance(3), .flags = chance(4) ? 0 : MESSAGE_LINKED };

        if (chance(4) == 0)
                place.flags |= MESSAGE_COMPARE;
        if (chance(20) == 0)
                place.flags |= MESSAGE_UNREADABLE;
        e.uid = chance(8) ? geteuid() : 1;
        e.gid = getegid();
        e.mtime.tv_sec = chance(3) ? 1000 : 2000;
        if (chance(10) == 0) {
                unsigned first = chance(2);

                e.xattrs = (struct xattrs){ .items = xattrs + first, .count = 2 - first };
        }
        (void)message_put_entry(&message, &e, &place);
}

static mode_t some_mode(void)
{
        static const mode_t modes[] = { S_IFREG | 0644, S_IFREG | 04755, S_IFREG | 0600, S_IFDIR | 0755,
                                        S_IFLNK | 0777, S_IFIFO | 0644,  S_IFCHR | 0600, S_IFSOCK | 0600 };

        return modes[chance(2) ? 0 : chance(ARRAY_SIZE(modes))];
}

static uint64_t some_size(void)
{
        static const uint64_t sizes[] = { 0, 1, 3, 3, 4, 80 * 1024, 80 * 1024, 70000, INT64_MAX };

        return sizes[chance(ARRAY_SIZE(sizes))];
}

static void add_directory(struct buf *out, unsigned number)
{
        static const char digest[MESSAGE_DIGEST_SIZE];
        static const unsigned flags[] = { 0, 0, 0, MESSAGE_DIRECTORY_WHOLE, MESSAGE_DIRECTORY_MUST_LIST };

        begin();
        put(&message, number);
        put(&message, number > 0 ? chance(number) : 0);
        (void)pack_u8(&message, (uint8_t)(chance(6) ? flags[chance(ARRAY_SIZE(flags))] : chance(32)));
        put_entry(number > 0 ? names[chance(ARRAY_SIZE(names))] : MESSAGE_ROOT_NAME, S_IFDIR | 0755, 0);
        (void)buf_append(&message, digest, sizeof(digest));
        put(&message, chance(4));
        put(&message, 0);
        end(out, MESSAGE_DIRECTORY);
}

static void add_listing(struct buf *out, unsigned number)
{
        unsigned few = 1 + chance(6);

        begin();
        put(&message, number);
        (void)pack_u8(&message, chance(6) == 0);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (chance(few) == 0)
                        put_entry(names[i], some_mode(), some_size());
        }
        end(out, MESSAGE_LISTING);
}

static void add_data(struct buf *out, uint64_t size)
{
        begin();
        for (size_t left = size < 100000 ? (size_t)size : 10; left > 0; left--)
                (void)pack_u8(&message, (uint8_t)(left & 15));
        end(out, MESSAGE_DATA);
}

static void add_file_end(struct buf *out, unsigned number, unsigned index, unsigned outcome)
{
        static const char sum[SUM_SIZE];

        begin();
        put(&message, number);
        put(&message, index);
        (void)pack_u8(&message, (uint8_t)outcome);
        if (outcome == MESSAGE_WHOLE)
                (void)buf_append(&message, sum, sizeof(sum));
        end(out, MESSAGE_FILE_END);
}

static void add_file(struct buf *out, unsigned number)
{
        unsigned index = chance(6), flags = chance(8);
        uint64_t size = some_size();

        begin();
        put(&message, number);
        put(&message, index);
        (void)pack_u8(&message, (uint8_t)flags);
        put_entry(names[chance(ARRAY_SIZE(names))], S_IFREG | (chance(2) ? 0644 : 04755), size);
        end(out, MESSAGE_FILE);
        if (chance(8))
                add_data(out, size);
        if (chance(8))
                add_file_end(out, number, index, chance(4) ? MESSAGE_WHOLE : chance(4));
}

static void add_trees(struct buf *out, unsigned number)
{
        static const char digest[MESSAGE_DIGEST_SIZE];
        unsigned directories = 1 + chance(3);

        begin();
        put(&message, number);
        put(&message, chance(number + 1));
        put(&message, directories);
        put(&message, 1 + chance(directories));
        (void)pack_text(&message, names[chance(ARRAY_SIZE(names))]);
        (void)pack_text(&message, names[chance(ARRAY_SIZE(names))]);
        (void)buf_append(&message, digest, sizeof(digest));
        while (directories-- > 0)
                put(&message, 0);
        end(out, MESSAGE_TREES);
}

static void add_hash(struct buf *out, unsigned number)
{
        static const char sum[SUM_SIZE];

        begin();
        put(&message, number);
        put(&message, chance(6));
        (void)pack_u8(&message, (uint8_t)chance(4));
        (void)buf_append(&message, sum, sizeof(sum));
        end(out, MESSAGE_HASH);
}

static void add_something(struct buf *out)
{
        unsigned number = chance(NUMBERS);

        switch (chance(9)) {
        case 0:
                add_directory(out, 0);
                add_listing(out, 0);
                break;
        case 1:
        case 2:
                add_directory(out, number);
                break;
        case 3:
                add_listing(out, number);
                break;
        case 4:
                add_file(out, number);
                break;
        case 5:
                add_file_end(out, number, chance(8), chance(4));
                break;
        case 6:
                add_trees(out, number);
                break;
        case 7:
                add_hash(out, number);
                break;
        default:
                begin();
                (void)pack_u8(&message, 0);
                end(out, MESSAGE_END);
        }
}

static void copy_message(struct buf *out, const struct wire_message *m)
{
        (void)pack_u8(out, m->type);
        (void)pack_bytes(out, m->data, m->size);
}

/* One whose payload is another one. */
static void add_mutated(struct buf *out, const struct wire_message *m)
{
        size_t room = m->size + 64;
        uint8_t *copy = malloc(room);

        memcpy(copy, m->data, m->size);
        (void)pack_u8(out, m->type);
        (void)pack_bytes(out, copy, LLVMFuzzerMutate(copy, m->size, room));
        free(copy);
}

static void mutate_at(struct buf *out, const struct wire_message *m, const struct wire_message *other)
{
        switch (chance(8)) {
        case 0: /* without it */
                return;
        case 1:
                copy_message(out, m);
                copy_message(out, m);
                return;
        case 2:
                copy_message(out, other);
                copy_message(out, m);
                return;
        case 3:
        case 4:
                add_something(out);
                copy_message(out, m);
                return;
        default:
                add_mutated(out, m);
        }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
        static struct wire_message messages[MESSAGES_MAX];
        struct unpack u = unpack_begin(data + 1, size > 0 ? size - 1 : 0);
        struct buf out = { .data = NULL };
        size_t count = 0, at;

        chance_state = seed;
        if (size == 0 || max < 2)
                return LLVMFuzzerMutate(data, size, max);
        while (count < MESSAGES_MAX && u.data < u.end && next_message(&u, &messages[count]))
                count++;
        at = chance((unsigned)count + 1);
        (void)pack_u8(&out, chance(16) ? data[0] : (uint8_t)chance(256));
        for (size_t i = 0; i < count; i++) {
                if (i == at)
                        mutate_at(&out, &messages[i], &messages[chance((unsigned)count)]);
                else
                        copy_message(&out, &messages[i]);
        }
        if (at == count)
                add_something(&out);
        size = out.size < max ? out.size : max;
        memcpy(data, out.data, size);
        buf_deinit(&out);
        return size;
}
