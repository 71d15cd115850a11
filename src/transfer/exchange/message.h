/*
 * Messages of the agent protocol (docs/agent-protocol.md, sections 3 and 4): their types, entries as they stand in
 * them, and the digest of a directory.
 */
#pragma once

#include "base/util.h"

struct arena;
struct buf;
struct entry;
struct limits;
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
        MESSAGE_EXPLAIN = 8,
        MESSAGE_ALIVE = 9,
        MESSAGE_SURVEY = 10,
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
        MESSAGE_ITEM = 25,
        MESSAGE_MEASURES = 26,
        /* from the sender */
        MESSAGE_DIRECTORY = 32,
        MESSAGE_TREES = 33,
        MESSAGE_LISTING = 34,
        MESSAGE_FILE = 35,
        MESSAGE_DATA = 36,
        MESSAGE_HOLE = 37,
        MESSAGE_FILE_END = 38,
        MESSAGE_HASH = 39,
        MESSAGE_END = 40,
        MESSAGE_SENDER_LAST = 47,
        /* from the receiver */
        MESSAGE_DONE = 48,
        MESSAGE_WANT_DIRECTORIES = 49,
        MESSAGE_WANT_LISTING = 50,
        MESSAGE_WANT_TREE = 51,
        MESSAGE_WANT_FILES = 52,
        MESSAGE_WANT_DELTA = 53,
        MESSAGE_WANT_HASH = 54,
        MESSAGE_RECEIVER_LAST = 63,
};

/* Of a DIRECTORY; bits. */
enum message_directory_flag {
        MESSAGE_DIRECTORY_MUST_LIST = 1 << 0,
        MESSAGE_DIRECTORY_UNREADABLE = 1 << 1,
        MESSAGE_DIRECTORY_OMITTED = 1 << 2,
        MESSAGE_DIRECTORY_WHOLE = 1 << 3,
        MESSAGE_DIRECTORY_VANISHED = 1 << 4,
};

enum message_file_flag { MESSAGE_FILE_DELTA = 1 << 0, MESSAGE_FILE_HOLES = 1 << 1 };

/* Of FILE_END and HASH. */
enum message_outcome { MESSAGE_WHOLE, MESSAGE_CHANGED, MESSAGE_VANISHED, MESSAGE_LOST };

enum { MESSAGE_DIGEST_SIZE = 16 };

/* Where they are bounded. */
enum {
        MESSAGE_DATA_MAX = 256 * 1024, /* bytes of DATA and of a piece of a signature */
        MESSAGE_WINDOW_DIRECTORIES = 4096,
        MESSAGE_WINDOW_BYTES = 16 * 1024 * 1024,
        MESSAGE_SIGNATURES_MAX = 8 * 1024 * 1024,
        MESSAGE_TREES_MAX = 4096,  /* directories that go together */
        MESSAGE_DEVICE_GROUPS = 1, /* of hard links: their numbers stand for inodes */
        MESSAGE_DEVICE_MAX = 4095, /* the highest number of a device */
};

#define MESSAGE_ROOT_NAME "root"

/* Of an entry in a listing; bits. */
enum message_flag {
        MESSAGE_COMPARE = 1 << 0,         /* equal size and mtime prove nothing */
        MESSAGE_CONTENT_OMITTED = 1 << 1, /* a directory that is taken without what is in it */
        MESSAGE_UNREADABLE = 1 << 2,      /* there is such a name, and that is all that is known */
        MESSAGE_LINKED = 1 << 3,          /* its inode has several names */
};

/* What a listing says of an entry beyond its metadata. */
struct message_place {
        uint64_t device, inode; /* of the source: the device a number that the sender gives, 0: not told */
        unsigned flags;         /* message_flag */
};

/* Append @e, of which an unreadable one has a name alone. Return 0 or -ENOMEM. */
int message_put_entry(struct buf *b, const struct entry *e, const struct message_place *place);

/*
 * Can @e be sent? Return 0, or a negative errno for what no message holds, since the reader would break: what only a
 * broken filesystem has, names longer than NAME_MAX, and more than 256 KiB of attributes.
 */
int message_check_entry(const struct entry *e);

/*
 * Take an entry; its strings live in @arena. What no filesystem has breaks the reader: names with a slash, types that
 * do not exist, attributes that are not kept, not sorted, or too large. Its dev and ino are those of the place, its
 * nlink is 2 for one that is linked. Return 0, or -ENOMEM (the reader is broken too).
 */
int message_get_entry(struct unpack *u, struct entry *ret, struct message_place *ret_place, struct arena *arena);

/* Go past an entry, without looking at what it is. */
void message_pass_entry(struct unpack *u);

/* What a destination can hold, in LIMITS. Return 0 or -ENOMEM; what cannot be breaks the reader. */
int message_put_limits(struct buf *b, const struct limits *l);
void message_get_limits(struct unpack *u, struct limits *ret);

/* The digest of a directory, or of trees: XXH3, 128 bits. */
struct message_digest;

/* NULL when memory is short. */
struct message_digest *message_digest_new(void);
struct message_digest *message_digest_free(struct message_digest *d);
DEFINE_FREEP(struct message_digest, message_digest_free)

void message_digest_begin(struct message_digest *d);
/* The next entry of a directory; of a subdirectory only name and type count. Return 0 or -ENOMEM. */
int message_digest_add(struct message_digest *d, const struct entry *e);
/* A directory of trees: @depth (0 for a tree's root), @e with all its metadata, and its own digest. */
int message_digest_add_directory(struct message_digest *d, unsigned depth, const struct entry *e,
                                 const uint8_t digest[MESSAGE_DIGEST_SIZE]);
void message_digest_end(struct message_digest *d, uint8_t ret[MESSAGE_DIGEST_SIZE]);
