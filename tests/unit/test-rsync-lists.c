/* What numbers lead to, in one list and in many. */
#include "base/buf.h"
#include "scratch.h"
#include "transfer/rsync/rsync_entry.h"
#include "transfer/rsync/rsync_lists.h"

enum { FILE_MODE = S_IFREG | 0644, DIRECTORY_MODE = S_IFDIR | 0755 };

static int32_t begin(struct rsync_lists *l)
{
        int32_t start;

        ck_assert_int_eq(rsync_lists_begin(l, &start), 0);
        return start;
}

static int32_t add(struct rsync_lists *l, int32_t parent, const char *name, mode_t mode)
{
        int32_t number;

        ck_assert_int_eq(rsync_lists_add(l, parent, name, mode, 0, &number), 0);
        return number;
}

static void cannot_add(struct rsync_lists *l, int32_t parent, const char *name, mode_t mode)
{
        int32_t number;

        ck_assert_int_eq(rsync_lists_add(l, parent, name, mode, 0, &number), -EINVAL);
}

static void leads_to(const struct rsync_lists *l, int32_t number, const char *path, mode_t mode, int32_t start)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        struct rsync_item item;

        ck_assert_int_eq(rsync_lists_find(l, number, &item, &b), 0);
        ck_assert_str_eq(b.data, path);
        ck_assert_uint_eq(b.size, strlen(path));
        ck_assert_uint_eq(item.mode, mode);
        ck_assert_int_eq(item.start, start);
}

static void leads_nowhere(const struct rsync_lists *l, int32_t number)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        struct rsync_item item;

        ck_assert_int_eq(rsync_lists_find(l, number, &item, &b), -ENOENT);
}

static void next_is(struct rsync_lists *l, int32_t directory, const char *path, unsigned flags)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        unsigned found_flags;
        int32_t found;

        ck_assert_int_eq(rsync_lists_next(l, &found, &found_flags, &b), 0);
        ck_assert_int_eq(found, directory);
        ck_assert_str_eq(b.data, path);
        ck_assert_uint_eq(found_flags, flags);
}

static void nothing_is_next(struct rsync_lists *l)
{
        ck_assert_int_eq(rsync_lists_next(l, &(int32_t){ 0 }, &(unsigned){ 0 }, &(struct buf){ .data = NULL }),
                         RSYNC_LISTS_END);
}

START_TEST(one_list_is_of_the_whole_tree)
{
        _cleanup_(rsync_lists_freep) struct rsync_lists *l = rsync_lists_new(false);
        int32_t root, d, e;

        ck_assert_int_eq(begin(l), 0);
        root = add(l, -1, ".", DIRECTORY_MODE);
        ck_assert_int_eq(add(l, root, "z", FILE_MODE), 1);
        d = add(l, root, "d-", DIRECTORY_MODE);
        e = add(l, d, "e", DIRECTORY_MODE);
        ck_assert_int_eq(add(l, e, "deep", FILE_MODE), 4);
        ck_assert_int_eq(add(l, root, "d", DIRECTORY_MODE), 5);
        leads_nowhere(l, 0);
        ck_assert_int_eq(rsync_lists_end(l), 0);
        leads_to(l, 0, ".", DIRECTORY_MODE, 0);
        leads_to(l, 1, "z", FILE_MODE, 0);
        leads_to(l, 2, "d-", DIRECTORY_MODE, 0);
        leads_to(l, 4, "d-/e/deep", FILE_MODE, 0);
        leads_to(l, 5, "d", DIRECTORY_MODE, 0);
        leads_nowhere(l, -1);
        leads_nowhere(l, 6);
        leads_nowhere(l, INT32_MAX);
        leads_nowhere(l, INT32_MIN);
        nothing_is_next(l);
        ck_assert_uint_eq(rsync_lists_count(l), 6);
}
END_TEST

