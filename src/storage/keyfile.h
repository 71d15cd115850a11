/*
 * The files that an entry of crypttab(5) names: a key, or a detached LUKS header; on the root filesystem, or on that of
 * another device, which is mounted read-only where nobody sees it, and for no longer than it is read.
 */
#pragma once

#include "base/util.h"

struct crypttab_file;
struct err;
struct secret;

enum { KEYFILE_SIZE_MAX = 8 * 1024 * 1024 }; /* as cryptsetup has it */

struct keyfile_part {
        uint64_t offset, size; /* bytes; size 0: to the end of the file */
};

/*
 * Read the key @part of @file into *ret. Waits for its device for @timeout_s at most. A key file that others can read
 * is warned of. Return 0; -ENODEV without @err when its device is not there; or a negative errno with @err filled: a
 * file that is missing, too short or too large is an error, never a shorter key.
 */
int keyfile_read(struct secret *ret, const struct crypttab_file *file, const struct keyfile_part *part,
                 unsigned timeout_s, struct err *err);

/* Copy @file, a LUKS header, into memory. Return a descriptor, or what keyfile_read() does. */
int keyfile_copy_header(const struct crypttab_file *file, unsigned timeout_s, struct err *err);
