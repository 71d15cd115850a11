/*
 * The lists of a push, kept for another one that sends the same (rsync_push.h). They lie in a file without a name, in
 * $TMPDIR or /var/tmp: about 60 bytes for an entry, more where its path, ACL or attributes are.
 */
#pragma once

#include "base/util.h"

#include <sys/types.h>

struct err;
struct rsync_session;
struct rsync_spool;

int rsync_spool_new(struct rsync_spool **ret, struct err *err);
struct rsync_spool *rsync_spool_free(struct rsync_spool *s);
DEFINE_FREEP(struct rsync_spool, rsync_spool_free)

/* Is all of a push in it? */
bool rsync_spool_is_complete(const struct rsync_spool *s);

/* ---- for the push ---- */

/* An entry as it was sent; or the end of a list. */
struct rsync_spooled {
        int32_t parent; /* as rsync_lists_add() has these */
        mode_t mode;
        unsigned flags;
        const char *name;  /* NULL: the list ends */
        const void *bytes; /* as they went over the wire */
        size_t size;
        unsigned io_error; /* at the end: what had gone wrong so far */
};

/* Forget what was in it; what comes next is of this session. */
void rsync_spool_begin(struct rsync_spool *s, const struct rsync_session *session);
/* What fails here comes out when it is read. */
void rsync_spool_put(struct rsync_spool *s, const struct rsync_spooled *entry);
void rsync_spool_put_end(struct rsync_spool *s, unsigned io_error);
void rsync_spool_complete(struct rsync_spool *s);

/* Begin to read. Return 0, or -ENOTSUP with @err filled: it is not all there, or not as @session has it. */
int rsync_spool_rewind(struct rsync_spool *s, const struct rsync_session *session, const char *peer, struct err *err);
/* The next one, valid until the one after it. Return 0 or a negative errno with @err filled. */
int rsync_spool_next(struct rsync_spool *s, struct rsync_spooled *ret, struct err *err);
