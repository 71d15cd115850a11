/*
 * One table says of each keyword where its value goes and how it is read; the first value of each is taken. What is
 * read stays as it was written until all is known that its tokens may stand for.
 */
#include "transfer/ssh/ssh_keywords.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/path.h"
#include "transfer/ssh/ssh_words.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

enum { LIST_ITEMS_MAX = 100 };

struct keyword {
        const char *name;
        int (*take)(struct ssh_keywords *k, const struct keyword *keyword, const char *rest,
                    const struct ssh_keywords_place *place, struct err *err);
        size_t offset;
};

int ssh_keywords_refuse(struct err *err, const struct ssh_keywords_place *place, const char *format, ...)
{
        char message[ERR_TEXT_MAX - 256];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(message, sizeof(message), format, arguments);
        va_end(arguments);
        return err_usage(err, "%s:%u: %s", place->file, place->line, message);
}

static int refuse_value(struct err *err, const struct ssh_keywords_place *place, const struct keyword *keyword,
                        const char *value)
{
        char shown[128];

        path_show(NULL, value, shown, sizeof(shown));
        return ssh_keywords_refuse(err, place, "%s: '%s' is not understood", keyword->name, shown);
}

static int refuse_to_execute(struct err *err, const struct ssh_keywords_place *place, const struct keyword *keyword)
{
        return ssh_keywords_refuse(err, place, "%s would execute a program, which rsync-system-backup does not do",
                                   keyword->name);
}

/* ---- readers of values ---- */

#define FIELD(k, keyword, type) ((type *)(void *)((char *)(k)->config + (keyword)->offset))

static int next_argument(struct buf *word, const char **rest, const struct keyword *keyword,
                         const struct ssh_keywords_place *place, struct err *err)
{
        int r = ssh_words_next(rest, word);

        if (r == -ENOMEM)
                return err_oom(err);
        return r < 0 ? ssh_keywords_refuse(err, place, "%s: a quote has no end", keyword->name) : r;
}

/* The one argument that there must be. */
static int only_argument(struct buf *word, const char *rest, const struct keyword *keyword,
                         const struct ssh_keywords_place *place, struct err *err)
{
        _cleanup_(buf_deinit) struct buf more = { .data = NULL };
        int r = next_argument(word, &rest, keyword, place, err);

        if (r < 0)
                return r;
        if (r == SSH_WORDS_END || word->size == 0)
                return ssh_keywords_refuse(err, place, "%s has no value", keyword->name);
        r = next_argument(&more, &rest, keyword, place, err);
        if (r < 0)
                return r;
        return r == SSH_WORDS_END ? 0 : ssh_keywords_refuse(err, place, "%s has more than one value", keyword->name);
}

#define READER(name)                                                                             \
        static int name(struct ssh_keywords *k, const struct keyword *keyword, const char *rest, \
                        const struct ssh_keywords_place *place, struct err *err)

READER(take_text)
{
        _cleanup_(buf_deinit) struct buf word = { .data = NULL };
        int r = only_argument(&word, rest, keyword, place, err);
        char **field = FIELD(k, keyword, char *);

        if (r < 0 || *field)
                return r;
        *field = buf_take(&word);
        return *field ? 0 : err_oom(err);
}

READER(take_bool)
{
        _cleanup_(buf_deinit) struct buf word = { .data = NULL };
        int r = only_argument(&word, rest, keyword, place, err);

        if (r < 0)
                return r;
        return ssh_words_bool(word.data, FIELD(k, keyword, bool)) < 0 ? refuse_value(err, place, keyword, word.data)
                                                                      : 0;
}

READER(take_port)
{
        _cleanup_(buf_deinit) struct buf word = { .data = NULL };
        int r = only_argument(&word, rest, keyword, place, err);
        unsigned port;

        if (r < 0)
                return r;
        if (ssh_words_number(word.data, 1, 65535, &port) < 0)
                return ssh_keywords_refuse(err, place, "Port is not a number from 1 to 65535");
        if (k->config->port == 0)
                k->config->port = port;
        return 0;
}

READER(take_time)
{
        _cleanup_(buf_deinit) struct buf word = { .data = NULL };
        int r = only_argument(&word, rest, keyword, place, err);

        if (r < 0 || str_equal(word.data, "none"))
                return r;
        return ssh_words_time(word.data, FIELD(k, keyword, unsigned)) < 0 ? refuse_value(err, place, keyword, word.data)
                                                                          : 0;
}

