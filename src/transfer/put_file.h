/* The content of a new regular file. Of the hands (transfer/put.h) alone. */
#pragma once

#include "base/util.h"

struct entry;
struct err;
struct staged;

/* Make the inode of @s, an empty file. Return 0 or a negative errno with @err filled. */
int put_file_create(struct staged *s, const struct entry *want, struct err *err);

/*
 * Make the inode of @s and fill it with the content of @want: that of @have, the old file under its name, when it may
 * be shared (@reuse) and the filesystem can, else the source's. Return 0, PUT_VANISHED, PUT_LATER, or a negative errno
 * with @err filled; @want is loaded anew when the source's file has changed since it was listed.
 */
int put_file_content(struct staged *s, struct entry *want, const struct entry *have, bool reuse, struct err *err);
