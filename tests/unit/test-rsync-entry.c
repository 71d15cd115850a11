/* Entries of file lists, byte by byte, mostly as they were seen on the wire. What real rsync makes of whole trees is
 * the matter of tests/integration/rsync-list.sh. */
#include "base/buf.h"
#include "base/entry.h"
#include "scratch.h"
#include "transfer/rsync/rsync_entry.h"
#include "transfer/rsync/rsync_told.h"

#include <sys/sysmacros.h>

enum { VARINTS = RSYNC_COMPAT_VARINT_FLAGS, T = 1700000000 };

static struct rsync_encoder *encoder(int protocol, unsigned compat)
{
        const struct rsync_session session = { .protocol = protocol, .compat = compat };
        struct rsync_encoder *e = rsync_encoder_new(&session);

        ck_assert_ptr_nonnull(e);
        rsync_encoder_begin(e, 0);
        return e;
}

static struct entry file(uint64_t size)
{
        return (struct entry){ .mode = S_IFREG | 0644, .nlink = 1, .size = size, .mtime = { .tv_sec = T } };
}

static struct entry directory(void)
{
        return (struct entry){ .mode = S_IFDIR | 0755, .nlink = 2, .size = 4096, .mtime = { .tv_sec = T } };
}

static void put(struct rsync_encoder *e, struct buf *b, const char *path, const struct entry *entry, unsigned flags)
{
        buf_truncate(b, 0);
        ck_assert_int_eq(rsync_encoder_put(e, b, path, entry, flags), 0);
}

/* @hex: with blanks wherever they help, and text between quotes. */
static void check_bytes(const struct buf *b, const char *hex)
{
        _cleanup_(buf_deinit) struct buf want = { .data = NULL };
        bool is_text = false;
        unsigned byte;

        for (const char *at = hex; *at;) {
                if (*at == '\'')
                        is_text = !is_text, at++;
                else if (is_text)
                        ck_assert_int_eq(buf_putc(&want, *at++), 0);
                else if (*at == ' ')
                        at++;
                else {
                        ck_assert_int_eq(sscanf(at, "%2x", &byte), 1);
                        ck_assert_int_eq(buf_putc(&want, (char)byte), 0);
                        at += 2;
                }
        }
        ck_assert_uint_eq(b->size, want.size);
        ck_assert_mem_eq(b->data, want.data, want.size);
}

static void put_as(struct rsync_encoder *e, const char *path, const struct entry *entry, unsigned flags,
                   const char *hex)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };

        put(e, &b, path, entry, flags);
        check_bytes(&b, hex);
}

static void end_as(struct rsync_encoder *e, unsigned io_error, int result, const char *hex)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };

        ck_assert_int_eq(rsync_encoder_end(e, &b, io_error), result);
        check_bytes(&b, hex);
}

START_TEST(a_list_is_as_it_was_seen)
{
        _cleanup_(rsync_encoder_freep) struct rsync_encoder *e = encoder(32, 0x1fe);
        struct entry root = directory(), b = file(1402), c = file(5), a = file(6);

        put_as(e, ".", &root, RSYNC_ENTRY_TOP, "01 01'.' 000010 6500f153 ed410000 00 00  0000 0000 0000");
        put_as(e, "b.bin", &b, 0, "8098 05'b.bin' 007a05 a4810000 01 01");
        put_as(e, "c.txt", &c, 0, "809a 05'c.txt' 000500 01 01");
        put_as(e, "a.txt", &a, 0, "809a 05'a.txt' 000600 01 01");
        end_as(e, 0, 0, "00 00");
}
END_TEST

