/* ssh_config: which lines apply to a host, what their values are, what is refused and why. */
#include "base/buf.h"
#include "base/err.h"
#include "scratch.h"
#include "transfer/ssh/ssh_config.h"

#include <fnmatch.h>

struct file {
        const char *path, *text;
};

static const struct file *files;
static size_t file_count;

static int open_file(void *context, const char *pattern, size_t index, char **ret_path, struct buf *ret_text,
                     struct err *err)
{
        (void)context;
        (void)err;
        for (size_t i = 0; i < file_count; i++) {
                if (fnmatch(pattern, files[i].path, FNM_PATHNAME) != 0 || index-- > 0)
                        continue;
                *ret_path = strdup(files[i].path);
                return buf_puts(ret_text, files[i].text);
        }
        return SSH_CONFIG_NO_FILE;
}

static const char *variable(void *context, const char *name)
{
        (void)context;
        if (str_equal(name, "SSH_AUTH_SOCK"))
                return "/run/agent";
        return str_equal(name, "WHERE") ? "/there" : NULL;
}

static const struct ssh_config_reader reader = { NULL, open_file, variable };

static struct ssh_config_query query_for(const char *host)
{
        return (struct ssh_config_query){ .host = host,
                                          .local_user = "me",
                                          .home = "/home/me",
                                          .local_host = "here.example.org",
                                          .uid = 1000,
                                          .user_file = "/home/me/.ssh/config",
                                          .system_file = "/etc/ssh/ssh_config" };
}

static struct ssh_config *resolve(const struct ssh_config_query *query, const struct file *list, size_t count)
{
        struct ssh_config *c = NULL;
        struct err err = { .kind = ERR_NONE };

        files = list;
        file_count = count;
        ck_assert_msg(ssh_config_resolve(&c, query, &reader, &err) == 0, "%s; %s", err.text, err.hint);
        return c;
}

/* What ~/.ssh/config says of @host. */
static struct ssh_config *with(const char *text, const char *host)
{
        const struct file list[] = { { "/home/me/.ssh/config", text } };
        struct ssh_config_query query = query_for(host);

        return resolve(&query, list, 1);
}

static void refused(const char *text, const char *host, const char *message)
{
        const struct file list[] = { { "/home/me/.ssh/config", text } };
        struct ssh_config_query query = query_for(host);
        struct ssh_config *c = NULL;
        struct err err = { .kind = ERR_NONE };

        files = list;
        file_count = 1;
        ck_assert_msg(ssh_config_resolve(&c, &query, &reader, &err) == -EINVAL, "%s", text);
        ck_assert_ptr_null(c);
        ck_assert_int_eq(err.kind, ERR_USAGE);
        ck_assert_msg(str_starts(err.text, message), "%s: '%s', expected '%s'", text, err.text, message);
}

#define CONFIG _cleanup_(ssh_config_freep) struct ssh_config *

static void user_is(const char *text, const char *host, const char *user)
{
        CONFIG c = with(text, host);

        ck_assert_msg(str_equal(c->user, user), "%s: %s: '%s', expected '%s'", text, host, c->user, user);
}

/* ---- defaults ---- */

START_TEST(nothing_said_is_as_ssh_has_it)
{
        CONFIG c = with("", "host");

        ck_assert_str_eq(c->host_name, "host");
        ck_assert_str_eq(c->user, "me");
        ck_assert_uint_eq(c->port, 22);
        ck_assert_str_eq(c->identity_agent, "/run/agent");
        ck_assert(c->default_identities && !c->identities_only && !c->batch_mode);
        ck_assert_str_eq(c->identity_files.items[0], "/home/me/.ssh/id_ed25519");
        ck_assert_str_eq(c->user_known_hosts.items[0], "/home/me/.ssh/known_hosts");
        ck_assert_str_eq(c->global_known_hosts.items[0], "/etc/ssh/ssh_known_hosts");
        ck_assert_int_eq(c->strict_host_keys, SSH_CONFIG_ASK);
        ck_assert_uint_eq(c->jumps.count, 0);
        ck_assert_uint_eq(c->alive_interval_s, 15);
        ck_assert_uint_eq(c->alive_count_max, 3);
        ck_assert(c->with_public_keys && c->with_passwords && c->with_keyboard);
}
END_TEST

