/* The table of verdicts. */
#include "base/entry.h"
#include "base/report.h"
#include "cases.h"
#include "transfer/decide.h"

#include <check.h>

static struct xattr user_a = { "user.a", "1", 1 }, user_a_other = { "user.a", "2", 1 },
                    access_acl = { "system.posix_acl_access", "x", 1 };

/* A file or what else @type says, with what the tests do not touch. */
static struct entry make(mode_t type)
{
        return (struct entry){ .name = "x",
                               .mode = type | 0644,
                               .nlink = 1,
                               .uid = 1,
                               .gid = 2,
                               .size = 10,
                               .mtime = { 100, 5 },
                               .ctime = { 200, 0 },
                               .target = S_ISLNK(type) ? "target" : NULL };
}

static const mode_t types[] = { S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK };

static void expect(const struct entry *want, const struct entry *have, struct decide_hints hints,
                   enum decide_verdict verdict, unsigned why)
{
        struct decision d = decide(want, have, &hints);

        ck_assert_msg(d.verdict == verdict, "verdict %d instead of %d", (int)d.verdict, (int)verdict);
        ck_assert_uint_eq(d.why, why);
}

static const struct decide_hints none = { .verify = false };

START_TEST(what_is_equal_is_kept_whatever_moves_by_itself)
{
        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                struct entry want = make(types[i]), have = make(types[i]);

                have.ctime.tv_sec++;
                have.nlink = 17;
                have.ino = 5;
                have.dev = 5;
                have.blocks = 5;
                expect(&want, &have, none, DECIDE_KEEP, 0);
        }
}
END_TEST

START_TEST(one_side_alone)
{
        struct entry e = make(S_IFREG);

        expect(&e, NULL, none, DECIDE_MAKE, 0);
        expect(NULL, &e, none, DECIDE_REMOVE, 0);
}
END_TEST

START_TEST(every_change_of_type_is_one)
{
        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                for (size_t j = 0; j < ARRAY_SIZE(types); j++) {
                        struct entry want = make(types[i]), have = make(types[j]);

                        if (i != j)
                                expect(&want, &have, none, DECIDE_RETYPE, 0);
                }
        }
}
END_TEST

START_TEST(content_needs_a_new_inode)
{
        struct entry want = make(S_IFREG), have = make(S_IFREG);

        have.size = 11;
        expect(&want, &have, none, DECIDE_REPLACE, REPORT_WHY_SIZE);
        have = make(S_IFREG);
        have.mtime.tv_nsec++;
        expect(&want, &have, none, DECIDE_REPLACE, REPORT_WHY_MTIME);
        have.uid++;
        expect(&want, &have, none, DECIDE_REPLACE, REPORT_WHY_MTIME | REPORT_WHY_OWNER);
        want = have = make(S_IFLNK);
        have.target = "other";
        expect(&want, &have, none, DECIDE_REPLACE, REPORT_WHY_TARGET);
        want = have = make(S_IFCHR);
        have.rdev = 5;
        expect(&want, &have, none, DECIDE_REPLACE, REPORT_WHY_DEVICE);
        /* Size and device number of what has none say nothing. */
        want = have = make(S_IFIFO);
        have.size = have.rdev = 99;
        expect(&want, &have, none, DECIDE_KEEP, 0);
        want = have = make(S_IFDIR);
        have.size = 99;
        expect(&want, &have, none, DECIDE_KEEP, 0);
}
END_TEST

START_TEST(metadata_change_in_place_only_where_nothing_else_links)
{
        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                struct entry want = make(types[i]), have = make(types[i]);
                bool is_file = S_ISREG(types[i]), is_dir = S_ISDIR(types[i]);

                have.gid = 77;
                expect(&want, &have, none, is_file || is_dir ? DECIDE_ADJUST : DECIDE_RELINK, REPORT_WHY_GROUP);
                have.nlink = 2;
                expect(&want, &have, none, is_dir ? DECIDE_ADJUST : DECIDE_RELINK, REPORT_WHY_GROUP);
                have = make(types[i]);
                have.mode |= S_ISUID;
                if (S_ISLNK(types[i]))
                        expect(&want, &have, none, DECIDE_KEEP, 0);
                else
                        expect(&want, &have, none, is_file || is_dir ? DECIDE_ADJUST : DECIDE_RELINK, REPORT_WHY_MODE);
                have = make(types[i]);
                have.mtime.tv_sec--;
                if (!is_file)
                        expect(&want, &have, none, is_dir ? DECIDE_ADJUST : DECIDE_RELINK, REPORT_WHY_MTIME);
        }
}
END_TEST

