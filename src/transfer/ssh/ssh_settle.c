/* What the keywords left open, and what their tokens stand for. */
#include "base/buf.h"
#include "base/err.h"
#include "base/path.h"
#include "transfer/ssh/ssh_keywords.h"
#include "transfer/ssh/ssh_tokens.h"
#include "transfer/ssh/ssh_words.h"

#include <stdio.h>

enum { PORT_DEFAULT = 22, JUMPS_MAX = 16 };

char *ssh_keywords_host_name(const struct ssh_keywords *k, const struct ssh_config_query *query)
{
        _cleanup_(buf_deinit) struct buf out = { .data = NULL };
        struct ssh_tokens tokens = { .query = query, .host = query->host };
        const char *bad;
        int r;

        if (!k->config->host_name)
                return strdup(query->host);
        /* What is no token there stays as it stands; it will not be found. */
        if (strspn(k->config->host_name, "~") > 0 || strchr(k->config->host_name, '$'))
                return strdup(k->config->host_name);
        r = ssh_tokens_expand(&out, k->config->host_name, &tokens, &bad);
        if (r == -EINVAL)
                return strdup(k->config->host_name);
        return r < 0 ? NULL : buf_take(&out);
}

static int expand(char **text, const struct ssh_tokens *tokens, const char *what, struct err *err)
{
        _cleanup_(buf_deinit) struct buf out = { .data = NULL };
        const char *bad;
        char shown[128];
        char *expanded;
        int r = ssh_tokens_expand(&out, *text, tokens, &bad);

        if (r == -EINVAL) {
                path_show(NULL, bad, shown, sizeof(shown));
                err_usage(err, "ssh_config: %s: cannot expand '%s'", what, shown);
                return err_hint(err, "%%%% %%h %%n %%p %%r %%u %%l %%L %%d %%i %%k, ${VARIABLE} and ~/ are known");
        }
        expanded = r < 0 ? NULL : buf_take(&out);
        if (!expanded)
                return err_oom(err);
        free(*text);
        *text = expanded;
        return 0;
}

/* "none" among the files stands for no file at all. */
static int expand_list(struct ssh_config_list *list, const struct ssh_tokens *tokens, const char *what, struct err *err)
{
        size_t kept = 0;
        int r = 0;

        for (size_t i = 0; i < list->count; i++) {
                char *item = list->items[i];

                if (strcasecmp(item, "none") == 0) {
                        free(item);
                        continue;
                }
                list->items[kept] = item;
                if (r == 0)
                        r = expand(&list->items[kept], tokens, what, err);
                kept++;
        }
        list->count = kept;
        return r;
}

static int add_all(struct ssh_config_list *list, const char *const *texts, size_t count, struct err *err)
{
        for (size_t i = 0; i < count; i++) {
                if (ssh_config_list_add(list, texts[i]) < 0)
                        return err_oom(err);
        }
        return 0;
}

static int fill_in_files(struct ssh_config *c, struct err *err)
{
        static const char *const identities[] = { "~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa",
                                                  "~/.ssh/id_ed25519_sk", "~/.ssh/id_ecdsa_sk" };
        static const char *const known[] = { "~/.ssh/known_hosts", "~/.ssh/known_hosts2" };
        static const char *const global[] = { "/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2" };
        int r = 0;

        if (c->identity_files.count == 0) {
                c->default_identities = true;
                r = add_all(&c->identity_files, identities, ARRAY_SIZE(identities), err);
        }
        if (r == 0 && c->user_known_hosts.count == 0)
                r = add_all(&c->user_known_hosts, known, ARRAY_SIZE(known), err);
        if (r == 0 && c->global_known_hosts.count == 0)
                r = add_all(&c->global_known_hosts, global, ARRAY_SIZE(global), err);
        return r;
}

/* "none"; SSH_AUTH_SOCK; $VARIABLE; or a path. */
static int settle_agent(struct ssh_config *c, const struct ssh_tokens *tokens, struct err *err)
{
        const struct ssh_config_reader *reader = tokens->reader;
        const char *text = c->identity_agent, *variable = NULL, *value;

        if (text && str_equal(text, "none")) {
                free(c->identity_agent);
                c->identity_agent = NULL;
                return 0;
        }
        if (!text || str_equal(text, "SSH_AUTH_SOCK"))
                variable = "SSH_AUTH_SOCK";
        else if (text[0] == '$' && text[1] != '{')
                variable = text + 1;
        if (!variable)
                return expand(&c->identity_agent, tokens, "IdentityAgent", err);
        value = reader->environment(reader->context, variable);
        free(c->identity_agent);
        c->identity_agent = value && *value ? strdup(value) : NULL;
        return value && *value && !c->identity_agent ? err_oom(err) : 0;
}

static int refuse_jump(struct err *err, const char *text)
{
        char shown[128];

        path_show(NULL, text, shown, sizeof(shown));
        return err_usage(err, "ssh_config: ProxyJump: '%s' is not [USER@]HOST[:PORT]", shown);
}

