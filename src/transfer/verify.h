/* Is a file of `latest` what it looks like? Asked where equal size and mtime prove nothing. */
#pragma once

#include "base/util.h"

struct entry;
struct err;
struct report;
struct source_dir;

/*
 * Compare the content of @want with the file of the same name in @to_dirfd, which is read from the disk, not from
 * memory, with @from_disk. Return 0 when equal, 1 when not (also when the destination's cannot be read),
 * SOURCE_VANISHED, SOURCE_RENEWED with @want loaded anew, or a negative errno with @err filled.
 */
int verify_content(struct source_dir *from, struct entry *want, int to_dirfd, bool from_disk, struct report *report,
                   struct err *err);
