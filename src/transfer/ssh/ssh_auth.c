/*
 * Each way in is tried in turn, and says in a few words why it did not lead in; only the last of them, when none did,
 * makes an error of all that was said.
 */
#include "transfer/ssh/ssh_auth.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/path.h"
#include "base/prompt.h"
#include "base/secret.h"
#include "base/stop.h"
#include "transfer/ssh/ssh_config.h"
#include "transfer/ssh/ssh_identity.h"
#include "transfer/ssh/ssh_keyring.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>

/* How often a passphrase or password is asked for; how many methods a server can want one after the other. */
enum { TRIES_MAX = 3, METHODS_MAX = 8, QUESTIONS_MAX = 32, SHOWN_MAX = 200 };

struct login {
        const struct ssh_link *link;
        struct ssh_keyring *keyring; /* or NULL */
        int methods;                 /* what the server takes; libssh forgets it in the end */
        struct buf said;             /* why what was tried did not lead in */
};

static bool names_user(const struct login *l)
{
        return strchr(l->link->name, '@');
}

static const char *show(const char *text, char (*shown)[SHOWN_MAX])
{
        path_show(NULL, text, *shown, sizeof(*shown));
        return *shown;
}

enum { ACCOUNT_SIZE = 2 * SHOWN_MAX + 2 };

/* USER@HOST, whoever named the user: who is asked for a password wants to know for which account it is. */
static const char *account(const struct login *l, char out[ACCOUNT_SIZE])
{
        char user[SHOWN_MAX];

        snprintf(out, ACCOUNT_SIZE, "%s%s%.*s", names_user(l) ? "" : show(l->link->config->user, &user),
                 names_user(l) ? "" : "@", SHOWN_MAX, l->link->name);
        return out;
}

/* ---- what was tried ---- */

static void _printf_(2, 3) say(struct login *l, const char *format, ...)
{
        va_list arguments;
        char text[512];

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        /* Without memory the text is shorter. */
        (void)buf_printf(&l->said, "%s%s", l->said.size > 0 ? "; " : "", text);
}

/* ---- one request ---- */

enum request_kind { REQUEST_NONE, REQUEST_AGENT, REQUEST_OFFER, REQUEST_SIGN, REQUEST_PASSWORD, REQUEST_KEYBOARD };

struct request {
        enum request_kind kind;
        ssh_key key;
        const char *password;
};

static int send_request(ssh_session session, const struct request *q)
{
        switch (q->kind) {
        case REQUEST_AGENT:
                return ssh_userauth_agent(session, NULL);
        case REQUEST_OFFER:
                return ssh_userauth_try_publickey(session, NULL, q->key);
        case REQUEST_SIGN:
                return ssh_userauth_publickey(session, NULL, q->key);
        case REQUEST_PASSWORD:
                return ssh_userauth_password(session, NULL, q->password);
        case REQUEST_KEYBOARD:
                return ssh_userauth_kbdint(session, NULL, NULL);
        default:
                return ssh_userauth_none(session, NULL);
        }
}

/*
 * Return what libssh says (SSH_AUTH_SUCCESS, SSH_AUTH_DENIED, SSH_AUTH_PARTIAL, SSH_AUTH_INFO), or a negative errno
 * with
 * @err filled when the connection is gone or a stop is requested.
 */
static int request(struct login *l, const struct request *q, struct err *err)
{
        ssh_session session = l->link->session;

        for (;;) {
                int rc = send_request(session, q), r;

                if (rc == SSH_AUTH_ERROR) {
                        r = stop_check(err);
                        if (r < 0)
                                return r;
                        return ssh_is_connected(session) ? SSH_AUTH_DENIED : ssh_link_error(l->link, "log in to", err);
                }
                if (rc != SSH_AUTH_AGAIN)
                        return rc;
                r = ssh_link_wait(l->link, "log in to", err);
                if (r < 0)
                        return r;
        }
}

