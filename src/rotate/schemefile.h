/*
 * The rotation schemes that rotate-backups reads: an INI section for each directory of snapshots.
 *
 * Files, in this order: /etc/rotate-backups.ini, then the *.ini of /etc/rotate-backups.d by name; the same for
 * ~/.rotate-backups and for ~/.config/rotate-backups.
 *
 * As in rotate-backups (source of version 7.0):
 * - The first section in this order whose name matches the directory is the one. A section of the very same name in a
 *   later file completes it and overrides it key by key, so that a user's file can override the system's.
 * - A section's name is an absolute path, or one that starts with "~/". With a `*` in it, it is a pattern (`*` matches
 *   slashes too, and `?` is special), else it is the path itself. HOST:PATH is on another machine: it matches
 *   what is called exactly so.
 * - What [DEFAULT] of any of the files says holds for that section, too, unless it says otherwise (configparser).
 * - A section without any count leaves the counts as they are by default, its other keys hold.
 *
 * Keys: minutely ... yearly (COUNT, see expression.h), strict, prefer-recent (yes or no), include-list, exclude-list
 * (patterns between commas or line ends, not blanks: a snapshot's name has one in it), ionice; removal-command and
 * timestamp-pattern, which we refuse to guess the meaning of; use-sudo and ssh-user, which have none here.
 */
#pragma once

#include "base/buf.h"
#include "rotate/scheme.h"

struct err;

struct schemefile_places {
        const char *root; /* put before /etc; "" outside of tests */
        const char *home; /* the user's home directory, NULL when there is none */
};

struct schemefile {
        char *section;        /* the name of the matching section; NULL when there is none */
        char *file;           /* the first file that has it, likewise */
        struct scheme scheme; /* never empty */
        struct buf include;   /* fnmatch patterns, each followed by a NUL */
        struct buf exclude;   /* likewise */
        const char *ionice;   /* "idle", "best-effort", "realtime", static; NULL when not given */
        char *refusal;        /* one line: why nothing may be rotated; NULL when it may */
};

/*
 * Look for the section that governs @parent, a plain absolute path or HOST:PATH. What does not exist is skipped; a file
 * or directory that cannot be read, and an unknown key or a bad value in a matching section or [DEFAULT], is a usage
 * error that names file, line and key. Other sections are not checked. Without a match *ret holds the default scheme.
 *
 * Return: 0, and *ret is to be released with schemefile_deinit(); or a negative errno.
 */
int schemefile_load(struct schemefile *ret, const char *parent, const struct schemefile_places *places,
                    struct err *err);

/* Does the snapshot called @name take part in the rotation, as far as the include and exclude lists go? */
bool schemefile_selects(const struct schemefile *s, const char *name);

void schemefile_deinit(struct schemefile *s);
