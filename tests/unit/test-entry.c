/* One file: what is loaded of it, its attributes by name and by descriptor, its directory's names, its metadata set. */
#include "base/arena.h"
#include "base/entry.h"
#include "base/fd.h"
#include "base/listing.h"
#include "base/meta.h"
#include "base/xattr_at.h"
#include "base/xattr_fd.h"
#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

/* user::rw- user:54321:r-- group::r-- mask::r-- other::--- as system.posix_acl_access has it, little endian. */
static const unsigned char acl[] = {
        2, 0,    0,    0,    1,    0,  6, 0, 0xff, 0xff, 0xff, 0xff, 2,    0,  4, 0, 0x31, 0xd4, 0,    0,    4,    0, 4,
        0, 0xff, 0xff, 0xff, 0xff, 16, 0, 4, 0,    0xff, 0xff, 0xff, 0xff, 32, 0, 0, 0,    0xff, 0xff, 0xff, 0xff,
};
/* cap_net_raw=p: struct vfs_cap_data of linux/capability.h, revision 2. */
static const unsigned char cap[20] = { 0, 0, 0, 2, 0, 0x20 };

static bool is_root(void)
{
        return geteuid() == 0;
}

static void load(struct entry *ret, int dirfd, const char *name, struct arena *arena)
{
        const char *failed;

        ck_assert_int_eq(entry_load(ret, dirfd, name, arena, &failed), 0);
}

/* Without opening it. */
static int find(int dir, const char *name)
{
        int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

        ck_assert_int_ge(fd, 0);
        return fd;
}

static void set_xattr(int dir, const char *name, const char *xattr, const void *value, size_t size)
{
        _cleanup_(fd_closep) int fd = find(dir, name);

        ck_assert_int_eq(xattr_fd_set(fd, xattr, value, size), 0);
}

START_TEST(all_of_a_file_is_loaded)
{
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        int dir = scratch_directory();
        struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = -77, .tv_nsec = 123456789 } };
        struct entry e, same;
        const struct xattr *x;
        const char *failed;
        int fd;

        scratch_file(dir, "new\nline", "hello", 5);
        fd = openat(dir, "new\nline", O_RDWR);
        ck_assert_int_eq(fsetxattr(fd, "user.z", "", 0, 0), 0);
        ck_assert_int_eq(fsetxattr(fd, "user.a", "\0x\0", 3, 0), 0);
        ck_assert_int_eq(fchmod(fd, 0640), 0);
        ck_assert_int_eq(linkat(dir, "new\nline", dir, "other", 0), 0);
        ck_assert_int_eq(futimens(fd, times), 0);
        load(&e, dir, "new\nline", &arena);
        ck_assert(entry_is_file(&e) && !entry_is_dir(&e));
        ck_assert_uint_eq(e.mode & 07777, 0640);
        ck_assert_uint_eq(e.size, 5);
        ck_assert_uint_eq(e.nlink, 2);
        ck_assert_int_eq(e.mtime.tv_sec, -77);
        ck_assert_int_eq(e.mtime.tv_nsec, 123456789);
        ck_assert_uint_eq(e.xattrs.count, 2);
        ck_assert_str_eq(e.xattrs.items[0].name, "user.a");
        x = xattrs_find(&e.xattrs, "user.a");
        ck_assert(x && x->size == 3 && memcmp(x->value, "\0x\0", 3) == 0);
        ck_assert_ptr_null(xattrs_find(&e.xattrs, "user.b"));
        ck_assert_int_eq(entry_load_fd(&same, fd, "f", &arena, &failed), 0);
        ck_assert(entry_is_same_inode(&e, &same) && same.xattrs.count == 2 && same.size == 5);
        ck_assert(xattr_equal(&e.xattrs.items[0], &same.xattrs.items[0]));
        ck_assert(!xattr_equal(&e.xattrs.items[0], &same.xattrs.items[1]));
        ck_assert_int_eq(entry_load(&e, dir, "missing", &arena, &failed), -ENOENT);
        ck_assert_str_eq(failed, "read the metadata of");
}
END_TEST

