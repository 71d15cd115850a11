/*
 *      C> @RSYNCD: 32.0 sha512 ...      S> @RSYNCD: 32.0 sha512 ...
 *      C> MODULE                        S> lines to people, without an end that could be told
 *                                       S> @RSYNCD: AUTHREQD CHALLENGE
 *      C> USER ANSWER                   S> lines to people
 *                                       S> @RSYNCD: OK             or, anywhere, @ERROR: why not
 */
#include "transfer/rsync/rsync_hello_parts.h"

#include "base/err.h"
#include "base/secret.h"

#include <stdlib.h>

static const char MARK[] = "@RSYNCD: ", MARK_ERROR[] = "@ERROR";

enum { PROTOCOL_DIGITS_MAX = 5 };

int rsync_hello_greet(struct rsync_hello *h)
{
        int r = buf_printf(&h->out, "%s%d.0 ", MARK, h->session.protocol);

        if (r == 0)
                r = rsync_hello_put_names(h, RSYNC_HELLO_AUTHS, &h->out);
        /* The daemon's greeting tells nothing that this would depend on. */
        return r == 0 ? buf_printf(&h->out, "\n%s\n", h->config.module) : r;
}

/* ---- its greeting ---- */

static const char *skip_number(const char *text, int *ret)
{
        size_t digits = strspn(text, "0123456789");

        if (digits == 0 || digits > PROTOCOL_DIGITS_MAX)
                return NULL;
        *ret = (int)strtol(text, NULL, 10);
        return text + digits;
}

static enum rsync_generation generation_of(int protocol, bool has_digests)
{
        if (protocol >= 32)
                return RSYNC_GENERATION_32;
        if (has_digests)
                return RSYNC_GENERATION_327;
        return protocol == 31 ? RSYNC_GENERATION_31 : RSYNC_GENERATION_30;
}

static int too_old(const struct rsync_hello *h, int protocol, struct err *err)
{
        err_runf(err, -EPROTONOSUPPORT, "%s: the daemon speaks version %d of rsync's protocol, at least %d is needed",
                 h->config.peer, protocol, RSYNC_PROTOCOL_MIN);
        return err_hint(err, "rsync 3.0 or later is needed there");
}

static int read_greeting(struct rsync_hello *h, const char *line, struct err *err)
{
        int protocol, sub = 0, spoken;
        const char *at;

        if (!str_starts(line, MARK)) {
                rsync_hello_fail_saying(h, -EPROTO, "what answers is no rsync daemon", line, err);
                return err_hint(err, "is the port right? That of rsync daemons is 873");
        }
        at = skip_number(line + strlen(MARK), &protocol);
        if (at && *at == '.')
                at = skip_number(at + 1, &sub);
        else if (at && protocol >= RSYNC_PROTOCOL_MIN)
                at = NULL;
        if (!at || (*at != '\0' && *at != ' '))
                return rsync_hello_fail_saying(h, -EPROTO, "the daemon's greeting makes no sense", line, err);
        /* One that is not released yet speaks its new version only with its own kind. */
        spoken = sub > 0 && protocol <= h->session.protocol ? protocol - 1 : protocol;
        if (spoken < RSYNC_PROTOCOL_MIN)
                return too_old(h, protocol, err);
        if (spoken < h->session.protocol)
                h->session.protocol = spoken;
        at += strspn(at, " ");
        h->generation = generation_of(protocol, *at != '\0');
        if (*at) {
                h->digests = strdup(at);
                if (!h->digests)
                        return err_oom(err);
        }
        h->state = RSYNC_HELLO_MODULE;
        return 0;
}

/* ---- its question for a password ---- */

static const char *user_of(const struct rsync_hello *h)
{
        const char *user = h->config.user;

        if (!user)
                user = getenv("USER");
        if (!user || !*user)
                user = getenv("LOGNAME");
        return user && *user ? user : NULL;
}

/* Return one of enum rsync_auth, or a negative errno. */
static int choose_auth(const struct rsync_hello *h, struct err *err)
{
        /* Those that do not say know no other. */
        const char *list = h->digests ? h->digests : rsync_auth_name(RSYNC_AUTH_MD5);
        int auth = rsync_hello_choose(h, RSYNC_HELLO_AUTHS, list, strlen(list));

        if (auth >= 0)
                return auth;
        return rsync_hello_fail_saying(h, -EPROTONOSUPPORT,
                                       "the daemon checks passwords by no digest that is permitted here", list, err);
}

