/*
 * Entries of the file list of a server that sends, with no letter but `d` or `r` (docs/rsync-protocol.md, sections 5
 * and 10): the reverse of rsync_entry.h, as far as a listing needs it. Nothing that comes is trusted.
 */
#pragma once

#include "transfer/rsync/rsync_entry.h"
#include "transfer/rsync/rsync_session.h"

#include <sys/types.h>

struct rsync_reader;

/* One list; filled with zeroes but for the session. */
struct rsync_decoder {
        struct rsync_session session;

        /* The entry before. */
        char path[RSYNC_PATH_MAX + 1];
        size_t path_size;
        mode_t mode;
        int64_t mtime;
};

struct rsync_decoded {
        const char *path; /* relative, without a NUL or a slash too many, no ".." in it; valid until the next one */
        mode_t mode;      /* of one of the types that there are */
        uint64_t size;
        int64_t mtime;
        unsigned io_error; /* at the end: rsync_io_error */
};

enum { RSYNC_DECODER_ENTRY = 1, RSYNC_DECODER_END = 2 };

/*
 * Take one entry or the end. Return what it was, or 0 when @r is short, or broken by what cannot be; then nothing has
 * changed but @r.
 */
int rsync_decoder_get(struct rsync_decoder *d, struct rsync_reader *r, struct rsync_decoded *ret);
