/* What a destination can hold: fitted by a table, found out by trying as root and as somebody else. */
#include "base/entry.h"
#include "base/err.h"
#include "base/report.h"
#include "scratch.h"
#include "transfer/limits.h"

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

enum { ME = 1000, MY_GROUP = 100, ANOTHER_GROUP = 110, SOMEBODY = 65534 };

static const struct limits everything = {
        .privileged = true,
        .owner = true,
        .mode = true,
        .acl = true,
        .xattr_user = true,
        .xattr_system = true,
        .xattr_property = true,
        .devices = true,
        .time_min = INT64_MIN,
        .time_max = INT64_MAX,
        .granularity_ns = 1,
        .uid = ME,
        .gid = MY_GROUP,
        .groups = { ANOTHER_GROUP, 120 },
        .group_count = 2,
};

static struct report *make_report(void)
{
        struct err err = { .kind = ERR_NONE };
        struct report *r;

        ck_assert_int_eq(report_new(&r, &(struct report_config){ .list_changes = false }, &err), 0);
        return r;
}

/* Fit; is the run partial because of that? */
static bool fit(const struct limits *l, struct entry *e)
{
        _cleanup_(report_freep) struct report *report = make_report();

        e->name = "x";
        limits_fit(l, e, report, "dir");
        return report_is_partial(report);
}

START_TEST(who_can_hold_everything_takes_nothing_off)
{
        struct xattr items[] = { { "btrfs.compression", "zstd", 4 },
                                 { "security.capability", "c", 1 },
                                 { "user.x", "", 0 } };
        struct entry e = { .mode = S_IFREG | 06755,
                           .uid = 5,
                           .gid = 6,
                           .mtime = { INT64_C(1) << 40, 999999999 },
                           .xattrs = { items, 3 } };

        ck_assert(!fit(&everything, &e));
        ck_assert(e.mode == (S_IFREG | 06755) && e.uid == 5 && e.gid == 6 && e.xattrs.count == 3);
        ck_assert(e.mtime.tv_sec == INT64_C(1) << 40 && e.mtime.tv_nsec == 999999999);
}
END_TEST

START_TEST(set_id_bits_go_with_the_owner_they_were_for)
{
        static const struct {
                uid_t uid;
                gid_t gid;
                mode_t mode, fitted;
                gid_t fitted_gid;
                bool partial;
        } rows[] = {
                { ME, MY_GROUP, 06755, 06755, MY_GROUP, false },
                { ME, ANOTHER_GROUP, 06755, 06755, ANOTHER_GROUP, false },
                { ME, 5, 06755, 04755, MY_GROUP, true },
                { 0, MY_GROUP, 06755, 02755, MY_GROUP, true },
                { 0, 0, 07755, 01755, MY_GROUP, true },
        };
        struct limits l = everything;

        l.owner = false;
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct entry e = { .mode = S_IFREG | rows[i].mode, .uid = rows[i].uid, .gid = rows[i].gid };

                l.accepted = false;
                ck_assert(fit(&l, &e) == rows[i].partial);
                ck_assert_uint_eq(e.mode & 07777, rows[i].fitted);
                ck_assert_uint_eq(e.uid, ME);
                ck_assert_uint_eq(e.gid, rows[i].fitted_gid);
                /* The same again is no lack. */
                ck_assert(!fit(&l, &e));
                e = (struct entry){ .mode = S_IFREG | rows[i].mode, .uid = rows[i].uid, .gid = rows[i].gid };
                l.accepted = true;
                ck_assert(!fit(&l, &e));
        }
}
END_TEST

START_TEST(modes_are_what_the_destination_gives)
{
        struct limits l = everything;
        struct entry file = { .mode = S_IFREG | 0640 }, dir = { .mode = S_IFDIR | 0700 },
                     link = { .mode = S_IFLNK | 0777 }, right = { .mode = S_IFREG | 0755 };

        l.mode = false;
        l.file_mode = l.dir_mode = 0755;
        ck_assert(fit(&l, &file) && file.mode == (S_IFREG | 0755));
        ck_assert(fit(&l, &dir) && dir.mode == (S_IFDIR | 0755));
        ck_assert(!fit(&l, &link) && link.mode == (S_IFLNK | 0777));
        ck_assert(!fit(&l, &right));
}
END_TEST

