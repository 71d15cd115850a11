/*
 * How conversations begin: the recorded one, in pieces of any size; what is negotiated with servers of all kinds; each
 * way in which a daemon refuses, and what no daemon says.
 */
#include "base/err.h"
#include "base/secret.h"
#include "scratch.h"
#include "transfer/rsync/rsync_hello.h"

static struct buf people; /* what was said to people */
static unsigned asked;    /* for a password */

static void hear(void *context, const char *line)
{
        (void)context;
        ck_assert_int_eq(buf_printf(&people, "%s;", line), 0);
}

static int give_password(void *context, struct secret *ret, struct err *err)
{
        const char *password = context;

        asked++;
        if (!password)
                return err_runf(err, -ENOKEY, "there is none");
        ck_assert_int_eq(secret_init(ret, 100), 0);
        ret->size = strlen(password);
        memcpy(ret->data, password, ret->size);
        return 0;
}

static const struct rsync_arguments arguments = {
        .delete_missing = true,
        .one_file_system = true,
        .destination = "mod/",
};

static const struct rsync_arguments compressed = { .compress = true, .destination = "mod/" };

static struct rsync_hello_config daemon_config(void)
{
        return (struct rsync_hello_config){
                .is_daemon = true,
                .peer = "host::mod",
                .module = "mod",
                .user = "me",
                .arguments = &arguments,
                .password = give_password,
                .motd = hear,
                .context = (void *)(uintptr_t) "secret",
        };
}

static struct rsync_hello *begin(const struct rsync_hello_config *config)
{
        struct rsync_hello *h = NULL;
        struct err err = { .kind = ERR_NONE };

        buf_truncate(&people, 0);
        asked = 0;
        ck_assert_int_eq(rsync_hello_new(&h, config, &err), 0);
        return h;
}

/* Feed all in pieces of @piece. Return what the last one returns; *ret_used are all that were taken. */
static int feed(struct rsync_hello *h, const void *data, size_t size, size_t piece, size_t *ret_used, struct err *err)
{
        int r = 0;

        *ret_used = 0;
        for (size_t at = 0, used; at < size && r == 0; at += piece) {
                r = rsync_hello_feed(h, (const char *)data + at, size_min(piece, size - at), &used, err);
                if (r == 0)
                        ck_assert_uint_eq(used, size_min(piece, size - at));
                *ret_used += used;
        }
        return r;
}

/* ---- arguments ---- */

/* One line of what is separated by NUL. */
static void check_arguments(const struct rsync_arguments *a, enum rsync_generation generation, const char *expected)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };

        ck_assert_int_eq(rsync_arguments_put(&b, a, generation), 0);
        for (size_t i = 0; i < b.size; i++) {
                if (b.data[i] == '\0')
                        b.data[i] = '|';
        }
        ck_assert_str_eq(buf_text(&b), expected);
}

START_TEST(arguments_are_those_that_the_server_knows)
{
        struct rsync_arguments a = { .destination = "mod/dir/" };

        check_arguments(&a, RSYNC_GENERATION_30, "--server|-lHogDtpAXre.LsfxCIvu|--numeric-ids|.|mod/dir/||");
        a.delete_missing = a.one_file_system = a.incremental = true;
        check_arguments(&a, RSYNC_GENERATION_32,
                        "--server|-lHogDtpAXrxe.iLsfxCIvu|--delete-excluded|--numeric-ids|.|mod/dir/||");
        a.dry_run = a.compress = a.list_only = a.make_path = true;
        a.timeout_s = 300;
        a.link_destination = "../latest";
        check_arguments(&a, RSYNC_GENERATION_327,
                        "--server|-lHogDtpAXdxnze.iLsfxCIvu|--timeout=300|--delete-excluded|--numeric-ids|"
                        "--link-dest=../latest|--mkpath|.|mod/dir/||");
        check_arguments(&a, RSYNC_GENERATION_31,
                        "--server|-lHogDtpAXdxnze.iLsfxCIvu|--timeout=300|--delete-excluded|--numeric-ids|"
                        "--link-dest=../latest|.|mod/dir/||");
}
END_TEST

