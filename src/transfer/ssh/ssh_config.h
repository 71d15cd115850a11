/*
 * What ssh_config(5) says about one host: text in, resolved options out. Nothing is ever executed for it.
 *
 * Host, Match (all, host, originalhost, user, localuser, final) and Include select as ssh(1) does; the first value
 * wins, keywords are in any case, arguments may be quoted. The tokens %% %h %n %p %r %u %l %L %d %i %k and ${VARIABLE}
 * are expanded where the manual page has them, and ~/ in paths. A list of algorithms may begin with +, - or ^.
 *
 * What ssh(1) would execute (ProxyCommand, Match exec, KnownHostsCommand, LocalCommand where it is permitted), and what
 * cannot be left out without harm (RevokedHostKeys, other criteria of Match), is refused when it would apply to this
 * host. All other keywords are ignored.
 */
#pragma once

#include "base/util.h"

struct buf;
struct err;

struct ssh_config_list {
        char **items;
        size_t count;
};

enum ssh_config_strict { SSH_CONFIG_ASK, SSH_CONFIG_STRICT, SSH_CONFIG_ACCEPT_NEW };

enum ssh_config_family { SSH_CONFIG_ANY, SSH_CONFIG_INET, SSH_CONFIG_INET6 };

struct ssh_config {
        char *host_name; /* a name or address to connect to */
        char *user;
        unsigned port;
        char *host_key_alias; /* NULL, or what the host is called in the known_hosts files, without a port */
        struct ssh_config_list identity_files;
        bool default_identities; /* they are the usual ones, which need not exist */
        bool identities_only;
        char *identity_agent; /* a socket's path; NULL when there is no agent */
        struct ssh_config_list certificate_files;
        struct ssh_config_list user_known_hosts, global_known_hosts;
        enum ssh_config_strict strict_host_keys;
        struct ssh_config_list jumps; /* [USER@]HOST[:PORT] each, in the order they are passed */
        unsigned connect_timeout_s;   /* 0: none given */
        unsigned alive_interval_s;    /* 15 unless given; 0: off */
        unsigned alive_count_max;
        enum ssh_config_family family;
        char *bind_address;                                        /* or NULL */
        char *ciphers, *host_key_algorithms, *accepted_algorithms; /* or NULL; modifiers are not applied yet */
        char *kex_algorithms, *macs;                               /* the same */
        uint64_t rekey_bytes;                                      /* 0: the library's default */
        unsigned rekey_time_s;                                     /* 0: never by time */
        bool batch_mode;                                           /* never ask */
        bool with_public_keys, with_passwords, with_keyboard;      /* ...Authentication */
};

struct ssh_config_query {
        const char *host;              /* as it was typed */
        const char *user;              /* as it was typed, or NULL */
        unsigned port;                 /* as it was typed, or 0 */
        const char *local_user, *home; /* whose configuration it is; absolute */
        const char *local_host;        /* gethostname(2) */
        unsigned uid;
        const char *user_file, *system_file; /* read in this order; NULL for none */
};

enum { SSH_CONFIG_NO_FILE = 1 };

struct ssh_config_reader {
        void *context;
        /*
         * The @index-th of the files that match @pattern, glob(7): its name and its text, both for the caller. Return
         * 0; SSH_CONFIG_NO_FILE when there are not so many; or a negative errno with @err filled.
         */
        int (*open)(void *context, const char *pattern, size_t index, char **ret_path, struct buf *ret_text,
                    struct err *err);
        /* An environment variable's value, or NULL. */
        const char *(*environment)(void *context, const char *name);
};

/* Errors are of kind ERR_USAGE and name file and line. */
int ssh_config_resolve(struct ssh_config **ret, const struct ssh_config_query *query,
                       const struct ssh_config_reader *reader, struct err *err);

struct ssh_config *ssh_config_free(struct ssh_config *c);
DEFINE_FREEP(struct ssh_config, ssh_config_free)

/* Append a copy of @text. Return 0 or -ENOMEM. */
int ssh_config_list_add(struct ssh_config_list *list, const char *text);
void ssh_config_list_deinit(struct ssh_config_list *list);

/* Does @pattern, with * and ?, match all of @text? */
bool ssh_config_pattern_matches(const char *text, const char *pattern, bool any_case);

/* The same for patterns with commas between them, of which those behind ! exclude. */
bool ssh_config_list_matches(const char *text, const char *patterns, bool any_case);

/*
 * The list @wanted (names with commas between them; behind +, - or ^ it changes @standard as ssh_config(5) says; NULL
 * leaves it as it is), malloc'd; NULL when memory is short.
 */
char *ssh_config_algorithms(const char *wanted, const char *standard);

/* Split [USER@]HOST[:PORT] or ssh://...; an IPv6 address in brackets. Return 0, -EINVAL or -ENOMEM. */
int ssh_config_split_jump(const char *text, char **ret_user, char **ret_host, unsigned *ret_port);
