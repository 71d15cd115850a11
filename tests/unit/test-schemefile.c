/* schemefile: which section of which file of rotate-backups governs a directory, and what it says. */
#include "base/err.h"
#include "base/path.h"
#include "cases.h"
#include "rotate/expression.h"
#include "rotate/schemefile.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

static char root[64], home[96];

static void put(const char *path, const char *text)
{
        char full[256];
        FILE *file;

        snprintf(full, sizeof(full), "%s%s", root, path);
        for (char *slash = strchr(full + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                ck_assert(mkdir(full, 0777) == 0 || errno == EEXIST);
                *slash = '/';
        }
        file = fopen(full, "we");
        ck_assert_ptr_nonnull(file);
        fputs(text, file);
        ck_assert_int_eq(fclose(file), 0);
}

static void make_root(void)
{
        snprintf(root, sizeof(root), "/tmp/test-schemefile-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(root));
        snprintf(home, sizeof(home), "%s/home/user", root);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where)
{
        (void)status, (void)type, (void)where;
        return remove(path);
}

static void remove_root(void)
{
        nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static int load(struct schemefile *s, const char *parent, struct err *err)
{
        return schemefile_load(s, parent, &(struct schemefile_places){ .root = root, .home = home }, err);
}

static struct schemefile loaded(const char *parent)
{
        struct schemefile s = { .section = NULL };
        struct err err = { .kind = ERR_NONE };

        ck_assert_msg(load(&s, parent, &err) == 0, "%s", err.text);
        return s;
}

static void assert_hourly(const char *parent, uint32_t expected)
{
        _cleanup_(schemefile_deinit) struct schemefile s = loaded(parent);

        ck_assert_msg(s.scheme.count[SCHEME_HOURLY] == expected, "%s: %u, from %s", parent,
                      (unsigned)s.scheme.count[SCHEME_HOURLY], s.section ? s.section : "nowhere");
}

static void assert_refused(const char *text, const char *message)
{
        _cleanup_(schemefile_deinit) struct schemefile s = { .section = NULL };
        struct err err = { .kind = ERR_NONE };
        char expected[256];

        put("/etc/rotate-backups.ini", text);
        ck_assert_msg(load(&s, "/backups/laptop", &err) == -EINVAL, "%s", text);
        snprintf(expected, sizeof(expected), "%s/etc/rotate-backups.ini:%s", root, message);
        ck_assert_msg(str_starts(err.text, expected), "%s", err.text);
        ck_assert_int_eq(err.kind, ERR_USAGE);
}

START_TEST(without_files_the_default_scheme_holds)
{
        _cleanup_(schemefile_deinit) struct schemefile s = loaded("/backups/laptop");

        ck_assert_ptr_null(s.section);
        ck_assert_ptr_null(s.refusal);
        ck_assert_mem_eq(s.scheme.count, scheme_default.count, sizeof(s.scheme.count));
        ck_assert(!s.scheme.relaxed && !s.scheme.prefer_recent);
        ck_assert(schemefile_selects(&s, "2026-11-21"));
}
END_TEST

START_TEST(a_section_says_everything)
{
        put("/etc/rotate-backups.ini", "[/backups/laptop]\nminutely = 60\nHourly = 7 * 2\ndaily = 3\nweekly = always\n"
                                       "monthly = 12\nyearly: ALWAYS\nstrict = no\nprefer-recent = yes\n"
                                       "ionice = best-effort\nuse-sudo = yes\nssh-user = joe\nremoval-command =\n");
        _cleanup_(schemefile_deinit) struct schemefile s = loaded("/backups/laptop");
        static const uint32_t counts[] = { 60, 14, 3, EXPRESSION_ALWAYS, 12, EXPRESSION_ALWAYS };

        ck_assert_str_eq(s.section, "/backups/laptop");
        ck_assert(str_starts(s.file, root));
        ck_assert_mem_eq(s.scheme.count, counts, sizeof(counts));
        ck_assert(s.scheme.relaxed && s.scheme.prefer_recent);
        ck_assert_str_eq(s.ionice, "best-effort");
        ck_assert_ptr_null(s.refusal);
}
END_TEST

START_TEST(frequencies_that_a_section_leaves_out_have_no_count)
{
        put("/etc/rotate-backups.ini", "[/backups/laptop]\ndaily = 3\n");
        _cleanup_(schemefile_deinit) struct schemefile s = loaded("/backups/laptop");

        ck_assert_uint_eq(s.scheme.count[SCHEME_DAILY], 3);
        ck_assert_uint_eq(s.scheme.count[SCHEME_HOURLY], 0);
        ck_assert_uint_eq(s.scheme.count[SCHEME_MONTHLY], 0);
        ck_assert(!s.scheme.relaxed && !s.scheme.prefer_recent);
}
END_TEST

START_TEST(a_section_without_counts_leaves_the_default_ones)
{
        put("/etc/rotate-backups.ini", "[/backups/laptop]\nstrict = no\n");
        _cleanup_(schemefile_deinit) struct schemefile s = loaded("/backups/laptop");

        ck_assert_mem_eq(s.scheme.count, scheme_default.count, sizeof(s.scheme.count));
        ck_assert(s.scheme.relaxed);
}
END_TEST

START_TEST(names_and_patterns_match_the_directory)
{
        put("/etc/rotate-backups.ini", "[laptop]\nhourly = 1\n[host:/backups/laptop]\nhourly = 2\n"
                                       "[/backups//laptop/]\nhourly = 3\n[/mnt/*/snap?/]\nhourly = 4\n"
                                       "[~/backups]\nhourly = 5\n[/weird?]\nhourly = 6\n[/backups/*]\nhourly = 7\n");
        char mine[128];

        snprintf(mine, sizeof(mine), "%s/backups", home);
        assert_hourly("/backups/laptop", 3);
        assert_hourly("/mnt/one/two/snapb", 4);
        assert_hourly("/mnt/one/snap", 24);
        assert_hourly(mine, 5);
        assert_hourly("/weird?", 6);
        assert_hourly("/weirdo", 24);
        assert_hourly("/backups/server", 7);
        assert_hourly("/backups/deep/server", 7);
        assert_hourly("/backups", 24);
        assert_hourly("/laptop", 24);
}
END_TEST

START_TEST(long_names_match_in_full)
{
        put("/etc/rotate-backups.ini", "[/mnt/backups/of/a/department/with/a/rather/long/name/server-1]\nhourly = 1\n"
                                       "[/mnt/backups/of/a/department/with/a/rather/long/name/server-2]\nhourly = 2\n");
        assert_hourly("/mnt/backups/of/a/department/with/a/rather/long/name/server-1", 1);
        assert_hourly("/mnt/backups/of/a/department/with/a/rather/long/name/server-2", 2);
}
END_TEST

START_TEST(the_first_section_that_matches_wins)
{
        put("/etc/rotate-backups.ini", "[/other]\nhourly = 1\n");
        put("/etc/rotate-backups.d/b.ini", "[/backups/server]\nhourly = 2\n");
        put("/etc/rotate-backups.d/a.ini", "[/backups/*]\nhourly = 3\n");
        put("/etc/rotate-backups.d/.hidden.ini", "[/backups/*]\nhourly = 4\n");
        put("/etc/rotate-backups.d/a.ini.bak", "[/backups/*]\nhourly = 5\n");
        put("/home/user/.rotate-backups.ini", "[/mnt]\nhourly = 6\n[/backups/laptop]\nhourly = 7\n");
        put("/home/user/.rotate-backups.d/x.ini", "[/mn*]\nhourly = 8\n[/srv]\nhourly = 9\n");
        put("/home/user/.config/rotate-backups.ini", "[/sr*]\nhourly = 10\n[/opt]\nhourly = 11\n");
        put("/home/user/.config/rotate-backups.d/x.ini", "[/op*]\nhourly = 12\n[/usr]\nhourly = 13\n");
        assert_hourly("/backups/server", 3);
        assert_hourly("/backups/laptop", 3);
        assert_hourly("/mnt", 6);
        assert_hourly("/srv", 9);
        assert_hourly("/opt", 11);
        assert_hourly("/usr", 13);
}
END_TEST

START_TEST(a_later_file_overrides_a_section_of_the_same_name)
{
        put("/etc/rotate-backups.ini", "[/backups/laptop]\nhourly = 1\ndaily = 2\nexclude-list = a*, b*\n");
        put("/home/user/.rotate-backups.ini", "[/backups/*]\nhourly = 8\n[/backups/laptop]\nhourly = 9\n"
                                              "exclude-list = c*\n");
        _cleanup_(schemefile_deinit) struct schemefile s = loaded("/backups/laptop");

        ck_assert_uint_eq(s.scheme.count[SCHEME_HOURLY], 9);
        ck_assert_uint_eq(s.scheme.count[SCHEME_DAILY], 2);
        ck_assert(schemefile_selects(&s, "a"));
        ck_assert(!schemefile_selects(&s, "c"));
}
END_TEST

START_TEST(without_a_home_the_system_files_hold)
{
        _cleanup_(schemefile_deinit) struct schemefile s = { .section = NULL };
        struct err err = { .kind = ERR_NONE };

        put("/etc/rotate-backups.ini", "[~/backups]\nhourly = 1\n[/*]\nhourly = 2\n");
        ck_assert_int_eq(schemefile_load(&s, "/x", &(struct schemefile_places){ .root = root }, &err), 0);
        ck_assert_uint_eq(s.scheme.count[SCHEME_HOURLY], 2);
}
END_TEST

START_TEST(lists_select_by_name)
{
        put("/etc/rotate-backups.ini", "[/backups/laptop]\ninclude-list = 2026*, 2025-12-?? *\n  2024-0[12]*,,\n"
                                       "exclude-list = *:30, 2026-11-21 17:00:00\n");
        _cleanup_(schemefile_deinit) struct schemefile s = loaded("/backups/laptop");

        ck_assert(schemefile_selects(&s, "2026-11-21 17:00:01"));
        ck_assert(!schemefile_selects(&s, "2026-11-21 17:00:00"));
        ck_assert(!schemefile_selects(&s, "2026-11-21 17:30"));
        ck_assert(schemefile_selects(&s, "2025-12-31 00:00"));
        ck_assert(!schemefile_selects(&s, "2025-12-31"));
        ck_assert(schemefile_selects(&s, "2024-02-01"));
        ck_assert(!schemefile_selects(&s, "2024-03-01"));
        ck_assert(!schemefile_selects(&s, "1999-01-01"));
}
END_TEST

START_TEST(an_exclude_list_alone_selects_the_rest)
{
        put("/etc/rotate-backups.ini", "[/backups/laptop]\ninclude-list = \nexclude-list = 2026*\n");
        _cleanup_(schemefile_deinit) struct schemefile s = loaded("/backups/laptop");

        ck_assert(!schemefile_selects(&s, "2026-11-21"));
        ck_assert(schemefile_selects(&s, "2025-11-21"));
}
END_TEST

START_TEST(what_all_sections_share_is_in_the_one_called_default)
{
        put("/etc/rotate-backups.ini",
            "[/backups/laptop]\nhourly = 5\nexclude-list = b*\n[DEFAULT]\nhourly = 1\ndaily = 365\n"
            "strict = no\nexclude-list = a*\n");
        put("/home/user/.rotate-backups.ini", "[DEFAULT]\ndaily = 366\nyearly = 9\n[/srv]\nremoval-command = x\n");
        _cleanup_(schemefile_deinit) struct schemefile s = loaded("/backups/laptop");
        _cleanup_(schemefile_deinit) struct schemefile none = loaded("/none");
        _cleanup_(schemefile_deinit) struct schemefile srv = loaded("/srv");

        ck_assert_str_eq(s.section, "/backups/laptop");
        ck_assert_uint_eq(s.scheme.count[SCHEME_HOURLY], 5);
        ck_assert_uint_eq(s.scheme.count[SCHEME_DAILY], 366);
        ck_assert_uint_eq(s.scheme.count[SCHEME_YEARLY], 9);
        ck_assert(s.scheme.relaxed);
        ck_assert(schemefile_selects(&s, "a") && !schemefile_selects(&s, "b"));
        ck_assert_ptr_nonnull(srv.refusal);
        ck_assert_mem_eq(none.scheme.count, scheme_default.count, sizeof(none.scheme.count));
        ck_assert(!none.scheme.relaxed);
        assert_refused("[DEFAULT]\nhourly = 0\n[/backups/laptop]\n", "2: hourly: ");
}
END_TEST

START_TEST(a_section_of_which_all_is_commented_out_matches)
{
        put("/etc/rotate-backups.ini", "[/backups/laptop]\n;hourly = 5\n[/backups/*]\nhourly = 1\n");
        assert_hourly("/backups/laptop", 24);
        assert_hourly("/backups/server", 1);
}
END_TEST

START_TEST(what_we_cannot_do_means_no_rotation)
{
        put("/etc/rotate-backups.ini", "[/backups/laptop]\ndaily = 1\nremoval-command = rmdir\n"
                                       "[/backups/server]\ntimestamp-pattern = (?P<year>x)\n"
                                       "[/other]\nremoval-command = rmdir\n");
        _cleanup_(schemefile_deinit) struct schemefile laptop = loaded("/backups/laptop");
        _cleanup_(schemefile_deinit) struct schemefile server = loaded("/backups/server");
        _cleanup_(schemefile_deinit) struct schemefile none = loaded("/none");

        ck_assert_ptr_nonnull(laptop.refusal);
        ck_assert_ptr_nonnull(strstr(laptop.refusal, "rotate-backups.ini:3: removal-command is set: "));
        ck_assert_ptr_nonnull(server.refusal);
        ck_assert_ptr_nonnull(strstr(server.refusal, "rotate-backups.ini:5: timestamp-pattern is set: "));
        ck_assert_ptr_null(none.refusal);
}
END_TEST

START_TEST(a_section_takes_back_what_we_cannot_do)
{
        put("/etc/rotate-backups.ini", "[DEFAULT]\nremoval-command = rmdir\n[/backups/laptop]\nremoval-command =\n"
                                       "[/backups/server]\nremoval-command = rm\n"
                                       "[/srv]\nremoval-command =\ntimestamp-pattern = x\n");
        _cleanup_(schemefile_deinit) struct schemefile laptop = loaded("/backups/laptop");
        _cleanup_(schemefile_deinit) struct schemefile server = loaded("/backups/server");
        _cleanup_(schemefile_deinit) struct schemefile srv = loaded("/srv");

        ck_assert_ptr_null(laptop.refusal);
        ck_assert_ptr_nonnull(strstr(server.refusal, "rotate-backups.ini:6: removal-command is set: "));
        ck_assert_ptr_nonnull(strstr(srv.refusal, "rotate-backups.ini:9: timestamp-pattern is set: "));
}
END_TEST

START_TEST(mistakes_in_the_matching_section_are_named)
{
        assert_refused("[/backups/laptop]\nhourley = 1\n", "2: hourley: unknown key");
        assert_refused("[/backups/laptop]\n\nhourly = 0\n", "3: hourly: '0' is not a count of snapshots");
        assert_refused("[/backups/laptop]\nhourly =\n", "2: hourly: '' is not a count of snapshots: it is empty");
        assert_refused("[/backups/laptop]\nstrict = perhaps\n", "2: strict: neither yes nor no: 'perhaps'");
        assert_refused("[/backups/laptop]\nionice = slow\n", "2: ionice: neither");
        assert_refused("[/backups/laptop]\nhourly = 1\nhourly = 2\n", "3: hourly: a second value, '2'");
        assert_refused("[/backups/laptop]\nhourly = 1\n  daily = 2\n", "3: hourly: a second value, 'daily = 2'");
        assert_refused("[/backups/laptop\nhourly = 1\n", "1: a '[' without its ']'");
}
END_TEST

START_TEST(other_sections_are_not_checked)
{
        put("/etc/rotate-backups.ini", "[/other]\nhourley = 1\nstrict = perhaps\n[/backups/laptop]\nhourly = 5\n"
                                       "[/backups/*]\nnonsense = 1\n");
        assert_hourly("/backups/laptop", 5);
}
END_TEST

START_TEST(what_cannot_be_read_is_an_error)
{
        _cleanup_(schemefile_deinit) struct schemefile s = { .section = NULL };
        struct err err = { .kind = ERR_NONE };
        char path[128];

        snprintf(path, sizeof(path), "%s/etc/rotate-backups.ini", root);
        put("/etc/x", "");
        ck_assert_int_eq(symlink("rotate-backups.ini", path), 0);
        ck_assert_int_eq(load(&s, "/backups/laptop", &err), -ELOOP);
        ck_assert_ptr_nonnull(strstr(err.text, path));
        ck_assert_int_eq(err.kind, ERR_USAGE);

        err = (struct err){ .kind = ERR_NONE };
        ck_assert_int_eq(unlink(path), 0);
        snprintf(path, sizeof(path), "%s/etc/rotate-backups.d", root);
        ck_assert_int_eq(symlink("rotate-backups.d", path), 0);
        ck_assert_int_eq(load(&s, "/backups/laptop", &err), -EINVAL);
        ck_assert_ptr_nonnull(strstr(err.text, path));
}
END_TEST

START_TEST(a_file_in_place_of_a_directory_is_as_good_as_none)
{
        put("/etc/rotate-backups.d", "");
        put("/home/user/.config", "");
        assert_hourly("/backups/laptop", 24);
}
END_TEST

START_TEST(another_machine_is_called_by_its_name)
{
        put("/etc/rotate-backups.ini", "[/backups/laptop]\nhourly = 1\n[*laptop]\nhourly = 2\n"
                                       "[far:/backups/laptop/]\nhourly = 3\n[far:/srv/*]\nhourly = 4\n");
        assert_hourly("far:/backups/laptop", 2);
        assert_hourly("far:/srv/laptop/x", 4);
        assert_hourly("near:/srv/x", 24);
        assert_hourly("/backups/laptop", 1);
        assert_hourly("/srv/laptop", 24);
        put("/etc/rotate-backups.ini", "[/*]\nhourly = 1\n[far:/backups/laptop/]\nhourly = 3\n");
        assert_hourly("far:/backups/laptop", 3);
        assert_hourly("far:backups", 24);
}
END_TEST

int main(void)
{
        TCase *cases = tcase_create("schemefile");

        tcase_add_checked_fixture(cases, make_root, remove_root);
        tcase_add_test(cases, without_files_the_default_scheme_holds);
        tcase_add_test(cases, a_section_says_everything);
        tcase_add_test(cases, frequencies_that_a_section_leaves_out_have_no_count);
        tcase_add_test(cases, a_section_without_counts_leaves_the_default_ones);
        tcase_add_test(cases, names_and_patterns_match_the_directory);
        tcase_add_test(cases, long_names_match_in_full);
        tcase_add_test(cases, another_machine_is_called_by_its_name);
        tcase_add_test(cases, the_first_section_that_matches_wins);
        tcase_add_test(cases, a_later_file_overrides_a_section_of_the_same_name);
        tcase_add_test(cases, without_a_home_the_system_files_hold);
        tcase_add_test(cases, lists_select_by_name);
        tcase_add_test(cases, an_exclude_list_alone_selects_the_rest);
        tcase_add_test(cases, what_all_sections_share_is_in_the_one_called_default);
        tcase_add_test(cases, a_section_of_which_all_is_commented_out_matches);
        tcase_add_test(cases, what_we_cannot_do_means_no_rotation);
        tcase_add_test(cases, a_section_takes_back_what_we_cannot_do);
        tcase_add_test(cases, mistakes_in_the_matching_section_are_named);
        tcase_add_test(cases, other_sections_are_not_checked);
        tcase_add_test(cases, what_cannot_be_read_is_an_error);
        tcase_add_test(cases, a_file_in_place_of_a_directory_is_as_good_as_none);
        return cases_run("schemefile", cases);
}
