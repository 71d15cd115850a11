/*
 * Entries of file lists as they go over the wire (docs/rsync-protocol.md, section 5): flags, what is the same as with
 * the entry before, numbers of hard links, ACLs and sets of extended attributes that were told of before. All of it is
 * told with numeric ids, and with the options -lHogDtpAXr; or, bare, with -r alone.
 */
#pragma once

#include "base/util.h"
#include "transfer/rsync/rsync_session.h"

struct buf;
struct entry;
struct rsync_encoder;
struct xattr;

enum rsync_entry_flag {
        RSYNC_ENTRY_TOP = 1 << 0, /* the root of the transfer */
        RSYNC_ENTRY_CONTENT_OMITTED =
                1 << 1, /* a directory whose content is not part of it: nothing in there is deleted */
};

/* The flags above these are for rsync_entry_set(). */
enum { RSYNC_ENTRY_SET_SHIFT = 16 };

enum { RSYNC_PATH_MAX = 4095 };

/* What went wrong on our side. */
enum rsync_io_error {
        RSYNC_IO_GENERAL = 1 << 0,  /* something could not be read: nothing is deleted then */
        RSYNC_IO_VANISHED = 1 << 1, /* something went away meanwhile, which keeps from nothing */
        RSYNC_IO_LIMIT = 1 << 2,    /* more was to be deleted than allowed */
};

/* NULL when memory is short. */
struct rsync_encoder *rsync_encoder_new(const struct rsync_session *session);
struct rsync_encoder *rsync_encoder_free(struct rsync_encoder *e);
DEFINE_FREEP(struct rsync_encoder, rsync_encoder_free)

/* From the beginning on neither owners nor what is above is told: there are no hard links then, devices or symlinks. */
void rsync_encoder_be_bare(struct rsync_encoder *e);

/* A list begins, whose first entry has the number @start. */
void rsync_encoder_begin(struct rsync_encoder *e, int32_t start);

/*
 * Append an entry to @out. @path: relative to the root of the transfer, "." for that itself. @entry is loaded, with its
 * ACLs among its attributes (base/entry.h). Hard links are found by dev and ino of entries with nlink > 1; entries of
 * one list are numbered as they are put, so who sorts them first has the same numbers as the peer.
 *
 * Return 0, -ENOMEM, or, with nothing appended and nothing changed: -EINVAL when an ACL or the target of a symlink in
 * the entry is none, -ENAMETOOLONG for a path of more than RSYNC_PATH_MAX bytes, -EOVERFLOW when there are more entries
 * than numbers, or a value of an attribute is longer than can be told.
 */
int rsync_encoder_put(struct rsync_encoder *e, struct buf *out, const char *path, const struct entry *entry,
                      unsigned flags);

/* Is the entry that was put last another name of a file that was put before? */
bool rsync_encoder_has_repeated(const struct rsync_encoder *e);

/*
 * Append the end of a list. @io_error: bits of rsync_io_error. Return 0; RSYNC_ENCODER_TELL when this server takes no
 * error there: then the caller puts a RSYNC_CODE_IO_ERROR before what was appended; or -ENOMEM.
 */
enum { RSYNC_ENCODER_TELL = 1 };

int rsync_encoder_end(struct rsync_encoder *e, struct buf *out, unsigned io_error);

/*
 * Flags that stand for the names of the attributes that are told of @entry, 0 when there are none: what is asked for by
 * a number later is of that name only if they are the same then.
 */
unsigned rsync_entry_set(const struct entry *entry);

/* Which of @entry's attributes has the number @number, from 1, in the set that was told? NULL: there is none. */
const struct xattr *rsync_entry_xattr(const struct entry *entry, uint32_t number);

/* The order of directories in a list, which is not that of their names as bytes: as if they ended in '/'. -1, 0, 1 */
int rsync_compare_directories(const char *a, const char *b);
