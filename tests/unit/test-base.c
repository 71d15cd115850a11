/* buf, path, err and ini: what everything else stands on. */
#include "base/buf.h"
#include "base/err.h"
#include "base/ini.h"
#include "base/path.h"
#include "cases.h"

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>

START_TEST(hostile_names_are_shown_escaped)
{
        char out[128];

        path_show("dir", "new\nline \x1b[31m \xff caf\xc3\xa9 '\\", out, sizeof(out));
        ck_assert_str_eq(out, "dir/new\\nline \\033[31m \\377 caf\xc3\xa9 \\'\\\\");
        path_show("/", "x\xe2\x80\xaey", out, sizeof(out));
        ck_assert_str_eq(out, "/x\\342\\200\\256y");
}
END_TEST

START_TEST(only_valid_characters_that_print_are_shown_as_they_are)
{
        static const struct {
                const char *name, *shown;
        } rows[] = {
                { "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\x82", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\x82" },
                { "\xef\xbf\xbd\xf4\x8f\xbf\xbd", "\xef\xbf\xbd\xf4\x8f\xbf\xbd" },
                /* Cut off, longer than need be, a surrogate, beyond the last one, no first byte. */
                { "\xc3", "\\303" },
                { "\xe2\x82", "\\342\\202" },
                { "\xc1\xa9", "\\301\\251" },
                { "\xe0\x83\xa9", "\\340\\203\\251" },
                { "\xf0\x82\x82\xac", "\\360\\202\\202\\254" },
                { "\xed\xa0\x80", "\\355\\240\\200" },
                { "\xf4\x90\x80\x80", "\\364\\220\\200\\200" },
                { "\xf8\x88\x80\x80\x80", "\\370\\210\\200\\200\\200" },
                /* C1 controls, marks that turn the direction or have no width, a byte order mark. */
                { "\xc2\x9b", "\\302\\233" },
                { "\xe2\x80\x8b", "\\342\\200\\213" },
                { "\xe2\x80\x8f", "\\342\\200\\217" },
                { "\xe2\x80\xa8", "\\342\\200\\250" },
                { "\xe2\x81\xa6", "\\342\\201\\246" },
                { "\xef\xbb\xbf", "\\357\\273\\277" },
                { "\x01\a\b\t\n\v\f\r\x7f\"", "\\001\\a\\b\\t\\n\\v\\f\\r\\177\\\"" },
        };
        char out[64];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                path_show(NULL, rows[i].name, out, sizeof(out));
                ck_assert_str_eq(out, rows[i].shown);
        }
}
END_TEST

START_TEST(no_character_is_cut_in_two)
{
        static const char *const names[] = { "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x8e\x82", "a\xf0\x9f\x8e\x82" };
        char name[200], out[64];

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                name[0] = '\0';
                while (strlen(name) + strlen(names[i]) < sizeof(name))
                        strcat(name, names[i]);
                for (size_t size = 12; size <= sizeof(out); size++) {
                        _cleanup_(buf_deinit) struct buf again = { .data = NULL };

                        path_show(NULL, name, out, size);
                        ck_assert_uint_lt(strlen(out), size);
                        ck_assert_uint_gt(strlen(out) + 2 * strlen(names[i]), size - 2);
                        ck_assert_ptr_nonnull(strstr(out, "..."));
                        ck_assert_int_eq(path_escape(&again, NULL, out), 0);
                        ck_assert_str_eq(buf_text(&again), out);
                }
        }
}
END_TEST

START_TEST(long_paths_lose_their_middle)
{
        char out[20];

        path_show(NULL, "abcdefghijklmnopqrstuvwxyz", out, sizeof(out));
        ck_assert_str_eq(out, "abcdefgh...stuvwxyz");
}
END_TEST

START_TEST(paths_are_made_plain)
{
        _cleanup_(freep) char *a = path_absolute("//usr/./lib//x/"), *b = path_absolute("/"), *p = path_parent("/x"),
                              *q = path_parent("x"), *r = path_parent("/a/b"), *here = path_absolute("./a//.");
        char expected[PATH_MAX + 8];

        ck_assert_str_eq(a, "/usr/lib/x");
        ck_assert_str_eq(b, "/");
        ck_assert_str_eq(p, "/");
        ck_assert_str_eq(q, ".");
        ck_assert_str_eq(r, "/a");
        ck_assert_str_eq(path_base("a"), "a");
        ck_assert_ptr_nonnull(getcwd(expected, PATH_MAX));
        strcat(expected, "/a");
        ck_assert_str_eq(here, expected);
}
END_TEST