START_TEST(the_same_with_bytes_for_flags)
{
        _cleanup_(rsync_encoder_freep) struct rsync_encoder *e = encoder(31, 0x3e);
        struct entry root = directory(), b = file(1402), other = directory(), alike = file(1);

        put_as(e, ".", &root, RSYNC_ENTRY_TOP, "01 01'.' 000010 6500f153 ed410000 00 00  0000 0000 0000");
        put_as(e, "b.bin", &b, 0, "98 05'b.bin' 007a05 a4810000 01 01");
        /* Flags that are all zero: of a directory in two bytes, of another in one that is not zero. */
        other = (struct entry){ .mode = S_IFDIR | 0700, .nlink = 2, .uid = 1, .gid = 1, .mtime = { .tv_sec = 1 } };
        put_as(e, "d", &other, 0, "0400 01'd' 000000 00010000 c0410000 01 01 01 01 01");
        alike.uid = alike.gid = 2;
        put_as(e, "z", &alike, 0, "01 01'z' 000100 6500f153 a4810000 02 02 01 01");
        other.mtime.tv_nsec = 5;
        put_as(e, "zd", &other, RSYNC_ENTRY_CONTENT_OMITTED,
               "2421 01 01'd' 000000 00010000 05 c0410000 01 01 01 01 01");
}
END_TEST

START_TEST(flags_of_zero_are_no_end)
{
        _cleanup_(rsync_encoder_freep) struct rsync_encoder *e = encoder(31, VARINTS);
        struct entry a = file(0), b = directory();

        a.uid = a.gid = 1;
        /* Nobody is the same as one who was not there: as zero as the ids of the first are. */
        put_as(e, "a", &a, 0, "04 01'a' 000000 6500f153 a4810000 01 01 0000 0000");
        b.mtime.tv_sec = 0;
        put_as(e, "b", &b, 0, "04 01'b' 000010 00000000 ed410000 00 00 01 0000 01");
}
END_TEST

START_TEST(ends_tell_of_errors_where_they_can)
{
        _cleanup_(rsync_encoder_freep) struct rsync_encoder *varints = encoder(31, VARINTS), *bytes = encoder(31, 0),
                                                            *safe = encoder(30, RSYNC_COMPAT_SAFE_LIST_END),
                                                            *old = encoder(30, 0);

        end_as(varints, RSYNC_IO_GENERAL, 0, "00 01");
        end_as(bytes, 0, 0, "00");
        end_as(bytes, RSYNC_IO_GENERAL | RSYNC_IO_VANISHED, 0, "0410 03");
        end_as(safe, RSYNC_IO_VANISHED, 0, "0410 02");
        end_as(old, RSYNC_IO_GENERAL, RSYNC_ENCODER_TELL, "00");
        end_as(old, 0, 0, "00");
}
END_TEST

START_TEST(times_ids_and_sizes_have_any_value)
{
        _cleanup_(rsync_encoder_freep) struct rsync_encoder *e = encoder(31, VARINTS);
        struct entry a = file(1ULL << 32);

        a.uid = 1234;
        a.gid = 5678;
        a.mtime = (struct timespec){ .tv_sec = -1 };
        put_as(e, "a", &a, 0, "04 01'a' c100000000 f8ffffffffffffffff a4810000 84d2 962e 0000 0000");
        a.mtime = (struct timespec){ .tv_sec = T + 1, .tv_nsec = 123456789 };
        a.size = 7008;
        put_as(e, "b", &a, 0, "a01a 01'b' 00601b 6501f153 e715cd5b 01 01");
        a.size = (uint64_t)INT64_MAX + 1;
        ck_assert_int_eq(rsync_encoder_put(e, &(struct buf){ .data = NULL }, "c", &a, 0), -EOVERFLOW);
}
END_TEST

START_TEST(protocol_30_knows_no_nanoseconds)
{
        _cleanup_(rsync_encoder_freep) struct rsync_encoder *e = encoder(30, 0);
        struct entry a = file(1);

        a.mtime.tv_nsec = 1;
        put_as(e, "a", &a, 0, "01 01'a' 000100 6500f153 a4810000 00 00 0000 0000");
}
END_TEST

