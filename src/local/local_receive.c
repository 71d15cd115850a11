/* The source is at the other end of a channel. */
#include "local/local.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/report.h"
#include "options/options.h"
#include "progress.h"
#include "transfer/exchange/channel.h"
#include "transfer/exchange/message.h"
#include "transfer/exchange/pack.h"
#include "transfer/exchange/receiver.h"
#include "transfer/links.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* What the sender has to know before it begins. */
static int send_limits(struct local *l, const struct local_receive *from, struct err *err)
{
        struct timespec reference = { .tv_sec = 0 };
        bool has_reference = local_record_finds(l, &from->origin, &reference);
        struct wire *w = channel_wire(from->channel);
        struct buf *b = wire_begin(w, MESSAGE_LIMITS);
        int r = message_put_limits(b, &l->limits);

        r = r < 0 ? r : pack_u8(b, has_reference);
        r = r < 0 ? r : pack_time(b, reference);
        return r < 0 ? err_oom(err) : wire_end(w, err);
}

/* Where pieces of large files are kept. Return a descriptor, -1 when there is no such place (yet). */
static int open_partial(const struct local *l)
{
        int dirfd = l->place.state_fd, fd;

        if (dirfd < 0 || l->d.config->options->dry_run)
                return -1;
        (void)mkdirat(dirfd, LOCAL_PIECES, 0700);
        fd = fd_open_at(dirfd, LOCAL_PIECES, O_DIRECTORY);
        return fd < 0 ? -1 : fd;
}

static int receive(struct local *l, const struct local_receive *from, struct report *report, struct err *err)
{
        _cleanup_(fd_closep) int partial_fd = from->imagined ? -1 : open_partial(l);
        struct timespec reference;
        const struct receiver_config config = {
                .channel = from->channel,
                .to_fd = l->place.latest_fd,
                .to_is_new = l->place.latest_is_new,
                .partial_fd = partial_fd,
                .limits = &l->limits,
                .report = report,
                .dry_run = l->d.config->options->dry_run || from->imagined,
                .has_reference = local_record_finds(l, &from->origin, &reference),
                .has_suspect = l->was_running, /* what this run itself writes is known to be right */
                .suspect = l->place.state.running_since,
                .links = l->links,
                .other = from->other,
                .context = from->context,
                .tick = progress_tick,
                .tick_context = l->d.config->progress,
        };
        int r;

        report_restart(config.report);
        progress_begin(l->d.config->progress, PROGRESS_TRANSFER, l->place.state.entries);
        r = receiver_run(&config, err);
        progress_end(l->d.config->progress);
        report_lacks(config.report);
        return r;
}

/* The table of hard links is needed twice at most. */
static int prepare_links(struct local *l, bool again, struct err *err)
{
        if (again && l->links)
                return 0;
        l->links = links_free(l->links);
        return links_new(&l->links, err);
}

/* As local_imagine_transfer() does it. */
static int imagine(struct local *l, const struct local_receive *from, struct err *err)
{
        const struct report_config config = { .is_imagined = true };
        _cleanup_(report_freep) struct report *report = NULL;
        int r = report_new(&report, &config, err);

        l->need.is_known = false;
        if (r == 0)
                r = local_find_limits(l, err);
        if (r == 0)
                r = prepare_links(l, false, err);
        if (r == 0)
                r = send_limits(l, from, err);
        if (r < 0)
                return r;
        log_info("looking how much room is missing");
        r = receive(l, from, report, err);
        l->links = links_free(l->links);
        if (r == 0)
                l->need = local_count_need(l, report);
        return r;
}

int local_receive(struct destination *d, const struct local_receive *from, struct err *err)
{
        struct local *l = local_of(d);
        bool dry_run = l->d.config->options->dry_run;
        int r;

        if (from->imagined)
                return imagine(l, from, err);
        r = local_record_begin(l, &from->origin, dry_run, err);
        if (r == 0)
                r = prepare_links(l, from->again, err);
        if (r == 0)
                r = send_limits(l, from, err);
        if (r == 0)
                r = receive(l, from, d->config->report, err);
        if (r == 0 && links_take_moved(l->links))
                return LOCAL_RECEIVE_AGAIN;
        l->links = links_free(l->links);
        return r < 0 || dry_run ? r : local_record_end(l, &from->origin, err);
}
