/* Entries as they stand in listings: all types come back as they were, what no filesystem has is refused; digests. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/entry.h"
#include "scratch.h"
#include "transfer/exchange/message.h"
#include "transfer/exchange/pack.h"

#include <sys/sysmacros.h>

static struct xattr attributes[] = {
        { "security.capability", "\1\0\0\2", 4 },
        { "system.posix_acl_access", "\2\0\0\0\1", 5 },
        { "user.empty", "", 0 },
};

static const struct entry entries[] = {
        { .name = "file",
          .mode = S_IFREG | 04755,
          .uid = 1000,
          .gid = 4294967294,
          .size = 1ULL << 40,
          .mtime = { -1, 999999999 },
          .xattrs = { attributes, 3 } },
        { .name = "\n\xff odd", .mode = S_IFDIR | 01777, .mtime = { 1LL << 33, 0 }, .xattrs = { attributes + 1, 1 } },
        { .name = "link", .mode = S_IFLNK | 0777, .target = "../../etc/passwd", .size = 16 },
        { .name = "tty", .mode = S_IFCHR | 0620 },
        { .name = "disk", .mode = S_IFBLK | 0660 },
        { .name = "fifo", .mode = S_IFIFO | 0600 },
        { .name = "socket", .mode = S_IFSOCK | 0755 },
};

static void expect_equal(const struct entry *a, const struct entry *b)
{
        ck_assert_str_eq(a->name, b->name);
        ck_assert_uint_eq(a->mode, b->mode);
        ck_assert_uint_eq(a->uid, b->uid);
        ck_assert_uint_eq(a->gid, b->gid);
        ck_assert_uint_eq(a->rdev, b->rdev);
        ck_assert_uint_eq(a->size, b->size);
        ck_assert_int_eq(timespec_compare(a->mtime, b->mtime), 0);
        ck_assert_int_eq(a->target != NULL, b->target != NULL);
        if (a->target)
                ck_assert_str_eq(a->target, b->target);
        ck_assert_uint_eq(a->xattrs.count, b->xattrs.count);
        for (size_t i = 0; i < a->xattrs.count; i++)
                ck_assert(xattr_equal(&a->xattrs.items[i], &b->xattrs.items[i]));
}

START_TEST(entries_of_all_types_come_back_as_they_were)
{
        const struct message_place place = { .device = 3, .inode = 300, .flags = MESSAGE_COMPARE };
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };

        for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
                _cleanup_(buf_deinit) struct buf b = { .data = NULL };
                struct entry e = entries[i], again;
                struct message_place found;
                struct unpack u;

                if (S_ISCHR(e.mode) || S_ISBLK(e.mode))
                        e.rdev = makedev(259, 1048575);
                ck_assert_int_eq(message_put_entry(&b, &e, &place), 0);
                u = unpack_begin(b.data, b.size);
                ck_assert_int_eq(message_get_entry(&u, &again, &found, &arena), 0);
                ck_assert(unpack_end(&u));
                expect_equal(&e, &again);
                ck_assert_uint_eq(found.device, 3);
                ck_assert_uint_eq(found.inode, 300);
                ck_assert_uint_eq(found.flags, MESSAGE_COMPARE);
                /* Cut anywhere, it is none. */
                for (size_t size = 0; size < b.size; size++) {
                        u = unpack_begin(b.data, size);
                        ck_assert_int_eq(message_get_entry(&u, &again, &found, &arena), 0);
                        ck_assert(u.broken);
                }
        }
}
END_TEST

START_TEST(of_what_could_not_be_read_only_the_name_is_told)
{
        const struct message_place place = { .flags = MESSAGE_UNREADABLE };
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        struct message_place found;
        struct entry again;
        struct unpack u;

        ck_assert_int_eq(message_put_entry(&b, &entries[0], &place), 0);
        ck_assert_uint_eq(b.size, 6);
        u = unpack_begin(b.data, b.size);
        ck_assert_int_eq(message_get_entry(&u, &again, &found, &arena), 0);
        ck_assert(unpack_end(&u));
        ck_assert_uint_eq(found.flags, MESSAGE_UNREADABLE);
        ck_assert_str_eq(again.name, "file");
        ck_assert_uint_eq(again.mode, 0);
}
END_TEST

