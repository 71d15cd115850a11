/* Which machine, which disk: so that a backup does not land on another disk than last time. */
#pragma once

#include "base/util.h"

struct err;

enum { IDENTITY_SIZE = 80 };

/* A name for this machine that does not change: /etc/machine-id (machine-id(5)), else the host name. */
void identity_machine(char ret[IDENTITY_SIZE]);

/* The running kernel: processes that see the same text see the same devices and inodes. "" when it does not tell. */
void identity_boot(char ret[IDENTITY_SIZE]);

/*
 * The UUID of the filesystem that @fd is on, or "" where it has none or does not tell (tmpfs, network filesystems).
 */
void identity_filesystem(int fd, char ret[IDENTITY_SIZE]);

/*
 * The disks on which this machine has seen a destination, remembered on the machine itself: the state directory is on
 * the disk, and so not there when the disk is not. Where: see remembered.h.
 */
enum identity_verdict {
        IDENTITY_NEW,     /* this destination was never seen by this machine */
        IDENTITY_KNOWN,   /* on this disk */
        IDENTITY_ANOTHER, /* on other disks only */
};

/* Stands for the UUID of a filesystem that has none. */
#define IDENTITY_NO_UUID "without-uuid"

/* The UUID of the filesystem that a destination at @fd is on, or would be made on; IDENTITY_NO_UUID without one. */
void identity_place(int fd, char ret[IDENTITY_SIZE]);

/* @parent, where the snapshots are, is a plain absolute path. What cannot be read counts as never seen. */
enum identity_verdict identity_recall(const char *parent, const char *uuid);

/* Has this user, or root on this machine, as far as that may be read, seen it on this disk? A service of its own user
 * goes on with what root has tried by hand. */
bool identity_is_known(const char *parent, const char *uuid);

/* Remember. Return 0 or a negative errno with @err filled, of no consequence for the backup. */
int identity_remember(const char *parent, const char *uuid, struct err *err);
