/*
 * What the files of a push share; rsync_push.c tells how they go together. Functions that return int: 0, or a negative
 * errno with @err filled, unless said otherwise.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/entry.h"
#include "transfer/rsync/rsync_digest.h"
#include "transfer/rsync/rsync_entry.h"
#include "transfer/rsync/rsync_lists.h"
#include "transfer/rsync/rsync_match.h"
#include "transfer/rsync/rsync_number.h"
#include "transfer/rsync/rsync_push.h"
#include "transfer/rsync/rsync_spool.h"
#include "transfer/rsync/rsync_talk.h"
#include "transfer/source.h"

struct rsync_encoder;
struct rsync_push;
struct rsync_token;

/* ---- lists on their way: rsync_send.c ---- */

/* Where an entry belongs. */
struct rsync_place {
        int32_t parent;   /* as rsync_lists_add() has it */
        const char *name; /* "." for the root */
        const char *path; /* "" for the root */
        unsigned flags;   /* rsync_entry_flag */
};

/* A list begins; *ret_parent is what its entries have as their parent, for the first one the root. */
int rsync_send_begin(struct rsync_push *p, int32_t *ret_parent, struct err *err);
/* @e is complete. Return 1 with its number; 0 when it cannot be sent, which was reported; or a negative errno. */
int rsync_send_entry(struct rsync_push *p, const struct rsync_place *place, const struct entry *e, int32_t *ret_number,
                     struct err *err);
/* The same for one of the spool. */
int rsync_send_spooled(struct rsync_push *p, const struct rsync_spooled *s, struct err *err);
/* It ends, with what went wrong so far. */
int rsync_send_end(struct rsync_push *p, struct err *err);
/*
 * With lists that come one by one: announce the next one. Return 1 with what it is of, the path replacing what is in
 * @path; 0 when there is none left, which was told; or a negative errno with @err filled.
 */
int rsync_send_next(struct rsync_push *p, unsigned *ret_flags, struct buf *path, struct err *err);

/* ---- who tells what is in them ---- */

struct rsync_teller {
        /* Send a piece: a directory's entries, a list; the last one sets is_told. */
        int (*step)(struct rsync_push *p, struct err *err);
        void (*deinit)(struct rsync_push *p); /* may be NULL */
};

extern const struct rsync_teller rsync_teller_walk;   /* the source: rsync_walk.c */
extern const struct rsync_teller rsync_teller_given;  /* a few names: rsync_given.c */
extern const struct rsync_teller rsync_teller_replay; /* what was sent before: rsync_replay.c */

/* ---- the walk: rsync_walk.c ---- */

/* With one list alone: a subdirectory that is still to be gone into, in rsync_walk.children; its name with a NUL
 * follows.
 */
struct rsync_child {
        bool content_omitted, is_closed; /* see source_closed_mount() */
        size_t name_size;
};

struct rsync_frame {
        size_t path_size;      /* of this directory, in rsync_walk.path */
        size_t children, next; /* in rsync_walk.children; the last one's go to the end of that */
        int32_t item;          /* its own number */
};

struct rsync_walk {
        struct rsync_frame *frames;
        size_t depth, capacity;
        struct buf children;
        struct buf path;    /* of the directory that is being read */
        int32_t parent;     /* what its entries give as that */
        struct arena arena; /* for names of directories that are found in it */
        bool has_begun;
};

/* ---- what was sent before: rsync_replay.c ---- */

struct rsync_replay {
        struct buf path;
        bool has_begun;
};

/* ---- what the server asks for: rsync_request.c ---- */