READER(take_number)
{
        _cleanup_(buf_deinit) struct buf word = { .data = NULL };
        int r = only_argument(&word, rest, keyword, place, err);

        if (r < 0)
                return r;
        return ssh_words_number(word.data, 0, INT_MAX, FIELD(k, keyword, unsigned)) < 0
                       ? refuse_value(err, place, keyword, word.data)
                       : 0;
}

/* Several keywords of one name add up; one may have several words. */
READER(take_more)
{
        struct ssh_config_list *list = FIELD(k, keyword, struct ssh_config_list);
        _cleanup_(buf_deinit) struct buf word = { .data = NULL };
        bool has_any = false;
        int r;

        for (;;) {
                r = next_argument(&word, &rest, keyword, place, err);
                if (r != 0)
                        break;
                has_any = true;
                if (list->count == LIST_ITEMS_MAX)
                        return ssh_keywords_refuse(err, place, "%s: more than %d", keyword->name, LIST_ITEMS_MAX);
                if (ssh_config_list_add(list, buf_text(&word)) < 0)
                        return err_oom(err);
        }
        if (r < 0)
                return r;
        return has_any ? 0 : ssh_keywords_refuse(err, place, "%s has no value", keyword->name);
}

READER(take_strict)
{
        static const char *const names[] = { "ask", "yes", "true", "accept-new", "no", "false", "off" };
        static const enum ssh_config_strict values[] = { SSH_CONFIG_ASK,        SSH_CONFIG_STRICT,
                                                         SSH_CONFIG_STRICT,     SSH_CONFIG_ACCEPT_NEW,
                                                         SSH_CONFIG_ACCEPT_NEW, SSH_CONFIG_ACCEPT_NEW,
                                                         SSH_CONFIG_ACCEPT_NEW };
        _cleanup_(buf_deinit) struct buf word = { .data = NULL };
        int r = only_argument(&word, rest, keyword, place, err);

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(names); i++) {
                if (strcasecmp(word.data, names[i]) != 0)
                        continue;
                k->config->strict_host_keys = values[i];
                if (i > 3)
                        log_warning("%s:%u: 'StrictHostKeyChecking %s' is taken as accept-new: a changed host key is "
                                    "never accepted",
                                    place->file, place->line, names[i]);
                return 0;
        }
        return r < 0 ? r : refuse_value(err, place, keyword, word.data);
}

READER(take_family)
{
        static const char *const names[] = {
                [SSH_CONFIG_ANY] = "any", [SSH_CONFIG_INET] = "inet", [SSH_CONFIG_INET6] = "inet6"
        };
        _cleanup_(buf_deinit) struct buf word = { .data = NULL };
        int r = only_argument(&word, rest, keyword, place, err);

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(names); i++) {
                if (strcasecmp(word.data, names[i]) == 0) {
                        k->config->family = (enum ssh_config_family)i;
                        return 0;
                }
        }
        return r < 0 ? r : refuse_value(err, place, keyword, word.data);
}

READER(take_rekey)
{
        _cleanup_(buf_deinit) struct buf word = { .data = NULL };
        int r = next_argument(&word, &rest, keyword, place, err);

        if (r < 0)
                return r;
        if (r == SSH_WORDS_END)
                return ssh_keywords_refuse(err, place, "%s has no value", keyword->name);
        if (!str_equal(buf_text(&word), "default") && ssh_words_size(buf_text(&word), &k->config->rekey_bytes) < 0)
                return refuse_value(err, place, keyword, buf_text(&word));
        r = next_argument(&word, &rest, keyword, place, err);
        if (r < 0)
                return r;
        if (r == 0 && !str_equal(buf_text(&word), "none") &&
            ssh_words_time(buf_text(&word), &k->config->rekey_time_s) < 0)
                return refuse_value(err, place, keyword, buf_text(&word));
        return 0;
}

/* ---- how the host is reached, and what would execute something ---- */

READER(take_jump)
{
        _cleanup_(buf_deinit) struct buf word = { .data = NULL };
        int r = only_argument(&word, rest, keyword, place, err);

        /* Taken or not: a ProxyCommand that comes later has no say. */
        if (r < 0 || k->jumps)
                return r;
        k->jumps = buf_take(&word);
        return k->jumps ? 0 : err_oom(err);
}

READER(take_proxy_command)
{
        if (k->jumps)
                return 0;
        if (strncasecmp(rest, "none", 4) == 0 && !rest[4 + strspn(rest + 4, " \t\r")]) {
                k->jumps = strdup("none");
                return k->jumps ? 0 : err_oom(err);
        }
        refuse_to_execute(err, place, keyword);
        return err_hint(err, "ProxyJump reaches a host through another one without a program");
}