START_TEST(paths_that_are_patterns_are_secluded)
{
        static const char *const patterns[] = { "mod/a*/", "mod/?/", "mod/[x]/", "mod/back\\slash/", "mod/two mod/" };
        struct rsync_arguments a = { .link_destination = "../a*" };

        for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
                char expected[200];

                a = (struct rsync_arguments){ .destination = patterns[i] };
                snprintf(expected, sizeof(expected), "--server|-lHogDtpAXrse.LsfxCIvu||rsync|--numeric-ids|.|%s||",
                         patterns[i]);
                check_arguments(&a, RSYNC_GENERATION_30, expected);
        }
        a = (struct rsync_arguments){ .link_destination = "../a*", .destination = "mod/" };
        check_arguments(&a, RSYNC_GENERATION_30,
                        "--server|-lHogDtpAXrse.LsfxCIvu||rsync|--numeric-ids|--link-dest=../a*|.|mod/||");
}
END_TEST

START_TEST(paths_that_begin_with_a_dash_are_no_options)
{
        static const char *const paths[][2] = {
                { "mod/-dash/", "mod/./-dash/" },
                { "mod/a/-dash/", "mod/a/-dash/" },
                { "-mod/", "-mod/" },
                { "-mod/-dash/", "-mod/./-dash/" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                const struct rsync_arguments a = { .destination = paths[i][0] };
                char expected[200];

                snprintf(expected, sizeof(expected), "--server|-lHogDtpAXre.LsfxCIvu|--numeric-ids|.|%s||",
                         paths[i][1]);
                check_arguments(&a, RSYNC_GENERATION_30, expected);
        }
        check_arguments(&(struct rsync_arguments){ .destination = "-mod/-*/" }, RSYNC_GENERATION_30,
                        "--server|-lHogDtpAXrse.LsfxCIvu||rsync|--numeric-ids|.|-mod/./-*/||");
}
END_TEST

static void check_command(const char *destination, const char *expected, const char *secluded, size_t secluded_size)
{
        _cleanup_(buf_deinit) struct buf command = { .data = NULL }, input = { .data = NULL };
        const struct rsync_arguments a = { .destination = destination, .make_path = true };

        ck_assert_int_eq(rsync_arguments_command(&command, &input, "sudo rsync", &a), 0);
        ck_assert_str_eq(buf_text(&command), expected);
        ck_assert_uint_eq(input.size, secluded_size);
        ck_assert_mem_eq(buf_text(&input), secluded, secluded_size);
}

#define SECLUDED(path) "rsync\0--numeric-ids\0.\0" path "\0"

static void check_word(const char *destination, const char *word)
{
        char expected[256];

        snprintf(expected, sizeof(expected), "sudo rsync --server -lHogDtpAXre.LsfxCIvu --numeric-ids . %s", word);
        check_command(destination, expected, "", 0);
}

START_TEST(commands_are_safe_from_any_shell)
{
        check_word("/srv/backup/", "/srv/backup/");
        check_word("/a $(b)/", "/a\\ \\$\\(b\\)/");
        check_word("/it's \"x\"!/", "/it\\'s\\ \\\"x\\\"\\!/");
        check_word("/*?[x]{y}~^/", "/\\*\\?\\[x\\]\\{y\\}\\~\\^/");
        check_word("/caf\xc3\xa9\xff/", "/caf\xc3\xa9\xff/");
        check_word("=ls/", "\\=ls/");
        check_word("a=b/", "a=b/");
        check_word("%self/", "\\%self/");
        check_word("~/x/", "\\~/x/");
        check_word("#x/", "\\#x/");
        check_word("-x/", "./-x/");
        check_command("/a\nb/", "sudo rsync --server -lHogDtpAXrse.LsfxCIvu", SECLUDED("/a\nb/"),
                      sizeof(SECLUDED("/a\nb/")));
        check_command("/back\\slash/", "sudo rsync --server -lHogDtpAXrse.LsfxCIvu", SECLUDED("/back\\slash/"),
                      sizeof(SECLUDED("/back\\slash/")));
}
END_TEST

/* ---- conversations ---- */

#define GREETING "@RSYNCD: 32.0 sha512 sha256 sha1 md5 md4\n"
#define NAMES "\x23xxh128 xxh3 xxh64 md5 md4 sha1 none"

/* From the greeting to the seed; two bytes of a frame behind it. */
static const char recorded[] = GREETING "hello\n\n@RSYNCD: OK\n\x81\xfe" NAMES "\1\0\0\0\3\0";
static const char recorded_answer[] = GREETING "mod\n"
                                               "--server\0-lHogDtpAXrxe.LsfxCIvu\0--delete-excluded\0--numeric-ids\0"
                                               ".\0mod/\0\0"
                                               "\3md5";

START_TEST(the_recorded_conversation_begins_as_it_did)
{
        struct rsync_hello_config config = daemon_config();

        config.checksums = 1u << RSYNC_MD5;
        for (size_t piece = 1; piece <= sizeof(recorded); piece++) {
                struct rsync_hello *h = begin(&config);
                struct err err = { .kind = ERR_NONE };
                const struct rsync_session *s;
                size_t used;

                ck_assert_int_eq(feed(h, recorded, sizeof(recorded) - 1, piece, &used, &err), RSYNC_HELLO_DONE);
                ck_assert_uint_eq(used, sizeof(recorded) - 3);
                ck_assert_uint_eq(rsync_hello_output(h)->size, sizeof(recorded_answer) - 1);
                ck_assert_mem_eq(rsync_hello_output(h)->data, recorded_answer, sizeof(recorded_answer) - 1);
                ck_assert_str_eq(buf_text(&people), "hello;;");
                s = rsync_hello_session(h);
                ck_assert_int_eq(s->protocol, 32);
                ck_assert_uint_eq(s->compat, 0x1fe);
                ck_assert_int_eq(s->checksum, RSYNC_MD5);
                ck_assert_int_eq(s->compression, RSYNC_COMPRESSION_NONE);
                ck_assert_int_eq(s->seed, 1);
                rsync_hello_free(h);
        }
}
END_TEST

/* Greetings, what the server sends behind its OK, and what is agreed on. */
static const struct {
        const char *greeting, *numbers;
        size_t size;
        int protocol_max;
        struct rsync_session session;
        bool compress;
} agreements[] = {
#define NUMBERS(text) text, sizeof(text) - 1
        { "@RSYNCD: 30.0\n", NUMBERS("\x0e\xb3\xff\xff\xff"), 0, { 30, 0x0e, RSYNC_MD5, 0, -77 }, false },
        { "@RSYNCD: 30.0\n", NUMBERS("\x06\1\0\0\0"), 0, { 30, 6, RSYNC_MD5, RSYNC_COMPRESSION_ZLIB, 1 }, true },
        { "@RSYNCD: 31.0\n", NUMBERS("\x3e\1\0\0\0"), 0, { 31, 0x3e, RSYNC_MD5, RSYNC_COMPRESSION_ZLIB, 1 }, true },
        { "@RSYNCD: 31.0\n", NUMBERS("\x36\1\0\0\0"), 0, { 31, 0x3e, RSYNC_MD5, 0, 1 }, false },
        { "@RSYNCD: 31.0 md5 md4\n",
          NUMBERS("\x81\xfe\x0dmd5 md4 none \1\0\0\0"),
          0,
          { 31, 0x1fe, RSYNC_MD5, 0, 1 },
          false },
        { GREETING, NUMBERS("\x81\xfe" NAMES "\1\0\0\0"), 0, { 32, 0x1fe, RSYNC_XXH128, 0, 1 }, false },
        { GREETING, NUMBERS("\x81\xfe" NAMES "\1\0\0\0"), 31, { 31, 0x1fe, RSYNC_XXH128, 0, 1 }, false },
        { GREETING, NUMBERS("\x81\xfe" NAMES "\1\0\0\0"), 30, { 30, 0x1fe, RSYNC_XXH128, 0, 1 }, false },
        { GREETING,
          NUMBERS("\x81\xfe\x0exxh64 xxh3 md5\x19zstd lz4 zlibx zlib none \0\0\0\0"),
          0,
          { 32, 0x1fe, RSYNC_XXH3, RSYNC_COMPRESSION_ZSTD, 0 },
          true },
        { GREETING,
          NUMBERS("\x81\xfe\x80\x06 xxh64\x0bzlib  zlibx\1\0\0\0"),
          0,
          { 32, 0x1fe, RSYNC_XXH64, RSYNC_COMPRESSION_ZLIBX, 1 },
          true },
        { GREETING, NUMBERS("\x81\xfe\x03md5\x04none\1\0\0\0"), 0, { 32, 0, 0, -1, 0 }, true },
        /* Versions that are still to come, and some that were not released when they were built. */
        { "@RSYNCD: 99.0 md5\n", NUMBERS("\x81\xfe\x03md5\1\0\0\0"), 0, { 32, 0x1fe, RSYNC_MD5, 0, 1 }, false },
        { "@RSYNCD: 33.2 md5\n", NUMBERS("\x81\xfe\x03md5\1\0\0\0"), 0, { 32, 0x1fe, RSYNC_MD5, 0, 1 }, false },
        { "@RSYNCD: 32.2 md5\n", NUMBERS("\x81\xfe\x03md5\1\0\0\0"), 0, { 31, 0x1fe, RSYNC_MD5, 0, 1 }, false },
        { "@RSYNCD: 31.14\r\n", NUMBERS("\x0e\1\0\0\0"), 0, { 30, 0x0e, RSYNC_MD5, 0, 1 }, false },
        { "@RSYNCD: 32.2 md5\n", NUMBERS("\x81\xfe\x03md5\1\0\0\0"), 31, { 31, 0x1fe, RSYNC_MD5, 0, 1 }, false },
};

static void check_session(const struct rsync_session *s, const struct rsync_session *expected)
{
        ck_assert_int_eq(s->protocol, expected->protocol);
        ck_assert_uint_eq(s->compat, expected->compat);
        ck_assert_int_eq(s->checksum, expected->checksum);
        ck_assert_int_eq(s->compression, expected->compression);
        ck_assert_int_eq(s->seed, expected->seed);
}

START_TEST(all_servers_agree_on_something)
{
        for (size_t i = 0; i < ARRAY_SIZE(agreements); i++) {
                struct rsync_hello_config config = daemon_config();
                bool fails = (int)agreements[i].session.compression == -1;
                struct err err = { .kind = ERR_NONE };
                struct rsync_hello *h;
                size_t used;

                config.protocol_max = agreements[i].protocol_max;
                config.arguments = agreements[i].compress ? &compressed : &arguments;
                h = begin(&config);
                ck_assert_int_eq(feed(h, agreements[i].greeting, strlen(agreements[i].greeting), 3, &used, &err), 0);
                ck_assert_int_eq(feed(h, "@RSYNCD: OK\n", 12, 5, &used, &err), 0);
                ck_assert_int_eq(feed(h, agreements[i].numbers, agreements[i].size, 1, &used, &err),
                                 fails ? -EPROTONOSUPPORT : RSYNC_HELLO_DONE);
                if (!fails)
                        check_session(rsync_hello_session(h), &agreements[i].session);
                rsync_hello_free(h);
        }
}
END_TEST

static bool output_has(struct rsync_hello *h, const char *text)
{
        const struct buf *out = rsync_hello_output(h);

        return memmem(out->data, out->size, text, strlen(text));
}

/* Lists are in the one order in which both rules of choosing come to the same, whatever is left out. */
START_TEST(what_is_offered_is_in_rsyncs_order)
{
        struct rsync_hello_config config = daemon_config();
        struct err err = { .kind = ERR_NONE };
        struct rsync_hello *h;
        size_t used;

        config.arguments = &compressed;
        h = begin(&config);
        ck_assert_int_eq(feed(h, GREETING "@RSYNCD: OK\n\x81\xfe", sizeof(GREETING) - 1 + 14, 9, &used, &err), 0);
        ck_assert(output_has(h, "\x15xxh128 xxh3 xxh64 md5\x13zstd lz4 zlibx zlib"));
        rsync_hello_free(h);

        config.checksums = 1u << RSYNC_MD5 | 1u << RSYNC_XXH64;
        config.compressions = 1u << RSYNC_COMPRESSION_ZLIB | 1u << RSYNC_COMPRESSION_LZ4;
        config.auths = 1u << RSYNC_AUTH_MD5 | 1u << RSYNC_AUTH_SHA256;
        h = begin(&config);
        ck_assert(output_has(h, "@RSYNCD: 32.0 sha256 md5\nmod\n"));
        ck_assert_int_eq(feed(h, GREETING "@RSYNCD: OK\n\x81\xfe", sizeof(GREETING) - 1 + 14, 9, &used, &err), 0);
        ck_assert(output_has(h, "\x09xxh64 md5\x08lz4 zlib"));
        rsync_hello_free(h);
}
END_TEST

/* ---- passwords ---- */

static const struct {
        const char *greeting;
        unsigned auths;
        const char *answer;
} answers[] = {
        { GREETING, 0, "me btFDFKsWub06B/hQbKWeDH5cCEQfW+vW5lyZ/Dns4AMMNt0kvOEl1JU9PPDQcJyWGcl0Hx3Fu77VyUEIskEbmw\n" },
        /* Those that offer none take MD5. */
        { "@RSYNCD: 31.0\n", 0, "me 0gYxF6xuBSlZeNMPC4QyFQ\n" },
        { "@RSYNCD: 30.0\n", 0, "me 0gYxF6xuBSlZeNMPC4QyFQ\n" },
        { GREETING, 1u << RSYNC_AUTH_MD5, "me 0gYxF6xuBSlZeNMPC4QyFQ\n" },
        { "@RSYNCD: 32.0 md5 sha512\n", 0, "me btFDFKsWub06B/hQbKWe" },
        { "@RSYNCD: 32.0 blake3 md5\n", 0, "me 0gYxF6xuBSlZeNMPC4QyFQ\n" },
        /* Nothing in common: nothing is answered, and nobody asked. */
        { "@RSYNCD: 32.0 blake3\n", 0, NULL },
        { "@RSYNCD: 32.0 md5\n", 1u << RSYNC_AUTH_SHA512, NULL },
        { "@RSYNCD: 31.0\n", 1u << RSYNC_AUTH_SHA512, NULL },
};

START_TEST(passwords_are_answered_for_by_the_best_digest)
{
        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                struct rsync_hello_config config = daemon_config();
                const char *expected = answers[i].answer;
                struct err err = { .kind = ERR_NONE };
                struct rsync_hello *h;
                size_t used;
                int r;

                config.auths = answers[i].auths;
                h = begin(&config);
                ck_assert_int_eq(feed(h, answers[i].greeting, strlen(answers[i].greeting), 99, &used, &err), 0);
                r = feed(h, "hello\n@RSYNCD: AUTHREQD CHALLENGE\n", 34, 1, &used, &err);
                ck_assert_int_eq(r, expected ? 0 : -EPROTONOSUPPORT);
                ck_assert_uint_eq(asked, expected ? 1 : 0);
                ck_assert(!expected || output_has(h, expected));
                ck_assert(!output_has(h, "secret"));
                rsync_hello_free(h);
        }
}
END_TEST

