/* What the files of rsync_hello share; nobody else includes it. */
#pragma once

#include "transfer/rsync/rsync_hello.h"

enum rsync_hello_state {
        RSYNC_HELLO_GREETING,   /* a line: its version */
        RSYNC_HELLO_MODULE,     /* lines: what it says to the module, and to people */
        RSYNC_HELLO_VERSION,    /* of a remote shell */
        RSYNC_HELLO_COMPAT,     /* the compat flags */
        RSYNC_HELLO_ALGORITHMS, /* names, and the seed */
        RSYNC_HELLO_OVER,
};

struct rsync_hello {
        struct rsync_hello_config config;
        enum rsync_hello_state state;
        struct buf in; /* what has come of a line, or of numbers */
        struct buf out;

        char *digests; /* that the daemon can check passwords by; NULL: it does not say */
        enum rsync_generation generation;
        bool has_answered; /* the question for a password */
        size_t motd_size;
        struct buf last_words; /* the last line to people that was not empty */

        struct rsync_session session;
};

/* ---- rsync_hello_text.c: what comes in lines ---- */

/* Our own greeting, and the module. Return 0 or -ENOMEM. */
int rsync_hello_greet(struct rsync_hello *h);
/* Take at most one line; *ret_used are the bytes of it that were there. */
int rsync_hello_line(struct rsync_hello *h, const char *data, size_t size, size_t *ret_used, struct err *err);

/* ---- rsync_hello_refusal.c: how it ends early ---- */

/* "PEER: ...", and what to do is up to the caller. */
int rsync_hello_fail(const struct rsync_hello *h, int code, const char *what, struct err *err);
/* The same, followed by words of the other side, which may be anything. */
int rsync_hello_fail_saying(const struct rsync_hello *h, int code, const char *what, const char *words,
                            struct err *err);
/* It has said "@ERROR", and @words. */
int rsync_hello_refused(const struct rsync_hello *h, const char *words, struct err *err);

/* ---- rsync_hello_names.c: names of algorithms in lists that are separated by blanks ---- */

enum rsync_hello_kind { RSYNC_HELLO_AUTHS, RSYNC_HELLO_CHECKSUMS, RSYNC_HELLO_COMPRESSIONS };

/* Append those that the configuration permits, best first. Return 0 or -ENOMEM. */
int rsync_hello_put_names(const struct rsync_hello *h, enum rsync_hello_kind kind, struct buf *out);
/* The best of those that are in the list as well, a value of its enum; -1: none. */
int rsync_hello_choose(const struct rsync_hello *h, enum rsync_hello_kind kind, const char *list, size_t size);
