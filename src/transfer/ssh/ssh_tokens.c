#include "transfer/ssh/ssh_tokens.h"

#include "base/buf.h"

static int append_value(struct buf *out, const char *value)
{
        return value ? buf_puts(out, value) : -EINVAL;
}

static int append_token(struct buf *out, char token, const struct ssh_tokens *t)
{
        const struct ssh_config_query *q = t->query;

        switch (token) {
        case '%':
                return buf_putc(out, '%');
        case 'h':
                return append_value(out, t->host);
        case 'n':
                return append_value(out, q->host);
        case 'p':
                return append_value(out, t->port);
        case 'r':
                return append_value(out, t->user);
        case 'k':
                return append_value(out, t->alias);
        case 'u':
                return append_value(out, q->local_user);
        case 'd':
                return append_value(out, q->home);
        case 'l':
                return append_value(out, q->local_host);
        case 'L':
                return buf_append(out, q->local_host, strcspn(q->local_host, "."));
        case 'i':
                return buf_printf(out, "%u", q->uid);
        default:
                return -EINVAL;
        }
}

/* @text is behind "${"; *ret_size is the length of what belongs to it, the brace included. */
static int append_variable(struct buf *out, const char *text, const struct ssh_tokens *t, size_t *ret_size)
{
        size_t size = strcspn(text, "}");
        _cleanup_(freep) char *name = strndup(text, size);

        if (!name)
                return -ENOMEM;
        *ret_size = size + 1;
        return text[size] == '}' ? append_value(out, t->reader->environment(t->reader->context, name)) : -EINVAL;
}

int ssh_tokens_expand(struct buf *out, const char *text, const struct ssh_tokens *tokens, const char **ret_bad)
{
        int r = 0;

        *ret_bad = text;
        if (*text == '~') {
                if (text[1] != '/' && text[1])
                        return -EINVAL; /* another user's */
                r = buf_puts(out, tokens->query->home);
                text++;
        }
        while (r == 0 && *text) {
                size_t size = 1;

                *ret_bad = text;
                if (text[0] == '%' && text[1]) {
                        r = append_token(out, text[1], tokens);
                        size = 2;
                } else if (text[0] == '$' && text[1] == '{') {
                        r = append_variable(out, text + 2, tokens, &size);
                        size += 2;
                } else {
                        r = *text == '%' ? -EINVAL : buf_putc(out, *text);
                }
                text += size;
        }
        return r;
}
