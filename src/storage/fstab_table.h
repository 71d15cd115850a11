/* fstab as it was read, and which of its entries belongs to a mount point. Internal to fstab.c. */
#pragma once

#include "storage/fstab.h"
#include "storage/mounted.h"

#include <libmount/libmount.h>

struct fstab_table {
        struct libmnt_table *entries;
        struct libmnt_cache *cache;
        const char *path;
        int broken_line; /* the first that nobody understands, 0: none */
};

/* Return 0, or a negative errno with @err filled, of kind ERR_USAGE. @table is to be ended in any case. */
int fstab_table_read(struct fstab_table *table, struct err *err);
void fstab_table_deinit(struct fstab_table *table);

/*
 * Find the entry for @point: the one that is mounted as @m (NULL: nothing is), else the first whose device is there,
 * else the first. Return 1 if it is the mounted one, 0, or a negative errno with @err filled.
 */
int fstab_table_choose(const struct fstab_table *table, const char *point, const struct mount *m, struct origin *ret,
                       struct err *err);

/* Is @origin what is in the mapping at the path @mapping? */
enum fstab_mapping fstab_table_compare(const struct origin *origin, const char *mapping);

/*
 * The best that comparing says of all entries for @point: which of them will be there is known when it is unlocked.
 * Return an fstab_mapping, or a negative errno with @err filled.
 */
int fstab_table_mapping(const struct fstab_table *table, const char *point, const char *mapping, struct err *err);
