/* How full the destination is, and, when it got too full, of what and how far. */
#include "local/local.h"

#include "base/err.h"
#include "base/log.h"
#include "base/report.h"
#include "options/options.h"
#include "progress.h"
#include "storage/allocation.h"

#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>

struct room {
        uint64_t total_bytes, used_bytes, free_bytes; /* free: for us */
        uint64_t block_bytes;
        uint64_t nodes, free_nodes; /* 0 nodes: the filesystem does not count them */
};

static bool find_room(const struct local *l, struct room *ret)
{
        int fd = local_place_fd(&l->place);
        struct statvfs v;

        if (fd < 0 || fstatvfs(fd, &v) < 0)
                return false;
        *ret = (struct room){ .total_bytes = (uint64_t)v.f_blocks * v.f_frsize,
                              .used_bytes = (uint64_t)(v.f_blocks - v.f_bfree) * v.f_frsize,
                              .free_bytes = (uint64_t)v.f_bavail * v.f_frsize,
                              .block_bytes = v.f_frsize,
                              .nodes = v.f_files,
                              .free_nodes = v.f_favail };
        return true;
}

void local_tell_room(const struct local *l)
{
        char available[PROGRESS_TEXT_SIZE], total[PROGRESS_TEXT_SIZE], nodes[PROGRESS_TEXT_SIZE];
        struct room room;

        if (l->d.config->options->verbosity < 1 || !find_room(l, &room))
                return;
        if (room.nodes > 0)
                log_info("destination: %s of %s and %s inodes are free", progress_bytes(room.free_bytes, available),
                         progress_bytes(room.total_bytes, total), progress_count(room.free_nodes, nodes));
        else
                log_info("destination: %s of %s are free", progress_bytes(room.free_bytes, available),
                         progress_bytes(room.total_bytes, total));
}

struct local_need local_count_need(const struct local *l, const struct report *report)
{
        uint64_t nodes = report_get(report, REPORT_NEW);
        struct room room;

        if (!find_room(l, &room))
                return (struct local_need){ .is_known = false };
        return (struct local_need){ .is_known = true,
                                    /* The last block of a file is full by half on average. */
                                    .bytes = report_get(report, REPORT_COPIED_BYTES) + nodes * room.block_bytes / 2,
                                    .nodes = nodes,
                                    .latest_bytes = report_get(report, REPORT_BYTES) };
}

/* What a transfer would still need, by counting what it would copy. */
static struct local_need find_need(struct local *l)
{
        const struct report_config config = { .is_imagined = true };
        _cleanup_(report_freep) struct report *report = NULL;
        ERR_LOCAL(err);

        if (report_new(&report, &config, &err) == 0) {
                log_info("looking how much room is missing");
                (void)local_imagine_transfer(l, report, &err);
        }
        if (err.kind != ERR_NONE) {
                err_drop(&err, "the message of the full disk does without it");
                return (struct local_need){ .is_known = false };
        }
        return local_count_need(l, report);
}

/* "about 3.0 GiB more are needed; ", or nothing where it looks as if all would fit. */
static void describe_need(const struct room *room, const struct local_need *need, char *out, size_t size)
{
        char number[PROGRESS_TEXT_SIZE];

        if (need->bytes > room->free_bytes)
                snprintf(out, size, "about %s more are needed; ",
                         progress_bytes(need->bytes - room->free_bytes, number));
        else if (room->nodes > 0 && need->nodes > room->free_nodes)
                snprintf(out, size, "about %s more inodes are needed; ",
                         progress_count(need->nodes - room->free_nodes, number));
        else
                out[0] = '\0';
}

static size_t count_snapshots(struct local *l)
{
        struct destination_snapshots list = { .items = NULL };
        ERR_LOCAL(err);
        size_t count;

        if (local_place_snapshots(&l->place, &list, &err) < 0)
                err_drop(&err, "the message of the full disk does without it");
        count = list.count;
        destination_snapshots_deinit(&list);
        return count;
}

/* How much of data is missing says nothing where it is metadata. */
static bool describe_metadata(const struct local *l, char *out, size_t size)
{
        struct allocation left;
        char number[PROGRESS_TEXT_SIZE];

        if (!allocation_find(local_place_fd(&l->place), &left) || !allocation_lacks_metadata(&left))
                return false;
        snprintf(
                out, size,
                "btrfs has no room left for metadata, but %s for data ('btrfs balance start -dusage=50' evens that out "
                "once something is removed)",
                progress_bytes(left.data, number));
        return true;
}

void local_explain_full(struct destination *d, struct err *err)
{
        struct local *l = local_of(d);
        char available[192], number[PROGRESS_TEXT_SIZE], needed[96] = "", held[128] = "";
        bool of_metadata = err->code == -ENOSPC && describe_metadata(l, available, sizeof(available));
        struct local_need need = l->need;
        size_t snapshots = count_snapshots(l);
        struct room room;

        if (!find_room(l, &room))
                return;
        if (d->config->options->backup && !d->config->source_is_remote)
                need = find_need(l);
        if (!of_metadata)
                snprintf(available, sizeof(available), "%s free", progress_bytes(room.free_bytes, number));
        if (need.is_known) {
                if (!of_metadata)
                        describe_need(&room, &need, needed, sizeof(needed));
                if (snapshots > 0 && room.used_bytes > need.latest_bytes)
                        snprintf(held, sizeof(held), "%zu %s and what else is there hold %s; ", snapshots,
                                 snapshots == 1 ? "snapshot" : "snapshots",
                                 progress_bytes(room.used_bytes - need.latest_bytes, number));
        }
        err_hint(err, "%s, %s%sremove snapshots, exclude something, or use a larger disk; what was transferred stays",
                 available, needed, held);
}