START_TEST(relative_paths_are_made_plain_too)
{
        static const char *const paths[][2] = { { "", "" },          { ".", "" },        { ".//./", "" },
                                                { "a//b/.", "a/b" }, { "./..a", "..a" }, { "../a/..", "../a/.." },
                                                { "/", "/" },        { "//./", "/" },    { "//a/./b//", "/a/b" } };

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                _cleanup_(freep) char *plain = path_plain(paths[i][0]);

                ck_assert_str_eq(plain, paths[i][1]);
        }
}
END_TEST

START_TEST(what_is_below_a_directory_is_told_by_components)
{
        ck_assert_str_eq(path_below("/mnt/disk/a", "/mnt/disk"), "a");
        ck_assert_str_eq(path_below("/mnt/disk/a/b", "/mnt/disk"), "a/b");
        ck_assert_str_eq(path_below("/mnt/disk", "/mnt/disk"), "");
        ck_assert_str_eq(path_below("/mnt", "/"), "mnt");
        ck_assert_str_eq(path_below("/", "/"), "");
        ck_assert_ptr_null(path_below("/mnt/disks", "/mnt/disk"));
        ck_assert_ptr_null(path_below("/mnt", "/mnt/disk"));
}
END_TEST

START_TEST(symlinks_are_resolved_as_far_as_the_path_exists)
{
        char top[] = "/tmp/rsync-system-backup-unit-XXXXXX", path[96], expected[96];
        _cleanup_(freep) char *all = NULL, *part = NULL, *root = path_resolve("/"),
                              *none = path_resolve("/no-such-1/a");

        ck_assert_ptr_nonnull(mkdtemp(top));
        snprintf(path, sizeof(path), "%s/link", top);
        ck_assert_int_eq(symlink(".", path), 0);
        all = path_resolve(path);
        ck_assert_str_eq(all, top);
        snprintf(path, sizeof(path), "%s/link/link/missing/more", top);
        snprintf(expected, sizeof(expected), "%s/missing/more", top);
        part = path_resolve(path);
        ck_assert_str_eq(part, expected);
        ck_assert_str_eq(root, "/");
        ck_assert_str_eq(none, "/no-such-1/a");
        snprintf(path, sizeof(path), "%s/link", top);
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(rmdir(top), 0);
}
END_TEST

START_TEST(symlinks_to_nothing_lead_where_it_would_be)
{
        char top[] = "/tmp/rsync-system-backup-unit-XXXXXX", path[96], expected[96];
        _cleanup_(freep) char *kept = NULL, *led = NULL, *absolute = NULL, *round = NULL;

        ck_assert_ptr_nonnull(mkdtemp(top));
        snprintf(path, sizeof(path), "%s/first", top);
        ck_assert_int_eq(symlink("second/a", path), 0);
        snprintf(path, sizeof(path), "%s/second", top);
        ck_assert_int_eq(symlink("missing/b", path), 0);
        snprintf(path, sizeof(path), "%s/away", top);
        ck_assert_int_eq(symlink("/no-such-1/a", path), 0);
        snprintf(path, sizeof(path), "%s/round", top);
        ck_assert_int_eq(symlink("round/round", path), 0);

        snprintf(path, sizeof(path), "%s/first/c", top);
        kept = path_resolve(path);
        ck_assert_str_eq(kept, path);
        led = path_resolve_missing(path);
        snprintf(expected, sizeof(expected), "%s/missing/b/a/c", top);
        ck_assert_str_eq(led, expected);
        snprintf(path, sizeof(path), "%s/away/b", top);
        absolute = path_resolve_missing(path);
        ck_assert_str_eq(absolute, "/no-such-1/a/b");
        snprintf(path, sizeof(path), "%s/round", top);
        round = path_resolve_missing(path);
        ck_assert_ptr_nonnull(round);
        for (size_t i = 0; i < 4; i++) {
                static const char *const names[] = { "first", "second", "away", "round" };

                snprintf(path, sizeof(path), "%s/%s", top, names[i]);
                ck_assert_int_eq(unlink(path), 0);
        }
        ck_assert_int_eq(rmdir(top), 0);
}
END_TEST

START_TEST(errors_keep_the_reason_of_a_long_path)
{
        static char path[8000];
        struct err err = { .kind = ERR_NONE };

        memset(path, 'x', sizeof(path) - 1);
        ck_assert_int_eq(err_item(&err, -ENOENT, "open", path), -ENOENT);
        ck_assert_ptr_nonnull(strstr(err.text, "No such file"));
        err_context(&err, "copy");
        ck_assert(str_starts(err.text, "copy: cannot open 'xxx"));
        err_drop(&err, "test");
        ck_assert_int_eq(err.kind, ERR_NONE);
}
END_TEST

