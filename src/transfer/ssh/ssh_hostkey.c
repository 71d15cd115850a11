#include "transfer/ssh/ssh_hostkey.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/prompt.h"
#include "base/secret.h"
#include "transfer/ssh/ssh_config.h"
#include "transfer/ssh/ssh_known.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { FILE_SIZE_MAX = 64 * 1024 * 1024, SSH_PORT = 22, SHOWN_MAX = 200 };

/* RSA keys sign with SHA-2 in both sizes; an unknown name is left out by libssh. */
#define STANDARD_ALGORITHMS                                                        \
        "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521," \
        "sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256"

/* ---- the files ---- */

struct question {
        char *name, *plain; /* see struct ssh_known */
        struct ssh_known known;
};

static void question_deinit(struct question *q)
{
        ssh_known_deinit(&q->known);
        free(q->name);
        free(q->plain);
}

static void to_small_letters(char *text)
{
        for (; *text; text++)
                *text = (char)tolower((unsigned char)*text);
}

static int question_init(struct question *q, const struct ssh_link *link, struct err *err)
{
        const struct ssh_config *c = link->config;
        const char *host = c->host_key_alias ? c->host_key_alias : c->host_name;

        *q = (struct question){ .name = NULL };
        if (c->host_key_alias || c->port == SSH_PORT) {
                q->name = strdup(host);
        } else {
                q->plain = strdup(host);
                if (!q->plain || asprintf(&q->name, "[%s]:%u", host, c->port) < 0)
                        q->name = NULL;
        }
        if (!q->name)
                return err_oom(err);
        to_small_letters(q->name);
        if (q->plain)
                to_small_letters(q->plain);
        q->known.name = q->name;
        q->known.plain = q->plain;
        return 0;
}

static int read_file(struct buf *ret, const char *path, struct err *err)
{
        _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
        struct stat st;
        ssize_t size;

        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR ? 0 : err_run(err, -errno, "open", path);
        if (fstat(fd, &st) < 0)
                return err_run(err, -errno, "read", path);
        if (st.st_size > FILE_SIZE_MAX)
                return err_run(err, -EFBIG, "read", path);
        if (st.st_size == 0)
                return 0;
        if (buf_reserve(ret, (size_t)st.st_size) < 0)
                return err_oom(err);
        size = fd_read_full(fd, ret->data, (size_t)st.st_size);
        if (size < 0)
                return err_run(err, (int)size, "read", path);
        ret->size = (size_t)size;
        return 0;
}

static int scan_files(struct question *q, const struct ssh_config_list *files, struct err *err)
{
        for (size_t i = 0; i < files->count; i++) {
                _cleanup_(buf_deinit) struct buf text = { .data = NULL };
                char shown[SHOWN_MAX];
                int r = read_file(&text, files->items[i], err);

                if (r < 0)
                        return r;
                path_show(NULL, files->items[i], shown, sizeof(shown));
                if (ssh_known_scan(&q->known, shown, buf_text(&text), text.size) < 0)
                        return err_oom(err);
        }
        return 0;
}

static int scan(struct question *q, const struct ssh_link *link, struct err *err)
{
        int r = scan_files(q, &link->config->user_known_hosts, err);

        return r < 0 ? r : scan_files(q, &link->config->global_known_hosts, err);
}

/* ---- which kind of key is asked for ---- */

static int append_types(struct buf *list, const char *types)
{
        while (*types) {
                size_t size = strcspn(types, ",");
                bool is_rsa = size == strlen("ssh-rsa") && strncmp(types, "ssh-rsa", size) == 0;
                int r = is_rsa ? buf_printf(list, "rsa-sha2-512,rsa-sha2-256,")
                               : buf_printf(list, "%.*s,", (int)size, types);

                if (r < 0)
                        return r;
                types += size + (types[size] == ',');
        }
        return 0;
}

