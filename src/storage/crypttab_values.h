/* What stands in the fields and options of /etc/crypttab: escapes, numbers, time spans, devices, files. */
#pragma once

#include "base/util.h"

struct crypttab_file;
struct err;

/* Where in the file something stands. */
struct crypttab_place {
        const char *file;
        unsigned line;    /* 1-based */
        const char *name; /* of the entry, for people */
};

/* Fill @err with "FILE:LINE: message", kind ERR_USAGE. Returns -EINVAL. */
int crypttab_values_refuse(struct err *err, const struct crypttab_place *place, const char *format, ...) _printf_(3, 4);

/*
 * Copy @size bytes of @text with Debian's \0NNN decoded: a backslash, a zero and up to three octal digits. A backslash
 * before one of the bytes in @escapable stands for that byte; before anything else it is itself. Return 0, -ENOMEM, or
 * -EINVAL when a byte is NUL, as it is or escaped.
 */
int crypttab_values_decode(char **ret, const char *text, size_t size, const char *escapable);

/* As strtoull() reads it with base 0, but without sign and blanks. Return 0, -EINVAL, or -ERANGE beyond @min to @max.
 */
int crypttab_values_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret);

/*
 * A time span of systemd.time(7): "90", "1min 30s", "1.5h"; seconds where the unit is missing, fractions of a second
 * rounded up. "infinity" is UINT_MAX, the longest span. Return 0, -EINVAL or -ERANGE.
 */
int crypttab_values_span(const char *text, unsigned *ret_s);

/*
 * An absolute path, or a tag (UUID=, PARTUUID=, LABEL=, PARTLABEL=, ID=) with a value; quotes around the value are
 * taken away. Return 0, -ENOMEM or -EINVAL.
 */
int crypttab_values_device(char **ret, const char *text);

/* PATH or PATH:DEVICE. The path is absolute, the device a tag or a path below /dev. Return 0, -ENOMEM or -EINVAL. */
int crypttab_values_file(struct crypttab_file *ret, const char *text);
