/*
 * Asking somebody for a passphrase where there is no terminal: the protocol of systemd's password agents
 * (https://systemd.io/PASSWORD_AGENTS/). A file ask.XXXXXX in /run/systemd/ask-password names a datagram socket beside
 * it; Plymouth, systemd-tty-ask-password-agent and agents of desktops watch that directory and answer.
 */
#pragma once

#include "base/util.h"

struct err;
struct secret;

struct ask_config {
        const char *directory; /* /run/systemd/ask-password, or a test's; absolute */
        const char *message;   /* what is asked for, one line of UTF-8 */
        const char *id;        /* "rsync-system-backup:NAME", for agents that remember */
        unsigned timeout_s;    /* 0: wait for ever */
};

enum ask_outcome { ASK_ANSWERED, ASK_CANCELLED, ASK_TIMED_OUT, ASK_NO_AGENTS };

/*
 * Ask, and wait; on the main thread. Answers are believed only from root or ourselves (SCM_CREDENTIALS, unix(7)); what
 * is not from them, or is no answer, is told in a warning and the question goes on. Whatever happens, nothing is left
 * in the directory. Return an ask_outcome; ASK_NO_AGENTS when the directory does not exist, so nobody can be asked;
 * -ECANCELED with @err filled when a stop was requested; or another negative errno with @err filled. *ret is set up
 * when ASK_ANSWERED; an empty passphrase is an answer too.
 */
int ask_agents(struct secret *ret, const struct ask_config *config, struct err *err);

/*
 * A reply: '+' and the passphrase (of several, each ended by a NUL, the first), or '-'. Points *ret_passphrase into
 * @data when ASK_ANSWERED. Return ASK_ANSWERED, ASK_CANCELLED, or -EBADMSG.
 */
int ask_parse_reply(const char *data, size_t size, const char **ret_passphrase, size_t *ret_size);
