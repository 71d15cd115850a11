/* What a server is to do, as the arguments of its command line (docs/rsync-protocol.md, section 3). */
#pragma once

#include "base/util.h"

struct buf;
struct err;

struct rsync_arguments {
        bool incremental;    /* lists may come one by one */
        bool delete_missing; /* what is not in the lists, excluded or not */
        bool dry_run;
        bool one_file_system;
        bool compress;
        bool list_only; /* only directories' own content counts: `--dirs` instead of `--recursive` */
        bool sender;    /* it is the server that sends */
        bool bare;      /* nothing but names, types, sizes and times goes over the wire, and no metadata is set */
        bool existing;  /* nothing is made that is not there */
        bool make_path; /* where the server can (3.2.3), make all of the destination's directories */
        unsigned timeout_s;
        const char *link_destination; /* a directory relative to the destination; NULL: none */
        const char *destination;      /* as the server takes it: "MODULE/DIR/", or a path; ends with a slash */
};

enum rsync_generation {
        RSYNC_GENERATION_30,  /* 3.0 */
        RSYNC_GENERATION_31,  /* 3.1 to 3.2.6 */
        RSYNC_GENERATION_327, /* 3.2.7 to 3.3 */
        RSYNC_GENERATION_32,  /* 3.4 and later */
};

/*
 * Append the arguments, each with a NUL behind it and an empty one at the end; where there is in a path what the server
 * would take for a pattern, they are secluded, which makes two such lists. What a server of @generation does not know
 * is left out. Return 0 or -ENOMEM.
 */
int rsync_arguments_put(struct buf *out, const struct rsync_arguments *a, enum rsync_generation generation);

/*
 * Append the same as a command for a shell: `PROGRAM --server ...`, without what not every server knows, since nobody
 * knows yet who is there. @program is for the shell to interpret. *ret_secluded is what goes to the command's input
 * first: nothing, unless a path has what a backslash does not keep from a shell. Both change only on success. Return 0
 * or -ENOMEM.
 */
int rsync_arguments_command(struct buf *out, struct buf *ret_secluded, const char *program,
                            const struct rsync_arguments *a);

/* Append a blank and @word as shells take it for one. Return 0 or -ENOMEM; then part of it may be there. */
int rsync_arguments_word(struct buf *out, const char *word);
