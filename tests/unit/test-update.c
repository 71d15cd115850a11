/* One tree made equal to another, again and again, by several threads; and what must not happen when things fail. */
#include "base/arena.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/listing.h"
#include "base/report.h"
#include "scratch.h"
#include "transfer/filter/filter.h"
#include "transfer/limits.h"
#include "transfer/source.h"
#include "transfer/update.h"

#include <errno.h>
#include <grp.h>
#include <sys/wait.h>
#include <sys/xattr.h>

enum { SOMEBODY = 65534, DIRECTORIES = 40, FILES = 12, ROUNDS = 6 };

struct result {
        uint64_t counts[REPORT_COUNTS];
        uint64_t items;
        bool partial;
};

static struct result update_with(int from, int to, const struct limits *limits)
{
        struct err err = { .kind = ERR_NONE };
        struct result result = { .items = 0 };
        struct report *report;
        struct source *source;
        struct filter *filter;
        char path[400];
        int r;

        scratch_path_of(from, path, sizeof(path));
        ck_assert_int_eq(report_new(&report, &(struct report_config){ .list_changes = false }, &err), 0);
        ck_assert_int_eq(filter_new(&filter, path, &err), 0);
        ck_assert_int_eq(
                source_new(&source, &(struct source_config){ .path = path, .filter = filter, .report = report }, &err),
                0);
        r = update_run(&(struct update_config){ .source = source, .to_fd = to, .limits = limits, .report = report },
                       &err);
        ck_assert_msg(r == 0, "%s", err.text);
        for (int i = 0; i < REPORT_COUNTS; i++)
                result.counts[i] = report_get(report, (enum report_count)i);
        result.items = report_items(report);
        result.partial = report_is_partial(report);
        source_free(source);
        filter_free(filter);
        report_free(report);
        return result;
}

static struct limits probe(int to)
{
        struct err err = { .kind = ERR_NONE };
        struct limits l;
        int r = limits_probe(&l, to, true, true, &err);

        ck_assert_msg(r == 0, "%s", err.text);
        return l;
}

static struct result update(int from, int to)
{
        struct limits l = probe(to);

        return update_with(from, to, &l);
}

/* ---- are two trees equal? ---- */

static void check_content(int a, int b, const char *name, size_t size)
{
        _cleanup_(fd_closep) int x = fd_open_at(a, name, 0), y = fd_open_at(b, name, 0);
        _cleanup_(freep) char *left = malloc(size + 1), *right = malloc(size + 1);

        ck_assert_int_eq(fd_read_full(x, left, size + 1), (ssize_t)size);
        ck_assert_int_eq(fd_read_full(y, right, size + 1), (ssize_t)size);
        ck_assert_int_eq(memcmp(left, right, size), 0);
}

/* The inode of @to that stands for each of @from, for files with several names. */
struct pairs {
        ino_t from[DIRECTORIES * FILES], to[DIRECTORIES * FILES];
        size_t count;
};

static void check_links(struct pairs *pairs, const struct entry *a, const struct entry *b)
{
        ck_assert_uint_eq(a->nlink, b->nlink);
        for (size_t i = 0; i < pairs->count; i++)
                ck_assert_int_eq(pairs->from[i] == a->ino, pairs->to[i] == b->ino);
        if (pairs->count < ARRAY_SIZE(pairs->from)) {
                pairs->from[pairs->count] = a->ino;
                pairs->to[pairs->count++] = b->ino;
        }
}

