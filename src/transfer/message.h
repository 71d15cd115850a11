/*
 * Messages of the agent protocol (docs/agent-protocol.md, sections 3 and 4): their types, entries as they stand in
 * them, and the digest of a directory.
 */
#pragma once

#include "base/util.h"

struct arena;
struct buf;
struct entry;
struct unpack;

enum message_type {
        /* from the client */
        MESSAGE_PREPARE = 1,
        MESSAGE_UPDATE = 2,
        MESSAGE_SNAPSHOT = 3,
        MESSAGE_LIST = 4,
        MESSAGE_REMOVE = 5,
        MESSAGE_RELEASE = 6,
        MESSAGE_CANCEL = 7,
        /* from the agent */
        MESSAGE_OK = 16,
        MESSAGE_ERROR = 17,
        MESSAGE_ABSENT = 18,
        MESSAGE_LOG = 19,
        MESSAGE_CHANGE = 20,
        MESSAGE_COUNT = 21,
        MESSAGE_STAGE = 22,
        MESSAGE_LIMITS = 23,
        MESSAGE_SNAPSHOTS = 24,
        /* from the sender */
        MESSAGE_DIRECTORY = 32,
        MESSAGE_LISTING = 33,
        MESSAGE_FILE = 34,
        MESSAGE_DATA = 35,
        MESSAGE_FILE_END = 36,
        MESSAGE_HASH = 37,
        MESSAGE_END = 38,
        /* from the receiver */
        MESSAGE_SEEN = 48,
        MESSAGE_WANT_LISTING = 49,
        MESSAGE_WANT_TREE = 50,
        MESSAGE_WANT_FILES = 51,
        MESSAGE_WANT_DELTA = 52,
        MESSAGE_WANT_HASH = 53,
        MESSAGE_DONE = 54,
};

enum { MESSAGE_DIGEST_SIZE = 16 };

/* Of an entry in a listing; bits. */
enum message_flag {
        MESSAGE_COMPARE = 1 << 0,         /* equal size and mtime prove nothing */
        MESSAGE_CONTENT_OMITTED = 1 << 1, /* a directory that is taken without what is in it */
        MESSAGE_UNREADABLE = 1 << 2,      /* there is such a name, and that is all that is known */
};

/* What a listing says of an entry beyond its metadata. */
struct message_place {
        uint64_t group; /* of hard links, 0: none */
        unsigned flags; /* message_flag */
};

/* Append @e, of which an unreadable one has a name alone. Return 0 or -ENOMEM. */
int message_put_entry(struct buf *b, const struct entry *e, const struct message_place *place);

/*
 * Take an entry; its strings live in @arena. What no filesystem has breaks the reader: names with a slash, types that
 * do not exist, attributes that are not kept, not sorted, or too large. Return 0, or -ENOMEM (the reader is broken
 * too).
 */
int message_get_entry(struct unpack *u, struct entry *ret, struct message_place *ret_place, struct arena *arena);

/* The digest of a directory: XXH3, 128 bits, of its entries in the order of their names. */
struct message_digest;

/* NULL when memory is short. */
struct message_digest *message_digest_new(void);
struct message_digest *message_digest_free(struct message_digest *d);
DEFINE_FREEP(struct message_digest, message_digest_free)

void message_digest_begin(struct message_digest *d);
/* Of a directory only name, type, mode, owner and attributes count. Return 0 or -ENOMEM. */
int message_digest_add(struct message_digest *d, const struct entry *e);
void message_digest_end(struct message_digest *d, uint8_t ret[MESSAGE_DIGEST_SIZE]);
