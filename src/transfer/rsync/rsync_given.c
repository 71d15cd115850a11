/* A few directories and empty files, in one list. */
#include "base/err.h"
#include "base/path.h"
#include "transfer/rsync/rsync_parts.h"

#include <assert.h>
#include <sys/stat.h>
#include <time.h>

/* The number of the directory that @path is in, which came before; the root is number 0. */
static int32_t parent_of(const struct rsync_push_config *c, const char *path)
{
        const char *slash = strrchr(path, '/');
        size_t size = slash ? (size_t)(slash - path) : 0;

        for (size_t i = 1; slash && i < c->given_count; i++) {
                if (strlen(c->given[i].path) == size && memcmp(c->given[i].path, path, size) == 0)
                        return (int32_t)i;
        }
        return 0;
}

static int send_one(struct rsync_push *p, size_t i, int32_t before, struct err *err)
{
        const struct rsync_given *g = &p->config->given[i];
        const struct entry e = { .mode = g->mode, .nlink = 1, .mtime.tv_sec = time(NULL) };
        const struct rsync_place place = {
                .parent = i == 0 ? before : parent_of(p->config, g->path),
                .name = path_base(g->path),
                .path = i == 0 ? "" : g->path,
                .flags = i == 0 ? RSYNC_ENTRY_TOP : 0,
        };
        int32_t number;
        int r = rsync_send_entry(p, &place, &e, &number, err);

        assert(r != 0 && (r < 0 || number == (int32_t)i));
        return r < 0 ? r : 0;
}

static int step(struct rsync_push *p, struct err *err)
{
        int32_t before;
        int r = rsync_send_begin(p, &before, err);

        assert(!rsync_push_is_incremental(p));
        for (size_t i = 0; i < p->config->given_count && r == 0; i++)
                r = send_one(p, i, before, err);
        p->is_told = true;
        return r == 0 ? rsync_send_end(p, err) : r;
}

const struct rsync_teller rsync_teller_given = { .step = step };