START_TEST(without_a_password_it_ends)
{
        struct rsync_hello_config config = daemon_config();
        struct err err = { .kind = ERR_NONE };
        struct rsync_hello *h;
        size_t used;

        config.context = NULL;
        h = begin(&config);
        ck_assert_int_eq(feed(h, GREETING "@RSYNCD: AUTHREQD x\n", sizeof(GREETING) - 1 + 20, 99, &used, &err),
                         -ENOKEY);
        err_drop(&err, "as expected");
        rsync_hello_free(h);

        config.password = NULL;
        h = begin(&config);
        ck_assert_int_eq(feed(h, GREETING "@RSYNCD: AUTHREQD x\n", sizeof(GREETING) - 1 + 20, 99, &used, &err),
                         -EACCES);
        ck_assert_ptr_nonnull(strstr(err.hint, "--password-file"));
        err_drop(&err, "as expected");
        rsync_hello_free(h);

        config = daemon_config();
        config.user = "two words";
        h = begin(&config);
        ck_assert_int_eq(feed(h, GREETING "@RSYNCD: AUTHREQD x\n", sizeof(GREETING) - 1 + 20, 99, &used, &err),
                         -EACCES);
        ck_assert_uint_eq(asked, 0);
        rsync_hello_free(h);
}
END_TEST

