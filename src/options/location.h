/*
 * Where a backup comes from and where it goes: the SOURCE and DESTINATION expressions of the command line.
 *
 *      DIR                                     local
 *      [USER@]HOST:DIR                         over SSH
 *      [USER@]HOST::MODULE[/DIR]               rsync daemon
 *      rsync://[USER@]HOST[:PORT]/MODULE[/DIR] rsync daemon; the scheme in any case
 *
 * As with rsync(1) an IPv6 address stands in brackets, and a path that holds a colon is local when a '/' stands before
 * the first colon. Parsing is pure: nothing is looked up, no directory is visited.
 */
#pragma once

#include "base/util.h"

struct err;

enum location_kind { LOCATION_LOCAL, LOCATION_SSH, LOCATION_DAEMON };

struct location {
        enum location_kind kind;
        char *user;    /* NULL when none is given */
        char *host;    /* without brackets; NULL when local */
        unsigned port; /* 0: the usual one */
        char *module;  /* of a daemon, else NULL */
        /*
         * Without trailing slashes, and, where it is remote, without "//" and "/./": there is one way to write it. Local
         * and SSH: never empty, and a relative one starts at the working directory or at the remote home directory ("."
         * is that directory itself, and "./" stands before '~' and ':'). Daemon: relative to the module, "" for its top.
         */
        char *path;
};

/* Errors are of kind ERR_USAGE (and ERR_RUN when memory is short); @ret is written on success only. */
int location_parse(struct location *ret, const char *expression, struct err *err);

/* [USER@]HOST[:PORT], as --tunnel takes it: a LOCATION_SSH without path. */
int location_parse_tunnel(struct location *ret, const char *expression, struct err *err);

/* The local directory @path, colons or not. */
int location_set_local(struct location *ret, const char *path, struct err *err);

void location_deinit(struct location *l);

bool location_equal(const struct location *a, const struct location *b);

/* The expression that location_parse() (or _tunnel(), where there is no path) turns into the same. malloc'd, NULL when
 * memory is short. */
char *location_expression(const struct location *l);

/* The same with escapes, for messages. */
void location_show(const struct location *l, char *out, size_t size);

/* [USER@]HOST[:PORT] alone, as given: so all messages call another machine. */
void location_show_host(const struct location *l, char *out, size_t size);
