/*
 * One file, directory, link or device with all that a backup keeps of it. Loaded by directory descriptor and one name;
 * never follows a symlink, never triggers an automount.
 */
#pragma once

#include "base/util.h"

#include <sys/stat.h>
#include <time.h>

struct arena;

struct xattr {
        const char *name;
        const void *value;
        size_t size;
        bool is_closed; /* that it is there is all we may know */
};

struct xattrs {
        struct xattr *items; /* sorted by name as bytes */
        size_t count;
};

struct entry {
        const char *name; /* one component */
        dev_t dev, rdev;
        ino_t ino;
        uint32_t born; /* stands for when it was made: a number is given again. 0 where the filesystem does not tell */
        mode_t mode;   /* type and permissions */
        nlink_t nlink;
        uid_t uid;
        gid_t gid;
        uint64_t size;   /* bytes */
        uint64_t blocks; /* of 512 bytes */
        struct timespec mtime, ctime;
        const char *target; /* of a symlink, else NULL */
        struct xattrs xattrs;
        bool takes_no_link;   /* immutable or append-only, see chattr(1) */
        bool is_mount_point;  /* of another mount, be it of the same filesystem */
        bool content_omitted; /* of a directory: it is taken, what is in it is not (see transfer/source.h) */
        bool is_bare; /* target and attributes were not loaded: entry_load_rest() does that; or not all of them */
};

/*
 * Load @name below @dirfd. Strings live in @arena; @name is borrowed. Return 0 or -errno, with *ret_failed saying what
 * was attempted ("read the metadata of", ...). When only a later step failed, what statx(2) tells is filled in.
 */
int entry_load(struct entry *ret, int dirfd, const char *name, struct arena *arena, const char **ret_failed);

/* The same for a descriptor, be it open or O_PATH, but for the target of a symlink; @name is borrowed. */
int entry_load_fd(struct entry *ret, int fd, const char *name, struct arena *arena, const char **ret_failed);

/*
 * The same as entry_load(), of one inode alone whatever has the name next: it is held meanwhile, which takes more
 * calls. -ENOENT: there is no such name; -ENOSYS: its attributes cannot be asked for without a /proc.
 */
int entry_load_held(struct entry *ret, int dirfd, const char *name, struct arena *arena, const char **ret_failed);

/* Only what statx(2) tells: a bare entry. Return 0 or -errno. */
int entry_stat(struct entry *ret, int dirfd, const char *name);
int entry_stat_fd(struct entry *ret, int fd);

/* What a bare entry lacks, by its name or from the open file; as entry_load(). */
int entry_load_rest(struct entry *e, int dirfd, struct arena *arena, const char **ret_failed);
int entry_load_rest_fd(struct entry *e, int fd, struct arena *arena, const char **ret_failed);

/* Does the set of attributes that a backup keeps have this one? (Others belong to the filesystem: system.*) */
bool xattr_is_kept(const char *name);
bool xattr_is_acl(const char *name);
/* One that only privileges can change: trusted.*, security.* */
bool xattr_is_privileged(const char *name);

const struct xattr *xattrs_find(const struct xattrs *set, const char *name);
bool xattr_equal(const struct xattr *a, const struct xattr *b);

static inline bool entry_is_dir(const struct entry *e)
{
        return S_ISDIR(e->mode);
}

static inline bool entry_is_file(const struct entry *e)
{
        return S_ISREG(e->mode);
}

static inline bool entry_is_same_inode(const struct entry *a, const struct entry *b)
{
        return a->dev == b->dev && a->ino == b->ino;
}

/* Two looks at one inode number: may both be of one inode? Network filesystems may tell of its birth once only. */
static inline bool entry_born_together(uint32_t a, uint32_t b)
{
        return a == b || a == 0 || b == 0;
}

/* -1, 0, 1 as @a is before, equal to, after @b. */
int timespec_compare(struct timespec a, struct timespec b);