START_TEST(the_user_is_the_one_who_is_logged_in)
{
        struct rsync_hello_config config = daemon_config();
        struct err err = { .kind = ERR_NONE };
        struct rsync_hello *h;
        size_t used;

        config.user = NULL;
        ck_assert_int_eq(unsetenv("USER"), 0);
        ck_assert_int_eq(setenv("LOGNAME", "somebody", 1), 0);
        h = begin(&config);
        ck_assert_int_eq(feed(h, GREETING "@RSYNCD: AUTHREQD x\n", sizeof(GREETING) - 1 + 20, 99, &used, &err), 0);
        ck_assert(output_has(h, "somebody "));
        rsync_hello_free(h);
        ck_assert_int_eq(unsetenv("LOGNAME"), 0);
        h = begin(&config);
        ck_assert_int_eq(feed(h, GREETING "@RSYNCD: AUTHREQD x\n", sizeof(GREETING) - 1 + 20, 99, &used, &err),
                         -EACCES);
        ck_assert_ptr_nonnull(strstr(err.text, "there is none"));
        rsync_hello_free(h);
}
END_TEST

/* ---- refusals ---- */

/* What comes, the error, and what stands in it. */
static const struct {
        const char *lines;
        int code;
        const char *text, *hint;
} refusals[] = {
        { GREETING "@ERROR: Unknown module 'mod'\n", -ENOENT, "host::mod: the daemon refuses: Unknown module 'mod'",
          "rsync HOST::" },
        { GREETING "@ERROR: access denied to mod from localhost (127.0.0.1)\n", -EACCES, "from localhost (127.0.0.1)",
          "hosts allow" },
        { GREETING "@RSYNCD: AUTHREQD abc\n@ERROR: auth failed on module mod\n", -EACCES, "auth failed on module mod",
          "password" },
        { GREETING "@ERROR: max connections (1) reached -- try again later\n", -EBUSY, "max connections (1) reached",
          "later" },
        { GREETING "hello\n@ERROR: chroot failed\n", -EREMOTEIO, "chroot failed", "log" },
        { GREETING "@ERROR: chdir failed\n", -EREMOTEIO, "chdir failed", "path" },
        { GREETING "@ERROR: invalid uid nobody\n", -EREMOTEIO, "invalid uid nobody", "log" },
        { GREETING "@ERROR: setgid failed\n", -EREMOTEIO, "setgid failed", "log" },
        { GREETING "@ERROR: what nobody has ever said\n", -EREMOTEIO, "what nobody has ever said", "log" },
        { GREETING "@ERROR\n", -EREMOTEIO, "refuses", "log" },
        { "@ERROR: protocol startup error\n", -EPROTO, "protocol startup error", "" },
        { GREETING "@ERROR: your client does not support one of our daemon-auth checksums: sha512\n", -EPROTONOSUPPORT,
          "checksums: sha512", "digests" },
        /* What is done to a terminal by this is not done. */
        { GREETING "@ERROR: \033[2J\a'\\'\"\xff\n", -EREMOTEIO, "refuses: \\033[2J\\a'\\\\'\"\\377", "log" },
        { GREETING "@RSYNCD: EXIT\n", -EPROTO, "ends instead", "" },
        { "SSH-2.0-OpenSSH_9.2\r\n", -EPROTO, "no rsync daemon: SSH-2.0-OpenSSH_9.2", "873" },
        { "\n", -EPROTO, "no rsync daemon", "873" },
        { "@RSYNCD: 29\n", -EPROTONOSUPPORT, "version 29", "3.0" },
        { "@RSYNCD: 29.0\n", -EPROTONOSUPPORT, "version 29", "3.0" },
        { "@RSYNCD: 30.1\n", -EPROTONOSUPPORT, "version 30", "3.0" },
        { "@RSYNCD: 31\n", -EPROTO, "makes no sense", "" },
        { "@RSYNCD: 31 md5\n", -EPROTO, "makes no sense", "" },
        { "@RSYNCD: 31.\n", -EPROTO, "makes no sense", "" },
        { "@RSYNCD: 31.0md5\n", -EPROTO, "makes no sense", "" },
        { "@RSYNCD: -31.0\n", -EPROTO, "makes no sense", "" },
        { "@RSYNCD: 4294967327.0\n", -EPROTO, "makes no sense", "" },
        { "@RSYNCD: \n", -EPROTO, "makes no sense", "" },
        { GREETING "@RSYNCD: AUTHREQD \n", -EPROTO, "makes no sense", "" },
        { GREETING "@RSYNCD: AUTHREQD x\n@RSYNCD: AUTHREQD y\n", -EPROTO, "makes no sense", "" },
};

