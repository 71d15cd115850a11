/*
 * What a destination can hold, found out by trying before anything is compared: owners, modes, ACLs, extended
 * attributes, the range and the granularity of times. What it cannot hold is taken off an entry of the source first, so
 * that the comparison that follows is exact, and is told to the report.
 */
#pragma once

#include "base/util.h"

#include <sys/types.h>

struct arena;
struct entry;
struct err;
struct report;

struct limits {
        bool assumed;    /* there was no room to try anything */
        bool privileged; /* whatever mode a directory has, we may work in it */
        bool accepted;   /* what only a superuser could keep was given up by the user (--no-sudo) */
        bool owner;      /* any owner; else our own, and the groups we are in */
        bool mode;
        bool acl;
        bool xattr_user;
        bool xattr_system;   /* trusted.* and security.* */
        bool xattr_property; /* btrfs.*: settings of that filesystem */
        bool devices;
        int64_t time_min, time_max; /* seconds since 1970 */
        uint32_t granularity_ns;    /* 1 ... 2,000,000,000 */
        mode_t file_mode, dir_mode; /* what files and directories have where modes cannot be set */
        uid_t uid;
        gid_t gid;
        gid_t groups[256]; /* sorted; Linux permits 65,536, whose surplus counts as not ours */
        size_t group_count;
};

/*
 * Try in @dirfd, a directory on the destination's filesystem, with an unnamed file, or where those are not supported
 * and @may_write permits it, one with a name that is removed again. Where nothing can be tried everything is assumed
 * to be possible. Fails with ERR_RUN when the filesystem cannot be written, but not when it is full: a run that makes
 * room must be able to begin.
 */
int limits_probe(struct limits *ret, int dirfd, bool may_write, bool accepted, struct err *err);

/*
 * Take off @e, an entry of the destination, what is not to be compared: attributes that a security module gave it,
 * which we may not change.
 */
void limits_disregard(const struct limits *l, struct entry *e);

/* Take off @e what cannot be held. @directory is the path of its parent, for the report. */
void limits_fit(const struct limits *l, struct entry *e, struct report *report, const char *directory);
