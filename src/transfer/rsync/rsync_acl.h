/* POSIX ACLs, from what the kernel shows as attributes to what rsync tells (docs/rsync-protocol.md, section 5). */
#pragma once

#include "base/util.h"

struct buf;

/*
 * Append the literal of the ACL in @value, the one of system.posix_acl_access or system.posix_acl_default; of size 0:
 * there is none. Of an access ACL what the mode says is left out: @mode is that of the file. Return 0, -ENOMEM, or
 * -EINVAL when it is not an ACL (then nothing was appended).
 */
int rsync_acl_put_access(struct buf *out, const void *value, size_t size, unsigned mode);
int rsync_acl_put_default(struct buf *out, const void *value, size_t size);
