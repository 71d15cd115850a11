/*
 * The lists that were sent, so that the number of a request leads to a file again (docs/rsync-protocol.md, section 5).
 *
 * With incremental recursion there is one list for each directory, and one more number between two lists, which stands
 * for the directory that the list is of; they are sent depth first and go when the peer is done with them:
 *
 *      0    1  2  3  4         5    6  7         8    9
 *      .    .  a  d/ e/        d    f  g/        g    h
 *
 * Without it there is one list of the whole tree, numbered from 0. Entries are added in the order in which the peer
 * sorts them: in each directory all that is no directory, by bytes; then each directory (rsync_compare_directories()),
 * followed by what is in it. An entry takes 16 bytes and its name.
 *
 * Numbers of entries are 32-bit; where they end, so does the backup: -EOVERFLOW.
 */
#pragma once

#include "base/util.h"

#include <sys/types.h>

struct buf;
struct rsync_lists;

enum { RSYNC_LISTS_END = 1 };

struct rsync_item {
        mode_t mode;
        unsigned flags;  /* rsync_entry_flag */
        int32_t start;   /* of its list */
        bool is_between; /* of two lists: the directory of the second; only the type is known */
};

/* NULL when memory is short. */
struct rsync_lists *rsync_lists_new(bool is_incremental);
struct rsync_lists *rsync_lists_free(struct rsync_lists *l);
DEFINE_FREEP(struct rsync_lists, rsync_lists_free)

/*
 * A list begins: the first one, which has the root as its first entry; or that of the directory which
 * rsync_lists_next() has told of. *ret_start is the number of its first entry.
 */
int rsync_lists_begin(struct rsync_lists *l, int32_t *ret_start);

/*
 * Add an entry. @parent: the number of the directory that it is in, or that of the root for what is in the root; the
 * root itself (".") and what is in the directory of a list of its own have start - 1. Return 0; -EINVAL when @name is
 * not behind what was added last, which is as it was then; -EOVERFLOW; or -ENOMEM.
 */
int rsync_lists_add(struct rsync_lists *l, int32_t parent, const char *name, mode_t mode, unsigned flags,
                    int32_t *ret_number);

/* The one that was added last is not sent after all. */
void rsync_lists_take_back(struct rsync_lists *l);

/* The list is complete. Return 0, -EOVERFLOW or -ENOMEM. */
int rsync_lists_end(struct rsync_lists *l);

/*
 * The directory whose list is the next one to be sent: its number among directories, by which the list is announced
 * (RSYNC_INDEX_LIST - number), its path, which replaces what is in @path, and rsync_entry_flag: one whose content is
 * omitted has a list, too, an empty one. Return 0; RSYNC_LISTS_END, when there is none left; or -ENOMEM.
 */
int rsync_lists_next(struct rsync_lists *l, int32_t *ret_directory, unsigned *ret_flags, struct buf *path);

/*
 * The entry with the number @number of a list that is complete, and its path, which replaces what is in @path. Return
 * 0, -ENOENT when there is no such number, or none any more, or -ENOMEM.
 */
int rsync_lists_find(const struct rsync_lists *l, int32_t number, struct rsync_item *ret, struct buf *path);

/* Is it the number of an entry of a list that is complete, or was? */
bool rsync_lists_has_told(const struct rsync_lists *l, int32_t number);

/*
 * The peer is done with the oldest list, which is forgotten. Return 0; RSYNC_LISTS_END when it is the last one of all,
 * which stays, since what is left over may still be asked for; or -EPROTO when there was none that it can be done with.
 * Only with incremental recursion.
 */
int rsync_lists_done(struct rsync_lists *l);

/* How many entries there are in lists that are there, complete or not. */
uint64_t rsync_lists_count(const struct rsync_lists *l);
