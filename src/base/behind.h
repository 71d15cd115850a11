/*
 * What follows behind the copying of many small files: once they are on the disk their pages are forgotten, so that a
 * large backup does not push what others use out of the page cache.
 */
#pragma once

#include "base/util.h"

struct behind;
struct err;

int behind_new(struct behind **ret, struct err *err);

/* Waits for what is still on its way to the disk. Returns NULL. */
struct behind *behind_free(struct behind *b);

/*
 * @fd, borrowed, was written with @size bytes. A few files are kept open until they are on the disk, which the caller
 * may have to wait for. Errors of writing are left to whoever syncs the filesystem.
 */
void behind_follow(struct behind *b, int fd, uint64_t size);
