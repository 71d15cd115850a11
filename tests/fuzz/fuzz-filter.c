/*
 * One rule of the filter against the definition of rsync's patterns.
 *
 * Input: a byte of flags (1 a directory, 2 a rule on the machine's path, 4 SOURCE is below the root), the pattern, a
 * NUL, the path.
 */
#include "base/err.h"
#include "reference.h"
#include "transfer/filter/filter.h"

#include <stdio.h>

enum { TEXT_MAX = REFERENCE_TEXT_MAX, FLAG_DIRECTORY = 1, FLAG_MACHINE = 2, FLAG_BELOW = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_plain(const char *path)
{
        size_t size = strlen(path);

        return size > 0 && path[0] != '/' && path[size - 1] != '/' && !strstr(path, "//");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char pattern[TEXT_MAX] = "", path[TEXT_MAX] = "";
        _cleanup_(filter_freep) struct filter *f = NULL;
        struct err err = { .kind = ERR_NONE };
        size_t length;
        bool below, expected;

        if (size < 2 || size >= TEXT_MAX - 20)
                return 0;
        length = strnlen((const char *)data + 1, size - 1);
        memcpy(pattern, data + 1, length);
        if (length + 2 < size)
                memcpy(path, data + length + 2, strnlen((const char *)data + length + 2, size - length - 2));
        if (!is_plain(path) || !*pattern)
                return 0;
        below = data[0] & FLAG_BELOW;
        if (filter_new(&f, below ? "/a/b" : "/", &err) < 0)
                abort();
        if (data[0] & FLAG_MACHINE) {
                if (filter_exclude_machine(f, pattern, &err) < 0)
                        abort();
        } else {
                if (str_equal(pattern, "!") || str_starts(pattern, "- ") || str_starts(pattern, "+ "))
                        return 0;
                if (filter_exclude(f, pattern, &err) < 0)
                        abort();
        }
        expected = reference_selects(pattern, below && data[0] & FLAG_MACHINE ? "a/b/" : "", path,
                                     data[0] & FLAG_DIRECTORY);
        if (filter_excludes(f, path, data[0] & FLAG_DIRECTORY) != expected) {
                fprintf(stderr, "pattern '%s' path '%s' flags %u: expected %d\n", pattern, path, data[0], expected);
                abort();
        }
        return 0;
}
