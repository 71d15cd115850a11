/* A state is refused as a whole, or comes back the same after it was written. */
#include "base/err.h"
#include "base/fd.h"
#include "storage/state.h"

#include <fcntl.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A directory in memory, since each state is written durably. */
static char directory[] = "/dev/shm/fuzz-state-XXXXXX";

static void remove_directory(void)
{
        char path[64];

        snprintf(path, sizeof(path), "%s/state", directory);
        (void)unlink(path);
        (void)rmdir(directory);
}

static int open_directory(void)
{
        int fd = mkdtemp(directory) ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

        if (fd < 0 || atexit(remove_directory) != 0)
                abort();
        return fd;
}

static bool same(const char *a, const char *b)
{
        return a && b ? str_equal(a, b) : a == b;
}

static bool same_time(struct timespec a, struct timespec b)
{
        return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_lists(const struct state *a, const struct state *b)
{
        if (a->filesystem_count != b->filesystem_count || a->outcome_count != b->outcome_count)
                return false;
        for (size_t i = 0; i < a->filesystem_count; i++) {
                if (!str_equal(a->filesystems[i], b->filesystems[i]))
                        return false;
        }
        for (size_t i = 0; i < a->outcome_count; i++) {
                if (!str_equal(a->outcomes[i].name, b->outcomes[i].name) ||
                    a->outcomes[i].complete != b->outcomes[i].complete)
                        return false;
        }
        return true;
}

static bool same_state(const struct state *a, const struct state *b)
{
        return same(a->machine, b->machine) && same(a->source, b->source) &&
               same(a->source_filesystem, b->source_filesystem) && same(a->latest, b->latest) &&
               a->has_reference == b->has_reference && same_time(a->reference, b->reference) &&
               same(a->boot, b->boot) && (!a->boot || same_time(a->uptime, b->uptime)) && a->running == b->running &&
               same_time(a->running_since, b->running_since) && a->partial == b->partial && a->entries == b->entries &&
               a->bytes == b->bytes && same_lists(a, b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static int dirfd = -1;
        struct err err = { .kind = ERR_NONE };
        struct state state, again;

        if (dirfd < 0)
                dirfd = open_directory();
        if (state_parse(&state, (const char *)data, size, &err) < 0) {
                if (err.kind != ERR_RUN || state.machine || state.source || state.outcomes || state.filesystems)
                        abort();
                return 0;
        }
        if (state_save(&state, dirfd, &err) < 0 || state_load(&again, dirfd, &err) < 0 || !same_state(&state, &again))
                abort();
        state_deinit(&state);
        state_deinit(&again);
        return 0;
}
