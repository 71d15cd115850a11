/*
 * What the files of the sender share; sender.c tells how they go together. Functions that return int: 0, or a negative
 * errno with @err filled, unless said otherwise.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/entry.h"
#include "base/util.h"
#include "transfer/chains.h"
#include "transfer/exchange/message.h"
#include "transfer/source.h"

struct delta_make;
struct err;
struct sender;
struct sender_ask;
struct sender_config;
struct sum;
struct unpack;
struct wire_message;

/* ---- directories ---- */

enum sender_told {
        SENDER_UNTOLD,
        SENDER_IN_TREES, /* by TREES, and not yet by a DIRECTORY of its own */
        SENDER_TOLD,
        SENDER_DONE, /* nothing more will be asked; what was asked before may not be answered yet */
};

/* Bytes that do not grow any more. */
struct sender_bytes {
        char *data; /* malloc'd, or NULL */
        size_t size;
};

struct sender_node {
        uint64_t number;
        struct sender_node *parent; /* lives at least as long; NULL for the root */
        unsigned depth;
        dev_t dev; /* what was found under its name; it is not entered when that has changed */
        ino_t ino;
        unsigned refs;  /* its children, the walk, one as long as it is held: then it goes */
        unsigned holds; /* one until DONE, one for each ask: then what was read of it goes */
        enum sender_told told;
        unsigned flags; /* message_directory_flag */
        bool is_whole;  /* there is nothing of it at the receiver, which asked for all that is below */
        uint64_t whole_checked;
        bool was_asked; /* for anything */

        /* While it is pending: how many of the pending are its tree, as soon as all of that was read. */
        size_t pending_at, tree_size;
        bool tree_is_plain; /* as far as it was read: may go into TREES */
        unsigned trees;     /* of the first directory of TREES: how many they are */

        int fd; /* -1: closed; in the list of those that are open, but for the root's */
        struct sender_node *older, *newer;
        struct sender_node *next; /* in the table */

        uint8_t digest[MESSAGE_DIGEST_SIZE];
        size_t entries, subdirectories;
        struct sender_bytes own;   /* its own entry, as DIRECTORY has it */
        struct sender_bytes links; /* behind their count */
        size_t link_count;
        struct sender_bytes listing; /* its entries, as LISTING has them */
        size_t *marks;               /* where each SENDER_MARK_EVERY'th of them begins */
        char name[];
};

enum { SENDER_TABLE_SIZE = 2 * MESSAGE_WINDOW_DIRECTORIES, SENDER_MARK_EVERY = 16 };

struct sender_nodes {
        struct sender_node *table[SENDER_TABLE_SIZE];
        uint64_t next_number;
        size_t count, bytes, entries;        /* of what is held */
        struct sender_node *oldest, *newest; /* that are open */
        unsigned open_count, open_max;
        uint64_t whole_asked; /* how many times a whole tree was asked for */
};

void sender_node_init(struct sender *s);
void sender_node_deinit(struct sender *s);
/* With the next number, one reference, held. NULL when memory is short. */
struct sender_node *sender_node_new(struct sender *s, struct sender_node *parent, const char *name);
struct sender_node *sender_node_find(const struct sender *s, uint64_t number); /* NULL: not held */
struct sender_node *sender_node_ref(struct sender_node *n);
void sender_node_unref(struct sender *s, struct sender_node *n);
void sender_node_hold(struct sender_node *n);
void sender_node_release(struct sender *s, struct sender_node *n);
/* What was read of it counts from now on. */
void sender_node_count(struct sender *s, struct sender_node *n);
/* Its path relative to the root, "" for that. Return 0 or -ENOMEM. */
int sender_node_path(const struct sender_node *n, struct buf *ret);

enum { SENDER_GONE = 1 };

/*
 * A descriptor of it, borrowed until the next call. Return 0; SENDER_GONE when it, or one above it, is not there any
 * more or is another one; or -errno.
 */
