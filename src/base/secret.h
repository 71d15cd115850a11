/*
 * Bytes that nobody else may see: kept in memory that is never swapped out, dumped or inherited by a child, and wiped
 * when it is given back. mlock(2), madvise(2) MADV_DONTDUMP and MADV_WIPEONFORK; where locking is not permitted
 * (RLIMIT_MEMLOCK) the rest still holds.
 */
#pragma once

#include "base/util.h"

struct secret {
        char *data; /* NULL or `capacity` bytes of its own pages; not terminated by anything */
        size_t size, capacity;
};

/* Room for @capacity bytes; size is 0. Return 0 or -ENOMEM. */
int secret_init(struct secret *ret, size_t capacity);

/* Keep @size of its bytes, those from @offset on, at its front; all the others are wiped. */
void secret_keep(struct secret *s, size_t offset, size_t size);

/* Wipe and give back; a second time does nothing. */
void secret_deinit(struct secret *s);

/* From now on this process leaves no core dump and nobody but root can look into it: PR_SET_DUMPABLE, prctl(2). */
void secret_protect_process(void);