START_TEST(what_is_typed_wins)
{
        const struct file list[] = { { "/home/me/.ssh/config",
                                       "User other\nPort 99\nMatch user typed\nConnectTimeout 7" } };
        struct ssh_config_query query = query_for("host");
        CONFIG c = NULL;

        query.user = "typed";
        query.port = 2222;
        c = resolve(&query, list, 1);
        ck_assert_str_eq(c->user, "typed");
        ck_assert_uint_eq(c->port, 2222);
        ck_assert_uint_eq(c->connect_timeout_s, 7);
}
END_TEST

/* ---- lines ---- */

START_TEST(lines_are_written_in_many_ways)
{
        user_is("User bob", "h", "bob");
        user_is("  user\tbob  \r\n", "h", "bob");
        user_is("USER=bob", "h", "bob");
        user_is("User = bob", "h", "bob");
        user_is("User \"bob\"", "h", "bob");
        user_is("User 'bob smith'", "h", "bob smith");
        user_is("User bob\\ smith", "h", "bob smith");
        user_is("User \"a\\\"b\\\\c\"", "h", "a\"b\\c");
        user_is("User bob # a comment", "h", "bob");
        user_is("# User bob\n\n\t# x\nUser eve", "h", "eve");
        user_is("NoSuchKeyword x y z\nUser bob", "h", "bob");
        refused("User \"bob", "h", "/home/me/.ssh/config:1: User: a quote has no end");
        refused("\nUser", "h", "/home/me/.ssh/config:2: User has no value");
        refused("User a b", "h", "/home/me/.ssh/config:1: User has more than one value");
        refused("Host \"x", "h", "/home/me/.ssh/config:1: a quote has no end");
}
END_TEST

START_TEST(the_first_value_wins)
{
        CONFIG c = with("Port 1\nHost *\nPort 2\nUser a\nHost h\nUser b\nServerAliveInterval 4\nServerAliveInterval 5",
                        "h");

        ck_assert_uint_eq(c->port, 1);
        ck_assert_str_eq(c->user, "a");
        ck_assert_uint_eq(c->alive_interval_s, 4);
}
END_TEST

START_TEST(the_users_file_comes_before_the_systems)
{
        const struct file list[] = { { "/home/me/.ssh/config", "Host h\nUser mine" },
                                     { "/etc/ssh/ssh_config", "User theirs\nPort 44\nInclude ssh_config.d/*.conf" },
                                     { "/etc/ssh/ssh_config.d/a.conf", "ConnectTimeout 3" } };
        struct ssh_config_query query = query_for("h");
        CONFIG c = resolve(&query, list, ARRAY_SIZE(list));

        ck_assert_str_eq(c->user, "mine");
        ck_assert_uint_eq(c->port, 44);
        ck_assert_uint_eq(c->connect_timeout_s, 3);
}
END_TEST

/* ---- Host and Match ---- */

START_TEST(host_lines_have_patterns)
{
        static const char text[] = "Host exact other\nUser exact\nHost *.example.org !bad.example.org\nUser dom\n"
                                   "Host 10.0.?.1\nUser ten\nHost *\nUser rest";

        user_is(text, "exact", "exact");
        user_is(text, "other", "exact");
        user_is(text, "a.example.org", "dom");
        user_is(text, "bad.example.org", "rest");
        user_is(text, "10.0.7.1", "ten");
        user_is(text, "10.0.77.1", "rest");
        user_is("Host !*\nUser a\nHost !h\nUser b", "h", "me");
        user_is("Host\nUser a", "h", "me");
}
END_TEST