int sender_node_open(struct sender *s, struct sender_node *n, int *ret_fd);

/* From now on it and all below it goes whole. */
void sender_node_make_whole(struct sender *s, struct sender_node *n);
bool sender_node_is_whole(struct sender *s, struct sender_node *n);

/* The entry at @index, in @arena. */
int sender_node_entry(const struct sender_node *n, size_t index, struct arena *arena, struct entry *ret,
                      struct message_place *ret_place, struct err *err);

/* ---- reading one of them ---- */

/* A subdirectory that was found, in sender_walk.children; its name with a NUL and its entry follow. */
struct sender_child {
        dev_t dev;
        ino_t ino;
        struct timespec ctime;
        bool content_omitted;
        size_t name_size, entry_size;
};

struct sender_devices {
        dev_t *items; /* malloc'd; the number of one is its position and 1 */
        size_t count, capacity;
};

struct sender_read {
        struct sender_node *node; /* that is being read; NULL: none */
        struct source_dir dir;
        struct arena arena;
        struct arena_mark mark;
        struct message_digest *digest;
        struct buf path, own, listing, links, marks;
        size_t last_link;
        struct sender_devices devices;
        struct chains groups; /* of hard links */
};

/*
 * Begin with @n, which was found as @child (NULL: the root), whose @entry is what its listing said. What cannot be
 * entered is complete at once. To be gone on with as long as there is a node in sender_read.
 */
int sender_read_begin(struct sender *s, struct sender_node *n, const struct sender_child *child, const char *entry,
                      struct err *err);
int sender_read_step(struct sender *s, struct err *err);
void sender_read_deinit(struct sender *s);
/* What a listing says of @e beyond its metadata. Return 0 or -ENOMEM. */
int sender_read_place(struct sender *s, const struct entry *e, struct message_place *ret);

/* ---- the walk ---- */

struct sender_frame {
        struct sender_node *node;
        size_t children, next; /* in sender_walk.children; the last one's go to the end of that */
};

struct sender_walk {
        struct sender_frame *frames;
        size_t depth, capacity;
        struct buf children, next;
        bool has_begun;
};

/* Do a bounded piece of it. */
int sender_walk_step(struct sender *s, struct err *err);
bool sender_walk_is_over(const struct sender *s);
void sender_walk_deinit(struct sender *s);

/* ---- telling ---- */

/* So many go together at most: the receiver looks at some while others gather. */
enum { SENDER_TREES_MAX = MESSAGE_WINDOW_DIRECTORIES / 4 };

struct sender_tell {
        struct sender_node *pending[SENDER_TREES_MAX]; /* were read, in the order of their numbers */
        size_t count, told;
        size_t limit; /* how many may gather */
        size_t equal; /* directories in a row that were told alone, and were not asked for */
        bool is_on;   /* until all of them are told */
        struct message_digest *digest;
        struct arena arena;
};

/* @n was read. */
void sender_tell_add(struct sender *s, struct sender_node *n);
/* All below @n was read. */
void sender_tell_complete(struct sender *s, struct sender_node *n);
/* The next ones; after one that goes whole that comes first. */
int sender_tell_step(struct sender *s, struct err *err);
/* One DIRECTORY; if it goes whole, what follows it is the next thing that is done. */
int sender_tell_one(struct sender *s, struct sender_node *n, struct err *err);
/* How many go together next time depends on how it went. */
void sender_tell_done(struct sender *s, const struct sender_node *n);
void sender_tell_differs(struct sender *s);
void sender_tell_deinit(struct sender *s);

/* ---- what is asked for ---- */

enum sender_ask_kind {
        SENDER_ASK_DIRECTORIES,
        SENDER_ASK_LISTING,
        SENDER_ASK_WHOLE, /* the listing, then the files */
        SENDER_ASK_FILES,
        SENDER_ASK_DELTA,
        SENDER_ASK_HASH,
};

