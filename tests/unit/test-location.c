/* SOURCE and DESTINATION expressions. */
#include "base/err.h"
#include "cases.h"
#include "options/location.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>

/* "kind|user|host|port|module|path", with - for what is absent. */
static void describe(const struct location *l, char *out, size_t size)
{
        static const char *const kinds[] = { "local", "ssh", "daemon" };

        snprintf(out, size, "%s|%s|%s|%u|%s|%s", kinds[l->kind], l->user ? l->user : "-", l->host ? l->host : "-",
                 l->port, l->module ? l->module : "-", l->path ? l->path : "-");
}

static void check_parsed(int (*parse)(struct location *, const char *, struct err *), const char *expression,
                         const char *expected)
{
        _cleanup_(location_deinit) struct location l = { .path = NULL }, again = { .path = NULL };
        _cleanup_(freep) char *rendered = NULL;
        struct err err = { .kind = ERR_NONE };
        char seen[256];

        ck_assert_msg(parse(&l, expression, &err) == 0, "%s: %s", expression, err.text);
        describe(&l, seen, sizeof(seen));
        ck_assert_msg(strcmp(seen, expected) == 0, "%s: %s", expression, seen);
        rendered = location_expression(&l);
        ck_assert_msg(parse(&again, rendered, &err) == 0, "%s: %s", rendered, err.text);
        ck_assert_msg(location_equal(&l, &again), "%s became %s", expression, rendered);
}

static void check_refused(int (*parse)(struct location *, const char *, struct err *), const char *expression,
                          const char *reason)
{
        struct location l = { .path = NULL };
        struct err err = { .kind = ERR_NONE };

        ck_assert_msg(parse(&l, expression, &err) == -EINVAL, "%s was accepted", expression);
        ck_assert_int_eq(err.kind, ERR_USAGE);
        ck_assert_msg(strstr(err.text, reason) != NULL, "%s: %s", expression, err.text);
        ck_assert_ptr_null(l.path);
}

