/* What a source tells of a name that something else takes between two looks at it. */
#include "transfer/source.h"

#include "base/arena.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/report.h"
#include "scratch.h"
#include "transfer/filter/filter.h"

#include <sys/sysmacros.h>

/* A directory that is being read. */
struct reading {
        struct arena arena;
        struct source *source;
        struct filter *filter;
        struct report *report;
        struct source_dir dir;
};

/* Of @dirfd, with all that is in it now; @pattern is left out. */
static void read_begin(struct reading *r, int dirfd, const char *pattern)
{
        struct source_config config;
        struct err err = { .kind = ERR_NONE };
        char path[400];

        *r = (struct reading){ .dir = { .fd = dirfd, .path = "" } };
        scratch_path_of(dirfd, path, sizeof(path));
        ck_assert_int_eq(report_new(&r->report, &(struct report_config){ .list_changes = false }, &err), 0);
        ck_assert_int_eq(filter_new(&r->filter, path, &err), 0);
        ck_assert_int_eq(filter_exclude(r->filter, pattern, &err), 0);
        config = (struct source_config){ .path = path, .filter = r->filter, .report = r->report };
        ck_assert_int_eq(source_new(&r->source, &config, &err), 0);
        r->dir.source = r->source;
        r->dir.arena = &r->arena;
        ck_assert_int_eq(source_list(&r->dir, &err), 0);
}

static void read_end(struct reading *r)
{
        source_close(&r->dir);
        source_free(r->source);
        filter_free(r->filter);
        report_free(r->report);
        arena_deinit(&r->arena);
}

static void make_file(int dirfd)
{
        scratch_file(dirfd, "name", "12345", 5);
}

static void make_symlink(int dirfd)
{
        ck_assert_int_eq(symlinkat("target", dirfd, "name"), 0);
}

static void make_directory(int dirfd)
{
        ck_assert_int_eq(mkdirat(dirfd, "name", 0755), 0);
}

static void make_nothing(int dirfd)
{
        (void)dirfd;
}

/* What cannot be opened in another way than a FIFO or a socket, where such a thing can be made. */
static void make_device(int dirfd)
{
        if (mknodat(dirfd, "name", S_IFCHR | 0644, makedev(10, 250)) < 0)
                ck_assert_int_eq(mknodat(dirfd, "name", S_IFIFO, 0), 0);
}

/* Whatever has the name is renamed, so that the number of its inode is not free, and @make makes what has it then. */
static void exchange(int dirfd, void make(int dirfd))
{
        ck_assert_int_eq(renameat(dirfd, "name", dirfd, "former"), 0);
        make(dirfd);
}

enum { LOAD = 1, OPEN };

/*
 * What @before made has the name while it is listed, what @after makes when it is loaded, and opened if @how is OPEN.
 * Return what came of the last step; @ret is the entry.
 */
static int look(void before(int dirfd), void after(int dirfd), int how, struct entry *ret)
{
        struct err err = { .kind = ERR_NONE };
        int from = scratch_directory(), fd = -1, r;
        struct reading reading;

        before(from);
        read_begin(&reading, from, "");
        ck_assert_int_eq(source_next(&reading.dir, ret, &err), 0);
        if (how == OPEN)
                ck_assert_int_eq(source_load(&reading.dir, ret, &err), 0);
        exchange(from, after);
        if (how == OPEN)
                r = source_open(&reading.dir, ret, &fd, &err);
        else
                r = source_load(&reading.dir, ret, &err);
        ck_assert_int_eq(err.kind, ERR_NONE);
        fd_close(fd);
        read_end(&reading);
        close(from);
        return r;
}

START_TEST(what_took_the_name_of_a_symlink_is_taken)
{
        struct entry e;

        ck_assert_int_eq(look(make_symlink, make_file, LOAD, &e), 0);
        ck_assert(entry_is_file(&e) && !e.is_bare && !e.target);
        ck_assert_uint_eq(e.size, 5);
        ck_assert_int_eq(look(make_symlink, make_directory, LOAD, &e), SOURCE_VANISHED);
        ck_assert_int_eq(look(make_symlink, make_nothing, LOAD, &e), SOURCE_VANISHED);
}
END_TEST

START_TEST(a_symlink_is_no_mixture_of_two)
{
        struct err err = { .kind = ERR_NONE };
        int from = scratch_directory();
        struct entry e, listed;
        struct reading reading;

        make_symlink(from);
        read_begin(&reading, from, "");
        ck_assert_int_eq(source_next(&reading.dir, &e, &err), 0);
        listed = e;
        exchange(from, make_nothing);
        ck_assert_int_eq(symlinkat("elsewhere", from, "name"), 0);
        ck_assert_int_eq(source_load(&reading.dir, &e, &err), 0);
        ck_assert_str_eq(e.target, "elsewhere");
        ck_assert(!entry_is_same_inode(&e, &listed));
        ck_assert_uint_eq(e.size, strlen("elsewhere"));
        ck_assert_str_eq(e.name, "name");
        read_end(&reading);
        close(from);
}
END_TEST

/* Opening it may fail in other ways than opening what is not there. */
START_TEST(a_file_that_has_become_something_else_is_no_failure)
{
        void (*const others[])(int) = { make_nothing, make_symlink, make_directory, make_device };
        struct entry e;

        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                ck_assert_int_eq(look(make_file, others[i], OPEN, &e), SOURCE_VANISHED);
        ck_assert_int_eq(look(make_file, make_file, OPEN, &e), SOURCE_RENEWED);
}
END_TEST

/* Is what was listed as one thing, and is another then, left out by @pattern? */
static bool is_left_out(const char *pattern, void before(int dirfd), void after(int dirfd))
{
        struct err err = { .kind = ERR_NONE };
        int from = scratch_directory(), r;
        struct reading reading;
        struct entry e;

        before(from);
        read_begin(&reading, from, pattern);
        ck_assert_int_eq(unlinkat(from, "name", 0), 0);
        after(from);
        r = source_next(&reading.dir, &e, &err);
        ck_assert(r == 0 || r == SOURCE_END);
        ck_assert_uint_eq(report_vanished_count(reading.report), 0);
        read_end(&reading);
        close(from);
        return r == SOURCE_END;
}

START_TEST(patterns_for_directories_see_what_has_become_one)
{
        ck_assert(is_left_out("name/", make_file, make_directory));
        ck_assert(is_left_out("name/", make_symlink, make_directory));
        ck_assert(!is_left_out("name/", make_file, make_symlink));
        ck_assert(!is_left_out("other/", make_file, make_directory));
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                what_took_the_name_of_a_symlink_is_taken,
                a_symlink_is_no_mixture_of_two,
                a_file_that_has_become_something_else_is_no_failure,
                patterns_for_directories_see_what_has_become_one,
        };

        return scratch_run("source", tests, ARRAY_SIZE(tests));
}