struct sender_ask {
        struct sender_ask *next;
        enum sender_ask_kind kind;
        struct sender_node *node; /* held */
        bool is_listed;           /* its listing was sent, if it is part of what was asked for */
        size_t listing_at;
        size_t index, end; /* of what is still to be sent: entries, or directories of TREES */

        /* Of a delta. */
        struct buf signature;
        size_t fed;
        unsigned signatures; /* that are complete */
};

/* A signature of which more pieces follow. */
struct sender_open {
        uint64_t number, index;
        struct sender_ask *ask; /* NULL: the answer was given without it */
};

enum { SENDER_OPEN_MAX = 64 };

struct sender_asks {
        struct sender_ask *first, *last;
        size_t count;
        struct sender_open open[SENDER_OPEN_MAX];
        size_t open_count;
        size_t signature_bytes; /* in all asks, not fed yet */
};

/* Take a message of the receiver. */
int sender_ask_take(struct sender *s, const struct wire_message *m, struct err *err);
/* A whole directory goes before everything else. */
int sender_ask_whole(struct sender *s, struct sender_node *n, struct err *err);
/* Is there something that can be done without waiting? */
bool sender_ask_is_ready(const struct sender *s);
/* Do a bounded piece of it. */
int sender_ask_step(struct sender *s, struct err *err);
void sender_ask_deinit(struct sender *s);
/* "the server asked for ..."; return -EPROTO. */
int sender_ask_refuse(struct err *err, const char *what);

/* A new one for a delta, of @index of that directory. NULL with @err filled. */
struct sender_ask *sender_ask_delta(struct sender *s, uint64_t number, uint64_t index, struct err *err);

/* A piece of a signature, of the first or the second of a delta. */
int sender_signature_take(struct sender *s, uint64_t number, uint64_t index, bool more, const void *data, size_t size,
                          struct err *err);
/* So many bytes were fed. */
void sender_signature_used(struct sender *s, struct sender_ask *ask, size_t size);
/* The delta is done with, be it complete or not. */
void sender_signature_end(struct sender *s, struct sender_ask *ask);
/* Nothing more comes for this directory. */
int sender_signature_done(struct sender *s, uint64_t number, struct err *err);

/* ---- contents ---- */

enum sender_file_kind { SENDER_FILE_CONTENT, SENDER_FILE_DELTA, SENDER_FILE_HASH };

struct sender_file {
        struct sender_node *node; /* NULL: none is being read */
        size_t index;
        enum sender_file_kind kind;
        struct sender_ask *ask; /* whose signature a delta is made with */
        struct arena arena;
        struct arena_mark mark;
        struct entry entry; /* as it was before it was read */
        int fd;
        unsigned attempt;
        bool is_cached; /* was in memory before we came */
        bool is_short;
        uint64_t at, data_from, data_to; /* the next data at or behind @at, as far as it is known */
        uint64_t forgotten;
        struct sum *sum;
        struct buf piece;
        struct delta_make *delta;

        /* The directory that was used last. */
        uint64_t number;
        struct source_dir dir;
        struct buf path;
};

/* Entry @index of what @a names. What is no file is passed over where all of a directory is asked for. */
int sender_file_begin(struct sender *s, enum sender_file_kind kind, struct sender_ask *a, size_t index,
                      struct err *err);
/* A bounded piece of it; not while it is waiting. */
int sender_file_step(struct sender *s, struct err *err);
/* Does it wait for the receiver? */
bool sender_file_is_waiting(const struct sender *s);
void sender_file_deinit(struct sender *s);

/* ---- all of it ---- */

struct sender {
        const struct sender_config *config;
        struct wire *wire;
        struct report *unheard; /* told of what was told before */
        struct sender_nodes nodes;
        struct sender_read read;
        struct sender_walk walk;
        struct sender_tell tell;
        struct sender_asks asks;
        struct sender_file file;
        bool has_ended; /* END was sent */
        bool is_over;
        uint64_t looked_us, ticked_us; /* CLOCK_MONOTONIC: for messages last, the last tick */
};