START_TEST(large_attributes_and_many_are_loaded)
{
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        int dir = open("/dev/shm", O_RDONLY | O_DIRECTORY), made = 0, fd;
        static char value[60000];
        char name[64], file[64];
        struct entry e;

        /* ext4 keeps all attributes of a file in 4 KiB; a tmpfs takes them as the kernel does. */
        snprintf(file, sizeof(file), "rsync-system-backup-unit-%d", (int)getpid());
        fd = dir < 0 ? -1 : openat(dir, file, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd < 0)
                return;
        memset(value, 'v', sizeof(value));
        for (int i = 0; i < 150; i++) {
                snprintf(name, sizeof(name), "trusted.a-name-that-is-not-short-%03d", i);
                made += fsetxattr(fd, name, value, i == 7 ? sizeof(value) : 10, 0) == 0;
        }
        load(&e, dir, file, &arena);
        unlinkat(dir, file, 0);
        ck_assert_uint_eq(e.xattrs.count, (size_t)made);
        if (made == 150) {
                ck_assert_uint_eq(e.xattrs.items[7].size, sizeof(value));
                ck_assert_int_eq(memcmp(e.xattrs.items[7].value, value, sizeof(value)), 0);
        }
        for (int i = 1; i < made; i++)
                ck_assert_int_lt(strcmp(e.xattrs.items[i - 1].name, e.xattrs.items[i].name), 0);
}
END_TEST

START_TEST(symlinks_are_loaded_not_followed)
{
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        int dir = scratch_directory();
        char target[4096];
        struct entry e;

        memset(target, 't', sizeof(target) - 1);
        target[sizeof(target) - 1] = '\0';
        ck_assert_int_eq(symlinkat(target, dir, "long"), 0);
        ck_assert_int_eq(symlinkat("/nowhere \xff", dir, "dangling"), 0);
        load(&e, dir, "long", &arena);
        ck_assert(S_ISLNK(e.mode));
        ck_assert_str_eq(e.target, target);
        load(&e, dir, "dangling", &arena);
        ck_assert_str_eq(e.target, "/nowhere \xff");
        if (!is_root())
                return;
        set_xattr(dir, "dangling", "trusted.x", "1", 1);
        load(&e, dir, "dangling", &arena);
        ck_assert_uint_eq(e.xattrs.count, 1);
}
END_TEST

START_TEST(attributes_that_belong_to_the_inode_are_not_kept)
{
        ck_assert(xattr_is_kept("user.x") && xattr_is_kept("trusted.x") && xattr_is_kept("security.selinux"));
        ck_assert(xattr_is_kept("system.posix_acl_access") && xattr_is_kept("system.posix_acl_default"));
        ck_assert(!xattr_is_kept("system.nfs4_acl") && !xattr_is_kept("security.evm"));
        ck_assert(!xattr_is_kept("trusted.SGI_ACL_FILE"));
}
END_TEST

/* By name and by what is only found, on a file, a symlink and (by root) a FIFO. */
static void use_xattrs(int dir, const char *name, const char *xattr)
{
        _cleanup_(fd_closep) int fd = find(dir, name);
        char list[256], value[16];
        ssize_t n;

        set_xattr(dir, name, xattr, "value", 5);
        n = xattr_at_list(dir, name, list, sizeof(list));
        ck_assert_int_ge(n, (ssize_t)strlen(xattr) + 1);
        ck_assert_ptr_nonnull(memmem(list, (size_t)n, xattr, strlen(xattr) + 1));
        ck_assert_int_eq(xattr_at_get(dir, name, xattr, value, sizeof(value)), 5);
        ck_assert_int_eq(memcmp(value, "value", 5), 0);
        ck_assert_int_eq(xattr_at_get(dir, name, xattr, value, 2), -ERANGE);
        ck_assert_int_eq(xattr_fd_list(fd, list, sizeof(list)), n);
        ck_assert_int_eq(xattr_fd_get(fd, xattr, value, sizeof(value)), 5);
        ck_assert_int_eq(xattr_fd_get(fd, xattr, value, 2), -ERANGE);
        ck_assert_int_eq(xattr_fd_remove(fd, xattr), 0);
        ck_assert_int_eq(xattr_fd_remove(fd, xattr), -ENODATA);
        ck_assert_int_eq(xattr_fd_get(fd, xattr, value, sizeof(value)), -ENODATA);
        ck_assert_int_eq(xattr_at_get(dir, "missing", xattr, value, sizeof(value)), -ENOENT);
        ck_assert_int_eq(xattr_at_get(-1, name, xattr, value, sizeof(value)) < 0, 1);
}