START_TEST(content_that_may_be_anybodys_gets_no_power)
{
        static struct xattr capability[] = { { "security.capability", "", 0 } };

        for (unsigned links = 1; links <= 2; links++) {
                struct entry want = make(S_IFREG), have = make(S_IFREG);

                have.nlink = links;
                want.mode |= S_ISUID;
                expect(&want, &have, none, DECIDE_REPLACE, REPORT_WHY_MODE);
                have.mode = want.mode;
                have.uid++;
                expect(&want, &have, none, DECIDE_REPLACE, REPORT_WHY_OWNER);
                want = have = make(S_IFREG);
                have.nlink = links;
                want.xattrs = (struct xattrs){ capability, 1 };
                expect(&want, &have, none, DECIDE_REPLACE, REPORT_WHY_XATTRS);
                have.xattrs = want.xattrs;
                expect(&want, &have, none, DECIDE_KEEP, 0);
        }
}
END_TEST

START_TEST(attributes_and_acls_are_told_apart)
{
        struct entry want = make(S_IFREG), have = make(S_IFREG);
        struct xattr both[] = { access_acl, user_a };

        want.xattrs = (struct xattrs){ both, 2 };
        expect(&want, &have, none, DECIDE_ADJUST, REPORT_WHY_ACL | REPORT_WHY_XATTRS);
        expect(&have, &want, none, DECIDE_ADJUST, REPORT_WHY_ACL | REPORT_WHY_XATTRS);
        have.xattrs = (struct xattrs){ &user_a, 1 };
        expect(&want, &have, none, DECIDE_ADJUST, REPORT_WHY_ACL);
        expect(&have, &want, none, DECIDE_ADJUST, REPORT_WHY_ACL);
        want.xattrs = (struct xattrs){ &user_a_other, 1 };
        expect(&want, &have, none, DECIDE_ADJUST, REPORT_WHY_XATTRS);
        want.xattrs = have.xattrs;
        expect(&want, &have, none, DECIDE_KEEP, 0);
}
END_TEST

START_TEST(a_file_that_is_not_trusted_is_compared_first)
{
        const struct decide_hints verify = { .verify = true }, verified = { .verify = true, .verified = true };

        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                struct entry want = make(types[i]), have = make(types[i]);

                expect(&want, &have, verify, S_ISREG(types[i]) ? DECIDE_COMPARE : DECIDE_KEEP, 0);
                expect(&want, &have, verified, DECIDE_KEEP, 0);
                have.uid++;
                have.nlink = 3;
                if (!S_ISREG(types[i]))
                        continue;
                /* Also before its content is shared with a new inode. */
                expect(&want, &have, verify, DECIDE_COMPARE, 0);
                expect(&want, &have, verified, DECIDE_RELINK, REPORT_WHY_OWNER);
                have.size++;
                expect(&want, &have, verify, DECIDE_REPLACE, REPORT_WHY_SIZE | REPORT_WHY_OWNER);
        }
}
END_TEST

START_TEST(an_inode_that_stands_for_another_file_is_left)
{
        const struct decide_hints wrong = { .wrong_inode = true };
        struct entry want = make(S_IFREG), have = make(S_IFREG);

        have.nlink = 2;
        expect(&want, &have, wrong, DECIDE_RELINK, REPORT_WHY_LINKS);
        have.gid++;
        expect(&want, &have, wrong, DECIDE_RELINK, REPORT_WHY_LINKS | REPORT_WHY_GROUP);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                what_is_equal_is_kept_whatever_moves_by_itself,
                one_side_alone,
                every_change_of_type_is_one,
                content_needs_a_new_inode,
                metadata_change_in_place_only_where_nothing_else_links,
                content_that_may_be_anybodys_gets_no_power,
                attributes_and_acls_are_told_apart,
                a_file_that_is_not_trusted_is_compared_first,
                an_inode_that_stands_for_another_file_is_left,
        };
        TCase *cases = tcase_create("decide");

        for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
                tcase_add_test(cases, tests[i]);
        return cases_run("decide", cases);
}
