/*
 * How a conversation begins: versions, the module and who may use it, the arguments, algorithms, the seed
 * (docs/rsync-protocol.md, section 3). A state machine that holds no descriptor.
 *
 *      daemon:        greeting -> module [-> authentication] -> OK -> arguments -> compat flags -> algorithms -> seed
 *      remote shell:  version                                              -> compat flags -> algorithms -> seed
 */
#pragma once

#include "base/buf.h"
#include "base/util.h"
#include "transfer/rsync/rsync_arguments.h"
#include "transfer/rsync/rsync_session.h"

struct err;
struct rsync_hello;
struct secret;

enum { RSYNC_LINE_MAX = 5000, RSYNC_MOTD_MAX = 64 * 1024 };

struct rsync_hello_config {
        bool is_daemon;     /* else `rsync --server` was started with the arguments already */
        const char *peer;   /* who is there, for messages: "HOST::MODULE"; all of these are borrowed */
        const char *module; /* of a daemon: the name alone */
        const char *user;   /* for authentication; NULL: none was given (then that of $USER, $LOGNAME) */
        const struct rsync_arguments *arguments;

        /* What is offered; what our tests and a user's need may narrow. Bits 1 << rsync_checksum; 0: all. Servers below
         * 3.2 do not ask: it is MD5 and zlib then. */
        unsigned checksums;
        unsigned compressions; /* likewise, 1 << rsync_compression */
        unsigned auths;        /* likewise, 1 << rsync_auth */
        int protocol_max;      /* 30 to 32; 0: 32 */

        /* A password is asked for. Return 0 with *ret set up (secret_deinit() is ours), or a negative errno with @err
         * filled. */
        int (*password)(void *context, struct secret *ret, struct err *err);
        /* A line of the daemon's greeting to people (motd), without the newline, not escaped. May be NULL. */
        void (*motd)(void *context, const char *line);
        void *context;
};

enum { RSYNC_HELLO_DONE = 1 };

/* Return 0, -ENOMEM, or -EINVAL for what cannot be the name of a module. */
int rsync_hello_new(struct rsync_hello **ret, const struct rsync_hello_config *config, struct err *err);
struct rsync_hello *rsync_hello_free(struct rsync_hello *h);
DEFINE_FREEP(struct rsync_hello, rsync_hello_free)

/* What is to be sent; the caller takes from its front by buf functions or empties it. Filled from the beginning. */
struct buf *rsync_hello_output(struct rsync_hello *h);

/*
 * Take up to @size bytes; *ret_used are those that belonged to this. Return 0: go on; RSYNC_HELLO_DONE: what follows is
 * in frames; or a negative errno with @err filled: -EACCES when it refuses the user or the module, -ENOENT without such
 * a module, -EBUSY with too many connections, -EPROTO, -EPROTONOSUPPORT for versions below 3.0. The daemon's own words
 * stand in the message, escaped and shortened; a hint says what to do. -EREMOTEIO: it refuses for reasons of its own,
 * which its log tells.
 */
int rsync_hello_feed(struct rsync_hello *h, const void *data, size_t size, size_t *ret_used, struct err *err);

/* The peer has ended the connection before it was done: the words it left, or what can be concluded. Return what is
 * above, or -ECONNRESET. */
int rsync_hello_end(struct rsync_hello *h, struct err *err);

/* When done. */
const struct rsync_session *rsync_hello_session(const struct rsync_hello *h);
