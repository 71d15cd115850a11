/* Paths are bytes that end in NUL. They are joined here, made plain, and shown without upsetting anyone. */
#pragma once

#include "base/util.h"

struct buf;

/*
 * Write DIRECTORY/NAME to @out for people: control characters, DEL, backslash, quotes and bytes that are not valid
 * UTF-8 become \ooo or \n and the like; what is too long loses its middle. Either part may be NULL.
 */
void path_show(const char *directory, const char *name, char *out, size_t size);

enum { PATH_SHOWN = 300 };

/* A path as it is shown in a message. Returns @out. */
static inline const char *path_shown(const char *path, char out[PATH_SHOWN])
{
        path_show(NULL, path, out, PATH_SHOWN);
        return out;
}

/* Append DIRECTORY/NAME with the same escapes and nothing left out. Return 0 or -ENOMEM. */
int path_escape(struct buf *out, const char *directory, const char *name);

/* How many bytes of @text, which is not empty, are its first character; 0 when they are no UTF-8, or none to be shown.
 */
size_t path_character(const char *text);

/* DIRECTORY/NAME, malloc'd; NAME alone when DIRECTORY is empty. NULL when memory is short. */
char *path_join(const char *directory, const char *name);

/* A path without "//", "/./" and trailing slashes; "" for "." and what comes to the same. malloc'd. */
char *path_plain(const char *path);

/* An absolute path without "//", "/./" and trailing slashes; ".." and symlinks are left to the kernel. malloc'd. */
char *path_absolute(const char *path);

/* The last component, or "" for "/". Borrowed from @path, which has no trailing slash. */
const char *path_base(const char *path);

/* All but the last component: "/" for "/x", "." for "x". malloc'd. */
char *path_parent(const char *path);

/* A plain absolute path with its symlinks resolved, as far as it exists; what is missing of it is kept. malloc'd. */
char *path_resolve(const char *path);

/* The same, also where a symlink leads to something that is missing: to a disk that is not mounted now. */
char *path_resolve_missing(const char *path);

/* The rest of @path below the directory @above, "" when it is that itself; NULL when it is not below. Both plain. */
const char *path_below(const char *path, const char *above);
