/*
 * Commands and connections over SSH, by libssh, which nothing outside of this folder knows. Nothing is executed here:
 * a jump host is reached by a session within a session.
 *
 * Who is connected to, and how, says ssh_config(5) (ssh_config.h); who may be, the known_hosts files. One session has
 * one channel, and a thread of its own from the moment that is open, so that the caller reads and writes an ordinary
 * descriptor; any number of sessions may be open. What has to be asked is asked on a terminal only: ssh_open() is for
 * the main thread there, after stop_init().
 *
 * A server that is gone or has frozen is noticed within 60 seconds, or as ServerAliveInterval and ServerAliveCountMax
 * say, or within `timeout_s`. A stop request (base/stop.h) ends all waiting with -ECANCELED.
 */
#pragma once

#include "base/util.h"

struct err;
struct ssh;

struct ssh_target {
        const char *user; /* as typed, or NULL */
        const char *host; /* as typed; an IPv6 address without brackets */
        unsigned port;    /* as typed, or 0 */
};

struct ssh_wishes {
        unsigned timeout_s;      /* a server that is silent for so long is dead; 0: as configured */
        const char *config_file; /* read instead of the user's and the system's; NULL for those */
        /* Called with each line on the command's standard error, by another thread; NULL for none. */
        void (*hear)(void *context, const char *line);
        void *context;
};

/*
 * Connect and log in. @wishes may be NULL. Errors say at which host, [USER@]HOST[:PORT] as typed, it failed and why; all ways of logging in that were
 * tried, and why each did not lead in.
 */
int ssh_open(struct ssh **ret, const struct ssh_target *target, const struct ssh_wishes *wishes, struct err *err);

/*
 * Run @command by the user's shell there. *ret_fd, for the caller, is a blocking stream socket: its input and output;
 * shutdown(fd, SHUT_WR) closes the input. Once a session, instead of ssh_forward().
 */
int ssh_execute(struct ssh *s, const char *command, int *ret_fd, struct err *err);

/* The same for a TCP connection from there to @host. */
int ssh_forward(struct ssh *s, const char *host, unsigned port, int *ret_fd, struct err *err);

enum ssh_end_kind {
        SSH_END_STATUS,     /* the command ended with `status` */
        SSH_END_NO_COMMAND, /* it is not there: status 127 */
        SSH_END_NO_LOGIN,   /* the account may not run commands: nologin(8) */
        SSH_END_SIGNAL,     /* it was killed */
        SSH_END_CLOSED,     /* the channel was closed; a forwarded connection always ends so */
        SSH_END_LOST,       /* the connection broke, or the server died */
        SSH_END_RUNNING,    /* it was still running when the time was over */
};

enum { SSH_END_TEXT_MAX = 512, SSH_END_SAID_MAX = 512 };

struct ssh_end {
        enum ssh_end_kind kind;
        int status;                  /* of the command; -1 when there is none */
        char text[SSH_END_TEXT_MAX]; /* for a one-line error: "HOST: the command ended with status 3" */
        char said[SSH_END_SAID_MAX]; /* the last lines of its standard error, as they came */
};

/*
 * The caller has read to the end of file or has closed the descriptor: wait until the command has ended, @timeout_s
 * seconds at most (0: no limit), and tell how. An end of file alone does not say that all went well. What the command
 * still writes is dropped when the descriptor is closed. Return 0, or -ECANCELED with @err filled.
 */
int ssh_finish(struct ssh *s, unsigned timeout_s, struct ssh_end *ret, struct err *err);

/* Put into @err, in place of what is there, that no command was run for this account, or that the connection was lost:
 * @end is SSH_END_NO_LOGIN or SSH_END_LOST. Returns -EACCES or -ECONNRESET. */
int ssh_end_explain(const struct ssh_end *end, struct err *err);

/* Hang up, whatever is under way. Returns NULL. */
struct ssh *ssh_close(struct ssh *s);
DEFINE_FREEP(struct ssh, ssh_close)
