/*
 * A configuration is refused with a text, or resolved to values that make sense, whatever stands in the files. Input:
 * the host, a newline, ~/.ssh/config; what an Include asks for is the same text again.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "transfer/ssh/ssh_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
        const char *text;
        size_t size;
        unsigned opened;
};

/* A few times, so that files that include themselves do not take all of the time. */
static int open_file(void *context, const char *pattern, size_t index, char **ret_path, struct buf *ret_text,
                     struct err *err)
{
        struct input *input = context;

        (void)err;
        if (index > 0 || input->opened++ > 40)
                return SSH_CONFIG_NO_FILE;
        *ret_path = strdup(pattern);
        if (!*ret_path || buf_append(ret_text, input->text, input->size) < 0)
                abort();
        return 0;
}

static const char *variable(void *context, const char *name)
{
        (void)context;
        return *name == 'A' ? "value" : NULL;
}

static bool has_empty(const struct ssh_config_list *list)
{
        for (size_t i = 0; i < list->count; i++) {
                if (!list->items[i])
                        return true;
        }
        return false;
}

static bool makes_sense(const struct ssh_config *c)
{
        return c->host_name && *c->host_name && *c->host_name != '-' && c->user && *c->user != '-' && c->port >= 1 &&
               c->port <= 65535 && c->strict_host_keys <= SSH_CONFIG_ACCEPT_NEW && c->family <= SSH_CONFIG_INET6 &&
               c->identity_files.count <= 100 && c->jumps.count <= 16 && !has_empty(&c->identity_files) &&
               !has_empty(&c->user_known_hosts) && !has_empty(&c->jumps);
}

static void check_jumps(const struct ssh_config *c)
{
        for (size_t i = 0; i < c->jumps.count; i++) {
                _cleanup_(freep) char *user = NULL, *host = NULL;
                unsigned port;

                if (ssh_config_split_jump(c->jumps.items[i], &user, &host, &port) < 0 || !*host)
                        abort();
        }
}

static void check_algorithms(const struct ssh_config *c)
{
        _cleanup_(freep) char *list = ssh_config_algorithms(c->ciphers, "a,b,c");

        if (!list)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;
        size_t host_size = newline ? (size_t)(newline - data) : size;
        _cleanup_(freep) char *host = str_copy(data, host_size);
        struct input input = { .text = newline ? (const char *)newline + 1 : "",
                               .size = newline ? size - host_size - 1 : 0 };
        struct ssh_config_query query = { .host = host,
                                          .local_user = "me",
                                          .home = "/home/me",
                                          .local_host = "here",
                                          .user_file = "/home/me/.ssh/config" };
        struct ssh_config_reader reader = { &input, open_file, variable };
        struct ssh_config *c = NULL;
        struct err err = { .kind = ERR_NONE };
        int r;

        if (!host)
                abort();
        log_init("fuzz-ssh-config", LOG_LEVEL_ERROR);
        r = ssh_config_resolve(&c, &query, &reader, &err);
        if (r == 0 ? !c || err.kind != ERR_NONE || !makes_sense(c) : c || err.kind != ERR_USAGE || !*err.text)
                abort();
        if (c) {
                check_jumps(c);
                check_algorithms(c);
        }
        ssh_config_free(c);
        return 0;
}
