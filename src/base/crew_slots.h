/*
 * The descriptors of a crew's directories: a bounded number is open at a time, those that are in use are pinned. Of the
 * crew alone; see struct crew_slot in base/crew.h.
 */
#pragma once

#include "base/crew.h"

#include <pthread.h>

struct crew_slots {
        pthread_mutex_t lock; /* guards all slots, the idle list and open_count */
        struct crew_slot *idle_oldest, *idle_newest;
        unsigned open_count, open_max;
        const enum crew_access *access; /* of each tree; borrowed */
};

/* Keep at most @wanted open; 0: what the limit of the process suggests. */
void crew_slots_init(struct crew_slots *c, unsigned wanted, const enum crew_access access[CREW_TREES]);

/*
 * Have @s open, and keep it so until it is unpinned. Return 0 or -errno; -ESTALE when another directory has taken its
 * place.
 */
int crew_slots_pin(struct crew_slots *c, struct crew_slot *s, enum crew_tree tree);

/* Unpin @count slots; *count becomes 0. */
void crew_slots_unpin(struct crew_slots *c, struct crew_slot **pinned, unsigned *count);

/* Nobody works in @s or below any more: give back its mode if that was lent. Return 0 or -errno. */
int crew_slots_return(struct crew_slots *c, struct crew_slot *s, enum crew_tree tree);

/* @d is done with: close what is open of it, but for the root, whose descriptors are borrowed. */
void crew_slots_close(struct crew_slots *c, struct crew_dir *d);