static int ask_password(const struct rsync_hello *h, const char *user, struct secret *ret, struct err *err)
{
        static const char how[] = "USER@HOST::MODULE names the user, --password-file or $RSYNC_PASSWORD the password";

        /* It ends at a blank, and the line at a newline. */
        if (!user || strpbrk(user, " \r\n")) {
                rsync_hello_fail(h, -EACCES,
                                 user ? "the daemon asks for a user, whose name cannot have blanks"
                                      : "the daemon asks for a user, and there is none",
                                 err);
                return err_hint(err, "%s", how);
        }
        if (!h->config.password) {
                rsync_hello_fail(h, -EACCES, "the daemon asks for a password", err);
                return err_hint(err, "%s", how);
        }
        return h->config.password(h->config.context, ret, err);
}

static int answer(struct rsync_hello *h, const char *challenge, struct err *err)
{
        _cleanup_(secret_deinit) struct secret password = { .data = NULL };
        const char *user = user_of(h);
        char text[RSYNC_ANSWER_MAX];
        int auth, r;

        /* Without a challenge the answer would be the same each time. */
        if (!*challenge || h->has_answered)
                return rsync_hello_fail(h, -EPROTO, "the daemon's question for a password makes no sense", err);
        auth = choose_auth(h, err);
        if (auth < 0)
                return auth;
        r = ask_password(h, user, &password, err);
        if (r < 0)
                return r;
        rsync_auth_answer((enum rsync_auth)auth, &password, challenge, text);
        h->has_answered = true;
        return buf_printf(&h->out, "%s %s\n", user, text) < 0 ? err_oom(err) : 0;
}

/* ---- its other lines ---- */

static int tell_people(struct rsync_hello *h, const char *line, struct err *err)
{
        /* A line has its newline, too: empty ones come to an end as well. */
        h->motd_size += strlen(line) + 1;
        if (h->motd_size > RSYNC_MOTD_MAX)
                return rsync_hello_fail(h, -EPROTO, "the daemon's greeting to people has no end", err);
        if (h->config.motd)
                h->config.motd(h->config.context, line);
        if (!*line)
                return 0;
        buf_truncate(&h->last_words, 0);
        return buf_puts(&h->last_words, line) < 0 ? err_oom(err) : 0;
}

static int read_reply(struct rsync_hello *h, const char *line, struct err *err)
{
        const char *reply = line + strlen(MARK);

        if (!str_starts(line, MARK))
                return tell_people(h, line, err);
        if (str_equal(reply, "OK")) {
                h->state = RSYNC_HELLO_COMPAT;
                if (rsync_arguments_put(&h->out, h->config.arguments, h->generation) < 0)
                        return err_oom(err);
                return 0;
        }
        if (str_starts(reply, "AUTHREQD "))
                return answer(h, reply + strlen("AUTHREQD "), err);
        if (str_equal(reply, "EXIT"))
                return rsync_hello_fail(h, -EPROTO, "the daemon ends instead of opening the module", err);
        return tell_people(h, line, err);
}

static int read_line(struct rsync_hello *h, const char *line, struct err *err)
{
        if (str_starts(line, MARK_ERROR))
                return rsync_hello_refused(h, line + strlen(MARK_ERROR), err);
        return h->state == RSYNC_HELLO_GREETING ? read_greeting(h, line, err) : read_reply(h, line, err);
}

static void drop_returns(struct buf *line)
{
        size_t size = 0;

        for (size_t i = 0; i < line->size; i++) {
                if (line->data[i] != '\r')
                        line->data[size++] = line->data[i];
        }
        buf_truncate(line, size);
}

int rsync_hello_line(struct rsync_hello *h, const char *data, size_t size, size_t *ret_used, struct err *err)
{
        const char *newline = memchr(data, '\n', size);
        size_t length = newline ? (size_t)(newline - data) : size;
        int r;

        if (length > RSYNC_LINE_MAX - h->in.size)
                return rsync_hello_fail(h, -EPROTO, "the daemon sends a line without an end", err);
        if (memchr(data, '\0', length))
                return rsync_hello_fail(h, -EPROTO, "what answers is no rsync daemon: a line with NUL bytes", err);
        if (buf_append(&h->in, data, length) < 0)
                return err_oom(err);
        *ret_used = newline ? length + 1 : length;
        if (!newline)
                return 0;
        drop_returns(&h->in);
        r = read_line(h, buf_text(&h->in), err);
        buf_truncate(&h->in, 0);
        return r;
}