/* A peer that sends what none of ours would. */
static bool is_refused(const struct entry *e)
{
        const struct message_place place = { .device = 0 };
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        struct message_place found;
        struct entry again;
        struct unpack u;

        ck_assert_int_eq(message_put_entry(&b, e, &place), 0);
        u = unpack_begin(b.data, b.size);
        ck_assert_int_eq(message_get_entry(&u, &again, &found, &arena), 0);
        return u.broken;
}

START_TEST(what_no_filesystem_has_is_refused)
{
        static const char *const names[] = { "", ".", "..", "a/b", "/etc", "../x" };
        static struct xattr foreign[] = { { "system.nfs4_acl", "x", 1 } };
        static struct xattr unsorted[] = { { "user.b", "x", 1 }, { "user.a", "x", 1 } };
        static struct xattr twice[] = { { "user.a", "x", 1 }, { "user.a", "x", 1 } };
        static char large[65537];
        static struct xattr too_large[] = { { "user.a", large, sizeof(large) } };
        struct entry e = entries[5];

        ck_assert(!is_refused(&e));
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                e.name = names[i];
                ck_assert_msg(is_refused(&e), "'%s'", names[i]);
        }
        e = entries[5];
        e.mode = 0600;
        ck_assert(is_refused(&e));
        e.mode = S_IFMT | 0600;
        ck_assert(is_refused(&e));
        e = entries[5];
        e.uid = (uid_t)-1;
        ck_assert(is_refused(&e));
        e = entries[2];
        e.target = "";
        ck_assert(is_refused(&e));
        e = entries[5];
        e.xattrs = (struct xattrs){ foreign, 1 };
        ck_assert(is_refused(&e));
        e.xattrs = (struct xattrs){ unsorted, 2 };
        ck_assert(is_refused(&e));
        e.xattrs = (struct xattrs){ twice, 2 };
        ck_assert(is_refused(&e));
        e.xattrs = (struct xattrs){ too_large, 1 };
        ck_assert(is_refused(&e));
}
END_TEST

static void digest_of(const struct entry *list, size_t count, uint8_t ret[MESSAGE_DIGEST_SIZE])
{
        _cleanup_(message_digest_freep) struct message_digest *d = message_digest_new();

        ck_assert_ptr_nonnull(d);
        message_digest_begin(d);
        for (size_t i = 0; i < count; i++)
                ck_assert_int_eq(message_digest_add(d, &list[i]), 0);
        message_digest_end(d, ret);
}

START_TEST(what_a_reader_would_refuse_is_known_before)
{
        static char value[64 * 1024], name[300];
        struct xattr many[5], wrong[] = { { "user.b", "", 0 }, { "user.a", "", 0 } };
        static const char *const names[] = { "user.0", "user.1", "user.2", "user.3", "user.4" };
        struct entry e = entries[0];

        for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
                ck_assert_int_eq(message_check_entry(&entries[i]), 0);
        for (size_t i = 0; i < ARRAY_SIZE(many); i++)
                many[i] = (struct xattr){ .name = names[i], .value = value, .size = sizeof(value) };
        e.xattrs = (struct xattrs){ .items = many, .count = 3 };
        ck_assert_int_eq(message_check_entry(&e), 0);
        e.xattrs.count = 5;
        ck_assert_int_eq(message_check_entry(&e), -E2BIG);
        e.xattrs = (struct xattrs){ .items = wrong, .count = 2 };
        ck_assert_int_eq(message_check_entry(&e), -EUCLEAN);
        e = entries[0];
        e.size = UINT64_MAX;
        ck_assert_int_eq(message_check_entry(&e), -EOVERFLOW);
        e = entries[0];
        e.mode = 0644;
        ck_assert_int_eq(message_check_entry(&e), -EUCLEAN);
        e = entries[2];
        e.target = "";
        ck_assert_int_eq(message_check_entry(&e), -EUCLEAN);
        memset(name, 'n', sizeof(name) - 1);
        e.name = name;
        ck_assert_int_eq(message_check_entry(&e), -ENAMETOOLONG);
}
END_TEST

