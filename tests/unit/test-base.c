/* buf, path, err and ini: what everything else stands on. */
#include "base/buf.h"
#include "base/err.h"
#include "base/ini.h"
#include "base/path.h"

#include <check.h>
#include <errno.h>
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

START_TEST(long_paths_lose_their_middle)
{
        char out[20];

        path_show(NULL, "abcdefghijklmnopqrstuvwxyz", out, sizeof(out));
        ck_assert_str_eq(out, "abcdefgh...stuvwxyz");
}
END_TEST

START_TEST(paths_are_made_plain)
{
        _cleanup_(freep) char *a = path_absolute("//usr/./lib//x/"), *b = path_absolute("/"), *p = path_parent("/x");

        ck_assert_str_eq(a, "/usr/lib/x");
        ck_assert_str_eq(b, "/");
        ck_assert_str_eq(p, "/");
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

struct seen {
        char text[400];
};

static int collect(void *context, const struct ini_item *item, struct err *err)
{
        struct seen *seen = context;
        size_t used = strlen(seen->text);

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
        ck_assert_str_eq(seen.text, "3:a b.x=1|5:a b.y=2|6:a b.y=3|");
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
        ck_assert_str_eq(seen.text, "");
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
        Suite *suite = suite_create("base");
        TCase *cases = tcase_create("base");
        SRunner *runner;
        int failed;

        tcase_add_test(cases, hostile_names_are_shown_escaped);
        tcase_add_test(cases, long_paths_lose_their_middle);
        tcase_add_test(cases, paths_are_made_plain);
        tcase_add_test(cases, errors_keep_the_reason_of_a_long_path);
        tcase_add_test(cases, ini_values_come_with_their_lines);
        tcase_add_test(cases, ini_errors_name_file_and_line);
        tcase_add_test(cases, buf_grows_and_is_always_text);
        suite_add_tcase(suite, cases);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? 1 : 0;
}