static bool is_over(int outcome)
{
        return outcome != SSH_AUTH_DENIED;
}

/* ---- the agent ---- */

static int try_agent(struct login *l, struct err *err)
{
        const struct ssh_config *c = l->link->config;
        unsigned all, shown;
        int outcome;

        if (!l->keyring)
                return SSH_AUTH_DENIED;
        ssh_keyring_count(l->keyring, &all, &shown);
        if (all == 0 || shown == 0) {
                say(l, all == 0 ? "agent: it holds no keys" : "agent: IdentitiesOnly leaves none of its %u keys", all);
                return SSH_AUTH_DENIED;
        }
        outcome = request(l, &(struct request){ .kind = REQUEST_AGENT }, err);
        if (outcome == SSH_AUTH_DENIED)
                say(l, "agent: none of its %u key%s is accepted%s", shown, shown == 1 ? "" : "s",
                    c->identities_only ? " (IdentitiesOnly)" : "");
        return outcome;
}

/* ---- key files ---- */

/* Ask for the passphrase of @path until it opens it. Return 0 with the key or NULL; or a negative errno with @err. */
static int ask_passphrase(ssh_key *ret, struct login *l, const char *path, struct err *err)
{
        char shown[SHOWN_MAX], question[SHOWN_MAX + 64];

        snprintf(question, sizeof(question), "Passphrase of the key '%s':", show(path, &shown));
        for (int i = 0; i < TRIES_MAX && !*ret; i++) {
                _cleanup_(secret_deinit) struct secret answer = { .data = NULL };
                int r = prompt_secret(&answer, question, 0, err);

                if (r < 0)
                        return r;
                if (r != PROMPT_ANSWERED || answer.size == 0)
                        break;
                *ret = ssh_identity_private(path, &answer);
        }
        if (!*ret)
                say(l, "key '%s': not opened by a passphrase", show(path, &shown));
        return 0;
}

/* Return 0 with the key, or NULL when there was something to say; or a negative errno with @err filled. */
static int load_key(ssh_key *ret, struct login *l, const char *path, struct err *err)
{
        int state = ssh_identity_look(path);
        char shown[SHOWN_MAX];

        *ret = NULL;
        show(path, &shown);
        if (state < 0) {
                say(l, "key '%s': %s", shown, strerror(-state));
        } else if (state == SSH_IDENTITY_EXPOSED) {
                say(l, "key '%s': not used, since others could read it (chmod 600)", shown);
        } else if (state == SSH_IDENTITY_PLAIN) {
                *ret = ssh_identity_private(path, NULL);
                if (!*ret)
                        say(l, "key '%s': broken, or of an unknown kind", shown);
        } else if (!l->link->may_ask) {
                say(l, "key '%s': it has a passphrase, and there is no terminal to ask for it", shown);
        } else {
                return ask_passphrase(ret, l, path, err);
        }
        return 0;
}

struct key_file {
        const char *path;
        ssh_key key;     /* the private one, when it was needed */
        bool was_loaded; /* or could not be */
};

static int sign(struct login *l, struct key_file *file, struct err *err)
{
        int r;

        if (!file->was_loaded) {
                file->was_loaded = true;
                r = load_key(&file->key, l, file->path, err);
                if (r < 0)
                        return r;
        }
        if (!file->key)
                return SSH_AUTH_DENIED;
        return request(l, &(struct request){ .kind = REQUEST_SIGN, .key = file->key }, err);
}