START_TEST(what_will_fail_for_the_next_entry_too_ends_the_run)
{
        static const int ends[] = { ENOSPC,   EDQUOT,    EROFS,     EIO,    ENODEV, ENXIO,
                                    ENOTCONN, ESHUTDOWN, ETIMEDOUT, ENOMEM, EMFILE, ENFILE };
        static const int entry[] = { EACCES, EPERM, ENAMETOOLONG, ENOTSUP, ELOOP };
        struct err err = { .kind = ERR_NONE };

        for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
                ck_assert_int_eq(err_destination_at(&err, -ends[i], "write", "a", "b"), -ends[i]);
                ck_assert_int_eq(err.kind, ERR_RUN);
                err_clear(&err);
        }
        for (size_t i = 0; i < ARRAY_SIZE(entry); i++) {
                ck_assert_int_eq(err_destination_at(&err, -entry[i], "write", "a", "b"), -entry[i]);
                ck_assert_int_eq(err.kind, ERR_ITEM);
                err_clear(&err);
        }
        ck_assert_int_eq(err_destination_at(&err, -EBUSY, "remove", "a", "b"), -EBUSY);
        ck_assert_str_eq(err.hint, "is something mounted there, or is it a btrfs subvolume?");
        err_clear(&err);
}
END_TEST

struct seen {
        char text[400];
};

static int collect(void *context, const struct ini_item *item, struct err *err)
{
        struct seen *seen = context;
        size_t used = strlen(seen->text);

        if (!item->key) {
                snprintf(seen->text + used, sizeof(seen->text) - used, "%u:%s|", item->line, item->section);
                return 0;
        }
        if (str_equal(item->value, "bad"))
                return ini_error(err, item, "bad value");
        snprintf(seen->text + used, sizeof(seen->text) - used, "%u:%s.%s=%s|", item->line, item->section, item->key,
                 item->value);
        return 0;
}

START_TEST(ini_values_come_with_their_lines)
{
        struct seen seen = { "" };
        struct err err = { .kind = ERR_NONE };

        ck_assert_int_eq(ini_read_text("f", "# c\n[a b]\nx = 1\n\ny: 2 ; c\n  3\n", collect, &seen, &err), 0);
        ck_assert_str_eq(seen.text, "2:a b|3:a b.x=1|5:a b.y=2|6:a b.y=3|");
}
END_TEST

START_TEST(ini_errors_name_file_and_line)
{
        static const char *const texts[] = { "[a]\n\nx = bad\n", "[a]\n\nnonsense\n" };
        static const char *const messages[] = { "f.ini:3: x: bad value", "f.ini:3: neither" };
        char line[600] = "[a]\nx = ";

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                struct seen seen = { "" };
                struct err err = { .kind = ERR_NONE };

                ck_assert_int_eq(ini_read_text("f.ini", texts[i], collect, &seen, &err), -EINVAL);
                ck_assert_msg(str_starts(err.text, messages[i]), "%s", err.text);
                ck_assert_int_eq(err.kind, ERR_USAGE);
        }
        memset(line + 8, 'a', 500);
        struct seen seen = { "" };
        struct err err = { .kind = ERR_NONE };
        ck_assert_int_eq(ini_read_text("f.ini", line, collect, &seen, &err), -EINVAL);
        ck_assert_ptr_nonnull(strstr(err.text, "f.ini:2: the line is longer"));
        ck_assert_str_eq(seen.text, "1:a|");
}
END_TEST

START_TEST(buf_grows_and_is_always_text)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };

        ck_assert_str_eq(buf_text(&b), "");
        for (int i = 0; i < 1000; i++)
                ck_assert_int_eq(buf_printf(&b, "%d,", i), 0);
        ck_assert_uint_eq(strlen(b.data), b.size);
        buf_truncate(&b, 4);
        ck_assert_str_eq(b.data, "0,1,");
        ck_assert_int_eq(buf_reserve(&b, SIZE_MAX - 2), -ENOMEM);
}
END_TEST

int main(void)
{
        TCase *cases = tcase_create("base");

        tcase_add_test(cases, hostile_names_are_shown_escaped);
        tcase_add_test(cases, only_valid_characters_that_print_are_shown_as_they_are);
        tcase_add_test(cases, no_character_is_cut_in_two);
        tcase_add_test(cases, what_will_fail_for_the_next_entry_too_ends_the_run);
        tcase_add_test(cases, long_paths_lose_their_middle);
        tcase_add_test(cases, paths_are_made_plain);
        tcase_add_test(cases, relative_paths_are_made_plain_too);
        tcase_add_test(cases, what_is_below_a_directory_is_told_by_components);
        tcase_add_test(cases, symlinks_are_resolved_as_far_as_the_path_exists);
        tcase_add_test(cases, symlinks_to_nothing_lead_where_it_would_be);
        tcase_add_test(cases, errors_keep_the_reason_of_a_long_path);
        tcase_add_test(cases, ini_values_come_with_their_lines);
        tcase_add_test(cases, ini_errors_name_file_and_line);
        tcase_add_test(cases, buf_grows_and_is_always_text);
        return cases_run("base", cases);
}