START_TEST(match_lines_have_criteria)
{
        user_is("Match all\nUser a", "h", "a");
        user_is("Match host h,x\nUser a", "h", "a");
        user_is("Match host H\nUser a", "h", "a");
        user_is("Match host *,!h\nUser a", "h", "me");
        user_is("Match !host x\nUser a", "h", "a");
        user_is("Match !host h\nUser a", "h", "me");
        user_is("Match originalhost h host real\nUser a", "h", "me");
        user_is("HostName real\nMatch originalhost h host real\nUser a", "h", "a");
        user_is("HostName %h.example.org\nMatch host h.example.org\nUser a", "h", "a");
        user_is("HostName real\nMatch host h\nUser a", "h", "me");
        user_is("Match localuser me\nUser a", "h", "a");
        user_is("Match localuser you\nUser a", "h", "me");
        user_is("Match user me\nUser a", "h", "a");
        user_is("User b\nMatch user me\nPort 7", "h", "b");
        user_is("Match canonical\nUser a", "h", "me");
        user_is("Match HOST h LocalUser me\nUser a", "h", "a");
        refused("Match\nUser a", "h", "/home/me/.ssh/config:1: Match has no criteria");
        refused("Match host", "h", "/home/me/.ssh/config:1: Match: nothing stands behind 'host'");
}
END_TEST

START_TEST(the_final_match_sees_the_final_name)
{
        user_is("Match final host real\nUser a\nHost h\nHostName real", "h", "a");
        user_is("Match final all\nUser a\nHost h\nUser b", "h", "b");
        user_is("Match final\nUser a\nHost real\nPort 1\nHost h\nHostName real", "h", "a");
        user_is("Match !final\nUser a", "h", "a");
}
END_TEST

/* ---- Include ---- */

START_TEST(included_files_count_where_they_are_included)
{
        const struct file list[] = { { "/home/me/.ssh/config",
                                       "Include conf.d/* /abs\nHost x\nInclude never\nHost h\nInclude ~/deep\nPort 9" },
                                     { "/home/me/.ssh/conf.d/1", "Host x\nUser wrong" },
                                     { "/home/me/.ssh/conf.d/2", "Host h\nUser right" },
                                     { "/abs", "ConnectTimeout 1" },
                                     { "/home/me/.ssh/never", "ConnectTimeout 2\nHost h\nBatchMode yes" },
                                     { "/home/me/deep", "Host *\nPort 8" } };
        struct ssh_config_query query = query_for("h");
        CONFIG c = resolve(&query, list, ARRAY_SIZE(list));

        ck_assert_str_eq(c->user, "right");
        ck_assert_uint_eq(c->connect_timeout_s, 1);
        ck_assert_uint_eq(c->port, 8);
        ck_assert(!c->batch_mode);
}
END_TEST

START_TEST(files_that_include_themselves_are_refused)
{
        refused("Include config", "h", "/home/me/.ssh/config:1: Include: more than 16 files deep");
        refused("Include config config\nInclude config", "h", "/home/me/.ssh/config:1: Include: more than 16 files");
        refused("Include ~you/x", "h", "/home/me/.ssh/config:1: Include: only ~/ is known");
        user_is("Include not-there/*\nUser a", "h", "a");
}
END_TEST

/* ---- values ---- */