static void use_all_xattrs(int dir)
{
        use_xattrs(dir, "file", "user.x");
        if (!is_root())
                return;
        use_xattrs(dir, "link", "trusted.x");
        use_xattrs(dir, "fifo", "trusted.x");
}

static void *use_xattrs_there(void *dir)
{
        xattr_at_own_cwd();
        use_all_xattrs(*(int *)dir);
        return NULL;
}

/* A kernel before 6.13, as far as this process can tell. */
static void be_an_old_kernel(void)
{
        enum { GETXATTRAT = 464, LISTXATTRAT = 465 };
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, GETXATTRAT, 1, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, LISTXATTRAT, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        const struct sock_fprog program = { .len = ARRAY_SIZE(code), .filter = code };

        ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

/* In this thread and in one that may have a working directory of its own. */
static void use_xattrs_in_threads(void)
{
        char before[4096], after[4096];
        int dir = scratch_directory();
        pthread_t thread;

        scratch_file(dir, "file", "", 0);
        ck_assert_int_eq(symlinkat("file", dir, "link"), 0);
        ck_assert_int_eq(mkfifoat(dir, "fifo", 0600), 0);
        ck_assert_ptr_nonnull(getcwd(before, sizeof(before)));
        use_all_xattrs(dir);
        ck_assert_int_eq(pthread_create(&thread, NULL, use_xattrs_there, &dir), 0);
        pthread_join(thread, NULL);
        ck_assert_ptr_nonnull(getcwd(after, sizeof(after)));
        ck_assert_str_eq(before, after);
}

START_TEST(attributes_are_used_by_name)
{
        use_xattrs_in_threads();
}
END_TEST

START_TEST(attributes_are_used_by_name_on_an_old_kernel)
{
        be_an_old_kernel();
        use_xattrs_in_threads();
}
END_TEST

START_TEST(a_directory_of_many_names_is_listed_in_the_order_of_bytes)
{
        enum { COUNT = 100 * 1000 };
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        _cleanup_(listing_deinit) struct listing l;
        int dir = scratch_directory();
        char name[32];

        for (int i = 0; i < COUNT; i++) {
                snprintf(name, sizeof(name), "%c%06d", i % 2 ? 0xff : 'n', i);
                if (i % 1000 == 0)
                        ck_assert_int_eq(mkdirat(dir, name, 0700), 0);
                else
                        ck_assert_int_eq(mknodat(dir, name, S_IFREG | 0600, 0), 0);
        }
        /* Read twice: each time from the beginning. */
        ck_assert_int_eq(listing_read(&l, dir, &arena), 0);
        listing_deinit(&l);
        ck_assert_int_eq(listing_read(&l, dir, &arena), 0);
        ck_assert_uint_eq(l.count, COUNT);
        for (size_t i = 1; i < l.count; i++)
                ck_assert_int_lt(strcmp(l.names[i - 1]->name, l.names[i]->name), 0);
        ck_assert_str_eq(l.names[0]->name, "n000000");
        ck_assert_uint_eq(l.names[0]->type, DT_DIR);
        ck_assert_uint_eq(l.names[1]->type, DT_REG);
        ck_assert_str_eq(l.names[COUNT - 1]->name, "\xff"
                                                   "099999");
}
END_TEST

START_TEST(an_unreadable_listing_is_an_error)
{
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        int dir = scratch_directory(), sub = scratch_subdirectory(dir, "gone");
        struct listing l;

        ck_assert_int_eq(unlinkat(dir, "gone", AT_REMOVEDIR), 0);
        ck_assert_int_eq(listing_read(&l, sub, &arena), -ENOENT);
        listing_deinit(&l);
        ck_assert_int_eq(listing_read(&l, -1, &arena), -EBADF);
        listing_deinit(&l);
}
END_TEST

/* ---- metadata ---- */

static void apply(int dir, const char *name, struct entry *want, bool by_descriptor, unsigned flags,
                  struct arena *arena)
{
        _cleanup_(fd_closep) int fd = by_descriptor ? fd_open_at(dir, name, 0) : find(dir, name);
        const char *failed = "";
        struct entry have;
        int r;

        load(&have, dir, name, arena);
        r = meta_apply(fd, want, &have, flags, &failed);
        ck_assert_msg(r == 0, "%s: %s", failed, strerror(-r));
        ck_assert_int_eq(meta_set_mtime(fd, want->mtime), 0);
}

static bool are_equal(const struct entry *a, const struct entry *b)
{
        if (a->mode != b->mode || a->uid != b->uid || a->gid != b->gid || a->xattrs.count != b->xattrs.count ||
            timespec_compare(a->mtime, b->mtime) != 0)
                return false;
        for (size_t i = 0; i < a->xattrs.count; i++) {
                if (!xattr_equal(&a->xattrs.items[i], &b->xattrs.items[i]))
                        return false;
        }
        return true;
}

START_TEST(owner_acl_capability_and_suid_do_not_undo_each_other)
{
        static struct xattr items[] = {
                { "security.capability", cap, sizeof(cap) },
                { "system.posix_acl_access", acl, sizeof(acl) },
                { "trusted.t", "t", 1 },
                { "user.u", "u", 1 },
        };
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        struct entry want = { .mode = S_IFREG | 06640,
                              .uid = 12345,
                              .gid = 23456,
                              .mtime = { 1000000000, 123456789 },
                              .xattrs = { items, ARRAY_SIZE(items) } };
        int dir = scratch_directory();
        struct entry now;

        if (!is_root())
                return;
        scratch_file(dir, "file", "x", 1);
        apply(dir, "file", &want, true, 0, &arena);
        load(&now, dir, "file", &arena);
        ck_assert(are_equal(&want, &now));
        /* Another owner alone: chown(2) drops capabilities and set-id bits, which both come back. */
        want.uid = 34567;
        apply(dir, "file", &want, true, 0, &arena);
        load(&now, dir, "file", &arena);
        ck_assert(are_equal(&want, &now));
        /* Everything goes. */
        want = (struct entry){ .mode = S_IFREG | 0600, .mtime = { 5, 0 } };
        apply(dir, "file", &want, true, 0, &arena);
        load(&now, dir, "file", &arena);
        ck_assert(are_equal(&want, &now));
        /* The ACL goes and the mode it stood for stays, and the other way round. */
        want = (struct entry){ .mode = S_IFREG | 0640, .xattrs = { &items[1], 1 } };
        apply(dir, "file", &want, true, 0, &arena);
        want.xattrs.count = 0;
        apply(dir, "file", &want, true, 0, &arena);
        load(&now, dir, "file", &arena);
        ck_assert(are_equal(&want, &now));
}
END_TEST

START_TEST(what_fails_does_not_keep_the_rest_away)
{
        static struct xattr items[] = {
                { "nowhere.x", "x", 1 }, /* no filesystem has such a namespace */
                { "security.capability", cap, sizeof(cap) },
                { "system.posix_acl_access", acl, sizeof(acl) },
                { "user.z", "z", 1 },
        };
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        struct entry want = {
                .mode = S_IFREG | 0640, .uid = 12345, .gid = 23456, .xattrs = { items, ARRAY_SIZE(items) }
        };
        int dir = scratch_directory();
        const char *failed = NULL;
        struct entry have, now;
        int fd;

        if (!is_root())
                return;
        scratch_file(dir, "file", "x", 1);
        fd = openat(dir, "file", O_RDWR | O_CLOEXEC);
        load(&have, dir, "file", &arena);
        ck_assert_int_eq(meta_apply(fd, &want, &have, 0, &failed), -EOPNOTSUPP);
        ck_assert_str_eq(failed, "set the extended attributes of");
        load(&now, dir, "file", &arena);
        want.xattrs = (struct xattrs){ &items[1], ARRAY_SIZE(items) - 1 };
        want.mtime = now.mtime;
        ck_assert(are_equal(&want, &now));
}
END_TEST

START_TEST(what_is_only_found_is_changed)
{
        static struct xattr items[] = { { "trusted.t", "t", 1 } };
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        static const char *const names[] = { "link", "fifo", "socket", "device" };
        int dir = scratch_directory();
        struct entry file;

        if (!is_root())
                return;
        scratch_file(dir, "file", "x", 1);
        ck_assert_int_eq(symlinkat("file", dir, "link"), 0);
        ck_assert_int_eq(mkfifoat(dir, "fifo", 0600), 0);
        ck_assert_int_eq(mknodat(dir, "socket", S_IFSOCK | 0600, 0), 0);
        ck_assert_int_eq(mknodat(dir, "device", S_IFCHR | 0600, makedev(1, 3)), 0);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                struct entry want, now;

                load(&want, dir, names[i], &arena);
                want.uid = want.gid = 12345;
                want.mtime = (struct timespec){ 1000000000, 5 };
                want.xattrs = (struct xattrs){ items, 1 };
                if (i > 0)
                        want.mode = (want.mode & S_IFMT) | 04751;
                apply(dir, names[i], &want, false, 0, &arena);
                load(&now, dir, names[i], &arena);
                ck_assert_msg(are_equal(&want, &now), "%s", names[i]);
        }
        /* What the link points to was left alone. */
        load(&file, dir, "file", &arena);
        ck_assert(file.uid == 0 && file.xattrs.count == 0 && file.mtime.tv_sec != 1000000000);
}
END_TEST