START_TEST(each_refusal_says_what_to_do)
{
        for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
                struct rsync_hello_config config = daemon_config();
                struct rsync_hello *h = begin(&config);
                struct err err = { .kind = ERR_NONE };
                size_t used;

                ck_assert_int_eq(feed(h, refusals[i].lines, strlen(refusals[i].lines), 7, &used, &err),
                                 refusals[i].code);
                if (err.kind != ERR_RUN || !strstr(err.text, refusals[i].text) || !strstr(err.hint, refusals[i].hint))
                        ck_abort_msg("%s: %s (%s)", refusals[i].lines, err.text, err.hint);
                rsync_hello_free(h);
        }
}
END_TEST

static void check_flood(const char *beginning, const char *line, size_t line_size, const char *text)
{
        struct rsync_hello_config config = daemon_config();
        struct rsync_hello *h = begin(&config);
        struct err err = { .kind = ERR_NONE };
        size_t used, total = 0;
        int r = feed(h, beginning, strlen(beginning), 99, &used, &err);

        ck_assert_int_eq(r, 0);
        while (r == 0 && total < 2u * RSYNC_MOTD_MAX) {
                r = rsync_hello_feed(h, line, line_size, &used, &err);
                total += line_size;
        }
        ck_assert_int_eq(r, -EPROTO);
        ck_assert_ptr_nonnull(strstr(err.text, text));
        ck_assert_uint_lt(people.size, 2u * RSYNC_MOTD_MAX);
        rsync_hello_free(h);
}