READER(take_command)
{
        (void)k;
        if (strncasecmp(rest, "none", 4) == 0 && !rest[4 + strspn(rest + 4, " \t\r")])
                return 0;
        return refuse_to_execute(err, place, keyword);
}

READER(take_local_command)
{
        (void)keyword;
        (void)rest;
        (void)err;
        snprintf(k->local_command, sizeof(k->local_command), "%s:%u", place->file, place->line);
        return 0;
}

READER(take_permit)
{
        _cleanup_(buf_deinit) struct buf word = { .data = NULL };
        int r = only_argument(&word, rest, keyword, place, err);

        if (r < 0)
                return r;
        return ssh_words_bool(word.data, &k->permits_local_command) < 0 ? refuse_value(err, place, keyword, word.data)
                                                                        : 0;
}

READER(refuse_revoked)
{
        _cleanup_(buf_deinit) struct buf word = { .data = NULL };
        int r = only_argument(&word, rest, keyword, place, err);

        (void)k;
        if (r < 0 || str_equal(word.data, "none"))
                return r;
        ssh_keywords_refuse(err, place, "%s is not supported", keyword->name);
        return err_hint(err, "a line '@revoked * KEY' in a known_hosts file does the same");
}

/* ---- the table ---- */

static const struct keyword keywords[] = {
#define AT(field) offsetof(struct ssh_config, field)
        { "HostName", take_text, AT(host_name) },
        { "User", take_text, AT(user) },
        { "Port", take_port, 0 },
        { "HostKeyAlias", take_text, AT(host_key_alias) },
        { "IdentityFile", take_more, AT(identity_files) },
        { "CertificateFile", take_more, AT(certificate_files) },
        { "IdentitiesOnly", take_bool, AT(identities_only) },
        { "IdentityAgent", take_text, AT(identity_agent) },
        { "UserKnownHostsFile", take_more, AT(user_known_hosts) },
        { "GlobalKnownHostsFile", take_more, AT(global_known_hosts) },
        { "StrictHostKeyChecking", take_strict, 0 },
        { "ProxyJump", take_jump, 0 },
        { "ProxyCommand", take_proxy_command, 0 },
        { "KnownHostsCommand", take_command, 0 },
        { "LocalCommand", take_local_command, 0 },
        { "PermitLocalCommand", take_permit, 0 },
        { "RevokedHostKeys", refuse_revoked, 0 },
        { "ConnectTimeout", take_time, AT(connect_timeout_s) },
        { "ServerAliveInterval", take_time, AT(alive_interval_s) },
        { "ServerAliveCountMax", take_number, AT(alive_count_max) },
        { "AddressFamily", take_family, 0 },
        { "BindAddress", take_text, AT(bind_address) },
        { "Ciphers", take_text, AT(ciphers) },
        { "MACs", take_text, AT(macs) },
        { "KexAlgorithms", take_text, AT(kex_algorithms) },
        { "HostKeyAlgorithms", take_text, AT(host_key_algorithms) },
        { "PubkeyAcceptedAlgorithms", take_text, AT(accepted_algorithms) },
        { "PubkeyAcceptedKeyTypes", take_text, AT(accepted_algorithms) },
        { "RekeyLimit", take_rekey, 0 },
        { "BatchMode", take_bool, AT(batch_mode) },
        { "PubkeyAuthentication", take_bool, AT(with_public_keys) },
        { "PasswordAuthentication", take_bool, AT(with_passwords) },
        { "KbdInteractiveAuthentication", take_bool, AT(with_keyboard) },
#undef AT
};
_Static_assert(ARRAY_SIZE(keywords) <= 64, "one bit each");

static bool adds_up(const struct keyword *keyword)
{
        return str_equal(keyword->name, "IdentityFile") || str_equal(keyword->name, "CertificateFile");
}

int ssh_keywords_take(struct ssh_keywords *k, const char *keyword, const char *rest,
                      const struct ssh_keywords_place *place, struct err *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(keywords); i++) {
                if (strcasecmp(keyword, keywords[i].name) != 0)
                        continue;
                if (k->given & UINT64_C(1) << i && !adds_up(&keywords[i]))
                        return 0;
                k->given |= UINT64_C(1) << i;
                return keywords[i].take(k, &keywords[i], rest, place, err);
        }
        return 0;
}