static int settle_jumps(struct ssh_keywords *k, const struct ssh_tokens *tokens, struct err *err)
{
        const char *at = k->jumps;
        int r;

        if (!at || strcasecmp(at, "none") == 0)
                return 0;
        r = expand(&k->jumps, tokens, "ProxyJump", err);
        if (r < 0)
                return r;
        at = k->jumps;
        do {
                size_t size = strcspn(at, ",");
                _cleanup_(freep) char *one = strndup(at, size), *user = NULL, *host = NULL;
                unsigned port;

                r = one ? ssh_config_split_jump(one, &user, &host, &port) : -ENOMEM;
                if (r == -EINVAL || k->config->jumps.count == JUMPS_MAX)
                        return refuse_jump(err, one);
                if (r < 0 || ssh_config_list_add(&k->config->jumps, one) < 0)
                        return err_oom(err);
                at += size + (at[size] == ',');
        } while (*at);
        return 0;
}

static int settle_names(struct ssh_keywords *k, const struct ssh_config_query *q, struct err *err)
{
        struct ssh_config *c = k->config;
        char *name = ssh_keywords_host_name(k, q);

        if (!name)
                return err_oom(err);
        free(c->host_name);
        c->host_name = name;
        if (!c->user)
                c->user = strdup(q->local_user);
        if (!c->user)
                return err_oom(err);
        if (!*c->host_name || *c->host_name == '-' || *c->user == '-')
                return err_usage(err, "the name of an SSH host or user is empty or begins with '-'");
        c->port = c->port ? c->port : PORT_DEFAULT;
        return 0;
}

int ssh_keywords_finish(struct ssh_keywords *k, const struct ssh_config_query *query,
                        const struct ssh_config_reader *reader, struct err *err)
{
        struct ssh_config *c = k->config;
        struct ssh_tokens tokens = { .query = query, .reader = reader };
        char port[16];
        int r;

        if (k->permits_local_command && *k->local_command)
                return err_usage(err, "%s: LocalCommand would execute a program, which rsync-system-backup does not do",
                                 k->local_command);
        r = settle_names(k, query, err);
        if (r < 0)
                return r;
        snprintf(port, sizeof(port), "%u", c->port);
        tokens.host = c->host_name;
        tokens.user = c->user;
        tokens.port = port;
        tokens.alias = c->host_key_alias ? c->host_key_alias : query->host;
        r = fill_in_files(c, err);
        if (r == 0)
                r = expand_list(&c->identity_files, &tokens, "IdentityFile", err);
        if (r == 0)
                r = expand_list(&c->certificate_files, &tokens, "CertificateFile", err);
        if (r == 0)
                r = expand_list(&c->user_known_hosts, &tokens, "UserKnownHostsFile", err);
        if (r == 0)
                r = expand_list(&c->global_known_hosts, &tokens, "GlobalKnownHostsFile", err);
        if (r == 0)
                r = settle_agent(c, &tokens, err);
        return r < 0 ? r : settle_jumps(k, &tokens, err);
}

/* ---- [USER@]HOST[:PORT] ---- */

/* HOST, [HOST], HOST:PORT or [HOST]:PORT: where the host is, and the text of the port or NULL. */
static bool split_port(const char *text, const char **ret_host, size_t *ret_size, const char **ret_port)
{
        bool in_brackets = *text == '[';
        size_t size = in_brackets ? strcspn(++text, "]") : strcspn(text, ":");
        const char *rest = text + size;

        if (in_brackets && *rest++ != ']')
                return false;
        if (*rest && *rest != ':')
                return false;
        *ret_host = text;
        *ret_size = size;
        *ret_port = *rest ? rest + 1 : NULL;
        return size > 0 && *text != '-';
}

int ssh_config_split_jump(const char *text, char **ret_user, char **ret_host, unsigned *ret_port)
{
        _cleanup_(freep) char *plain = strdup(str_starts(text, "ssh://") ? text + strlen("ssh://") : text),
                              *user = NULL;
        const char *host, *port_text, *at;
        unsigned port = 0;
        size_t size;

        if (!plain)
                return -ENOMEM;
        if (str_starts(text, "ssh://") && *plain && plain[strlen(plain) - 1] == '/')
                plain[strlen(plain) - 1] = '\0';
        at = strrchr(plain, '@');
        if (at && (at == plain || *plain == '-'))
                return -EINVAL;
        if (!split_port(at ? at + 1 : plain, &host, &size, &port_text) ||
            (port_text && ssh_words_number(port_text, 1, 65535, &port) < 0))
                return -EINVAL;
        user = at ? strndup(plain, (size_t)(at - plain)) : NULL;
        if (at && !user)
                return -ENOMEM;
        *ret_host = strndup(host, size);
        if (!*ret_host)
                return -ENOMEM;
        *ret_user = TAKE(user);
        *ret_port = port;
        return 0;
}
