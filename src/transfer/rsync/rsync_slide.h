/* The search byte by byte: where all time goes in a file that is new. */
#pragma once

#include "transfer/rsync/rsync_table.h"
#include "transfer/rsync/rsync_weak.h"

/*
 * Move a window of @size bytes, which begins at @at and has the sums @w, by a byte or more: until the table may have
 * its sums, or it begins at @end, which is behind @at. Return where it begins then.
 */
const unsigned char *rsync_slide(const struct rsync_table *t, struct rsync_weak *w, uint32_t size,
                                 const unsigned char *at, const unsigned char *end);