START_TEST(times_are_what_is_kept_of_them)
{
        static const struct {
                int64_t min, max;
                uint32_t granularity_ns;
                struct timespec time, fitted;
                bool partial;
        } rows[] = {
                { 0, 100, 1, { 50, 5 }, { 50, 5 }, false },
                { 0, 100, 1, { -1, 5 }, { 0, 0 }, true },
                { 0, 100, 1, { 101, 5 }, { 100, 0 }, true },
                /* The kernel keeps no fraction at the limits either. */
                { 0, 100, 1, { 0, 5 }, { 0, 0 }, false },
                { 0, 100, 1, { 100, 5 }, { 100, 0 }, false },
                { -1000, 100, 100, { 50, 123456789 }, { 50, 123456700 }, false },
                { -1000, 100, 1000000000, { 51, 123456789 }, { 51, 0 }, false },
                { -1000, 100, 2000000000, { 51, 123456789 }, { 50, 0 }, false },
                { -1000, 100, 2000000000, { -51, 123456789 }, { -52, 0 }, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct limits l = everything;
                struct entry e = { .mode = S_IFREG, .mtime = rows[i].time };

                l.time_min = rows[i].min;
                l.time_max = rows[i].max;
                l.granularity_ns = rows[i].granularity_ns;
                ck_assert_msg(fit(&l, &e) == rows[i].partial, "row %zu", i);
                ck_assert_int_eq(e.mtime.tv_sec, rows[i].fitted.tv_sec);
                ck_assert_int_eq(e.mtime.tv_nsec, rows[i].fitted.tv_nsec);
                ck_assert(!fit(&l, &e));
        }
}
END_TEST

START_TEST(each_namespace_of_attributes_goes_by_itself)
{
        static const char *const names[] = { "btrfs.compression", "security.selinux", "system.posix_acl_access",
                                             "trusted.x", "user.x" };
        static const struct {
                bool acl, user, system, property, accepted;
                const char *kept; /* one letter each, in the order of the names */
                bool partial;
        } rows[] = {
                { true, true, true, true, false, "bsatu", false }, { false, true, true, true, false, "bstu", true },
                { true, false, true, true, false, "bsat", true },  { true, true, false, true, false, "bau", true },
                { true, true, false, true, true, "bau", false },   { true, true, true, false, false, "satu", false },
                { false, false, false, false, true, "", true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct limits l = everything;
                struct xattr items[ARRAY_SIZE(names)];
                struct entry e = { .mode = S_IFREG, .xattrs = { items, ARRAY_SIZE(items) } };
                char kept[8] = "";

                for (size_t j = 0; j < ARRAY_SIZE(names); j++)
                        items[j] = (struct xattr){ names[j], &"bsatu"[j], 1 };
                l.acl = rows[i].acl;
                l.xattr_user = rows[i].user;
                l.xattr_system = rows[i].system;
                l.xattr_property = rows[i].property;
                l.accepted = rows[i].accepted;
                ck_assert_msg(fit(&l, &e) == rows[i].partial, "row %zu", i);
                for (size_t j = 0; j < e.xattrs.count; j++)
                        kept[j] = *(const char *)e.xattrs.items[j].value;
                ck_assert_str_eq(kept, rows[i].kept);
        }
}
END_TEST

START_TEST(a_lost_acl_gives_the_group_no_more_than_it_had)
{
        /* user::rw-, user:1:rw-, group::r--, mask::rw-, other::---: as a mode that is 0660 */
        static const unsigned char acl[] = { 2, 0, 0,   0,   1,   0,   6,  0, 255, 255, 255, 255, 2,   0,  6,
                                             0, 1, 0,   0,   0,   4,   0,  4, 0,   255, 255, 255, 255, 16, 0,
                                             6, 0, 255, 255, 255, 255, 32, 0, 0,   0,   255, 255, 255, 255 };
        struct xattr item = { "system.posix_acl_access", acl, sizeof(acl) };
        struct entry e = { .mode = S_IFREG | 0660, .xattrs = { &item, 1 } };
        struct limits l = everything;

        fit(&l, &e);
        ck_assert_uint_eq(e.mode, S_IFREG | 0660);
        l.acl = false;
        fit(&l, &e);
        ck_assert_uint_eq(e.mode, S_IFREG | 0640);
        ck_assert_uint_eq(e.xattrs.count, 0);
}
END_TEST

/* ---- trying ---- */

static int names_in(int dirfd)
{
        char command[64];

        snprintf(command, sizeof(command), "exit $(ls -A /proc/%d/fd/%d/ | wc -l)", (int)getpid(), dirfd);
        return system(command);
}

static void probe(struct limits *ret, int dirfd, bool accepted)
{
        struct err err = { .kind = ERR_NONE };
        int r = limits_probe(ret, dirfd, true, accepted, &err);

        ck_assert_msg(r == 0, "%s", err.text);
        ck_assert_int_eq(names_in(dirfd), 0);
}

/* Run @test as an ordinary user, in a process of its own. */
static void as_somebody(void (*test)(int), int fd)
{
        pid_t child = fork();
        int status;

        if (child == 0) {
                if (setgroups(1, &(gid_t){ 54000 }) < 0 || setresgid(SOMEBODY, SOMEBODY, SOMEBODY) < 0 ||
                    setresuid(SOMEBODY, SOMEBODY, SOMEBODY) < 0)
                        _exit(99);
                test(fd);
                _exit(0);
        }
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
}

static void probe_as_somebody(int fd)
{
        struct limits l;

        probe(&l, fd, true);
        if (l.privileged || l.owner || l.xattr_system || l.devices || !l.mode || !l.acl || !l.accepted)
                _exit(1);
        if (l.uid != SOMEBODY || l.gid != SOMEBODY || l.group_count != 1 || l.groups[0] != 54000)
                _exit(2);
        if (l.granularity_ns != 1 || l.time_min > 0 || l.time_max < INT32_MAX)
                _exit(3);
}

START_TEST(a_tmpfs_holds_what_we_may_store)
{
        struct limits l;
        int dir = scratch_directory(), fd;
        char path[64];

        if (geteuid() != 0)
                return;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", dir);
        /* A mount that nobody else sees, and that goes with this process. */
        if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", path, "tmpfs", 0, "mode=0777") < 0)
                return;
        fd = open(path, O_RDONLY | O_DIRECTORY);
        probe(&l, fd, false);
        ck_assert(l.privileged && l.owner && l.mode && l.acl && l.xattr_system && !l.xattr_property && !l.accepted);
        ck_assert_uint_eq(l.granularity_ns, 1);
        ck_assert_int_lt(l.time_min, INT64_MIN / 8);
        ck_assert_int_gt(l.time_max, INT64_MAX / 8);
        as_somebody(probe_as_somebody, fd);
        close(fd);
}
END_TEST

/* Whatever the probe says of times is what a file then has. */
START_TEST(the_range_of_times_is_the_kernels)
{
        static const struct timespec times[] = { { INT64_C(1) << 40, 999999999 },
                                                 { -(INT64_C(1) << 40), 5 },
                                                 { 5, 123456789 } };
        int dir = scratch_directory();
        struct limits l;

        probe(&l, dir, false);
        scratch_file(dir, "file", "", 0);
        for (size_t i = 0; i < ARRAY_SIZE(times) + 2; i++) {
                struct entry e = { .mode = S_IFREG, .uid = l.uid, .gid = l.gid }, now;
                struct timespec set[2] = { { .tv_nsec = UTIME_OMIT } };

                if (i < ARRAY_SIZE(times))
                        e.mtime = times[i];
                else
                        e.mtime = (struct timespec){ i == ARRAY_SIZE(times) ? l.time_min : l.time_max, 5 };
                set[1] = e.mtime;
                ck_assert_int_eq(utimensat(dir, "file", set, 0), 0);
                ck_assert_int_eq(entry_stat(&now, dir, "file"), 0);
                fit(&l, &e);
                ck_assert_int_eq(e.mtime.tv_sec, now.mtime.tv_sec);
                ck_assert_int_eq(e.mtime.tv_nsec, now.mtime.tv_nsec);
        }
}
END_TEST

static void probe_closed(int fd)
{
        struct err err = { .kind = ERR_NONE };
        struct limits l;

        if (limits_probe(&l, fd, true, false, &err) != -EACCES || err.kind != ERR_RUN)
                _exit(1);
        err_clear(&err);
        /* A dry run assumes the best. */
        if (limits_probe(&l, fd, false, false, &err) != 0 || !l.mode || !l.acl || l.owner || l.granularity_ns != 1)
                _exit(2);
}

START_TEST(what_cannot_be_written_is_an_error_but_for_a_dry_run)
{
        int dir = scratch_directory();

        if (geteuid() == 0)
                as_somebody(probe_closed, dir);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                who_can_hold_everything_takes_nothing_off,
                set_id_bits_go_with_the_owner_they_were_for,
                modes_are_what_the_destination_gives,
                times_are_what_is_kept_of_them,
                each_namespace_of_attributes_goes_by_itself,
                a_tmpfs_holds_what_we_may_store,
                a_lost_acl_gives_the_group_no_more_than_it_had,
                a_tmpfs_holds_what_we_may_store,
                the_range_of_times_is_the_kernels,
                what_cannot_be_written_is_an_error_but_for_a_dry_run,
        };

        return scratch_run("limits", tests, ARRAY_SIZE(tests));
}