static void check_equal(int a, int b, struct pairs *pairs)
{
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        _cleanup_(listing_deinit) struct listing left, right;

        ck_assert_int_eq(listing_read(&left, a, &arena), 0);
        ck_assert_int_eq(listing_read(&right, b, &arena), 0);
        ck_assert_uint_eq(left.count, right.count);
        for (size_t i = 0; i < left.count; i++) {
                const char *name = left.names[i]->name, *failed;
                struct entry x, y;

                ck_assert_str_eq(name, right.names[i]->name);
                ck_assert_int_eq(entry_load(&x, a, name, &arena, &failed), 0);
                ck_assert_int_eq(entry_load(&y, b, name, &arena, &failed), 0);
                ck_assert_uint_eq(x.mode, y.mode);
                ck_assert(x.uid == y.uid && x.gid == y.gid && x.xattrs.count == y.xattrs.count);
                ck_assert_int_eq(timespec_compare(x.mtime, y.mtime), 0);
                if (entry_is_dir(&x)) {
                        _cleanup_(fd_closep) int sub_a = fd_open_at(a, name, O_DIRECTORY);
                        _cleanup_(fd_closep) int sub_b = fd_open_at(b, name, O_DIRECTORY);

                        check_equal(sub_a, sub_b, pairs);
                        continue;
                }
                if (x.nlink > 1 || y.nlink > 1)
                        check_links(pairs, &x, &y);
                if (S_ISLNK(x.mode))
                        ck_assert_str_eq(x.target, y.target);
                else if (entry_is_file(&x))
                        check_content(a, b, name, x.size);
        }
}

/* ---- a tree that changes ---- */

static unsigned draw(unsigned *seed, unsigned below)
{
        *seed = *seed * 1103515245U + 12345;
        return *seed / 65536 % below;
}

static int open_drawn(int root, unsigned *seed)
{
        char name[16];

        snprintf(name, sizeof(name), "d%u", draw(seed, DIRECTORIES));
        (void)mkdirat(root, name, 0755);
        return fd_open_at(root, name, O_DIRECTORY);
}

static void remove_name(int dir, const char *name)
{
        if (unlinkat(dir, name, 0) < 0)
                (void)unlinkat(dir, name, AT_REMOVEDIR);
}

/* Make, change, link, retype or remove one name. */
static void mutate(int root, unsigned *seed)
{
        _cleanup_(fd_closep) int dir = open_drawn(root, seed), other = open_drawn(root, seed);
        char name[16], target[16], data[5000];

        snprintf(name, sizeof(name), "f%u", draw(seed, FILES));
        snprintf(target, sizeof(target), "f%u", draw(seed, FILES));
        memset(data, (int)draw(seed, 256), sizeof(data));
        switch (draw(seed, 8)) {
        case 0:
        case 1:
        case 2:
                if (faccessat(dir, name, F_OK, 0) < 0)
                        remove_name(dir, name);
                remove_name(dir, name);
                scratch_file(dir, name, data, draw(seed, sizeof(data)));
                break;
        case 3:
        case 4:
                remove_name(dir, name);
                (void)linkat(other, target, dir, name, 0);
                break;
        case 5:
                remove_name(dir, name);
                (void)symlinkat(target, dir, name);
                break;
        case 6:
                remove_name(dir, name);
                (void)mkdirat(dir, name, 0700);
                break;
        default:
                (void)fchmodat(dir, name, draw(seed, 2) ? 0600 : 0640, 0);
        }
}

START_TEST(a_tree_that_changes_is_followed_by_its_copy)
{
        int from = scratch_directory(), to = scratch_directory();
        unsigned seed = 1;

        for (int round = 0; round < ROUNDS; round++) {
                static struct pairs pairs;
                struct result r;

                for (unsigned i = 0; i < (round ? 60 : DIRECTORIES * FILES * 2); i++)
                        mutate(from, &seed);
                r = update(from, to);
                ck_assert(r.items == 0 && !r.partial);
                pairs.count = 0;
                check_equal(from, to, &pairs);
                /* And then there is nothing left to do. */
                r = update(from, to);
                ck_assert_uint_eq(r.counts[REPORT_NEW] + r.counts[REPORT_CHANGED] + r.counts[REPORT_METADATA] +
                                          r.counts[REPORT_LINKED] + r.counts[REPORT_DELETED],
                                  0);
        }
}
END_TEST

/* ---- as an ordinary user, in a process of its own ---- */

static void become_somebody(void)
{
        ck_assert_int_eq(setgroups(0, NULL), 0);
        ck_assert_int_eq(setresgid(SOMEBODY, SOMEBODY, SOMEBODY), 0);
        ck_assert_int_eq(setresuid(SOMEBODY, SOMEBODY, SOMEBODY), 0);
}

static int directory_of_somebody(void)
{
        int fd = scratch_directory();

        ck_assert_int_eq(fchown(fd, SOMEBODY, SOMEBODY), 0);
        ck_assert_int_eq(fchmod(fd, 0755), 0);
        return fd;
}

