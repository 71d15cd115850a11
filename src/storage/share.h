/*
 * What several runs may use at once, an unlocked disk or a mounted filesystem: they count themselves, and the last one
 * to leave gives it back. Two files in the machine's runtime directory, both locked by flock(2), which dies with its
 * holder:
 *
 *      KIND-HASH.gate    held while somebody opens or gives back: one at a time
 *      KIND-HASH.users   held in common by all who use it; in it the note of the run that opened it
 *
 * The note says which instance it was that we opened (cryptdisk_instance(), fstab_instance()). It outlives a run that
 * was killed: the next one finds what is still open to be ours, and gives it back in the end.
 */
#pragma once

#include "base/util.h"

struct err;

enum { SHARE_NOTE_SIZE = 512 };

struct share {
        int gate_fd, users_fd; /* -1 where there is no runtime directory of our own: then nobody is counted */
        char note[SHARE_NOTE_SIZE];
};

void share_init(struct share *s);

/*
 * Become a user of @key and hold the gate; `note` is what stands in the file. Waits while others hold the gate, until a
 * stop is requested. Return 0 or a negative errno with @err filled; -ECANCELED when stopped.
 */
int share_join(struct share *s, const char *kind, const char *key, struct err *err);

/* Replace the note; "" for none. At the gate only. */
int share_write_note(struct share *s, const char *note, struct err *err);

/* Let others pass the gate. */
void share_open_gate(struct share *s);

/*
 * Leave, and hold the gate until share_deinit(). Return 1 for the last user, who may give back what it is (`note` is
 * up to date); 0 when others still use it; or a negative errno with @err filled.
 */
int share_leave(struct share *s, struct err *err);

void share_deinit(struct share *s);