START_TEST(nothing_goes_on_for_ever)
{
        check_flood(GREETING, "much to say\n", 12, "has no end");
        check_flood(GREETING, "\n", 1, "has no end");
        check_flood(GREETING, "\r\n\n", 3, "has no end");
        check_flood(GREETING, "x", 1, "without an end");
        check_flood("", "x", 1, "without an end");
        check_flood("@RSYNCD: 32.0 ", "md5 ", 4, "without an end");
        check_flood(GREETING, "a\0b\n", 4, "NUL");
        check_flood(GREETING, "\r", 1, "without an end");
}
END_TEST

/* ---- numbers ---- */

static const struct {
        const char *numbers;
        size_t size;
        int code;
        const char *text;
} wrong_numbers[] = {
        { NUMBERS("\1"), -EPROTO, "incremental" },
        { NUMBERS("\xff\xff\xff\xff\xff\xff\xff"), -EPROTO, "compat flags" },
        { NUMBERS("\x81\xfe\x08md4 none\1\0\0\0"), -EPROTONOSUPPORT, "no checksum that is permitted here: md4 none" },
        /* Without the seed as well: such a server has ended. */
        { NUMBERS("\x81\xfe\x08md4 none"), -EPROTONOSUPPORT, "no checksum that is permitted here: md4 none" },
        { NUMBERS("\x81\xfe\x06xxh128\1\0\0\0"), RSYNC_HELLO_DONE, "" },
        { NUMBERS("\x81\xfe\x05xxh12\1\0\0\0"), -EPROTONOSUPPORT, "xxh12" },
        { NUMBERS("\x81\xfe\x07xxh128x\1\0\0\0"), -EPROTONOSUPPORT, "xxh128x" },
        { NUMBERS("\x81\xfe\0\1\0\0\0"), -EPROTONOSUPPORT, "no checksum" },
        { NUMBERS("\x81\xfe\4\0\n \0\1\0\0\0"), -EPROTONOSUPPORT, "no checksum" },
        /* Flags that nobody has asked for mean nothing, also when they are new. */
        { NUMBERS("\xc0\0\x10\1\0\0\0"), RSYNC_HELLO_DONE, "" },
};

