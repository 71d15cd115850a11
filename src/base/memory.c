/*
 * A line of /proc/self/cgroup is HIERARCHY:CONTROLLERS:PATH. The limits are looked for where systemd and everybody else
 * mounts the hierarchies; what is not found there limits nothing.
 */
#include "base/memory.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysinfo.h>

/* What a version of control groups has under which name. */
struct version {
        const char *begins; /* the line of /proc/self/cgroup, behind its number */
        const char *mounted;
        const char *file;
};

static const struct version versions[] = {
        { "::", "/sys/fs/cgroup", "memory.max" },
        { ":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes" },
};

static uint64_t least(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

static uint64_t machine_memory(void)
{
        struct sysinfo info;

        return sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit : UINT64_MAX;
}

/* "max" stands for none. */
static uint64_t read_limit(const struct version *v, const char *group)
{
        char path[PATH_MAX], text[32] = "", *end;
        uint64_t limit;
        FILE *file;

        if ((size_t)snprintf(path, sizeof(path), "%s%s/%s", v->mounted, group, v->file) >= sizeof(path))
                return UINT64_MAX;
        file = fopen(path, "re");
        if (!file)
                return UINT64_MAX;
        (void)fgets(text, sizeof(text), file);
        fclose(file);
        errno = 0;
        limit = strtoull(text, &end, 10);
        return end == text || errno != 0 ? UINT64_MAX : limit;
}

/* A group is limited by those above it as well. @group is used up. */
static uint64_t least_limit(const struct version *v, char *group)
{
        uint64_t limit = read_limit(v, "");

        for (char *slash = strrchr(group, '/'); slash && slash > group; slash = strrchr(group, '/')) {
                limit = least(limit, read_limit(v, group));
                *slash = '\0';
        }
        return least(limit, read_limit(v, group));
}

static uint64_t limit_of(char *line)
{
        char *rest = line + strspn(line, "0123456789");

        rest[strcspn(rest, "\n")] = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
                if (str_starts(rest, versions[i].begins))
                        return least_limit(&versions[i], rest + strlen(versions[i].begins));
        }
        return UINT64_MAX;
}

uint64_t memory_limit(void)
{
        uint64_t limit = machine_memory();
        char line[PATH_MAX];
        FILE *groups = fopen("/proc/self/cgroup", "re");

        while (groups && fgets(line, sizeof(line), groups))
                limit = least(limit, limit_of(line));
        if (groups)
                fclose(groups);
        return limit;
}