START_TEST(entries_can_be_passed_over)
{
        const struct message_place places[] = { { .flags = 0 },
                                                { .flags = MESSAGE_UNREADABLE },
                                                { .flags = MESSAGE_LINKED, .device = 7, .inode = UINT64_MAX } };
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        size_t ends[ARRAY_SIZE(entries) * ARRAY_SIZE(places)], count = 0;
        struct unpack u;

        for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
                for (size_t k = 0; k < ARRAY_SIZE(places); k++) {
                        ck_assert_int_eq(message_put_entry(&b, &entries[i], &places[k]), 0);
                        ends[count++] = b.size;
                }
        }
        u = unpack_begin(b.data, b.size);
        for (size_t i = 0; i < count; i++) {
                message_pass_entry(&u);
                ck_assert_uint_eq((size_t)((const char *)u.data - b.data), ends[i]);
        }
        ck_assert(unpack_end(&u));
}
END_TEST

START_TEST(a_digest_tells_each_change_and_nothing_else)
{
        uint8_t as_it_was[MESSAGE_DIGEST_SIZE], other[MESSAGE_DIGEST_SIZE];
        struct entry changed[ARRAY_SIZE(entries)];

        digest_of(entries, ARRAY_SIZE(entries), as_it_was);
        for (unsigned what = 0; what < 10; what++) {
                struct entry *e = &changed[0];

                memcpy(changed, entries, sizeof(entries));
                switch (what) {
                case 0:
                        e->name = "filf";
                        break;
                case 1:
                        e->mode ^= S_ISUID;
                        break;
                case 2:
                        e->uid++;
                        break;
                case 3:
                        e->gid--;
                        break;
                case 4:
                        e->size++;
                        break;
                case 5:
                        e->mtime.tv_nsec--;
                        break;
                case 6:
                        e->xattrs.count--;
                        break;
                case 7:
                        changed[2].target = "../../etc/passwe";
                        break;
                case 8:
                        changed[3].rdev = makedev(4, 65);
                        break;
                default:
                        changed[1].mode = S_IFREG | 0644;
                        break;
                }
                digest_of(changed, ARRAY_SIZE(entries), other);
                ck_assert_msg(memcmp(as_it_was, other, sizeof(other)) != 0, "change %u", what);
        }
        memcpy(changed, entries, sizeof(entries));
        /* A directory is told of apart; inode numbers are peculiar to each side. */
        changed[1].mode ^= S_ISVTX;
        changed[1].uid++;
        changed[1].mtime.tv_sec++;
        changed[1].size = 4096;
        changed[0].ino = 17;
        changed[0].ctime.tv_sec = 5;
        digest_of(changed, ARRAY_SIZE(entries), other);
        ck_assert_mem_eq(as_it_was, other, sizeof(other));
        digest_of(entries, ARRAY_SIZE(entries) - 1, other);
        ck_assert(memcmp(as_it_was, other, sizeof(other)) != 0);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                entries_of_all_types_come_back_as_they_were,
                of_what_could_not_be_read_only_the_name_is_told,
                what_no_filesystem_has_is_refused,
                what_a_reader_would_refuse_is_known_before,
                entries_can_be_passed_over,
                a_digest_tells_each_change_and_nothing_else,
        };

        return scratch_run("message", tests, ARRAY_SIZE(tests));
}