static int try_certificate(struct login *l, struct key_file *file, const char *path, struct err *err)
{
        ssh_key certificate = ssh_identity_certificate(path);
        char shown[SHOWN_MAX];
        int outcome;

        if (!certificate)
                return SSH_AUTH_DENIED;
        outcome = request(l, &(struct request){ .kind = REQUEST_OFFER, .key = certificate }, err);
        if (outcome == SSH_AUTH_SUCCESS) {
                struct key_file certified = { .path = file->path };

                /* A key of its own: libssh cannot take a certificate off a key again. */
                outcome = load_key(&certified.key, l, file->path, err);
                certified.was_loaded = true;
                if (outcome == 0 && certified.key && ssh_pki_copy_cert_to_privkey(certificate, certified.key) == SSH_OK)
                        outcome = sign(l, &certified, err);
                else if (outcome == 0)
                        outcome = SSH_AUTH_DENIED;
                ssh_key_free(certified.key);
        }
        if (outcome == SSH_AUTH_DENIED)
                say(l, "certificate '%s': not accepted", show(path, &shown));
        ssh_key_free(certificate);
        return outcome;
}

static int try_certificates(struct login *l, struct key_file *file, struct err *err)
{
        const struct ssh_config_list *files = &l->link->config->certificate_files;
        _cleanup_(freep) char *beside = ssh_identity_certificate_path(file->path);
        int outcome = beside ? try_certificate(l, file, beside, err) : err_oom(err);

        for (size_t i = 0; i < files->count && !is_over(outcome); i++)
                outcome = try_certificate(l, file, files->items[i], err);
        return outcome;
}

/* Without the public half the server cannot be asked whether a passphrase is worth asking for. */
static int try_plain_key(struct login *l, struct key_file *file, ssh_key public, struct err *err)
{
        char shown[SHOWN_MAX];
        int outcome = SSH_AUTH_SUCCESS;

        if (public)
                outcome = request(l, &(struct request){ .kind = REQUEST_OFFER, .key = public }, err);
        if (outcome == SSH_AUTH_SUCCESS) {
                outcome = sign(l, file, err);
                if (!file->key)
                        return outcome; /* said already */
        }
        if (outcome == SSH_AUTH_DENIED)
                say(l, "key '%s': not accepted", show(file->path, &shown));
        return outcome;
}

static int try_key_file(struct login *l, const char *path, struct err *err)
{
        const struct ssh_config *c = l->link->config;
        struct key_file file = { .path = path };
        char shown[SHOWN_MAX];
        ssh_key public;
        int outcome;

        /* As it will be opened: access(2) leaves out the capabilities of a process that is not root. */
        if (faccessat(AT_FDCWD, path, F_OK, AT_EACCESS) < 0) {
                if (!c->default_identities)
                        say(l, "key '%s': %s", show(path, &shown), strerror(errno));
                return SSH_AUTH_DENIED;
        }
        public = ssh_identity_public(path);
        outcome = try_certificates(l, &file, err);
        /* What the agent holds was tried by it. */
        if (!is_over(outcome) && !(public && l->keyring && ssh_keyring_has(l->keyring, public)))
                outcome = try_plain_key(l, &file, public, err);
        ssh_key_free(file.key);
        ssh_key_free(public);
        return outcome;
}

static int try_keys(struct login *l, struct err *err)
{
        const struct ssh_config_list *files = &l->link->config->identity_files;
        size_t before = l->said.size;
        int outcome;

        if (!l->link->config->with_public_keys) {
                say(l, "publickey: switched off by PubkeyAuthentication");
                return SSH_AUTH_DENIED;
        }
        outcome = try_agent(l, err);
        for (size_t i = 0; i < files->count && !is_over(outcome); i++)
                outcome = try_key_file(l, files->items[i], err);
        if (outcome == SSH_AUTH_DENIED && l->said.size == before)
                say(l, "publickey: there is neither an agent nor a key file");
        return outcome;
}

/* ---- questions of the server ---- */