START_TEST(names_share_what_they_begin_with)
{
        _cleanup_(rsync_encoder_freep) struct rsync_encoder *e = encoder(31, VARINTS);
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        char path[RSYNC_PATH_MAX + 2];
        struct entry a = file(1);

        put(e, &b, "dir/alpha", &a, 0);
        put_as(e, "dir/alphabet", &a, 0, "80ba 09 03'bet' 000100 01 01");
        put_as(e, "dir/al", &a, 0, "80ba 06 00 000100 01 01");
        /* 300 bytes are more than one byte can say; then 255 of them are shared, and 45 that could be are not. */
        memset(path, 'x', sizeof(path));
        path[300] = '\0';
        put(e, &b, path, &a, 0);
        ck_assert_mem_eq(b.data, "\x80\xda\x81\x2cxx", 6);
        ck_assert_uint_eq(b.size, 4 + 300 + 5);
        path[300] = 'x', path[301] = '\0';
        put(e, &b, path, &a, 0);
        ck_assert_mem_eq(b.data, "\x80\xba\xff\x2exx", 6);
        ck_assert_uint_eq(b.size, 4 + 46 + 5);
        /* The longest suffix of one byte, and the shortest of two. */
        path[0] = 'y', path[255] = '\0';
        put(e, &b, path, &a, 0);
        ck_assert_mem_eq(b.data, "\x80\x9a\xffyx", 5);
        path[0] = 'z', path[255] = 'x', path[256] = '\0';
        put(e, &b, path, &a, 0);
        ck_assert_mem_eq(b.data, "\x80\xda\x81\x00zx", 6);
        path[256] = path[301] = 'x', path[RSYNC_PATH_MAX] = '\0';
        put(e, &b, path, &a, 0);
        path[RSYNC_PATH_MAX] = 'x', path[RSYNC_PATH_MAX + 1] = '\0';
        ck_assert_int_eq(rsync_encoder_put(e, &b, path, &a, 0), -ENAMETOOLONG);
}
END_TEST

START_TEST(devices_have_numbers)
{
        _cleanup_(rsync_encoder_freep) struct rsync_encoder *e = encoder(31, VARINTS);
        struct entry first = file(1), a = file(5);

        put_as(e, "a", &first, 0, "04 01'a' 000100 6500f153 a4810000 00 00 0000 0000");
        a.mode = S_IFCHR | 0600;
        a.rdev = makedev(1, 3);
        put_as(e, "chr", &a, 0, "8098 03'chr' 000000 80210000 01 03 01 01");
        a.rdev = makedev(1, 5);
        put_as(e, "zero", &a, 0, "819a 04'zero' 000000 05 01 01");
        a.rdev = makedev(259, 0x12345);
        a.mode = S_IFBLK | 0600;
        put_as(e, "disk", &a, 0, "8098 04'disk' 000000 80610000 8103 c14523 01 01");
        a.mode = S_IFIFO | 0600;
        put_as(e, "pipe", &a, 0, "8098 04'pipe' 000000 80110000 01 01");
}
END_TEST

START_TEST(special_files_had_numbers_once)
{
        _cleanup_(rsync_encoder_freep) struct rsync_encoder *e = encoder(30, VARINTS);
        struct entry first = file(1), a = file(5);

        put_as(e, "a", &first, 0, "04 01'a' 000100 6500f153 a4810000 00 00 0000 0000");
        a.mode = S_IFCHR | 0600;
        a.rdev = makedev(1, 3);
        put_as(e, "chr", &a, 0, "8098 03'chr' 000000 80210000 01 03 01 01");
        a.mode = S_IFIFO | 0600;
        put_as(e, "pipe", &a, 0, "8198 04'pipe' 000000 80110000 00 01 01");
        a.mode = S_IFCHR | 0600;
        put_as(e, "zero", &a, 0, "8198 04'zero' 000000 80210000 03 01 01");
}
END_TEST

START_TEST(symlinks_have_a_target_and_no_acl)
{
        _cleanup_(rsync_encoder_freep) struct rsync_encoder *e = encoder(31, VARINTS);
        struct entry a = file(77);

        a.mode = S_IFLNK | 0777;
        ck_assert_int_eq(rsync_encoder_put(e, &(struct buf){ .data = NULL }, "l", &a, 0), -EINVAL);
        a.target = "to/it";
        put_as(e, "l", &a, 0, "04 01'l' 000500 6500f153 ffa10000 00 00 05'to/it' 0000");
}
END_TEST

/* ---- hard links ---- */