START_TEST(another_order_is_refused)
{
        _cleanup_(rsync_lists_freep) struct rsync_lists *l = rsync_lists_new(false);
        int32_t root, b;

        begin(l);
        cannot_add(l, 0, ".", DIRECTORY_MODE);
        root = add(l, -1, ".", DIRECTORY_MODE);
        add(l, root, "m", FILE_MODE);
        cannot_add(l, root, "m", FILE_MODE);
        cannot_add(l, root, "a", FILE_MODE);
        cannot_add(l, 1, "below-a-file", FILE_MODE);
        b = add(l, root, "a", DIRECTORY_MODE);
        cannot_add(l, root, "z", FILE_MODE);
        cannot_add(l, root, "a-", DIRECTORY_MODE);
        add(l, b, "x", FILE_MODE);
        cannot_add(l, b, "w", FILE_MODE);
        add(l, root, "b", DIRECTORY_MODE);
        /* Once it was left there is no way back. */
        cannot_add(l, b, "y", FILE_MODE);
        ck_assert_uint_eq(rsync_lists_count(l), 5);
}
END_TEST

/* The drawing in rsync_lists.h. */
static struct rsync_lists *three_lists(void)
{
        struct rsync_lists *l = rsync_lists_new(true);
        int32_t root, number;

        ck_assert_ptr_nonnull(l);
        ck_assert_int_eq(begin(l), 1);
        root = add(l, 0, ".", DIRECTORY_MODE);
        add(l, root, "a", FILE_MODE);
        add(l, root, "d", DIRECTORY_MODE);
        ck_assert_int_eq(rsync_lists_add(l, root, "e", DIRECTORY_MODE, RSYNC_ENTRY_CONTENT_OMITTED, &number), 0);
        ck_assert_int_eq(number, 4);
        ck_assert_int_eq(rsync_lists_end(l), 0);
        next_is(l, 1, "d", 0);
        ck_assert_int_eq(begin(l), 6);
        add(l, 5, "f", FILE_MODE);
        add(l, 5, "g", DIRECTORY_MODE);
        ck_assert_int_eq(rsync_lists_end(l), 0);
        next_is(l, 3, "d/g", 0);
        ck_assert_int_eq(begin(l), 9);
        add(l, 8, "h", FILE_MODE);
        return l;
}

START_TEST(each_directory_has_a_list)
{
        _cleanup_(rsync_lists_freep) struct rsync_lists *l = three_lists();

        leads_nowhere(l, 9);
        ck_assert_int_eq(rsync_lists_end(l), 0);
        leads_to(l, 0, ".", S_IFDIR, 1);
        leads_to(l, 1, ".", DIRECTORY_MODE, 1);
        leads_to(l, 2, "a", FILE_MODE, 1);
        leads_to(l, 4, "e", DIRECTORY_MODE, 1);
        leads_to(l, 5, "d", S_IFDIR, 6);
        leads_to(l, 6, "d/f", FILE_MODE, 6);
        leads_to(l, 7, "d/g", DIRECTORY_MODE, 6);
        leads_to(l, 8, "d/g", S_IFDIR, 9);
        leads_to(l, 9, "d/g/h", FILE_MODE, 9);
        leads_nowhere(l, 10);
        next_is(l, 2, "e", RSYNC_ENTRY_CONTENT_OMITTED);
        ck_assert_int_eq(begin(l), 11);
        ck_assert_int_eq(rsync_lists_end(l), 0);
        leads_to(l, 10, "e", S_IFDIR, 11);
        leads_nowhere(l, 11);
        nothing_is_next(l);
}
END_TEST

START_TEST(lists_go_when_the_peer_is_done)
{
        _cleanup_(rsync_lists_freep) struct rsync_lists *l = three_lists();

        ck_assert_int_eq(rsync_lists_done(l), 0);
        leads_nowhere(l, 4);
        leads_to(l, 5, "d", S_IFDIR, 6);
        ck_assert_int_eq(rsync_lists_done(l), 0);
        leads_nowhere(l, 7);
        /* The one under way cannot be done with. */
        ck_assert_int_eq(rsync_lists_done(l), -EPROTO);
        ck_assert_int_eq(rsync_lists_end(l), 0);
        leads_to(l, 9, "d/g/h", FILE_MODE, 9);
        ck_assert_uint_eq(rsync_lists_count(l), 1);
        ck_assert_int_eq(rsync_lists_done(l), 0);
        leads_nowhere(l, 9);
        ck_assert_int_eq(rsync_lists_done(l), -EPROTO);
        next_is(l, 2, "e", RSYNC_ENTRY_CONTENT_OMITTED);
        ck_assert_int_eq(begin(l), 11);
        ck_assert_int_eq(rsync_lists_end(l), 0);
        /* The last one stays. */
        ck_assert_int_eq(rsync_lists_done(l), RSYNC_LISTS_END);
        ck_assert_int_eq(rsync_lists_done(l), RSYNC_LISTS_END);
        leads_to(l, 10, "e", S_IFDIR, 11);
}
END_TEST