/* What a server sends is shown with the name of the server before it, and without anything that moves the cursor. */
static int ask_one(struct login *l, unsigned index, struct err *err)
{
        _cleanup_(secret_deinit) struct secret answer = { .data = NULL };
        ssh_session session = l->link->session;
        char shown[SHOWN_MAX], account_shown[ACCOUNT_SIZE], question[ACCOUNT_SIZE + SHOWN_MAX + 8], echo = 0;
        const char *text = ssh_userauth_kbdint_getprompt(session, index, &echo);
        int r;

        path_show(NULL, text ? text : "", shown, sizeof(shown));
        snprintf(question, sizeof(question), "(%s) %s", account(l, account_shown), shown);
        r = echo ? prompt_line(&answer, question, 0, err) : prompt_secret(&answer, question, 0, err);
        if (r < 0)
                return r;
        if (r != PROMPT_ANSWERED)
                return SSH_AUTH_DENIED;
        answer.data[answer.size] = '\0';
        return ssh_userauth_kbdint_setanswer(session, index, answer.data) < 0 ? err_oom(err) : SSH_AUTH_INFO;
}

static int ask_all(struct login *l, struct err *err)
{
        int count = ssh_userauth_kbdint_getnprompts(l->link->session), r = SSH_AUTH_INFO;

        if (count > QUESTIONS_MAX)
                return SSH_AUTH_DENIED;
        for (int i = 0; i < count && r == SSH_AUTH_INFO; i++)
                r = ask_one(l, (unsigned)i, err);
        return r;
}

static int try_keyboard_once(struct login *l, bool *ret_asked, struct err *err)
{
        int outcome = request(l, &(struct request){ .kind = REQUEST_KEYBOARD }, err);

        for (int i = 0; outcome == SSH_AUTH_INFO && i < QUESTIONS_MAX; i++) {
                *ret_asked |= ssh_userauth_kbdint_getnprompts(l->link->session) > 0;
                outcome = ask_all(l, err);
                if (outcome == SSH_AUTH_INFO)
                        outcome = request(l, &(struct request){ .kind = REQUEST_KEYBOARD }, err);
        }
        return outcome == SSH_AUTH_INFO ? SSH_AUTH_DENIED : outcome;
}

static int try_keyboard(struct login *l, struct err *err)
{
        int outcome = SSH_AUTH_DENIED;
        bool was_asked = false;

        for (int i = 0; i < TRIES_MAX && outcome == SSH_AUTH_DENIED; i++) {
                outcome = try_keyboard_once(l, &was_asked, err);
                if (!was_asked)
                        break;
        }
        if (outcome == SSH_AUTH_DENIED)
                say(l, was_asked ? "keyboard-interactive: the answers are not accepted"
                                 : "keyboard-interactive: not accepted");
        return outcome;
}

static int try_password(struct login *l, struct err *err)
{
        int outcome = SSH_AUTH_DENIED;
        char shown[ACCOUNT_SIZE], question[ACCOUNT_SIZE + 16];

        snprintf(question, sizeof(question), "%s's password:", account(l, shown));
        for (int i = 0; i < TRIES_MAX && outcome == SSH_AUTH_DENIED; i++) {
                _cleanup_(secret_deinit) struct secret answer = { .data = NULL };
                int r = prompt_secret(&answer, question, 0, err);

                if (r < 0)
                        return r;
                if (r != PROMPT_ANSWERED)
                        break;
                answer.data[answer.size] = '\0';
                outcome = request(l, &(struct request){ .kind = REQUEST_PASSWORD, .password = answer.data }, err);
        }
        if (outcome == SSH_AUTH_DENIED)
                say(l, "password: not accepted");
        return outcome;
}

/* ---- all of them ---- */

static int try_asking(struct login *l, int methods, struct err *err)
{
        static const char no_terminal[] = "there is no terminal to ask on";
        const struct ssh_config *c = l->link->config;
        int outcome = SSH_AUTH_DENIED;

        if ((methods & SSH_AUTH_METHOD_INTERACTIVE) && c->with_keyboard) {
                if (l->link->may_ask)
                        outcome = try_keyboard(l, err);
                else
                        say(l, "keyboard-interactive: %s", no_terminal);
        }
        if (!is_over(outcome) && (methods & SSH_AUTH_METHOD_PASSWORD) && c->with_passwords) {
                if (l->link->may_ask)
                        outcome = try_password(l, err);
                else
                        say(l, "password: %s", no_terminal);
        }
        return outcome;
}

