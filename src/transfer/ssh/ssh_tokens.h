/* The tokens, variables and tildes of ssh_config(5). Internal. */
#pragma once

#include "transfer/ssh/ssh_config.h"

struct buf;

/* What the tokens stand for; NULL for one that may not be used. */
struct ssh_tokens {
        const struct ssh_config_query *query;
        const struct ssh_config_reader *reader;
        const char *host, *port, *user, *alias; /* %h %p %r %k */
};

/*
 * Append @text with its %tokens and ${variables} expanded, and ~/ at its beginning as the home. Return 0, -ENOMEM, or
 * -EINVAL with the beginning of what is not understood in *ret_bad (within @text).
 */
int ssh_tokens_expand(struct buf *out, const char *text, const struct ssh_tokens *tokens, const char **ret_bad);
