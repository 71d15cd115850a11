/* BTRFS_IOC_SPACE_INFO, which needs no privilege; what its numbers are: btrfs_ioctl_space_info() in fs/btrfs/ioctl.c.
 */
#include "storage/allocation.h"

#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <sys/ioctl.h>

enum {
        KINDS_MAX = 32, /* data, metadata, system, each with some of the RAID profiles, and the reserve */
        ENOUGH = 16 * 1024 * 1024,
};

/* The type has a flexible array at its end. */
union answer {
        struct btrfs_ioctl_space_args args;
        char room[sizeof(struct btrfs_ioctl_space_args) + KINDS_MAX * sizeof(struct btrfs_ioctl_space_info)];
};

static uint64_t beyond(uint64_t a, uint64_t b)
{
        return a > b ? a - b : 0;
}

bool allocation_find(int fd, struct allocation *ret)
{
        const uint64_t mixed = BTRFS_BLOCK_GROUP_DATA | BTRFS_BLOCK_GROUP_METADATA;
        union answer answer = { .args = { .space_slots = KINDS_MAX } };
        uint64_t data = 0, metadata = 0, reserve = 0;

        if (ioctl(fd, BTRFS_IOC_SPACE_INFO, &answer) < 0 || answer.args.total_spaces > KINDS_MAX)
                return false;
        for (uint64_t i = 0; i < answer.args.total_spaces; i++) {
                const struct btrfs_ioctl_space_info *kind = &answer.args.spaces[i];
                uint64_t left = beyond(kind->total_bytes, kind->used_bytes);

                if ((kind->flags & mixed) == mixed)
                        return false;
                if (kind->flags & BTRFS_SPACE_INFO_GLOBAL_RSV)
                        reserve += left;
                else if (kind->flags & BTRFS_BLOCK_GROUP_DATA)
                        data += left;
                else if (kind->flags & BTRFS_BLOCK_GROUP_METADATA)
                        metadata += left;
        }
        *ret = (struct allocation){ .data = data, .metadata = beyond(metadata, reserve) };
        return true;
}

/*
 * A call reserves far more metadata than it will use, and other calls do so at the same time: the last few MiB are
 * never used. With that much left of data it is not them that were short.
 */
bool allocation_lacks_metadata(const struct allocation *a)
{
        return a->metadata < ENOUGH && a->data >= ENOUGH;
}