/* Of a request; bits. */
enum rsync_item_flag {
        RSYNC_ITEM_CHANGE = 1 << 1,
        RSYNC_ITEM_SIZE = 1 << 2,
        RSYNC_ITEM_TIME = 1 << 3,
        RSYNC_ITEM_PERMS = 1 << 4,
        RSYNC_ITEM_OWNER = 1 << 5,
        RSYNC_ITEM_GROUP = 1 << 6,
        RSYNC_ITEM_ACL = 1 << 7,
        RSYNC_ITEM_XATTR = 1 << 8,
        RSYNC_ITEM_BASIS = 1 << 11,
        RSYNC_ITEM_NAME = 1 << 12,
        RSYNC_ITEM_NEW = 1 << 13,
        RSYNC_ITEM_LOCAL = 1 << 14,
        RSYNC_ITEM_TRANSFER = 1 << 15,
};

struct rsync_request {
        int32_t number;
        unsigned flags;
        uint8_t basis;
        const void *name; /* borrowed, like what follows, until the next bytes are taken */
        size_t name_size;
        const unsigned char *wishes; /* for values of attributes, as they stand there */
        size_t wishes_size;
        struct rsync_sums sums;
        uint64_t sums_skipped; /* bytes of sums that are too many to be of use, and follow */
};

/* Take one of what the server sent, and answer it or begin to. Return 1; 0 when it is not all there yet. */
int rsync_request_step(struct rsync_push *p, struct err *err);

/* Bring the answer to a request's head. */
int rsync_request_echo(struct rsync_push *p, const struct rsync_request *q, const struct entry *e, struct err *err);

/* ---- contents: rsync_file.c ---- */

struct rsync_file {
        int fd; /* -1: none is being sent */
        int32_t number;
        struct entry entry; /* as it was before it was read */
        uint64_t at;
        bool is_broken; /* could not be read to its end */
        struct buf sums;
        struct rsync_match *match;
        struct rsync_token *token;
        struct rsync_digest *digest;
        struct arena arena;

        /* The directory that was used last. */
        struct buf path;
        int dir_fd;
        struct source_dir dir;

        int32_t *lost; /* numbers of those that could not be read */
        size_t lost_count, lost_capacity;
};

int rsync_file_init(struct rsync_push *p);
/* Open the item and begin the answer, or say that it does not come. */
int rsync_file_begin(struct rsync_push *p, const struct rsync_request *q, const char *path, struct err *err);
/* A bounded piece of it. */
int rsync_file_step(struct rsync_push *p, struct err *err);
void rsync_file_deinit(struct rsync_push *p);

/*
 * The metadata of what is at @path, in @arena. Return 0; SOURCE_VANISHED; or a negative errno with @err filled.
 */
int rsync_file_load(struct rsync_push *p, const char *path, struct arena *arena, struct entry *ret, struct err *err);
/* The size of the file at @path, 0 when that cannot be told. */
uint64_t rsync_file_size(struct rsync_push *p, const char *path);

/* ---- all of it ---- */

struct rsync_push {
        const struct rsync_push_config *config;
        struct rsync_push_result *result;
        struct rsync_talk talk;
        bool dry_run;

        struct rsync_encoder *encoder;
        struct rsync_lists *lists;
        struct rsync_index in_index, out_index;
        struct buf item_path; /* of the request under way */
        unsigned io_error, io_error_told;
        char first_error[RSYNC_SAID_MAX]; /* of an entry, as the server puts it */
        const struct rsync_teller *teller;
        bool is_told; /* all lists have been sent */
        struct rsync_walk walk;
        struct rsync_replay replay;
        struct rsync_file file;
        uint64_t deleted;      /* told one by one */
        bool has_counts;       /* of what was deleted */
        unsigned dones;        /* that came; those of lists are one */
        uint64_t sums_to_skip; /* bytes of the last request that nobody needs */
};

/* An entry could not be read. */
void rsync_push_lose(struct rsync_push *p, struct err *err);
/* It is not there any more. @directory may be NULL, see report_vanished(). */
void rsync_push_vanish(struct rsync_push *p, const char *directory, const char *name);

/* Do lists come one by one? */
static inline bool rsync_push_is_incremental(const struct rsync_push *p)
{
        return p->talk.session.compat & RSYNC_COMPAT_INCREMENTAL;
}