START_TEST(tokens_are_expanded)
{
        CONFIG c = with("HostName %h.net%%\nUser u\nPort 7\nHostKeyAlias k\nIdentityFile ~/%r@%h:%p\n"
                        "IdentityFile %d/%n-%u-%i-%k-%l-%L\nCertificateFile ${WHERE}/c\nUserKnownHostsFile ~/a %d/b\n"
                        "GlobalKnownHostsFile none\nIdentityAgent ~/%r.sock",
                        "h");

        ck_assert_str_eq(c->host_name, "h.net%");
        ck_assert_str_eq(c->identity_files.items[0], "/home/me/u@h.net%:7");
        ck_assert_str_eq(c->identity_files.items[1], "/home/me/h-me-1000-k-here.example.org-here");
        ck_assert(!c->default_identities);
        ck_assert_str_eq(c->certificate_files.items[0], "/there/c");
        ck_assert_uint_eq(c->user_known_hosts.count, 2);
        ck_assert_str_eq(c->user_known_hosts.items[1], "/home/me/b");
        ck_assert_uint_eq(c->global_known_hosts.count, 0);
        ck_assert_str_eq(c->identity_agent, "/home/me/u.sock");
        refused("IdentityFile ~/%C", "h", "ssh_config: IdentityFile: cannot expand '%C'");
        refused("IdentityFile ~you/x", "h", "ssh_config: IdentityFile: cannot expand '~you/x'");
        refused("CertificateFile ${UNSET}", "h", "ssh_config: CertificateFile: cannot expand '${UNSET}'");
        refused("IdentityFile %", "h", "ssh_config: IdentityFile: cannot expand '%'");
}
END_TEST

START_TEST(identity_files_add_up)
{
        CONFIG c = with("IdentityFile /1\nHost h\nIdentityFile /2\nHost x\nIdentityFile /3\nHost *\nIdentityFile none",
                        "h");

        ck_assert_uint_eq(c->identity_files.count, 2);
        ck_assert_str_eq(c->identity_files.items[0], "/1");
        ck_assert_str_eq(c->identity_files.items[1], "/2");
}
END_TEST

static void agent_is(const char *text, const char *path)
{
        CONFIG c = with(text, "h");

        if (path)
                ck_assert_str_eq(c->identity_agent, path);
        else
                ck_assert_ptr_null(c->identity_agent);
}

START_TEST(the_agent_is_named_in_many_ways)
{
        agent_is("IdentityAgent SSH_AUTH_SOCK", "/run/agent");
        agent_is("IdentityAgent none", NULL);
        agent_is("IdentityAgent $WHERE", "/there");
        agent_is("IdentityAgent $UNSET", NULL);
        agent_is("IdentityAgent ${WHERE}/x", "/there/x");
}
END_TEST

START_TEST(numbers_have_units)
{
        CONFIG c = with("ConnectTimeout 1m30s\nServerAliveInterval 2H\nServerAliveCountMax 0\nRekeyLimit 2G 1h", "h");
        CONFIG d = with("ConnectTimeout none\nRekeyLimit default none\nServerAliveInterval 0", "h");

        ck_assert_uint_eq(c->connect_timeout_s, 90);
        ck_assert_uint_eq(c->alive_interval_s, 7200);
        ck_assert_uint_eq(c->alive_count_max, 0);
        ck_assert(c->rekey_bytes == (uint64_t)2 << 30);
        ck_assert_uint_eq(c->rekey_time_s, 3600);
        ck_assert_uint_eq(d->connect_timeout_s, 0);
        ck_assert_uint_eq(d->alive_interval_s, 0);
        ck_assert(d->rekey_bytes == 0 && d->rekey_time_s == 0);
        refused("ConnectTimeout 5x", "h", "/home/me/.ssh/config:1: ConnectTimeout: '5x' is not understood");
        refused("ConnectTimeout 99999999999", "h", "/home/me/.ssh/config:1: ConnectTimeout: '99999999999' is not");
        refused("ServerAliveCountMax -1", "h", "/home/me/.ssh/config:1: ServerAliveCountMax: '-1' is not understood");
        refused("RekeyLimit 5T", "h", "/home/me/.ssh/config:1: RekeyLimit: '5T' is not understood");
        refused("Port 0", "h", "/home/me/.ssh/config:1: Port is not a number from 1 to 65535");
        refused("Port 65536", "h", "/home/me/.ssh/config:1: Port is not a number from 1 to 65535");
        refused("Port http", "h", "/home/me/.ssh/config:1: Port is not a number from 1 to 65535");
}
END_TEST