static int try_methods(struct login *l, struct err *err)
{
        int outcome = SSH_AUTH_DENIED;

        l->methods = ssh_userauth_list(l->link->session, NULL);
        if (l->methods & SSH_AUTH_METHOD_PUBLICKEY)
                outcome = try_keys(l, err);
        return is_over(outcome) ? outcome : try_asking(l, l->methods, err);
}

static void append_methods(struct buf *list, int methods)
{
        static const struct {
                int bit;
                const char *name;
        } names[] = { { SSH_AUTH_METHOD_PUBLICKEY, "publickey" },
                      { SSH_AUTH_METHOD_INTERACTIVE, "keyboard-interactive" },
                      { SSH_AUTH_METHOD_PASSWORD, "password" },
                      { SSH_AUTH_METHOD_HOSTBASED, "hostbased" },
                      { SSH_AUTH_METHOD_GSSAPI_MIC, "gssapi-with-mic" } };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                if (methods & names[i].bit)
                        (void)buf_printf(list, "%s%s", list->size > 0 ? ", " : "", names[i].name);
        }
}

static int refuse(struct login *l, struct err *err)
{
        _cleanup_(buf_deinit) struct buf methods = { .data = NULL };
        char user[SHOWN_MAX];

        append_methods(&methods, l->methods);
        return err_runf(err, -EACCES, "cannot log in to %s%s%s: %s%sthe server takes %s", l->link->name,
                        names_user(l) ? "" : " as ", names_user(l) ? "" : show(l->link->config->user, &user),
                        buf_text(&l->said), l->said.size > 0 ? "; " : "",
                        methods.size > 0 ? methods.data : "nothing that is known here");
}

/* The server hung up: what was tried tells why. */
static int add_what_was_tried(struct login *l, struct err *err)
{
        char text[ERR_TEXT_MAX];

        if (strstr(err->text, "Too many authentication failures"))
                err_hint(err, "'IdentitiesOnly yes' and an IdentityFile for this host offer that key alone");
        if (l->said.size == 0 || err->code == -ECANCELED)
                return err->code;
        memcpy(text, err->text, sizeof(text));
        if (snprintf(err->text, sizeof(err->text), "%s (%s)", text, buf_text(&l->said)) < 0)
                memcpy(err->text, text, sizeof(text));
        return err->code;
}

static int log_in(struct login *l, struct err *err)
{
        int outcome = request(l, &(struct request){ .kind = REQUEST_NONE }, err);

        /* SSH_AUTH_PARTIAL: it was right, and the server wants something more. */
        for (int i = 0; i < METHODS_MAX && (outcome == SSH_AUTH_PARTIAL || i == 0) && outcome != SSH_AUTH_SUCCESS;
             i++) {
                if (outcome < 0)
                        break;
                outcome = try_methods(l, err);
        }
        if (outcome < 0)
                return add_what_was_tried(l, err);
        return outcome == SSH_AUTH_SUCCESS ? 0 : refuse(l, err);
}

static int use_agent(struct login *l, struct err *err)
{
        int r;

        if (!l->link->config->with_public_keys || !l->link->config->identity_agent)
                return 0;
        r = ssh_keyring_open(&l->keyring, l->link->config, err);
        if (r < 0) {
                say(l, "agent: %s", err->text);
                err_drop(err, "one way in less");
                return 0;
        }
        return ssh_set_agent_socket(l->link->session, ssh_keyring_take_fd(l->keyring)) == SSH_OK ? 0 : err_oom(err);
}

int ssh_auth_login(const struct ssh_link *link, struct ssh_keyring **ret_keyring, struct err *err)
{
        struct login l = { .link = link };
        int r = use_agent(&l, err);

        if (r == 0)
                r = log_in(&l, err);
        *ret_keyring = l.keyring;
        buf_deinit(&l.said);
        return r;
}
