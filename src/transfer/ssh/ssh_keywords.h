/* The keywords of ssh_config(5) that mean something here, and what they make of a struct ssh_config. Internal. */
#pragma once

#include "transfer/ssh/ssh_config.h"

struct ssh_keywords_place {
        const char *file; /* for people */
        unsigned line;
};

/* A configuration in the making: as it is written, without tokens expanded. */
struct ssh_keywords {
        struct ssh_config *config;
        uint64_t given; /* which keywords have their value */
        char *jumps;    /* ProxyJump */
        bool permits_local_command;
        char local_command[256]; /* where it is, "FILE:LINE"; "" when there is none */
};

/* Fill @err with FILE:LINE: and the message, kind ERR_USAGE. Returns -EINVAL. */
int ssh_keywords_refuse(struct err *err, const struct ssh_keywords_place *place, const char *format, ...)
        _printf_(3, 4);

/* Take the line of @keyword, whose arguments are @rest. An unknown keyword is ignored. */
int ssh_keywords_take(struct ssh_keywords *k, const char *keyword, const char *rest,
                      const struct ssh_keywords_place *place, struct err *err);

/* The name to connect to as far as it is known: HostName with its tokens, malloc'd. NULL when memory is short. */
char *ssh_keywords_host_name(const struct ssh_keywords *k, const struct ssh_config_query *query);

/* All was read: fill in what was not given, and expand. */
int ssh_keywords_finish(struct ssh_keywords *k, const struct ssh_config_query *query,
                        const struct ssh_config_reader *reader, struct err *err);
