/*
 * Locks that die with their holder: flock(2) on a file that also tells who holds it. The file stays when the lock is
 * released, since removing it would let two processes hold "the" lock.
 */
#pragma once

#include "base/util.h"

struct err;

/*
 * Lock @name in the directory @dirfd; the file is made when @create. Return a descriptor that holds the lock until it
 * is closed; -ENOENT without @err when the file is missing and not to be made; -EWOULDBLOCK with @err filled when
 * another process holds it, which is named; or another negative errno with @err filled.
 */
int lock_take(int dirfd, const char *name, bool create, struct err *err);

/*
 * Lock @key (a destination, whatever it is called) on this machine, in /run/rsync-system-backup or the directory of the
 * same name in $XDG_RUNTIME_DIR. Return a descriptor; -1 without @err where there is no such place; or a negative errno
 * other than -1 with @err filled.
 */
int lock_take_machine(const char *key, struct err *err);

/*
 * The directory of this program in the machine's runtime directory, which only we can write. Return a descriptor or
 * -errno.
 */
int lock_open_runtime_directory(void);

/*
 * A file name in it for any @key: @kind, a dash and a hash. @out holds LOCK_NAME_SIZE bytes.
 */
enum { LOCK_NAME_SIZE = 64 };
void lock_name(char out[LOCK_NAME_SIZE], const char *kind, const char *key, const char *suffix);

/*
 * Does somebody hold the lock @name in @dirfd? Asked of /proc/locks, since a lock that is tried is held for a moment,
 * which could be that of somebody else. Where that does not tell the answer is no.
 */
bool lock_is_held(int dirfd, const char *name);

/* Open @name, made if it is missing, as a file that is ours alone. Return a descriptor or a negative errno. */
int lock_open_file(int dirfd, const char *name, bool create);
