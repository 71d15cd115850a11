/*
 * btrfs sets parts of the disk aside for data and others for metadata. When all is set aside one of them can be used up
 * while there is much room left for the other, which statfs(2) does not tell.
 */
#pragma once

#include "base/util.h"

/* Bytes that are set aside and not used. */
struct allocation {
        uint64_t data, metadata; /* metadata: beyond what btrfs keeps for its own needs */
};

/* Of the filesystem of @fd. False where both lie in the same parts, where it is no btrfs, or does not tell. */
bool allocation_find(int fd, struct allocation *ret);

/* A call has failed with ENOSPC: was it metadata that was short of room? */
bool allocation_lacks_metadata(const struct allocation *a);
