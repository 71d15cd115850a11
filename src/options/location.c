/*
 * All forms but the local one begin with an authority, [USER@]HOST; what differs is where the USER@ part may reach to
 * and what may follow. So take_authority() serves all of them, and the forms are small functions around it:
 *
 *      user@[fe80::1%eth0]::module/some/dir
 *      '--' '------------'  '----' '------'
 *      take_authority()     module  path
 *
 * Host and user end up in a resolver, in SSH's configuration and in protocol lines, so anything that could be taken for
 * an option or for the end of a line is refused here, once.
 */
#include "options/location.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/path.h"

#include <stdio.h>
#include <strings.h>

static const char URL_SCHEME[] = "rsync://";

static int refuse(struct err *err, const char *expression, const char *reason)
{
        char shown[256];

        path_show(NULL, expression, shown, sizeof(shown));
        return err_usage(err, "'%s': %s", shown, reason);
}

static bool is_control(char c)
{
        return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool has_control(const char *text)
{
        while (*text && !is_control(*text))
                text++;
        return *text;
}

/* Names, addresses with their zone, names outside of ASCII; nothing that means something to a shell or a protocol. */
static bool is_host_char(char c)
{
        return (unsigned char)c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               (c && strchr(".-_:%+", c));
}

static int check_host(const char *host, const char *expression, struct err *err)
{
        if (!*host)
                return refuse(err, expression, "the host is empty");
        if (*host == '-')
                return refuse(err, expression, "a host cannot begin with '-'");
        for (; *host; host++) {
                if (!is_host_char(*host))
                        return refuse(err, expression, "the host holds a character that no host name can hold");
        }
        return 0;
}

static int check_user(const char *user, const char *expression, struct err *err)
{
        if (!*user)
                return refuse(err, expression, "the user before '@' is empty");
        if (*user == '-')
                return refuse(err, expression, "a user cannot begin with '-'");
        if (has_control(user))
                return refuse(err, expression, "the user holds a control character");
        /* The expression is not shown: what stands behind the colon is secret. */
        if (strchr(user, ':'))
                return err_usage(err, "a password cannot be given in a location: other users of this machine would "
                                      "see it; set RSYNC_PASSWORD");
        return 0;
}

/*
 * Take [USER@]HOST off the start of @text; the last '@' in its first @user_limit bytes ends the user, and a host
 * without brackets ends at the first of @ends. *ret_rest is what follows.
 */
static int take_authority(struct location *l, const char *expression, const char *text, size_t user_limit,
                          const char *ends, const char **ret_rest, struct err *err)
{
        const char *at = memrchr(text, '@', user_limit), *host = at ? at + 1 : text, *end;
        int r;

        if (at) {
                l->user = strndup(text, (size_t)(at - text));
                if (!l->user)
                        return err_oom(err);
                r = check_user(l->user, expression, err);
                if (r < 0)
                        return r;
        }
        if (*host == '[') {
                end = strchr(++host, ']');
                if (!end)
                        return refuse(err, expression, "a '[' without its ']'");
                *ret_rest = end + 1;
        } else {
                end = host + strcspn(host, ends);
                *ret_rest = end;
        }
        l->host = strndup(host, (size_t)(end - host));
        return l->host ? check_host(l->host, expression, err) : err_oom(err);
}

/* ":PORT" up to @end, or nothing. */
static int take_port(struct location *l, const char *expression, const char *text, const char *end, struct err *err)
{
        unsigned port = 0;

        if (text == end)
                return 0;
        if (*text != ':')
                return refuse(err, expression, "only ':' and a port can follow the ']'");
        if (memchr(text + 1, ':', (size_t)(end - text - 1)))
                return refuse(err, expression, "more than one ':' (an IPv6 address stands in brackets)");
        for (text++; text < end && *text >= '0' && *text <= '9' && port <= 65535; text++)
                port = port * 10 + (unsigned)(*text - '0');
        if (text < end || port < 1 || port > 65535)
                return refuse(err, expression, "the port is not a number from 1 to 65535");
        l->port = port;
        return 0;
}

/* A copy without trailing slashes; a path of slashes only is "/". */
static char *trimmed(const char *path)
{
        size_t length = strlen(path);

        while (length > 1 && path[length - 1] == '/')
                length--;
        return strndup(path, length);
}

/* MODULE[/DIR] */
static int take_module(struct location *l, const char *expression, const char *text, struct err *err)
{
        size_t length = strcspn(text, "/");
        const char *path = text + length + strspn(text + length, "/");

        if (length == 0)
                return refuse(err, expression, "the name of the daemon's module is missing behind the host");
        l->module = strndup(text, length);
        l->path = path_plain(path);
        if (!l->module || !l->path)
                return err_oom(err);
        return has_control(l->module) ? refuse(err, expression, "the module holds a control character") : 0;
}

/*
 * No shell on the other side expands a tilde; for the own home directory it need not be expanded at all. A "./" stays
 * where the path would mean something else behind the colon without it.
 */
static int take_remote_path(struct location *l, const char *expression, const char *text, struct err *err)
{
        _cleanup_(freep) char *plain = NULL;

        if (text[0] == '~' && text[1] != '/' && text[1] != '\0')
                return refuse(err, expression, "the home directory of another user cannot be named with '~'");
        if (*text == '~')
                text += 1 + strspn(text + 1, "/");
        plain = path_plain(text);
        if (plain && (*plain == '~' || *plain == ':'))
                l->path = path_join(".", plain);
        else
                l->path = plain && !*plain ? strdup(".") : TAKE(plain);
        return l->path ? 0 : err_oom(err);
}

static int parse_local(struct location *l, const char *path, struct err *err)
{
        l->kind = LOCATION_LOCAL;
        l->path = trimmed(path);
        return l->path ? 0 : err_oom(err);
}

static int parse_url(struct location *l, const char *expression, struct err *err)
{
        const char *text = expression + strlen(URL_SCHEME), *end = text + strcspn(text, "/"), *rest = end;
        int r = take_authority(l, expression, text, (size_t)(end - text), ":/", &rest, err);

        l->kind = LOCATION_DAEMON;
        if (r < 0)
                return r;
        /* rest <= end: a '/' inside of brackets has been refused as part of the host. */
        r = take_port(l, expression, rest, end, err);
        return r < 0 ? r : take_module(l, expression, *end ? end + 1 : end, err);
}

static int parse_remote(struct location *l, const char *expression, struct err *err)
{
        const char *rest = expression;
        int r = take_authority(l, expression, expression, strcspn(expression, ":"), ":", &rest, err);

        if (r < 0)
                return r;
        if (*rest != ':')
                return refuse(err, expression, "only ':' or '::' can follow the ']'");
        if (rest[1] == ':') {
                l->kind = LOCATION_DAEMON;
                return take_module(l, expression, rest + 2, err);
        }
        l->kind = LOCATION_SSH;
        return take_remote_path(l, expression, rest + 1, err);
}

static int parse(struct location *l, const char *expression, struct err *err)
{
        size_t plain = strcspn(expression, ":/");
        int r;

        if (!*expression)
                return err_usage(err, "the location is empty");
        if (strncasecmp(expression, URL_SCHEME, strlen(URL_SCHEME)) == 0)
                return parse_url(l, expression, err);
        if (expression[plain] != ':')
                return parse_local(l, expression, err);
        r = parse_remote(l, expression, err);
        if (r < 0 && err->kind == ERR_USAGE)
                err_hint(err, "if a local directory is meant, write it with a '/' before the ':', like ./a:b");
        return r;
}

int location_parse(struct location *ret, const char *expression, struct err *err)
{
        _cleanup_(location_deinit) struct location l = { .path = NULL };
        int r = parse(&l, expression, err);

        if (r < 0)
                return r;
        *ret = l;
        l = (struct location){ .path = NULL };
        return 0;
}

int location_parse_tunnel(struct location *ret, const char *expression, struct err *err)
{
        _cleanup_(location_deinit) struct location l = { .kind = LOCATION_SSH };
        size_t length = strlen(expression);
        const char *rest = expression;
        int r = take_authority(&l, expression, expression, length, ":", &rest, err);

        if (r == 0)
                r = take_port(&l, expression, rest, expression + length, err);
        if (r < 0)
                return r;
        *ret = l;
        l = (struct location){ .path = NULL };
        return 0;
}

int location_set_local(struct location *ret, const char *path, struct err *err)
{
        struct location l = { .path = NULL };
        int r = parse_local(&l, path, err);

        if (r == 0)
                *ret = l;
        return r;
}

void location_deinit(struct location *l)
{
        free(l->user);
        free(l->host);
        free(l->module);
        free(l->path);
        *l = (struct location){ .path = NULL };
}

static bool same(const char *a, const char *b)
{
        return a && b ? str_equal(a, b) : a == b;
}

bool location_equal(const struct location *a, const struct location *b)
{
        return a->kind == b->kind && a->port == b->port && same(a->user, b->user) && same(a->host, b->host) &&
               same(a->module, b->module) && same(a->path, b->path);
}

static int put_authority(struct buf *b, const struct location *l)
{
        bool brackets = strchr(l->host, ':');
        int r = l->user ? buf_printf(b, "%s@", l->user) : 0;

        if (r == 0)
                r = buf_printf(b, brackets ? "[%s]" : "%s", l->host);
        if (r == 0 && l->port)
                r = buf_printf(b, ":%u", l->port);
        return r;
}

static int put(struct buf *b, const struct location *l)
{
        bool url = l->kind == LOCATION_DAEMON && l->port;
        int r = url ? buf_puts(b, URL_SCHEME) : 0;

        if (r == 0 && l->host)
                r = put_authority(b, l);
        if (r == 0 && l->kind == LOCATION_SSH && l->path)
                r = buf_putc(b, ':');
        if (r == 0 && l->kind == LOCATION_DAEMON)
                r = buf_printf(b, "%s%s%s", url ? "/" : "::", l->module, *l->path ? "/" : "");
        return r == 0 && l->path ? buf_puts(b, l->path) : r;
}

char *location_expression(const struct location *l)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };

        return put(&b, l) == 0 ? buf_take(&b) : NULL;
}

void location_show(const struct location *l, char *out, size_t size)
{
        _cleanup_(freep) char *expression = location_expression(l);

        path_show(NULL, expression ? expression : "(no memory to show the location)", out, size);
}

void location_show_host(const struct location *l, char *out, size_t size)
{
        const struct location host = { .kind = LOCATION_SSH, .user = l->user, .host = l->host, .port = l->port };

        location_show(&host, out, size);
}
