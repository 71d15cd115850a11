/* How full the destination is, and, when it got too full, of what and how far. */
#include "local.h"

#include "base/err.h"
#include "base/log.h"
#include "base/report.h"
#include "options.h"
#include "progress.h"

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

/* What a transfer would still need, by counting what it would copy. False when that cannot be told. */
static bool find_need(struct local *l, const struct room *room, uint64_t *ret_bytes, uint64_t *ret_nodes,
                      uint64_t *ret_latest_bytes)
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
                return false;
        }
        *ret_nodes = report_get(report, REPORT_NEW);
        /* The last block of a file is full by half on average. */
        *ret_bytes = report_get(report, REPORT_COPIED_BYTES) + *ret_nodes * room->block_bytes / 2;
        *ret_latest_bytes = report_get(report, REPORT_BYTES);
        return true;
}

/* "about 3.0 GiB more are needed; ", or nothing where it looks as if all would fit. */
static void describe_need(const struct room *room, uint64_t bytes, uint64_t nodes, char *out, size_t size)
{
        char number[PROGRESS_TEXT_SIZE];

        if (bytes > room->free_bytes)
                snprintf(out, size, "about %s more are needed; ", progress_bytes(bytes - room->free_bytes, number));
        else if (room->nodes > 0 && nodes > room->free_nodes)
                snprintf(out, size, "about %s more inodes are needed; ",
                         progress_count(nodes - room->free_nodes, number));
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

void local_explain_full(struct destination *d, struct err *err)
{
        struct local *l = local_of(d);
        char available[PROGRESS_TEXT_SIZE], others[PROGRESS_TEXT_SIZE], need[96] = "", held[128] = "";
        uint64_t bytes, nodes, latest;
        size_t snapshots = count_snapshots(l);
        struct room room;

        if (!find_room(l, &room))
                return;
        /* What a source elsewhere would still send cannot be seen from here. */
        if (d->config->options->backup && !d->config->source_is_remote &&
            find_need(l, &room, &bytes, &nodes, &latest)) {
                describe_need(&room, bytes, nodes, need, sizeof(need));
                if (snapshots > 0 && room.used_bytes > latest)
                        snprintf(held, sizeof(held), "%zu %s and what else is there hold %s; ", snapshots,
                                 snapshots == 1 ? "snapshot" : "snapshots",
                                 progress_bytes(room.used_bytes - latest, others));
        }
        err_hint(err,
                 "%s free, %s%sremove snapshots, exclude something, or use a larger disk; what was transferred stays",
                 progress_bytes(room.free_bytes, available), need, held);
}
