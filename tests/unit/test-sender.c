/*
 * What a sender tells of a source, and sends of it; what vanishes, changes or cannot be read meanwhile; and who asks
 * for what there is not.
 */
#include "sender-peer.h"

#include "transfer/exchange/sender_parts.h"

#include <signal.h>

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
        ck_assert_uint_eq(r->file_flags, 0);
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

/* What is in it moved, so that it must be searched for. */
START_TEST(a_delta_finds_what_moved)
{
        struct receiver *r = new_receiver(POLICY_DELTA);
        int root = scratch_directory(), elsewhere = scratch_directory();
        _cleanup_(freep) char *data = malloc(CHANGING);
        uint64_t before;

        ck_assert_ptr_nonnull(data);
        fill(data, CHANGING, 1);
        scratch_file(elsewhere, "file", data, CHANGING);
        scratch_file(root, "file", data + 100, CHANGING - 100);
        make_file(root, "other", 1000);
        r->older = openat(elsewhere, "file", O_RDONLY | O_CLOEXEC);
        r->has_older = true;
        start(r, root);
        receive_all(r);
        before = channel_received_bytes(r->channel);
        ck_assert_uint_eq(r->outcomes[MESSAGE_WHOLE], 2);
        ck_assert_uint_eq(r->searches, 1);
        ck_assert_uint_lt(before, CHANGING / 10);
        close(r->older);
        close(elsewhere);
        close(root);
        free_receiver(r);
}
END_TEST

/* The delta is given up while its signature is still under way, and what comes of that later is nothing new. */
START_TEST(a_signature_that_is_of_no_use_any_more_is_passed_over)
{
        static const char head[] = "dsg1";
        struct receiver *r = new_receiver(POLICY_LISTING);
        int root = scratch_directory();

        r->keeps = true;
        make_file(root, "a", 100);
        make_file(root, "b", 100);
        listed_before(r, root);
        make_file(root, "a", 200);
        put_signature(r, 0, 0, true, head, 4);
        r->outstanding++;
        while (r->files == 0)
                ck_assert(take_next(r));
        ck_assert_uint_eq(r->file_flags, 0);
        ck_assert_uint_eq(r->file.size, 200);
        put_signature(r, 0, 0, true, "more", 4);
        put_signature(r, 0, 0, false, "rest", 4);
        ask_files(r, MESSAGE_WANT_FILES, 0, 0, 2);
        ask(r, MESSAGE_DONE, 0);
        receive_all(r);
        ck_assert_uint_eq(r->files, 3);
        close(root);
        free_receiver(r);
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
        { MESSAGE_WANT_DELTA, { 0, 1, 1 }, 3, "no file" },
        { MESSAGE_WANT_DELTA, { 0, 5, 1 }, 3, "does not exist" },
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

static void expect_refusal(struct receiver *r, const char *told)
{
        r->outstanding = 1000;
        while (take_next(r))
                continue;
        ck_assert_int_eq(finish(r), -EPROTO);
        ck_assert_msg(strstr(r->side.err.text, told), "%s", r->side.err.text);
}

START_TEST(signatures_have_bounds)
{
        static const char piece[MESSAGE_DATA_MAX];
        char name[8];

        for (int i = 0; i < 3; i++) {
                struct receiver *r = new_receiver(POLICY_LISTING);
                int root = scratch_directory();

                r->keeps = true;
                for (int k = 0; k < 100; k++) {
                        snprintf(name, sizeof(name), "%02d", k);
                        make_file(root, name, 100);
                }
                listed_before(r, root);
                for (unsigned k = 0; i == 0 && k < 100; k++)
                        put_signature(r, 0, k, true, "", 0);
                for (unsigned k = 0; i == 1 && k < 100; k++)
                        put_signature(r, 0, k < 1 ? 0 : k < 50 ? 1 : 2, true, piece, k < 1 ? 0 : sizeof(piece));
                if (i == 2)
                        put_signature(r, 0, 0, false, piece, sizeof(piece));
                expect_refusal(r, i == 0 ? "without saying by what" : i == 1 ? "without end" : "no signature");
                close(root);
                free_receiver(r);
        }
}
END_TEST

START_TEST(not_more_is_asked_for_than_there_is)
{
        struct receiver *r = new_receiver(POLICY_LISTING);
        int root = scratch_directory();

        r->keeps = true;
        make_file(root, "a", CHANGING);
        listed_before(r, root);
        for (int k = 0; k < 20000; k++)
                ask_files(r, MESSAGE_WANT_FILES, 0, 0, 1);
        expect_refusal(r, "too much at once");
        close(root);
        free_receiver(r);
}
END_TEST

/* The number of an inode that went away may be given to another file while a backup runs. */
START_TEST(a_group_of_links_is_of_one_file)
{
        const struct sender_config config = { .has_reference = false };
        struct sender s = { .config = &config };
        struct entry e = { .mode = S_IFREG, .nlink = 2, .dev = 1, .ino = 9, .born = 2 };
        struct message_place first, again, other;

        ck_assert_int_eq(sender_read_place(&s, &e, &first), 0);
        /* Its filesystem does not always tell when it was made. */
        e.born = 0;
        ck_assert_int_eq(sender_read_place(&s, &e, &again), 0);
        e.born = 1;
        ck_assert_int_eq(sender_read_place(&s, &e, &other), 0);
        ck_assert_uint_eq(first.inode, again.inode);
        ck_assert_uint_ne(first.inode, other.inode);
        chains_deinit(&s.read.groups);
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
                a_delta_finds_what_moved,
                a_signature_that_is_of_no_use_any_more_is_passed_over,
                who_breaks_the_protocol_is_refused,
                signatures_have_bounds,
                not_more_is_asked_for_than_there_is,
                a_group_of_links_is_of_one_file,
        };

        signal(SIGPIPE, SIG_IGN);
        return scratch_run("sender", tests, ARRAY_SIZE(tests));
}