START_TEST(wrong_numbers_are_refused)
{
        for (size_t i = 0; i < ARRAY_SIZE(wrong_numbers); i++) {
                struct rsync_hello_config config = daemon_config();
                struct rsync_hello *h = begin(&config);
                struct err err = { .kind = ERR_NONE };
                size_t used;

                ck_assert_int_eq(feed(h, GREETING "@RSYNCD: OK\n", sizeof(GREETING) - 1 + 12, 99, &used, &err), 0);
                ck_assert_int_eq(feed(h, wrong_numbers[i].numbers, wrong_numbers[i].size, 1, &used, &err),
                                 wrong_numbers[i].code);
                ck_assert_ptr_nonnull(strstr(err.text, wrong_numbers[i].text));
                rsync_hello_free(h);
        }
}
END_TEST

/* ---- remote shells ---- */

static struct rsync_hello_config shell_config(void)
{
        return (struct rsync_hello_config){ .peer = "host", .arguments = &arguments };
}

START_TEST(a_remote_shell_begins_with_versions)
{
        static const char numbers[] = "\x1f\0\0\0\x81\xfe" NAMES "\1\0\0\0\7";
        struct rsync_hello_config config = shell_config();
        const struct rsync_session expected = { 31, 0x1fe, RSYNC_XXH128, 0, 1 };

        for (size_t piece = 1; piece <= sizeof(numbers); piece++) {
                struct rsync_hello *h = begin(&config);
                struct err err = { .kind = ERR_NONE };
                size_t used;

                ck_assert_uint_eq(rsync_hello_output(h)->size, 4);
                ck_assert_mem_eq(rsync_hello_output(h)->data, "\x20\0\0\0", 4);
                ck_assert_int_eq(feed(h, numbers, sizeof(numbers) - 1, piece, &used, &err), RSYNC_HELLO_DONE);
                ck_assert_uint_eq(used, sizeof(numbers) - 2);
                check_session(rsync_hello_session(h), &expected);
                rsync_hello_free(h);
        }
}
END_TEST

