/*
 * A thread that owns a session and carries bytes between its one channel and a socketpair, both ways at once, so that
 * everybody else sees an ordinary descriptor. Internal.
 */
#pragma once

#include "base/util.h"

#include <libssh/libssh.h>

struct err;
struct ssh_bridge;

struct ssh_bridge_config {
        ssh_session session; /* borrowed; the thread's alone from now on */
        ssh_channel channel;
        int fd;                     /* the session's */
        unsigned alive_interval_ms; /* after so long without a word the server is asked for one; 0: never */
        unsigned dead_after_ms;     /* without a word for so long it is dead; more than the interval */
        /* Called by the thread with each line of the command's standard error, without its newline; or NULL. */
        void (*hear)(void *context, const char *line);
        void *context;
};

enum { SSH_BRIDGE_SAID_MAX = 512, SSH_BRIDGE_WHY_MAX = 256, SSH_BRIDGE_HEAD_MAX = 256, SSH_BRIDGE_FIRST_MAX = 160 };

struct ssh_bridge_end {
        char why[SSH_BRIDGE_WHY_MAX];     /* the connection is lost, and why; or "" */
        int status;                       /* exit status, -1 when none was told */
        char signal[24];                  /* that killed the command, without "SIG"; or "" */
        char first[SSH_BRIDGE_FIRST_MAX]; /* the first line on standard error, or its beginning */
        char said[SSH_BRIDGE_SAID_MAX];   /* the last lines */
        char head[SSH_BRIDGE_HEAD_MAX];   /* the first bytes on standard output, up to a NUL */
};

/*
 * Start the thread. *ret_fd, a blocking stream socket, is for the caller: what is written there goes to the channel,
 * what comes from there can be read; shutdown(2) for writing and the end of file mean the same on both sides.
 */
int ssh_bridge_start(struct ssh_bridge **ret, const struct ssh_bridge_config *config, int *ret_fd, struct err *err);

enum { SSH_BRIDGE_STILL_RUNNING = 1 };

/*
 * Wait until the channel is closed on both sides or the connection is lost, @timeout_s seconds at most (0: no limit).
 * Return 0 with *ret filled; SSH_BRIDGE_STILL_RUNNING; or a negative errno with @err filled (a stop is requested).
 */
int ssh_bridge_wait(struct ssh_bridge *b, unsigned timeout_s, struct ssh_bridge_end *ret, struct err *err);

/* End the thread, whatever is under way. The session is the caller's again. */
struct ssh_bridge *ssh_bridge_stop(struct ssh_bridge *b);
