/* Which snapshots a server that runs a bare rsync has, by their names and by the marks beside them. */
#pragma once

#include "base/util.h"

struct err;
struct server;

/* What marks say of a name; bits. */
enum server_mark {
        SERVER_MARK_BEGUN = 1 << 0,
        SERVER_MARK_COMPLETE = 1 << 1,
        SERVER_MARK_INCOMPLETE = 1 << 2,
        SERVER_MARK_IS_THERE = 1 << 3, /* no mark: the directory is */

        SERVER_MARK_DONE = SERVER_MARK_COMPLETE | SERVER_MARK_INCOMPLETE,
};

/* Behind the name in that of the mark. */
#define SERVER_MARK_BEGUN_ENDING ".begun"
/* Marks that are about no snapshot: not all that was there before has one yet; whose snapshots they are. */
#define SERVER_MARK_ADOPTING ".adopting"
#define SERVER_MARK_OF ".of."

struct server_found {
        char *name; /* of a snapshot */
        int64_t time;
        unsigned marks;
};

struct server_inventory {
        struct server_found *items; /* malloc'd */
        size_t count, capacity;
        bool has_marks;     /* the directory of marks is there */
        bool is_adopting;   /* what has no mark was made before there were any */
        bool has_owner;     /* it is known that they are of `latest` */
        bool is_settled;    /* what others left has been put in order */
        const char *latest; /* which is no snapshot */
};

/*
 * Look, unless s->inventory has it already; from then on the caller keeps it up to date. Two connections. Return 0, or
 * a negative errno with @err filled: -EEXIST when what is there is of another destination; -ENOENT when the directory
 * is not there, and no backup was to be made.
 */
int server_inventory_take(struct server *s, struct err *err);
struct server_inventory *server_inventory_free(struct server_inventory *v);

/* The one of that name, a new one if there is none; valid until the next is added. NULL when memory is short. */
struct server_found *server_inventory_find(struct server_inventory *v, const char *name, int64_t time);