/* "^" puts them first; those that are not among the wanted ones must not come in by it. */
static char *known_first(const char *wanted, const char *types)
{
        _cleanup_(buf_deinit) struct buf first = { .data = NULL }, all = { .data = NULL };
        const char *at;

        if (append_types(&first, types) < 0 || buf_putc(&all, '^') < 0)
                return NULL;
        for (at = buf_text(&first); *at; at += strcspn(at, ",") + 1) {
                _cleanup_(freep) char *name = strndup(at, strcspn(at, ","));

                if (!name)
                        return NULL;
                if (ssh_config_list_matches(name, wanted, false) &&
                    buf_printf(&all, "%s%s", all.size > 1 ? "," : "", name) < 0)
                        return NULL;
        }
        return ssh_config_algorithms(all.data, wanted);
}

int ssh_hostkey_algorithms(char **ret, const struct ssh_link *link, struct err *err)
{
        _cleanup_(question_deinit) struct question q = { .name = NULL };
        const char *configured = link->config->host_key_algorithms;
        _cleanup_(freep) char *wanted = ssh_config_algorithms(configured, STANDARD_ALGORITHMS);
        int r;

        if (!wanted)
                return err_oom(err);
        /* A plain list is in the user's own order. */
        if (configured && !strchr("+-^", *configured)) {
                *ret = TAKE(wanted);
                return 0;
        }
        r = question_init(&q, link, err);
        if (r == 0)
                r = scan(&q, link, err);
        if (r < 0)
                return r;
        *ret = known_first(wanted, buf_text(&q.known.types));
        return *ret ? 0 : err_oom(err);
}

/* ---- the server's key ---- */

struct server_key {
        ssh_key key;
        char *fingerprint; /* SHA256:... */
        char *base64;
        const char *type; /* ssh-ed25519 */
};

static void server_key_deinit(struct server_key *k)
{
        ssh_key_free(k->key);
        ssh_string_free_char(k->fingerprint);
        ssh_string_free_char(k->base64);
}

static int server_key_init(struct server_key *ret, const struct ssh_link *link, struct err *err)
{
        unsigned char *hash = NULL;
        size_t size;

        *ret = (struct server_key){ .key = NULL };
        if (ssh_get_server_publickey(link->session, &ret->key) != SSH_OK ||
            ssh_get_publickey_hash(ret->key, SSH_PUBLICKEY_HASH_SHA256, &hash, &size) != SSH_OK)
                return ssh_link_error(link, "look at the host key of", err);
        ret->fingerprint = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, size);
        ssh_clean_pubkey_hash(&hash);
        ret->type = ssh_key_type_to_char(ssh_key_type(ret->key));
        if (!ret->fingerprint || ssh_pki_export_pubkey_base64(ret->key, &ret->base64) != SSH_OK)
                return err_oom(err);
        return 0;
}

/* ---- one that is not known ---- */

static int make_directory(const char *file, struct err *err)
{
        _cleanup_(freep) char *directory = path_parent(file);

        if (!directory)
                return err_oom(err);
        return mkdir(directory, 0700) < 0 && errno != EEXIST ? err_run(err, -errno, "create directory", directory) : 0;
}

static int append_line(const char *path, const char *line, struct err *err)
{
        _cleanup_(fd_closep) int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_NOCTTY | O_CLOEXEC, 0600);
        off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : -1;
        char last = '\n';
        int r;

        if (fd < 0 || size < 0)
                return err_run(err, -errno, "open", path);
        if (size > 0 && pread(fd, &last, 1, size - 1) < 0)
                return err_run(err, -errno, "read", path);
        r = last == '\n' ? 0 : fd_write_full(fd, "\n", 1);
        if (r == 0)
                r = fd_write_full(fd, line, strlen(line));
        return r < 0 ? err_run(err, r, "write", path) : 0;
}