START_TEST(words_are_one_of_a_few)
{
        CONFIG c =
                with("AddressFamily inet6\nStrictHostKeyChecking accept-new\nIdentitiesOnly YES\nBatchMode true", "h");
        CONFIG d = with("StrictHostKeyChecking yes\nAddressFamily any\nPasswordAuthentication no", "h");

        ck_assert_int_eq(c->family, SSH_CONFIG_INET6);
        ck_assert_int_eq(c->strict_host_keys, SSH_CONFIG_ACCEPT_NEW);
        ck_assert(c->identities_only && c->batch_mode);
        ck_assert_int_eq(d->strict_host_keys, SSH_CONFIG_STRICT);
        ck_assert(!d->with_passwords && d->with_keyboard);
        refused("AddressFamily ipx", "h", "/home/me/.ssh/config:1: AddressFamily: 'ipx' is not understood");
        refused("IdentitiesOnly maybe", "h", "/home/me/.ssh/config:1: IdentitiesOnly: 'maybe' is not understood");
        refused("StrictHostKeyChecking often", "h", "/home/me/.ssh/config:1: StrictHostKeyChecking: 'often' is not");
}
END_TEST

START_TEST(strict_checking_cannot_be_switched_off)
{
        CONFIG c = with("StrictHostKeyChecking no", "h");
        CONFIG d = with("StrictHostKeyChecking off", "h");

        ck_assert_int_eq(c->strict_host_keys, SSH_CONFIG_ACCEPT_NEW);
        ck_assert_int_eq(d->strict_host_keys, SSH_CONFIG_ACCEPT_NEW);
}
END_TEST

/* ---- jump hosts ---- */

START_TEST(jump_hosts_are_a_list)
{
        CONFIG c = with("ProxyJump a,bob@b:7,[::1]:8,ssh://u@c:9/", "h");
        CONFIG d = with("ProxyJump none\nProxyJump a", "h");
        CONFIG e = with("Host h\nProxyJump %r@gate.%h\nUser x", "h");

        ck_assert_uint_eq(c->jumps.count, 4);
        ck_assert_str_eq(c->jumps.items[1], "bob@b:7");
        ck_assert_uint_eq(d->jumps.count, 0);
        ck_assert_str_eq(e->jumps.items[0], "x@gate.h");
        refused("ProxyJump a,,b", "h", "ssh_config: ProxyJump: '' is not [USER@]HOST[:PORT]");
        refused("ProxyJump a:0", "h", "ssh_config: ProxyJump: 'a:0' is not");
        refused("ProxyJump @a", "h", "ssh_config: ProxyJump: '@a' is not");
        refused("ProxyJump -oProxyCommand=x", "h", "ssh_config: ProxyJump: '-oProxyCommand=x' is not");
}
END_TEST

START_TEST(targets_are_taken_apart)
{
        char *user, *host;
        unsigned port;

        ck_assert_int_eq(ssh_config_split_jump("u@x@[fe80::1]:33", &user, &host, &port), 0);
        ck_assert_str_eq(user, "u@x");
        ck_assert_str_eq(host, "fe80::1");
        ck_assert_uint_eq(port, 33);
        free(user);
        free(host);
        ck_assert_int_eq(ssh_config_split_jump("host", &user, &host, &port), 0);
        ck_assert_ptr_null(user);
        ck_assert_str_eq(host, "host");
        ck_assert_uint_eq(port, 0);
        free(host);
        ck_assert_int_eq(ssh_config_split_jump("[::1", &user, &host, &port), -EINVAL);
        ck_assert_int_eq(ssh_config_split_jump("[::1]x", &user, &host, &port), -EINVAL);
        ck_assert_int_eq(ssh_config_split_jump("", &user, &host, &port), -EINVAL);
        ck_assert_int_eq(ssh_config_split_jump("u@", &user, &host, &port), -EINVAL);
        ck_assert_int_eq(ssh_config_split_jump("h:", &user, &host, &port), -EINVAL);
        ck_assert_int_eq(ssh_config_split_jump("ssh://", &user, &host, &port), -EINVAL);
}
END_TEST

/* ---- what would execute something ---- */

