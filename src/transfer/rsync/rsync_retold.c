/* Hashes of the paths, in sets of a few, of each of which the latest stay. */
#include "transfer/rsync/rsync_retold.h"

#include <xxhash.h>

enum { SETS = 1 << 14, WAYS = 8 };

struct rsync_retold {
        uint64_t hashes[SETS][WAYS]; /* the latest first; 0: none */
};

struct rsync_retold *rsync_retold_new(void)
{
        return calloc(1, sizeof(struct rsync_retold));
}

struct rsync_retold *rsync_retold_free(struct rsync_retold *r)
{
        free(r);
        return NULL;
}

bool rsync_retold_has(struct rsync_retold *r, const char *path)
{
        uint64_t hash = XXH3_64bits(path, strlen(path)) | 1;
        uint64_t *set = r->hashes[hash >> 1 & (SETS - 1)];
        size_t at = 0;

        while (at < WAYS - 1 && set[at] != hash)
                at++;
        if (set[at] == hash)
                return true;
        memmove(set + 1, set, at * sizeof(*set));
        set[0] = hash;
        return false;
}
