/*
 * What the parts of the receiver hand to each other.
 *
 *      receiver.c          the loop, and what each message leads to
 *      receiver_nodes.c    directories that are under way: found by number, opened, finished from below
 *      receiver_look.c     digests of what is there
 *      receiver_list.c     a listing: each entry is brought in line, or has to wait for its content
 *      receiver_wait.c     entries that wait: asking for what they lack, going on when it is there
 *      receiver_file.c     the content that is coming in
 *      receiver_delta.c    signatures of old versions; what is left of a transfer that was cut off
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/util.h"
#include "transfer/delta/delta.h"
#include "transfer/exchange/channel.h"
#include "transfer/exchange/message.h"
#include "transfer/exchange/pack.h"
#include "transfer/exchange/receiver.h"
#include "transfer/exchange/sum.h"
#include "transfer/staged.h"
#include "transfer/update.h"
#include "transfer/visit.h"

struct receiver_node;

/* An entry of a listing that has to wait. */
struct receiver_pending {
        uint32_t index;                 /* in the listing; */
        uint32_t offset;                /* where it begins there */
        uint8_t awaits;                 /* enum visit_awaits; VISIT_AWAITS_NOTHING: it is done */
        uint8_t tries;                  /* how often its content came and was not right */
        bool retyped, moves_group;      /* as in struct visit */
        bool is_delta;                  /* asked for as one */
        bool is_cut_off;                /* its signature: the old version could not be read */
        struct decision decision;       /* what is done with its content */
        struct links_group *group;      /* it leads this one; with VISIT_AWAITS_LEADER: it waits for that */
        struct receiver_delta_ask *ask; /* in the queue of signatures, or NULL */
        uint64_t seed;                  /* of its delta */
        uint32_t signature_bytes;       /* of its signature, while that is not answered */
};

/* A directory that is under way. */
struct receiver_node {
        struct receiver_node *parent;        /* stays until all below it is finished */
        struct receiver_node *next;          /* of the same bucket */
        struct receiver_node *older, *newer; /* in the list of open descriptors */
        struct receiver_node *below;         /* on the way down to the one that is being opened */
        uint64_t number;
        struct visit_task task;
        ino_t ino;
        int fd;
        bool is_pinned; /* its descriptor is in use and stays open */
        bool is_failed; /* nothing below it can be done, which was told */
        bool is_whole;  /* contents come without being asked for */
        bool awaits_listing;
        bool may_remove;          /* the listing will be complete */
        bool gives_nothing;       /* see struct put_dir */
        bool is_done;             /* but for what is below it */
        uint64_t children_left;   /* that are not finished, */
        uint64_t children_untold; /* or not even told of */
        struct buf listing;       /* while something of it has to wait */
        struct receiver_pending *pending;
        size_t pending_count, pending_left;
        char name[]; /* "" for the root */
};

enum { RECEIVER_BUCKETS = 1024 };

/* An entry that waits for the leader of its group. */
struct receiver_follower {
        struct receiver_follower *next;
        struct receiver_node *node;
        uint32_t index;
};

/* A file whose old version may serve. It is in the queue as long as it waits for its content. */
struct receiver_delta_ask {
        struct receiver_delta_ask *next, *previous;
        struct receiver_node *node;
        uint32_t index;
};

/* The signature that is being made. */
struct receiver_signing {
        struct delta_sign *sign; /* NULL: none */
        struct delta_basis basis;
        uint64_t number;
        uint32_t index;
        bool is_search;
};

/* The content that is coming in. */
struct receiver_content {
        bool is_active;
        bool is_dropped; /* nobody wants it (any more), which was told */
        bool is_delta;
        bool is_bad;       /* a delta that did not come out right */
        bool has_answered; /* to the search of a delta, asked or not */
        struct receiver_node *node;
        struct receiver_pending *pending; /* NULL: nobody asked */
        uint32_t index;
        struct visit visit;
        struct staged staged;
        struct arena arena;
        struct entry *want; /* in the arena */
        bool has_holes;
        bool is_sized; /* a hole was made: its size says nothing of how much came */
        uint64_t at, flushed;
        uint64_t came; /* bytes, of the content or of a delta */
        struct sum *sum;
        struct delta_apply *apply;
        struct delta_basis basis;
};

struct receiver {
        const struct receiver_config *config;
        struct update_config update_config;
        struct update update;
        struct arena arena; /* of what is handled just now */
        struct message_digest *digest, *trees_digest;