START_TEST(what_would_execute_is_refused_where_it_applies)
{
        static const char at[] = "/home/me/.ssh/config:2: ";
        char message[256];

        snprintf(message, sizeof(message), "%sProxyCommand would execute a program", at);
        refused("\nProxyCommand nc %h %p", "h", message);
        user_is("Host x\nProxyCommand nc\nHost h\nUser a", "h", "a");
        user_is("ProxyCommand none\nUser a", "h", "a");
        user_is("ProxyJump gate\nProxyCommand nc\nUser a", "h", "a");
        user_is("ProxyCommand none\nProxyCommand nc\nUser a", "h", "a");
        snprintf(message, sizeof(message), "%sMatch exec would execute a program", at);
        refused("\nMatch exec \"true\"\nUser a", "h", message);
        refused("\nMatch !exec true", "h", message);
        refused("\nMatch host h exec true", "h", message);
        user_is("Match host x exec true\nUser a\nHost h\nUser b", "h", "b");
        user_is("Match exec true host x\nUser a\nHost h\nUser b", "h", "b");
        user_is("Host h\nUser a\nMatch originalhost nobody exec x\nUser b", "h", "a");
        snprintf(message, sizeof(message), "%sKnownHostsCommand would execute a program", at);
        refused("\nKnownHostsCommand /bin/x", "h", message);
        snprintf(message, sizeof(message), "%sLocalCommand would execute a program", at);
        refused("PermitLocalCommand yes\nLocalCommand x", "h", message);
        user_is("LocalCommand x\nUser a", "h", "a");
}
END_TEST

START_TEST(what_cannot_be_left_out_is_refused_where_it_applies)
{
        refused("RevokedHostKeys /x", "h", "/home/me/.ssh/config:1: RevokedHostKeys is not supported");
        user_is("RevokedHostKeys none\nUser a", "h", "a");
        user_is("Host x\nRevokedHostKeys /x\nHost h\nUser a", "h", "a");
        refused("Match tagged x", "h", "/home/me/.ssh/config:1: Match: 'tagged' is not supported");
        user_is("Match host x tagged y\nUser b\nHost h\nUser a", "h", "a");
        refused("User -oProxyCommand=x", "h", "the name of an SSH host or user is empty or begins with '-'");
        refused("HostName -x", "h", "the name of an SSH host or user is empty or begins with '-'");
}
END_TEST

/* ---- algorithms ---- */

static void algorithms_are(const char *wanted, const char *expected)
{
        _cleanup_(freep) char *list = ssh_config_algorithms(wanted, "aes,chacha,des-1,des-2");

        ck_assert_msg(str_equal(list, expected), "%s: '%s', expected '%s'", wanted, list, expected);
}

START_TEST(lists_of_algorithms_have_modifiers)
{
        algorithms_are(NULL, "aes,chacha,des-1,des-2");
        algorithms_are("des-2,aes", "des-2,aes");
        algorithms_are("+new,aes", "aes,chacha,des-1,des-2,new");
        algorithms_are("-des-*,aes", "chacha");
        algorithms_are("^des-2,new", "des-2,new,aes,chacha,des-1");
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                nothing_said_is_as_ssh_has_it,
                what_is_typed_wins,
                lines_are_written_in_many_ways,
                the_first_value_wins,
                the_users_file_comes_before_the_systems,
                host_lines_have_patterns,
                match_lines_have_criteria,
                the_final_match_sees_the_final_name,
                included_files_count_where_they_are_included,
                files_that_include_themselves_are_refused,
                tokens_are_expanded,
                identity_files_add_up,
                the_agent_is_named_in_many_ways,
                numbers_have_units,
                words_are_one_of_a_few,
                strict_checking_cannot_be_switched_off,
                jump_hosts_are_a_list,
                targets_are_taken_apart,
                what_would_execute_is_refused_where_it_applies,
                what_cannot_be_left_out_is_refused_where_it_applies,
                lists_of_algorithms_have_modifiers,
        };

        return scratch_run("ssh-config", tests, ARRAY_SIZE(tests));
}
