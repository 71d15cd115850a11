/*
 * What the parts of a destination share that an rsync serves: destination_rsync.c, server_talk.c, server_checks.c,
 * server_transfer.c, server_snapshots.c.
 */
#pragma once

#include "base/secret.h"
#include "base/util.h"
#include "destination.h"
#include "options/options.h"
#include "patience.h"
#include "server/rsync_connection.h"
#include "transfer/rsync/rsync_arguments.h"
#include "transfer/rsync/rsync_hello.h"
#include "transfer/rsync/rsync_listing.h"
#include "transfer/rsync/rsync_push.h"
#include "transfer/rsync/rsync_spool.h"

struct err;
struct rsync_retold;
struct server_inventory;

enum { SERVER_NAME_SIZE = 300 };

struct server {
        struct destination d; /* first */
        char *parent;         /* of `latest`, as it is called */
        bool is_daemon;
        char name[SERVER_NAME_SIZE]; /* HOST::MODULE or HOST, for messages */
        int machine_lock;            /* -1 */
        struct rsync_connection *connection;
        bool was_connected; /* once; then it is worth to connect again */
        uint64_t parted_us; /* when the last connection was closed: CLOCK_MONOTONIC, 0: never */
        struct patience patience;
        bool has_password;
        struct secret password;
        struct rsync_spool *spool;          /* what was transferred, for the snapshot; or NULL */
        struct rsync_retold *retold;        /* what was dealt with before a connection broke */
        struct server_inventory *inventory; /* what it has beside `latest`; NULL: not looked at */
};

static inline struct server *server_of(struct destination *d)
{
        return (struct server *)d;
}

/* ---- conversations: server_talk.c ---- */

/* What one has in common with all others; the caller fills in what it is for. */
struct server_talk {
        struct rsync_arguments arguments;
        struct rsync_hello_config hello;
        struct rsync_push_config push;
};

/* The destination as the server takes it, with a slash at its end. malloc'd; NULL when memory is short. */
char *server_destination(const struct server *s);

/*
 * A path on the server as it takes it: that of the destination's parent with @below (NULL: none) in it, with a slash at
 * its end. malloc'd; NULL when memory is short.
 */
char *server_path(const struct server *s, const char *below);

/*
 * Connect for what t->arguments say, of which the timeout is filled in, and fill in the rest of @t, which is referred
 * to by the connection. Return 0 or a negative errno with @err filled.
 */
int server_open(struct server *s, struct server_talk *t, struct err *err);

/* Do @step, which opens one connection, and once more after each that broke; afterwards it is closed. */
int server_persist(struct server *s, int (*step)(struct server *s, void *context, struct err *err), void *context,
                   struct err *err);

/*
 * What a directory of the server holds: see rsync_listing(), of which this is `take`. Return as that does, -ENXIO for
 * whatever else was not found on the way there.
 */
typedef int server_take(void *context, const char *name, mode_t mode, uint64_t size, int64_t mtime, struct err *err);
int server_list_directory(struct server *s, const char *path, server_take *take, void *context, struct err *err);

/* The same, and hang up: to a daemon's `post-xfer exec` it is no transfer that went well. */
int server_look_into(struct server *s, const char *path, server_take *take, void *context, struct err *err);

/* ---- looking before changing: server_checks.c ---- */

/* An empty source would delete all that the server has. @fd: its root, borrowed. */
int server_check_source(const struct server *s, int fd, struct err *err);

/* Would a transfer into the destination, @path to the server, delete or change what is not its own? Return 0 or a
 * negative errno with @err filled. */
int server_check_destination(struct server *s, const char *path, struct err *err);

/* A transfer begins: what is there is ours from now on, also when it does not come to its end. */
void server_remember(const struct server *s);

/* ---- server_transfer.c ---- */

int server_transfer(struct destination *d, struct err *err);

/* ---- server_snapshots.c ---- */

/* No snapshot is taken and none removed, although it was asked for: say so and why. The run is not all that was meant.
 */
void server_do_without(const struct server *s, const char *why);

int server_snapshot(struct destination *d, struct err *err);
int server_list(struct destination *d, struct destination_snapshots *ret, struct err *err);
int server_survey(struct destination *d, struct survey *ret, struct err *err);
int server_remove(struct destination *d, const char *name, struct err *err);