START_TEST(links_are_told_of_by_the_first_one)
{
        _cleanup_(rsync_encoder_freep) struct rsync_encoder *e = encoder(31, VARINTS);
        struct entry root = directory(), a = file(100);

        a.nlink = 3;
        a.ino = 9;
        put_as(e, ".", &root, RSYNC_ENTRY_TOP, "01 01'.' 000010 6500f153 ed410000 00 00 0000 0000 0000");
        put_as(e, "zz-hard", &a, 0, "9298 07'zz-hard' 006400 a4810000 01 01");
        /* What has changed meanwhile has no place in a short one, and is not what the next entry is like. */
        a.mode = S_IFREG | 0600;
        a.mtime.tv_sec = 1;
        put_as(e, "dir/inner.txt", &a, 0, "829a 0d'dir/inner.txt' 01 01 01");
        a.nlink = 1;
        put_as(e, "other", &a, 0, "18 05'other' 006400 00010000 80810000 01 01");
}
END_TEST

START_TEST(links_to_earlier_lists_are_told_of_in_full)
{
        _cleanup_(rsync_encoder_freep) struct rsync_encoder *e = encoder(31, VARINTS);
        struct entry root = directory(), a = file(100);

        a.nlink = 2;
        a.ino = 9;
        a.born = 2;
        rsync_encoder_begin(e, 1);
        put_as(e, ".", &root, RSYNC_ENTRY_TOP, "01 01'.' 000010 6500f153 ed410000 00 00 0000 0000 0000");
        put_as(e, "x", &root, 0, "809a 01'x' 000010 01 01 01");
        put_as(e, "zz", &a, 0, "9298 02'zz' 006400 a4810000 01 01");
        rsync_encoder_begin(e, 5);
        put_as(e, "dir/inner.txt", &a, 0, "829a 0d'dir/inner.txt' 03 006400 01 01");
        put_as(e, "dir/z", &a, 0, "82ba 04 01'z' 03 006400 01 01");
        /* Another device; another kind of file under the same number. */
        a.dev = makedev(8, 1);
        put_as(e, "a", &a, 0, "929a 01'a' 006400 01 01");
        a.mode = S_IFIFO | 0644;
        put_as(e, "b", &a, 0, "9298 01'b' 000000 a4110000 01 01");
        put_as(e, "c", &a, 0, "829a 01'c' 08 01 01");
        /* One that was made later, of the same kind. */
        a.born = 1;
        put_as(e, "d", &a, 0, "929a 01'd' 000000 01 01");
}
END_TEST

START_TEST(numbers_end)
{
        _cleanup_(rsync_encoder_freep) struct rsync_encoder *e = encoder(31, VARINTS);
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        struct entry a = file(1);

        rsync_encoder_begin(e, INT32_MAX);
        put(e, &b, "a", &a, 0);
        ck_assert_int_eq(rsync_encoder_put(e, &b, "b", &a, 0), -EOVERFLOW);
}
END_TEST

/* ---- ACLs and attributes ---- */

#define ACL_VERSION "\2\0\0\0"
#define ACL_ENTRY(tag, access, id) tag "\0" access "\0" id
#define NO_ID "\xff\xff\xff\xff"

static const char mixed_acl[] =
        ACL_VERSION ACL_ENTRY("\1", "\6", NO_ID) ACL_ENTRY("\2", "\4", "\xd2\4\0\0") ACL_ENTRY("\4", "\4", NO_ID)
                ACL_ENTRY("\x8", "\5", "\x4d\0\0\0") ACL_ENTRY("\x10", "\5", NO_ID) ACL_ENTRY("\x20", "\4", NO_ID);
static const char plain_acl[] =
        ACL_VERSION ACL_ENTRY("\1", "\6", NO_ID) ACL_ENTRY("\4", "\4", NO_ID) ACL_ENTRY("\x20", "\4", NO_ID);
static const char masked_acl[] = ACL_VERSION ACL_ENTRY("\1", "\6", NO_ID) ACL_ENTRY("\4", "\4", NO_ID)
        ACL_ENTRY("\x10", "\7", NO_ID) ACL_ENTRY("\x20", "\4", NO_ID);

#define SET_OF(array) ((struct xattrs){ .items = (array), .count = ARRAY_SIZE(array) })