START_TEST(what_was_told_stays_so)
{
        _cleanup_(rsync_lists_freep) struct rsync_lists *l = three_lists();
        _cleanup_(rsync_lists_freep) struct rsync_lists *one = rsync_lists_new(false);

        ck_assert(!rsync_lists_has_told(l, -1));
        ck_assert(rsync_lists_has_told(l, 0));
        ck_assert(rsync_lists_has_told(l, 7));
        /* Neither a list that is under way nor what stands for its directory. */
        ck_assert(!rsync_lists_has_told(l, 8));
        ck_assert(!rsync_lists_has_told(l, 9));
        ck_assert_int_eq(rsync_lists_end(l), 0);
        ck_assert(rsync_lists_has_told(l, 9));
        ck_assert(!rsync_lists_has_told(l, 10));
        ck_assert_int_eq(rsync_lists_done(l), 0);
        ck_assert(rsync_lists_has_told(l, 1));

        begin(one);
        add(one, -1, ".", DIRECTORY_MODE);
        ck_assert(!rsync_lists_has_told(one, 0));
        ck_assert_int_eq(rsync_lists_end(one), 0);
        ck_assert(rsync_lists_has_told(one, 0));
        ck_assert(!rsync_lists_has_told(one, 1));
}
END_TEST

START_TEST(what_was_taken_back_has_no_number)
{
        _cleanup_(rsync_lists_freep) struct rsync_lists *l = rsync_lists_new(true);
        int32_t root;

        begin(l);
        root = add(l, 0, ".", DIRECTORY_MODE);
        add(l, root, "a", DIRECTORY_MODE);
        ck_assert_int_eq(add(l, root, "b", DIRECTORY_MODE), 3);
        rsync_lists_take_back(l);
        ck_assert_int_eq(add(l, root, "c", DIRECTORY_MODE), 3);
        ck_assert_int_eq(rsync_lists_end(l), 0);
        leads_to(l, 3, "c", DIRECTORY_MODE, 1);
        next_is(l, 1, "a", 0);
        begin(l);
        ck_assert_int_eq(rsync_lists_end(l), 0);
        next_is(l, 2, "c", 0);
}
END_TEST

/* A chain of directories, each with its list, while the peer is done with all but the last few. */
START_TEST(many_lists_take_turns)
{
        _cleanup_(rsync_lists_freep) struct rsync_lists *l = rsync_lists_new(true);
        _cleanup_(buf_deinit) struct buf path = { .data = NULL };
        struct rsync_item item;
        int32_t start = begin(l), parent = add(l, 0, ".", DIRECTORY_MODE), directory;
        unsigned flags;
        char name[16];

        for (int i = 0; i < 5000; i++) {
                snprintf(name, sizeof(name), "%05d", i);
                add(l, parent, name, DIRECTORY_MODE);
        }
        ck_assert_int_eq(rsync_lists_end(l), 0);
        for (int i = 0; i < 5000; i++) {
                ck_assert_int_eq(rsync_lists_next(l, &directory, &flags, &path), 0);
                ck_assert_int_eq(directory, i + 1);
                start = begin(l);
                add(l, start - 1, "file", FILE_MODE);
                ck_assert_int_eq(rsync_lists_end(l), 0);
                if (i >= 10)
                        ck_assert_int_eq(rsync_lists_done(l), 0);
                ck_assert_int_eq(rsync_lists_find(l, start - 2 * (i > 5), &item, &path), 0);
                snprintf(name, sizeof(name), "%05d/file", i - (i > 5));
                ck_assert_str_eq(path.data, name);
        }
        nothing_is_next(l);
        ck_assert_int_eq(start, 5003 + 2 * 4999);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                one_list_is_of_the_whole_tree,  another_order_is_refused, each_directory_has_a_list,
                lists_go_when_the_peer_is_done, what_was_told_stays_so,   what_was_taken_back_has_no_number,
                many_lists_take_turns,
        };

        return scratch_run("rsync-lists", tests, ARRAY_SIZE(tests));
}
