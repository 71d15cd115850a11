/*
 * What client and agent say to each other around the exchange (docs/agent-protocol.md, section 3): the payloads of
 * requests and answers. What comes from the other side is checked as it is taken; what breaks a rule is -EPROTO with
 * @err filled. All that is put returns 0 or -ENOMEM.
 */
#pragma once

#include "base/util.h"

#include <sys/types.h>
#include <time.h>

struct buf;
struct err;
struct wire_message;

enum { REQUEST_TEXT_MAX = 4096, REQUEST_AVOIDED_MAX = 20000 /* together less than a message may be */ };

/* ---- PREPARE ---- */

enum request_flag {
        REQUEST_DRY_RUN = 1 << 0,
        REQUEST_FORCE = 1 << 1,
        REQUEST_NO_SUDO = 1 << 2,
        REQUEST_BACKUP = 1 << 3,
        REQUEST_SNAPSHOT = 1 << 4,
        REQUEST_ROTATE = 1 << 5,
        REQUEST_LIST_CHANGES = 1 << 6,
        REQUEST_SOURCE_EMPTY = 1 << 7,
        REQUEST_ATTENDED = 1 << 8, /* somebody is at a terminal */
        REQUEST_VERBOSE = 1 << 9,
        REQUEST_DEBUG = 1 << 10,  /* LOGs of the debug level are wanted */
        REQUEST_SURVEY = 1 << 11, /* none of a run, which nothing else then goes with */
        REQUEST_FLAGS = (1 << 12) - 1,
};

struct request_prepare {
        char *path;  /* of the destination; relative or "": to the home directory */
        char *mount; /* "": none */
        char *crypto;
        unsigned flags;
        unsigned ionice; /* enum settings_ionice */
};

int request_put_prepare(struct buf *b, const struct request_prepare *p);
int request_get_prepare(const struct wire_message *m, struct request_prepare *ret, struct err *err);
void request_prepare_deinit(struct request_prepare *p);

/* The answer. */
enum request_place_flag { REQUEST_KEEPS_ALL = 1 << 0 /* no snapshot can be removed: rotation is not the client's */ };

struct request_place {
        char *boot;   /* id of the agent's kernel */
        char *parent; /* of the destination */
        unsigned flags;
        struct request_avoided { /* what is the destination's own; malloc'd */
                dev_t dev;
                ino_t ino;
        } * avoided;
        size_t count;
};

int request_put_place(struct buf *b, const struct request_place *p);
int request_get_place(const struct wire_message *m, struct request_place *ret, struct err *err);
void request_place_deinit(struct request_place *p);

/* ---- UPDATE ---- */

enum request_update_flag {
        REQUEST_AGAIN = 1 << 0,
        REQUEST_IMAGINE = 1 << 1, /* change nothing, find out for EXPLAIN what room it would take */
        REQUEST_UPDATE_FLAGS = (1 << 2) - 1,
};

struct request_update {
        char *machine, *source, *filesystem; /* filesystem: may be "" */
        struct timespec now;                 /* by the client's clock */
        char *boot;                          /* id of the client's kernel; may be "" */
        struct timespec uptime;              /* of the client, suspended or not */
        unsigned flags;
};

int request_put_update(struct buf *b, const struct request_update *u);
int request_get_update(const struct wire_message *m, struct request_update *ret, struct err *err);
void request_update_deinit(struct request_update *u);

/* ---- errors ---- */

int request_put_error(struct buf *b, const struct err *e);
/* Fill @said with what the peer says, all control characters replaced. Return 0 or -EPROTO with @err filled instead. */
int request_get_error(const struct wire_message *m, struct err *said, struct err *err);

/*
 * An entry that is lost, or that remains: told beside the answers, and counted by COUNT. Is it one of the latter?
 * Return 0 or a negative errno, -ENOMEM or -EPROTO.
 */
int request_put_item(struct buf *b, const struct err *e, bool remains);
int request_get_item(const struct wire_message *m, struct err *said, bool *ret_remains, struct err *err);

/* For others who take messages apart: the message @name (what it is called) makes no sense. */
int request_refuse(const char *name, struct err *err);