START_TEST(acls_lack_what_the_mode_says)
{
        _cleanup_(rsync_encoder_freep) struct rsync_encoder *e = encoder(31, VARINTS);
        struct xattr acl[] = { { .name = "system.posix_acl_access" } };
        struct entry a = file(1);

        a.mode = S_IFREG | 0654;
        a.xattrs = SET_OF(acl);
        acl[0].value = mixed_acl, acl[0].size = sizeof(mixed_acl) - 1;
        put_as(e, "a", &a, 0, "04 01'a' 000100 6500f153 ac810000 00 00  00 12 04 02 84d2 12 4d 14  0000");
        /* A mask that is not what the mode has for the group is told. */
        a.mode = S_IFREG | 0644;
        put_as(e, "b", &a, 0, "8098 01'b' 000100 a4810000  00 14 05 02 84d2 12 4d 14  01");
        acl[0].value = plain_acl, acl[0].size = sizeof(plain_acl) - 1;
        put_as(e, "c", &a, 0, "809a 01'c' 000100 0000 01");
        /* Without names the mask stays, whatever the mode says. */
        acl[0].value = masked_acl, acl[0].size = sizeof(masked_acl) - 1;
        a.mode = S_IFREG | 0674;
        put_as(e, "d", &a, 0, "8098 01'd' 000100 bc810000 00 06 04 07 01");
        /* Those that were told of are found again after others. */
        a.mode = S_IFREG | 0654;
        acl[0].value = mixed_acl, acl[0].size = sizeof(mixed_acl) - 1;
        put_as(e, "e", &a, 0, "8098 01'e' 000100 ac810000 01 01");
}
END_TEST

START_TEST(default_acls_are_whole_and_have_numbers_of_their_own)
{
        _cleanup_(rsync_encoder_freep) struct rsync_encoder *e = encoder(31, VARINTS);
        struct xattr acl[] = {
                { .name = "system.posix_acl_default", .value = mixed_acl, .size = sizeof(mixed_acl) - 1 }
        };
        struct entry a = directory(), b = directory();

        put_as(e, ".", &b, RSYNC_ENTRY_TOP, "01 01'.' 000010 6500f153 ed410000 00 00 0000 0000 0000");
        a.xattrs = SET_OF(acl);
        put_as(e, "a", &a, 0, "809a 01'a' 000010 01  00 1f 06 04 05 04 02 84d2 12 4d 14  01");
        put_as(e, "b", &a, 0, "809a 01'b' 000010 01 02 01");
        put_as(e, "c", &b, 0, "809a 01'c' 000010 01 01 01");
}
END_TEST

START_TEST(what_is_no_acl_changes_nothing)
{
        _cleanup_(rsync_encoder_freep) struct rsync_encoder *e = encoder(31, VARINTS);
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        struct xattr acl[] = { { .name = "system.posix_acl_access", .value = mixed_acl } };
        struct entry good = file(1), a = file(1);
        char wrong[sizeof(mixed_acl)];

        a.nlink = 2;
        a.xattrs = SET_OF(acl);
        /* Cut off anywhere, but behind the version, where there is nothing, which is the same as no ACL. */
        for (acl[0].size = 1; acl[0].size < sizeof(mixed_acl) - 1; acl[0].size++) {
                if (acl[0].size != 4)
                        ck_assert_int_eq(rsync_encoder_put(e, &b, "a", &a, 0), -EINVAL);
        }
        acl[0].value = wrong;
        for (size_t i = 0; i < sizeof(wrong) - 1; i++) {
                memcpy(wrong, mixed_acl, sizeof(wrong));
                wrong[i] ^= 0x40;
                /* Any id will do. */
                if ((i + 4) % 8 < 4 || i < 4)
                        ck_assert_int_eq(rsync_encoder_put(e, &b, "a", &a, 0), -EINVAL);
        }
        ck_assert_uint_eq(b.size, 0);
        put_as(e, "a", &good, 0, "04 01'a' 000100 6500f153 a4810000 00 00 0000 0000");
}
END_TEST