START_TEST(what_a_shell_prints_is_told)
{
        struct rsync_hello_config config = shell_config();
        struct rsync_hello *h = begin(&config);
        struct err err = { .kind = ERR_NONE };
        size_t used;

        ck_assert_int_eq(feed(h, "Welcome!\nto you", 15, 99, &used, &err), -EPROTO);
        ck_assert_ptr_nonnull(strstr(err.text, "prints something: Welcome!"));
        ck_assert_ptr_nonnull(strstr(err.hint, "login script"));
        err_drop(&err, "as expected");
        rsync_hello_free(h);

        h = begin(&config);
        ck_assert_int_eq(feed(h, "\x1d\0\0\0", 4, 99, &used, &err), -EPROTONOSUPPORT);
        rsync_hello_free(h);
}
END_TEST

/* ---- the end, too early ---- */

static const struct {
        const char *lines;
        int code;
        const char *text;
} ends[] = {
        { "", -ECONNRESET, "without a greeting" },
        { "@RSYNCD: 32", -ECONNRESET, "@RSYNCD: 32" },
        { "@ERROR: max connections (3)", -EBUSY, "max connections (3)" },
        { GREETING, -ECONNRESET, "without a reason" },
        { GREETING "closed on\n\nSundays\n\n", -ECONNRESET, "has closed the connection: Sundays" },
        { GREETING "hello\n@ERROR: access denied", -EACCES, "access denied" },
        { GREETING "@RSYNCD: OK\n", -ECONNRESET, "when it was told what is to be done" },
        { GREETING "@RSYNCD: OK\n\x81\xfe\x04", -ECONNRESET, "when it was told what is to be done" },
};

START_TEST(the_end_is_explained)
{
        struct rsync_hello_config config = shell_config();
        struct err err = { .kind = ERR_NONE };
        struct rsync_hello *h = begin(&config);

        ck_assert_int_eq(rsync_hello_end(h, &err), -ECONNRESET);
        ck_assert_ptr_nonnull(strstr(err.hint, "installed"));
        rsync_hello_free(h);
        config = daemon_config();
        for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
                size_t used;

                err_clear(&err);
                h = begin(&config);
                ck_assert_int_eq(feed(h, ends[i].lines, strlen(ends[i].lines), 99, &used, &err), 0);
                ck_assert_int_eq(rsync_hello_end(h, &err), ends[i].code);
                if (!strstr(err.text, ends[i].text))
                        ck_abort_msg("%s", err.text);
                rsync_hello_free(h);
        }
}
END_TEST

START_TEST(modules_have_names)
{
        static const char *const wrong[] = { "", "#list", "mod/dir", "mod\n#list", "mod\r" };

        for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
                struct rsync_hello_config config = daemon_config();
                struct rsync_hello *h = NULL;
                struct err err = { .kind = ERR_NONE };

                config.module = wrong[i];
                ck_assert_int_eq(rsync_hello_new(&h, &config, &err), -EINVAL);
                ck_assert_ptr_null(h);
                ck_assert_int_eq(err.kind, ERR_USAGE);
        }
}
END_TEST

int main(void)
{
        const TTest *const tests[] = {
                arguments_are_those_that_the_server_knows,
                paths_that_are_patterns_are_secluded,
                paths_that_begin_with_a_dash_are_no_options,
                commands_are_safe_from_any_shell,
                the_recorded_conversation_begins_as_it_did,
                all_servers_agree_on_something,
                what_is_offered_is_in_rsyncs_order,
                passwords_are_answered_for_by_the_best_digest,
                without_a_password_it_ends,
                the_user_is_the_one_who_is_logged_in,
                each_refusal_says_what_to_do,
                nothing_goes_on_for_ever,
                wrong_numbers_are_refused,
                a_remote_shell_begins_with_versions,
                what_a_shell_prints_is_told,
                the_end_is_explained,
                modules_have_names,
        };
        int r = scratch_run("rsync-hello", tests, ARRAY_SIZE(tests));

        buf_deinit(&people);
        return r;
}
