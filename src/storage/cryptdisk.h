/*
 * Encrypted disks, unlocked and locked by libcryptsetup (https://gitlab.com/cryptsetup/cryptsetup): LUKS1, LUKS2,
 * plain dm-crypt, TrueCrypt and VeraCrypt. What libcryptsetup says goes to the log; its return codes are turned into
 * errors here and seen nowhere else.
 */
#pragma once

#include "base/util.h"

struct crypttab_entry;
struct err;

enum cryptdisk_outcome {
        CRYPTDISK_UNLOCKED,      /* by this call */
        CRYPTDISK_ALREADY,       /* it was */
        CRYPTDISK_NO_DEVICE,     /* the disk is not plugged in */
        CRYPTDISK_NO_KEY_DEVICE, /* the one with its key (or its header) is not */
};

/* Is this in the build? Return 0 or a negative errno with @err (ERR_USAGE) filled. */
int cryptdisk_check(struct err *err);

/*
 * Make /dev/mapper/NAME. In this order: tokens of the header if the entry asks for them, the key file (where it names
 * none, /etc/cryptsetup-keys.d/NAME.key or the same in /run), the credential, the passphrase as often as the entry
 * says. A key that does not fit is told and the next way is tried. Return a cryptdisk_outcome or a negative errno with
 * @err filled: -EPERM when no key fitted, -ECANCELED when stopped.
 */
int cryptdisk_unlock(const struct crypttab_entry *entry, struct err *err);

/* Does whoever reads from the mapping @name wait until somebody resumes it? Return 0, or -EBUSY with @err filled. */
int cryptdisk_check_suspended(const char *name, struct err *err);

/*
 * There is a mapping of the entry's name: is it an encrypted disk, and where the entry names one by UUID= that of its
 * LUKS header, this one? Return 0 or -EMEDIUMTYPE with @err filled.
 */
int cryptdisk_check_mapping(const struct crypttab_entry *entry, struct err *err);

/* Is there a mapping of that name? */
bool cryptdisk_is_unlocked(const char *name);

/*
 * The device of the mapping @name, for telling one unlocking from another: its number and the kernel's own sequence
 * number of the disk (/sys/block/.../diskseq) as text. Return 0 or a negative errno.
 */
int cryptdisk_instance(const char *name, char *ret, size_t size);

/*
 * Remove the mapping. A device that is busy is tried again for a few seconds; then -EBUSY, and @err names who holds it.
 * It is never torn away from them. A mapping that is gone is no error.
 */
int cryptdisk_lock(const char *name, struct err *err);