        struct receiver_node *buckets[RECEIVER_BUCKETS];
        struct receiver_node *root;
        struct receiver_node *newest, *oldest; /* open descriptors */
        unsigned open_count;
        uint64_t node_count, listing_bytes, pending_count; /* of all nodes */
        bool has_root, has_ended;

        /* What visit_add() told of the directory that is being added. */
        struct visit_task added;
        ino_t added_ino;
        bool is_added;

        struct receiver_follower *followers[RECEIVER_BUCKETS];
        struct receiver_delta_ask *delta_first, *delta_last;
        uint64_t signature_bytes; /* under way */
        struct receiver_signing signing;
        struct receiver_content content;
        bool has_partials; /* there may be some */
        uint64_t ticked_us;
};

/* ---- receiver.c ---- */

/* The sender broke a rule: return -EPROTO with @err filled. */
int receiver_refuse(struct err *err, const char *what);
/* Tell the sender a number. Return 0 or a negative errno with @err filled. */
int receiver_send(struct receiver *r, enum message_type type, uint64_t number, struct err *err);
/* Between pieces of what takes long: let others know that we live, and learn whether to end. */
int receiver_breathe(struct receiver *r, struct err *err);

/* ---- receiver_nodes.c ---- */

struct receiver_node *receiver_node_find(const struct receiver *r, uint64_t number);
/* NULL when memory is short. */
struct receiver_node *receiver_node_add(struct receiver *r, uint64_t number, struct receiver_node *parent,
                                        const char *name);
/* The directory, open; borrowed until the next call for another node, unless it is pinned. Or -errno. */
int receiver_node_fd(struct receiver *r, struct receiver_node *n);
/* Its own work is done: tell the sender, and finish what can be finished with it. Return 0 or a negative errno. */
int receiver_node_done(struct receiver *r, struct receiver_node *n, struct err *err);
/* @count of its children are finished. */
int receiver_node_less(struct receiver *r, struct receiver_node *n, uint64_t count, struct err *err);
/* Nothing below it can be done. */
int receiver_node_fail(struct receiver *r, struct receiver_node *n, struct err *err);
/* Release all that are left. */
void receiver_nodes_deinit(struct receiver *r);
/* A visit of @n, to be ended with visit_deinit(). An open directory that fails is an error in @err. */
int receiver_visit(struct receiver *r, struct receiver_node *n, struct visit *v, struct err *err);
/* The same without opening it. */
int receiver_visit_closed(struct receiver *r, struct receiver_node *n, struct visit *v, struct err *err);

/* ---- receiver_look.c ---- */

/* Names of several-named inodes, as DIRECTORY and TREES tell them. */
struct receiver_link {
        uint32_t directory; /* of trees, from 0 */
        uint64_t index;     /* of the entry */
        uint64_t device, inode;
        /* What is found there. */
        const char *path; /* of the directory; in the receiver's arena, as the name */
        const char *name;
        ino_t ino;
        uint64_t size; /* of a regular file, else 0 */
};

struct receiver_links {
        struct receiver_link *items; /* in the receiver's arena */
        size_t count, capacity;
};

/* Take the links of one directory. What cannot be breaks the reader. Return 0 or -ENOMEM. */
int receiver_links_get(struct receiver *r, struct unpack *u, uint32_t directory, struct receiver_links *ret);

struct receiver_look {
        uint8_t digest[MESSAGE_DIGEST_SIZE];
        uint64_t entries, bytes; /* that are not directories; of regular files, without those of @links */
        bool is_suspect;         /* something must be looked at closer, see transfer/suspect.h */
        bool is_empty;
};

/* Look at a directory, filling in what @links, which may be NULL, says is in it. Return 0, -errno, or another negative
 * errno with @err filled when the exchange is to end. */
int receiver_look(struct receiver *r, int fd, const char *path, struct receiver_links *links, struct receiver_look *ret,
                  struct err *err);

struct receiver_trees {
        struct receiver_node *parent;
        const char *first, *last; /* names of the first and the last tree */
        uint64_t directories, trees;
        const uint8_t *digest;
        struct receiver_links links;
};

/* Is what is there equal to the trees that the sender tells of? Return 1 (and count it), 0, or a negative errno. */
int receiver_look_at_trees(struct receiver *r, struct receiver_trees *t, struct err *err);
/* Are names of one inode at the source names of one inode here, and the other way round? Return 1 (and count the bytes
 * of those that were not yet), 0, or -errno. */