START_TEST(long_values_are_told_of_by_their_digest)
{
        _cleanup_(rsync_encoder_freep) struct rsync_encoder *e = encoder(31, VARINTS);
        static const char big[100], medium[32];
        struct xattr set[] = {
                { "security.demo", "sec", 3 },    { "system.posix_acl_access", plain_acl, sizeof(plain_acl) - 1 },
                { "user.big", big, sizeof(big) }, { "user.medium", medium, sizeof(medium) },
                { "user.rsync.%stat", "x", 1 },   { "user.small", "tiny", 4 },
        };
        struct entry a = file(1);

        a.xattrs = SET_OF(set);
        put_as(e, "a", &a, 0,
               "04 01'a' 000100 6500f153 a4810000 00 00 0000"
               "00 04 0e03'security.demo'00'sec' 0964'user.big'00 6d0bb00954ceb7fbee436bb55a8397a9"
               "0c20'user.medium'00 00000000000000000000000000000000 00000000000000000000000000000000"
               "0b04'user.small'00'tiny'");
        put_as(e, "b", &a, 0, "809a 01'b' 000100 01 01");
        ck_assert_ptr_eq(rsync_entry_xattr(&a, 1), &set[0]);
        ck_assert_ptr_eq(rsync_entry_xattr(&a, 2), &set[2]);
        ck_assert_ptr_eq(rsync_entry_xattr(&a, 4), &set[5]);
        ck_assert_ptr_null(rsync_entry_xattr(&a, 0));
        ck_assert_ptr_null(rsync_entry_xattr(&a, 5));
}
END_TEST

START_TEST(so_many_sets_are_remembered_and_no_more)
{
        struct rsync_told t;
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };

        rsync_told_init(&t);
        for (uint32_t i = 0; i < RSYNC_TOLD_MAX + 2; i++) {
                buf_truncate(&b, 0);
                ck_assert_int_eq(rsync_told_put(&t, &b, &i, sizeof(i)), 0);
                ck_assert_uint_eq(b.size, 5);
        }
        /* The last one is still known, since it was the last one; the one before is told of again, by another number.
         */
        for (uint32_t i = RSYNC_TOLD_MAX + 1; i >= RSYNC_TOLD_MAX; i--) {
                buf_truncate(&b, 0);
                ck_assert_int_eq(rsync_told_put(&t, &b, &i, sizeof(i)), 0);
                ck_assert_uint_eq(b.size, i == RSYNC_TOLD_MAX ? 5 : 4 - 1);
        }
        ck_assert_uint_eq(t.count, RSYNC_TOLD_MAX + 3);
        for (uint32_t i = 0; i < RSYNC_TOLD_MAX; i += RSYNC_TOLD_MAX - 1) {
                buf_truncate(&b, 0);
                ck_assert_int_eq(rsync_told_put(&t, &b, &i, sizeof(i)), 0);
                check_bytes(&b, i == 0 ? "01" : "c10000");
        }
        ck_assert_uint_eq(t.literals.count, RSYNC_TOLD_MAX);
        rsync_told_deinit(&t);
}
END_TEST

START_TEST(directories_are_ordered_as_with_a_slash)
{
        ck_assert_int_eq(rsync_compare_directories("a", "a"), 0);
        ck_assert_int_eq(rsync_compare_directories("a", "a-b"), 1);
        ck_assert_int_eq(rsync_compare_directories("a", "a.b"), 1);
        ck_assert_int_eq(rsync_compare_directories("a", "a0"), -1);
        ck_assert_int_eq(rsync_compare_directories("a-b", "a"), -1);
        ck_assert_int_eq(rsync_compare_directories("a\xff", "a"), 1);
        ck_assert_int_eq(rsync_compare_directories("a", "b"), -1);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                a_list_is_as_it_was_seen,
                the_same_with_bytes_for_flags,
                flags_of_zero_are_no_end,
                ends_tell_of_errors_where_they_can,
                times_ids_and_sizes_have_any_value,
                protocol_30_knows_no_nanoseconds,
                names_share_what_they_begin_with,
                devices_have_numbers,
                special_files_had_numbers_once,
                symlinks_have_a_target_and_no_acl,
                links_are_told_of_by_the_first_one,
                links_to_earlier_lists_are_told_of_in_full,
                numbers_end,
                acls_lack_what_the_mode_says,
                default_acls_are_whole_and_have_numbers_of_their_own,
                what_is_no_acl_changes_nothing,
                long_values_are_told_of_by_their_digest,
                so_many_sets_are_remembered_and_no_more,
                directories_are_ordered_as_with_a_slash,
        };

        return scratch_run("rsync-entry", tests, ARRAY_SIZE(tests));
}
