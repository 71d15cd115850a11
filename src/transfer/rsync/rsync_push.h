/*
 * Sending a tree to an rsync server: what `rsync -aHAX --numeric-ids --delete` does on this side
 * (docs/rsync-protocol.md). The server compares, asks for what differs, and deletes.
 */
#pragma once

#include "base/util.h"
#include "transfer/rsync/rsync_session.h"

#include <sys/types.h>

struct err;
struct report;
struct rsync_hello_config;
struct rsync_retold;
struct rsync_spool;
struct source;

/* An entry that is made up: a directory, or an empty file. */
struct rsync_given {
        const char *path; /* "." for the root */
        mode_t mode;      /* type and permissions */
};

struct rsync_push_config {
        int in_fd, out_fd;  /* borrowed; may be one; made non-blocking */
        const char *peer;   /* who is there, for messages: "HOST::MODULE" */
        unsigned timeout_s; /* of silence while something is awaited; 0: what the server says, if it does */
        uint64_t rate;      /* bytes a second at most, in each direction; 0: no limit */

        const struct rsync_hello_config *hello;
        int compression_level; /* of the compressor's own scale; 0: its default */

        const struct source *source; /* NULL: only what is given */
        struct report *report;       /* told of what could not be read, and of what the server does */
        bool accepts_lacks;          /* what it may not make is not missed */

        /*
         * Instead of the source's tree: directories and empty files, each behind the directory that it is in, where
         * those that are no directory come before those that are (rsync_lists.h), the first one ".". The arguments are
         * bare, and not incremental.
         */
        const struct rsync_given *given;
        size_t given_count;

        /* What is not to be deleted, and what is, as texts of the protocol's rules (docs/rsync-protocol.md, section 4),
         * where the arguments have anything deleted at all. */
        const char *const *rules;
        size_t rule_count;

        /*
         * The lists are also kept there, for another time; that they cannot be is told when they are wanted. May be
         * NULL.
         */
        struct rsync_spool *spool;
        /*
         * Instead of reading the source's tree, send the lists that were kept there, by a push that came to its end; or
         * NULL. Contents and long values of attributes are read from the source, where the server asks for any. What
         * went wrong with the lists then counts again here.
         */
        struct rsync_spool *replay;
        /* What pushes of the same tree were told of before, and this one is, so that nothing is counted twice; or NULL.
         */
        struct rsync_retold *retold;

        void (*tick)(void *context); /* called some times a second while it works; may be NULL */
        void *tick_context;
};

/* What it came to. */
struct rsync_push_result {
        struct rsync_session session; /* protocol 0: it never came so far */
        uint64_t sent_bytes, received_bytes;
        uint64_t literal_bytes, matched_bytes; /* of contents: sent, and found at the server */
        bool is_partial; /* the server could not take all of it, or deleted nothing after an error of reading */
};

/*
 * Blocks until the server says goodbye. Return 0, or a negative errno with @err filled: of the connection (-ECONNRESET,
 * -ETIMEDOUT), what the server refused (as rsync_hello_feed(), and -EROFS, -ENOSPC), -EREMOTEIO when it gave up without
 * a word, -EPROTO, -ECANCELED after a stop request; -ENOTSUP before anything was sent, when what is to be replayed is
 * not all there, or was sent in another session's form. @ret is filled in any case. What concerns single entries goes
 * to the report.
 */
int rsync_push(const struct rsync_push_config *config, struct rsync_push_result *ret, struct err *err);