START_TEST(all_forms_are_understood)
{
        static const char *const forms[][2] = {
                { "/mnt/backups/latest", "local|-|-|0|-|/mnt/backups/latest" },
                { "backups", "local|-|-|0|-|backups" },
                { ".", "local|-|-|0|-|." },
                { "host:/srv/latest", "ssh|-|host|0|-|/srv/latest" },
                { "me@host:/srv/latest", "ssh|me|host|0|-|/srv/latest" },
                { "me@ad.example@host:/srv", "ssh|me@ad.example|host|0|-|/srv" },
                { "DOM\\me@host:/srv", "ssh|DOM\\me|host|0|-|/srv" },
                { "host:latest", "ssh|-|host|0|-|latest" },
                { "host:a:b@c", "ssh|-|host|0|-|a:b@c" },
                { "host::module", "daemon|-|host|0|module|" },
                { "me@host::module/some/dir", "daemon|me|host|0|module|some/dir" },
                { "rsync://host/module", "daemon|-|host|0|module|" },
                { "rsync://me@host:8873/module/some/dir", "daemon|me|host|8873|module|some/dir" },
                { "rsync://me@ad@host/module", "daemon|me@ad|host|0|module|" },
                { "RSync://host/module@x:y", "daemon|-|host|0|module@x:y|" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
                check_parsed(location_parse, forms[i][0], forms[i][1]);
}
END_TEST

START_TEST(a_trailing_slash_makes_no_difference)
{
        static const char *const forms[][2] = {
                { "/mnt/latest///", "local|-|-|0|-|/mnt/latest" },
                { "///", "local|-|-|0|-|/" },
                { "host:/srv/", "ssh|-|host|0|-|/srv" },
                { "host:/", "ssh|-|host|0|-|/" },
                { "host::module/", "daemon|-|host|0|module|" },
                { "host::module//dir//", "daemon|-|host|0|module|dir" },
                { "rsync://host:1/module/", "daemon|-|host|1|module|" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
                check_parsed(location_parse, forms[i][0], forms[i][1]);
}
END_TEST

START_TEST(there_is_one_way_to_write_a_remote_path)
{
        static const char *const forms[][2] = {
                { "host::module/a//latest", "daemon|-|host|0|module|a/latest" },
                { "host::module/./a/./latest/.", "daemon|-|host|0|module|a/latest" },
                { "host::module/.", "daemon|-|host|0|module|" },
                { "host::module/a/../.b/..c/...", "daemon|-|host|0|module|a/../.b/..c/..." },
                { "host::module/~/x:y", "daemon|-|host|0|module|~/x:y" },
                { "rsync://host:1/module//a/./b/", "daemon|-|host|1|module|a/b" },
                { "host://srv/./latest//", "ssh|-|host|0|-|/srv/latest" },
                { "host:/.", "ssh|-|host|0|-|/" },
                { "host:./a//b", "ssh|-|host|0|-|a/b" },
                { "host:./", "ssh|-|host|0|-|." },
                { "host:.//./.", "ssh|-|host|0|-|." },
                { "host:~//a/./b", "ssh|-|host|0|-|a/b" },
                { "host:~//", "ssh|-|host|0|-|." },
                { "host:../a/..", "ssh|-|host|0|-|../a/.." },
                { "host:~/~/x", "ssh|-|host|0|-|./~/x" },
                { "host:.//~odd", "ssh|-|host|0|-|./~odd" },
                { "host:./:odd", "ssh|-|host|0|-|./:odd" },
                { "host:./-dash", "ssh|-|host|0|-|-dash" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
                check_parsed(location_parse, forms[i][0], forms[i][1]);
}
END_TEST

START_TEST(a_slash_before_the_first_colon_makes_it_local)
{
        check_parsed(location_parse, "./a:b", "local|-|-|0|-|./a:b");
        check_parsed(location_parse, "/mnt/a::b/", "local|-|-|0|-|/mnt/a::b");
        check_parsed(location_parse, "./rsync://host/module", "local|-|-|0|-|./rsync://host/module");
        check_parsed(location_parse, "[a/b]:c", "local|-|-|0|-|[a/b]:c");
        check_parsed(location_parse, "[no-colon", "local|-|-|0|-|[no-colon");
}
END_TEST

START_TEST(ipv6_addresses_stand_in_brackets)
{
        static const char *const forms[][2] = {
                { "[::1]:dir", "ssh|-|::1|0|-|dir" },
                { "me@[fe80::1%eth0]:/srv", "ssh|me|fe80::1%eth0|0|-|/srv" },
                { "me@[2001:db8::1]::module/x", "daemon|me|2001:db8::1|0|module|x" },
                { "rsync://[2001:db8::1]/module", "daemon|-|2001:db8::1|0|module|" },
                { "rsync://me@[::1]:8873/module", "daemon|me|::1|8873|module|" },
                { "[plain.example]:dir", "ssh|-|plain.example|0|-|dir" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
                check_parsed(location_parse, forms[i][0], forms[i][1]);
}
END_TEST

START_TEST(remote_paths_start_at_the_home_directory)
{
        check_parsed(location_parse, "host:", "ssh|-|host|0|-|.");
        check_parsed(location_parse, "host:~", "ssh|-|host|0|-|.");
        check_parsed(location_parse, "host:~/backups/", "ssh|-|host|0|-|backups");
        check_parsed(location_parse, "host:./~odd", "ssh|-|host|0|-|./~odd");
        check_refused(location_parse, "host:~other/dir", "home directory of another user");
}
END_TEST

START_TEST(broken_locations_say_what_is_wrong)
{
        static const char *const broken[][2] = {
                { "", "the location is empty" },
                { ":dir", "the host is empty" },
                { "::module", "the host is empty" },
                { "me@:dir", "the host is empty" },
                { "[]:dir", "the host is empty" },
                { "rsync://", "the host is empty" },
                { "rsync:///module", "the host is empty" },
                { "@host:dir", "the user before '@' is empty" },
                { "-oProxyCommand=x:dir", "a host cannot begin with '-'" },
                { "me@-host:dir", "a host cannot begin with '-'" },
                { "[-host]:dir", "a host cannot begin with '-'" },
                { "-x@host:dir", "a user cannot begin with '-'" },
                { "ho\nst:dir", "no host name can hold" },
                { "ho st:dir", "no host name can hold" },
                { "$(id):dir", "no host name can hold" },
                { "m\ne@host:dir", "the user holds a control character" },
                { "[::1:dir", "a '[' without its ']'" },
                { "[::1]", "only ':' or '::' can follow" },
                { "[::1]x:dir", "only ':' or '::' can follow" },
                { "host::", "module is missing" },
                { "host::/dir", "module is missing" },
                { "rsync://host", "module is missing" },
                { "rsync://host/", "module is missing" },
                { "rsync://host//dir", "module is missing" },
                { "host::mod\nule", "the module holds a control character" },
                { "rsync://host:/module", "the port is not a number from 1 to 65535" },
                { "rsync://host:0/module", "the port is not" },
                { "rsync://host:65536/module", "the port is not" },
                { "rsync://host:99999999999999999999/module", "the port is not" },
                { "rsync://host:+1/module", "the port is not" },
                { "rsync://host:22x/module", "the port is not" },
                { "rsync://[::1]x/module", "only ':' and a port" },
                { "rsync://2001:db8::1/module", "an IPv6 address stands in brackets" },
                { "rsync://[::1/x]/module", "no host name can hold" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(broken); i++)
                check_refused(location_parse, broken[i][0], broken[i][1]);
}
END_TEST

START_TEST(a_colon_in_a_local_name_gets_a_hint)
{
        struct location l = { .path = NULL };
        struct err err = { .kind = ERR_NONE };

        ck_assert_int_eq(location_parse(&l, "my backups: latest", &err), -EINVAL);
        ck_assert_ptr_nonnull(strstr(err.hint, "'/' before the ':'"));
}
END_TEST

START_TEST(passwords_are_refused_and_not_repeated)
{
        struct location l = { .path = NULL };
        struct err err = { .kind = ERR_NONE };

        ck_assert_int_eq(location_parse(&l, "rsync://me:secret@host/module", &err), -EINVAL);
        ck_assert_ptr_nonnull(strstr(err.text, "RSYNC_PASSWORD"));
        ck_assert_ptr_null(strstr(err.text, "secret"));
}
END_TEST

START_TEST(tunnels_have_a_host_and_perhaps_user_and_port)
{
        check_parsed(location_parse_tunnel, "host", "ssh|-|host|0|-|-");
        check_parsed(location_parse_tunnel, "me@host:2222", "ssh|me|host|2222|-|-");
        check_parsed(location_parse_tunnel, "me@[::1]:22", "ssh|me|::1|22|-|-");
        check_parsed(location_parse_tunnel, "[::1]", "ssh|-|::1|0|-|-");
        check_refused(location_parse_tunnel, "", "the host is empty");
        check_refused(location_parse_tunnel, "host:", "the port is not");
        check_refused(location_parse_tunnel, "host:22:22", "more than one ':'");
        check_refused(location_parse_tunnel, "host/dir", "no host name can hold");
        check_refused(location_parse_tunnel, "me:secret@host", "RSYNC_PASSWORD");
}
END_TEST

START_TEST(locations_are_shown_escaped)
{
        _cleanup_(location_deinit) struct location l = { .path = NULL };
        struct err err = { .kind = ERR_NONE };
        char shown[64];

        ck_assert_int_eq(location_set_local(&l, "/a:b/\x1b[2J/", &err), 0);
        location_show(&l, shown, sizeof(shown));
        ck_assert_str_eq(shown, "/a:b/\\033[2J");
}
END_TEST

int main(void)
{
        TCase *cases = tcase_create("location");

        tcase_add_test(cases, all_forms_are_understood);
        tcase_add_test(cases, a_trailing_slash_makes_no_difference);
        tcase_add_test(cases, there_is_one_way_to_write_a_remote_path);
        tcase_add_test(cases, a_slash_before_the_first_colon_makes_it_local);
        tcase_add_test(cases, ipv6_addresses_stand_in_brackets);
        tcase_add_test(cases, remote_paths_start_at_the_home_directory);
        tcase_add_test(cases, broken_locations_say_what_is_wrong);
        tcase_add_test(cases, a_colon_in_a_local_name_gets_a_hint);
        tcase_add_test(cases, passwords_are_refused_and_not_repeated);
        tcase_add_test(cases, tunnels_have_a_host_and_perhaps_user_and_port);
        tcase_add_test(cases, locations_are_shown_escaped);
        return cases_run("location", cases);
}