int receiver_check_links(struct receiver *r, const struct receiver_links *links, struct err *err);

/* ---- receiver_list.c ---- */

/* The listing of @n is complete. */
int receiver_list(struct receiver *r, struct receiver_node *n, struct err *err);
/* All that is in @n is to go. */
int receiver_empty(struct receiver *r, struct receiver_node *n, struct err *err);
/* The entry at @offset of the listing, in the receiver's arena. Return 0 or a negative errno with @err filled. */
int receiver_entry_at(struct receiver *r, struct receiver_node *n, size_t offset, struct entry *ret,
                      struct message_place *ret_place, size_t *ret_end, struct err *err);
/* Take what is peculiar to the wire into the entry. */
void receiver_fit(struct entry *e, const struct message_place *place);

/* ---- receiver_wait.c ---- */

struct receiver_pending *receiver_pending_find(struct receiver_node *n, uint64_t index);
/* Let an entry wait for what @v says. Return 0 or a negative errno with @err filled. */
int receiver_wait_for(struct receiver *r, struct receiver_node *n, uint32_t index, size_t offset, const struct visit *v,
                      struct err *err);
/* Ask for all that entries of @n wait for. */
int receiver_ask(struct receiver *r, struct receiver_node *n, struct err *err);
/* Ask for the whole content of one. */
int receiver_ask_whole(struct receiver *r, struct receiver_node *n, struct receiver_pending *p, struct err *err);
/* Nothing is awaited for it any more; with @is_kept what `latest` has of it was not compared. */
int receiver_pending_end(struct receiver *r, struct receiver_node *n, struct receiver_pending *p, struct err *err);
/* It will not come: its group needs another leader. */
int receiver_pending_fail(struct receiver *r, struct receiver_node *n, struct receiver_pending *p, bool unsettled,
                          struct err *err);
/* Its inode is in place. */
int receiver_pending_settle(struct receiver *r, struct receiver_node *n, struct receiver_pending *p, ino_t ino,
                            const struct entry *want, struct err *err);
/* The answer to WANT HASH. */
int receiver_on_hash(struct receiver *r, struct unpack *u, struct err *err);
void receiver_followers_deinit(struct receiver *r);

/* ---- receiver_file.c ---- */

int receiver_on_file(struct receiver *r, struct unpack *u, struct err *err);
int receiver_on_data(struct receiver *r, const void *data, size_t size, struct err *err);
int receiver_on_hole(struct receiver *r, struct unpack *u, struct err *err);
int receiver_on_file_end(struct receiver *r, struct unpack *u, struct err *err);
/* The exchange ends with @code: what came of a large file may serve the next one. */
void receiver_content_deinit(struct receiver *r, int code);

/* ---- receiver_delta.c ---- */

/* May the old version of @p serve, or what is left of an earlier transfer? Then it is queued: return 1, else 0 or
 * -errno. */
int receiver_delta_queue(struct receiver *r, struct receiver_node *n, struct receiver_pending *p,
                         const struct entry *want, struct err *err);
/* Make a piece of the next signature and send it. Return 1 when there is more to do, 0 when not, or a negative errno.
 */
int receiver_delta_sign(struct receiver *r, struct err *err);
/* Answered: its signature is no longer under way. */
void receiver_delta_answered(struct receiver *r, struct receiver_pending *p);
/* Nothing is awaited for it any more. */
void receiver_delta_forget(struct receiver *r, struct receiver_pending *p);
/* Nor for the content that came in: what it was made against is about to be closed. */
void receiver_delta_stop_search(struct receiver *r);
/* Open what @p's delta is made against. */
void receiver_delta_open(struct receiver *r, const struct visit *v, const struct entry *want, struct delta_basis *ret);
void receiver_delta_close(struct delta_basis *basis);
/* Send a second signature, for the delta that is coming in. */
int receiver_delta_search(struct receiver *r, const struct delta_range *range, struct err *err);
/* Nothing can be made of the delta that is coming in: the sender need not wait for a second signature. */
int receiver_delta_decline(struct receiver *r, struct err *err);
/* Is there anything that was kept? */
void receiver_partials_find(struct receiver *r);
/* Of a file of this very directory? */
bool receiver_partial_is_in(struct receiver *r, struct receiver_node *n);
/* Keep what came of the content under way. */
void receiver_partial_keep(struct receiver *r);
void receiver_delta_deinit(struct receiver *r);