START_TEST(a_directory_that_cannot_be_read_deletes_nothing)
{
        int from, to, sub;
        struct result r;

        if (geteuid() != 0)
                return;
        from = directory_of_somebody();
        to = directory_of_somebody();
        become_somebody();
        sub = scratch_subdirectory(from, "closed");
        scratch_file(sub, "precious", "x", 1);
        close(scratch_subdirectory(sub, "sub"));
        r = update(from, to);
        ck_assert(r.items == 0 && faccessat(to, "closed/precious", F_OK, 0) == 0);
        ck_assert_int_eq(fchmod(sub, 0), 0);
        r = update(from, to);
        ck_assert_uint_eq(r.items, 1);
        ck_assert(r.partial);
        /* The copy has the mode of the source, and its content still. */
        ck_assert_int_eq(faccessat(to, "closed/precious", F_OK, 0), -1);
        ck_assert_int_eq(fchmodat(to, "closed", 0700, 0), 0);
        ck_assert_int_eq(faccessat(to, "closed/precious", F_OK, 0), 0);
        ck_assert_int_eq(faccessat(to, "closed/sub", F_OK, 0), 0);
}
END_TEST

START_TEST(no_set_id_bit_is_left_to_an_owner_it_was_not_given_for)
{
        struct limits l;
        struct entry e;
        struct result r;
        int from, to;

        if (geteuid() != 0)
                return;
        from = directory_of_somebody();
        to = directory_of_somebody();
        scratch_file(from, "tool", "#!", 2);
        ck_assert_int_eq(fchmodat(from, "tool", 06755, 0), 0);
        become_somebody();
        l = probe(to);
        /* As where chown(2) works for the probe and fails for this file. */
        l.owner = true;
        r = update_with(from, to, &l);
        ck_assert_uint_eq(r.items, 1);
        ck_assert_int_eq(entry_stat(&e, to, "tool"), 0);
        ck_assert_uint_eq(e.uid, SOMEBODY);
        ck_assert_uint_eq(e.mode & 07777, 0755);
}
END_TEST

START_TEST(labels_that_an_ordinary_user_cannot_change_are_left_alone)
{
        int from, to, fd;
        struct result r;

        if (geteuid() != 0)
                return;
        from = directory_of_somebody();
        to = directory_of_somebody();
        scratch_file(from, "file", "x", 1);
        ck_assert_int_eq(fchownat(from, "file", SOMEBODY, SOMEBODY, 0), 0);
        close(scratch_subdirectory(from, "sub"));
        ck_assert_int_eq(fchownat(from, "sub", SOMEBODY, SOMEBODY, 0), 0);
        ck_assert_uint_eq(update(from, to).items, 0);
        /* As SELinux and Smack give one to everything. */
        fd = openat(to, "file", O_RDONLY);
        ck_assert_int_eq(fsetxattr(fd, "security.label", "x", 1, 0), 0);
        close(fd);
        fd = openat(to, "sub", O_RDONLY);
        ck_assert_int_eq(fsetxattr(fd, "security.label", "x", 1, 0), 0);
        ck_assert_int_eq(fsetxattr(to, "security.label", "x", 1, 0), 0);
        become_somebody();
        r = update(from, to);
        ck_assert(r.items == 0 && !r.partial);
        ck_assert_uint_eq(r.counts[REPORT_METADATA] + r.counts[REPORT_CHANGED], 0);
        /* Also when something else of it changes. */
        ck_assert_int_eq(fchmodat(from, "sub", 0711, 0), 0);
        ck_assert_int_eq(fchmodat(from, "file", 0600, 0), 0);
        r = update(from, to);
        ck_assert(r.items == 0 && !r.partial);
        ck_assert_uint_eq(r.counts[REPORT_METADATA], 2);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                a_tree_that_changes_is_followed_by_its_copy,
                a_directory_that_cannot_be_read_deletes_nothing,
                no_set_id_bit_is_left_to_an_owner_it_was_not_given_for,
                labels_that_an_ordinary_user_cannot_change_are_left_alone,
        };

        return scratch_run("update", tests, ARRAY_SIZE(tests));
}
