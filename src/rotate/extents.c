/* FIEMAP, some extents at a time. */
#include "rotate/extents.h"

#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>

/*
 * XFS_IOC_FSGEOMETRY_V1 fills 112 bytes, which the kernel's headers for programs do not describe; the 24th number of 32
 * bits are the features, the bit that of reflinks. See ioctl_xfs_fsgeometry(2).
 */
enum { XFS_WORDS = 28, XFS_FEATURES = 23, XFS_REFLINK = 1 << 20 };
#define XFS_GEOMETRY _IOR('X', 100, uint32_t[XFS_WORDS])

/* Not all of them are in <linux/magic.h>. */
#define BCACHEFS_MAGIC 0xca451a4e
#define OCFS2_MAGIC 0x7461636f

/* When it cannot be told, there may be. */
static bool xfs_has_reflinks(int fd)
{
        uint32_t geometry[XFS_WORDS];

        return ioctl(fd, XFS_GEOMETRY, geometry) < 0 || (geometry[XFS_FEATURES] & XFS_REFLINK);
}

int extents_look(struct extents_filesystem *ret, int fd)
{
        struct statfs fs;

        if (fstatfs(fd, &fs) < 0)
                return errno_negative();
        *ret = (struct extents_filesystem){ .block_bytes = (uint64_t)(fs.f_frsize > 0 ? fs.f_frsize : fs.f_bsize) };
        switch ((uint32_t)fs.f_type) {
        case BTRFS_SUPER_MAGIC:
                ret->kind = EXTENTS_LOGICAL;
                break;
        case XFS_SUPER_MAGIC:
                ret->kind = xfs_has_reflinks(fd) ? EXTENTS_MAYBE : EXTENTS_OWN;
                break;
        case BCACHEFS_MAGIC:
        case OCFS2_MAGIC:
                ret->kind = EXTENTS_MAYBE;
                break;
        default:
                ret->kind = EXTENTS_OWN;
        }
        return 0;
}

enum { TOGETHER = 64 };

union map {
        struct fiemap head;
        char room[sizeof(struct fiemap) + TOGETHER * sizeof(struct fiemap_extent)];
};

static void add(struct extents *ret, const struct fiemap_extent *e)
{
        /* It lies among the metadata, in no block of its own. */
        if (e->fe_flags & FIEMAP_EXTENT_DATA_INLINE)
                return;
        ret->bytes += e->fe_length;
        if (e->fe_flags & FIEMAP_EXTENT_SHARED)
                ret->shared += e->fe_length;
        if (e->fe_flags & FIEMAP_EXTENT_ENCODED)
                ret->is_encoded = true;
}

int extents_read(struct extents *ret, int fd)
{
        uint64_t at = 0;
        bool is_last = false;

        *ret = (struct extents){ .bytes = 0 };
        while (!is_last) {
                union map map = {
                        .head = { .fm_start = at, .fm_length = FIEMAP_MAX_OFFSET - at, .fm_extent_count = TOGETHER }
                };

                if (ioctl(fd, FS_IOC_FIEMAP, &map) < 0)
                        return errno_negative();
                is_last = map.head.fm_mapped_extents == 0;
                for (uint32_t i = 0; i < map.head.fm_mapped_extents; i++) {
                        const struct fiemap_extent *e = &map.head.fm_extents[i];

                        add(ret, e);
                        is_last = is_last || (e->fe_flags & FIEMAP_EXTENT_LAST) || e->fe_logical + e->fe_length <= at;
                        at = e->fe_logical + e->fe_length;
                }
        }
        return 0;
}
