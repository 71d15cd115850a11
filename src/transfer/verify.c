/* A file that cannot be read back is as good as different: it is then replaced, and the disk's error, if it has one,
 * shows there. */
#include "transfer/verify.h"

#include "base/content.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/report.h"
#include "base/stop.h"
#include "transfer/source.h"

#include <errno.h>

static void count_compared(void *context, uint64_t bytes)
{
        report_add(context, REPORT_COMPARED_BYTES, bytes);
}

int verify_content(struct source_dir *from, struct entry *want, int to_dirfd, bool from_disk, struct report *report,
                   struct err *err)
{
        _cleanup_(fd_closep) int a = -1;
        _cleanup_(fd_closep) int b = fd_open_file_at(to_dirfd, want->name);
        struct content_config config;
        enum content_side side;
        struct entry have;
        int r = source_open(from, want, &a, err);

        if (r != 0)
                return r;
        if (b < 0 || entry_stat_fd(&have, b) < 0 || have.size != want->size)
                return 1;
        config = (struct content_config){
                .from = a,
                .to = b,
                .size = want->size,
                .has_holes = want->blocks * 512 < want->size || have.blocks * 512 < have.size,
                .from_disk = from_disk,
                .progress = count_compared,
                .context = report,
        };
        r = content_compare(&config, &side);
        if (r == -ECANCELED && stop_requested())
                return stop_check(err);
        if (r < 0 && side == CONTENT_SIDE_FROM)
                return r == -ENOMEM ? err_oom(err) : err_item_at(err, r, "read", from->path, want->name);
        return r == 0 ? 0 : 1;
}