START_TEST(a_directory_that_is_worked_in_keeps_its_owners_access)
{
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        int dir = scratch_directory();
        struct entry want = { .mode = S_IFDIR | 02050, .uid = getuid(), .gid = getgid() }, now;

        ck_assert_int_eq(mkdirat(dir, "d", 0700), 0);
        apply(dir, "d", &want, true, META_KEEP_ACCESS, &arena);
        load(&now, dir, "d", &arena);
        ck_assert_uint_eq(now.mode & 07777, 02750);
}
END_TEST

START_TEST(times_are_ordered)
{
        ck_assert_int_eq(timespec_compare((struct timespec){ 1, 2 }, (struct timespec){ 1, 2 }), 0);
        ck_assert_int_eq(timespec_compare((struct timespec){ -1, 999 }, (struct timespec){ 0, 0 }), -1);
        ck_assert_int_eq(timespec_compare((struct timespec){ 1, 3 }, (struct timespec){ 1, 2 }), 1);
}
END_TEST

START_TEST(an_arena_gives_back_what_came_after_the_mark)
{
        _cleanup_(arena_deinit) struct arena a = { .chunk = NULL };
        struct arena_mark empty = arena_mark(&a), mark;
        const char *kept = arena_copy(&a, "kept", 4);

        mark = arena_mark(&a);
        for (int i = 0; i < 1000; i++) {
                char *large = arena_alloc(&a, 100000), *odd = arena_copy(&a, "x", 1);
                uint64_t *number = arena_alloc(&a, sizeof(*number));

                ck_assert_uint_eq((uintptr_t)number % sizeof(*number), 0);
                memset(large, i, 100000);
                ck_assert_str_eq(odd, "x");
                arena_release(&a, mark);
        }
        ck_assert_str_eq(kept, "kept");
        arena_release(&a, empty);
        ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX - 4));
        ck_assert_ptr_null(arena_copy(&a, "", SIZE_MAX));
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                all_of_a_file_is_loaded,
                large_attributes_and_many_are_loaded,
                symlinks_are_loaded_not_followed,
                attributes_that_belong_to_the_inode_are_not_kept,
                attributes_are_used_by_name,
                attributes_are_used_by_name_on_an_old_kernel,
                a_directory_of_many_names_is_listed_in_the_order_of_bytes,
                an_unreadable_listing_is_an_error,
                owner_acl_capability_and_suid_do_not_undo_each_other,
                what_fails_does_not_keep_the_rest_away,
                what_is_only_found_is_changed,
                a_directory_that_is_worked_in_keeps_its_owners_access,
                times_are_ordered,
                an_arena_gives_back_what_came_after_the_mark,
        };

        return scratch_run("entry", tests, ARRAY_SIZE(tests));
}