static int add(const struct ssh_link *link, const struct question *q, const struct server_key *key, struct err *err)
{
        const struct ssh_config_list *files = &link->config->user_known_hosts;
        _cleanup_(buf_deinit) struct buf line = { .data = NULL };
        int r;

        if (files->count == 0)
                return 0;
        if (buf_printf(&line, "%s %s %s\n", q->name, key->type, key->base64) < 0)
                return err_oom(err);
        r = make_directory(files->items[0], err);
        if (r == 0)
                r = append_line(files->items[0], line.data, err);
        if (r < 0)
                return r;
        log_info("the host key of '%s' (%s %s) was added to '%s'", q->name, key->type, key->fingerprint,
                 files->items[0]);
        return 0;
}

static int refuse_unknown(const struct ssh_link *link, const struct question *q, const struct server_key *key,
                          struct err *err)
{
        const struct ssh_config *c = link->config;
        const char *file = c->user_known_hosts.count > 0 ? c->user_known_hosts.items[0] : "~/.ssh/known_hosts";

        err_runf(err, -EKEYREJECTED, "the host key of '%s' is not known (%s %s)%s", q->name, key->type,
                 key->fingerprint, q->known.has_authority ? ", and host certificates are not supported" : "");
        if (c->host_key_alias || c->jumps.count > 0)
                return err_hint(err, "compare it with the server's own; 'ssh %s' asks and adds it", link->host);
        return err_hint(err, "compare it with the server's own; 'ssh-keyscan -p %u %s >> %s' adds it", c->port,
                        c->host_name, file);
}

static bool is_yes(const struct secret *answer, const char *fingerprint)
{
        size_t size = answer->size;

        return (size == 3 && strncasecmp(answer->data, "yes", 3) == 0) ||
               (size == strlen(fingerprint) && memcmp(answer->data, fingerprint, size) == 0);
}

static int ask(const struct ssh_link *link, const struct question *q, const struct server_key *key, struct err *err)
{
        _cleanup_(secret_deinit) struct secret answer = { .data = NULL };
        _cleanup_(buf_deinit) struct buf text = { .data = NULL };
        int r;

        if (buf_printf(&text,
                       "The host key of '%s' is not known: %s %s\nIs it the right one (yes, or its fingerprint)?",
                       q->name, key->type, key->fingerprint) < 0)
                return err_oom(err);
        r = prompt_line(&answer, text.data, 0, err);
        if (r < 0)
                return r;
        if (r == PROMPT_ANSWERED && is_yes(&answer, key->fingerprint))
                return add(link, q, key, err);
        return refuse_unknown(link, q, key, err);
}

static int decide_unknown(const struct ssh_link *link, const struct question *q, const struct server_key *key,
                          struct err *err)
{
        switch (link->config->strict_host_keys) {
        case SSH_CONFIG_ACCEPT_NEW:
                return add(link, q, key, err);
        case SSH_CONFIG_ASK:
                if (link->may_ask)
                        return ask(link, q, key, err);
                break;
        default:
                break;
        }
        return refuse_unknown(link, q, key, err);
}

int ssh_hostkey_check(const struct ssh_link *link, struct err *err)
{
        _cleanup_(server_key_deinit) struct server_key key = { .key = NULL };
        _cleanup_(question_deinit) struct question q = { .name = NULL };
        int r = question_init(&q, link, err);

        if (r == 0)
                r = server_key_init(&key, link, err);
        if (r < 0)
                return r;
        q.known.key = key.key;
        r = scan(&q, link, err);
        if (r < 0)
                return r;
        if (q.known.is_revoked)
                return err_runf(err, -EKEYREVOKED, "the host key of '%s' (%s %s) is marked as revoked", q.name,
                                key.type, key.fingerprint);
        if (q.known.has_key)
                return 0;
        if (q.known.others == 0)
                return decide_unknown(link, &q, &key, err);
        err_runf(err, -EKEYREJECTED, "the host key of '%s' is not the one of %s: the server has %s %s", q.name,
                 q.known.other_at, key.type, key.fingerprint);
        return err_hint(err,
                        "was it set up anew, or does somebody pretend to be it? if it is right, "
                        "'ssh-keygen -R %s' forgets the old one",
                        q.name);
}
