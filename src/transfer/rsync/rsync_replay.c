/* The lists of an earlier push, from its spool: nothing is read of the source. */
#include "base/err.h"
#include "transfer/rsync/rsync_parts.h"

#include <errno.h>

/* All that is in a list, and its end. */
static int replay_list(struct rsync_push *p, struct err *err)
{
        struct rsync_spooled s = { .name = NULL };
        int32_t parent;
        int r = rsync_send_begin(p, &parent, err);

        while (r == 0) {
                r = rsync_spool_next(p->config->replay, &s, err);
                if (r < 0 || !s.name)
                        break;
                r = rsync_send_spooled(p, &s, err);
                if (r == 0)
                        r = rsync_talk_breathe(&p->talk, err);
        }
        if (r < 0)
                return r;
        p->io_error |= s.io_error;
        return rsync_send_end(p, err);
}

static int step(struct rsync_push *p, struct err *err)
{
        unsigned flags;
        int r = 1;

        if (p->replay.has_begun)
                r = rsync_send_next(p, &flags, &p->replay.path, err);
        p->replay.has_begun = true;
        if (r <= 0)
                return r;
        p->is_told = !rsync_push_is_incremental(p);
        return replay_list(p, err);
}

static void deinit(struct rsync_push *p)
{
        buf_deinit(&p->replay.path);
}

const struct rsync_teller rsync_teller_replay = { .step = step, .deinit = deinit };
