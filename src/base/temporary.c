/* A fixed prefix, which tells whose it is, and 16 hexadecimal digits. */
#include "base/temporary.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>

#define PREFIX ".rsync-system-backup.tmp-"

enum { DIGITS = 16 };

void temporary_name(char name[TEMPORARY_SIZE])
{
        uint64_t random = 0;

        (void)getrandom(&random, sizeof(random), 0);
        snprintf(name, TEMPORARY_SIZE, PREFIX "%016" PRIx64, random);
}

bool temporary_is(const char *name)
{
        size_t digits;

        if (!str_starts(name, PREFIX))
                return false;
        name += strlen(PREFIX);
        digits = strspn(name, "0123456789abcdef");
        return digits == DIGITS && name[digits] == '\0';
}
