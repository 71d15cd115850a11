/*
 * Sets of extended attributes as rsync tells of them (docs/rsync-protocol.md, section 5): all that a backup keeps, but
 * for ACLs, which have a place of their own, and for what rsync itself keeps under user.rsync.%.
 */
#pragma once

#include "base/util.h"

struct buf;
struct xattr;
struct xattrs;

enum { RSYNC_XATTR_SHORT = 32 }; /* longer values are told of by their digest, and sent when they are asked for */

/* Append the literal of the set. Return 0, -ENOMEM, or -EOVERFLOW when a value is too long (nothing was appended then).
 */
int rsync_xattrs_put(struct buf *out, const struct xattrs *set);

/* A hash of the names, 0 only for a set that has none. */
uint16_t rsync_xattrs_names(const struct xattrs *set);

/* The attribute with the number @number, from 1, of the set that was told of; NULL when there is none. */
const struct xattr *rsync_xattrs_find(const struct xattrs *set, uint32_t number);
