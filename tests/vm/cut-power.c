/*
 * To be preloaded into the program in a guest, whose power it cuts at one of the calls that write:
 *
 *      RSB_CUT_CALL    the call, "any" for any of them
 *      RSB_CUT_PATH    what the path that it concerns has in it; "$" at the end: what it ends with
 *      RSB_CUT_NUMBER  which one of those
 *      RSB_CUT_SIDE    "before" or "after" it is done
 *      RSB_CUT_COMMIT  a file on the filesystem that is synced right before: so the journal is written, what is not in
 *                      it is not
 *      RSB_CUT_NOT     calls that are not done, but said to be
 *      RSB_CUT_COUNT   a file that is told at the end how many calls there were
 *
 * The kernel is restarted at once: nothing of what it has in memory is written.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static struct {
        const char *call, *path, *not_done;
        unsigned long number;
        bool after;
} cut;
static int restart = -1;

/* Held during a call: those of other threads come before or after it. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static unsigned long calls, matches;

static const char *variable(const char *name)
{
        const char *value = getenv(name);

        return value ? value : "";
}

__attribute__((constructor)) static void begin(void)
{
        cut.call = variable("RSB_CUT_CALL");
        cut.path = variable("RSB_CUT_PATH");
        cut.not_done = variable("RSB_CUT_NOT");
        cut.number = strtoul(variable("RSB_CUT_NUMBER"), NULL, 10);
        cut.after = strcmp(variable("RSB_CUT_SIDE"), "after") == 0;
        restart = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
        if (restart < 0)
                abort();
}

__attribute__((destructor)) static void end(void)
{
        const char *path = getenv("RSB_CUT_COUNT");
        FILE *file = path ? fopen(path, "we") : NULL;

        if (file) {
                fprintf(file, "%lu\n", calls);
                fclose(file);
        }
}

static void cut_power(void)
{
        const char *path = getenv("RSB_CUT_COMMIT");
        int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;

        if (path && (fd < 0 || syscall(SYS_write, fd, ".", 1L) != 1 || syscall(SYS_fsync, fd) < 0))
                abort();
        if (syscall(SYS_write, restart, "b", 1L) != 1)
                abort();
        pause();
}

/* The path that a descriptor has, and a name behind it; both may be missing. */
static void add_path(char path[2 * PATH_MAX], int fd, const char *name)
{
        size_t at = strlen(path), room = 2 * PATH_MAX - at;
        char link[40];
        ssize_t n = 0;

        if (fd >= 0) {
                snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
                n = readlink(link, path + at, room - 1);
        }
        path[at + (n > 0 ? (size_t)n : 0)] = '\0';
        if (name)
                snprintf(path + strlen(path), 2 * PATH_MAX - strlen(path), "%s%s", fd >= 0 ? "/" : "", name);
}

static bool path_matches(const char *path)
{
        size_t size = strlen(cut.path), length = strlen(path);

        if (size == 0 || cut.path[size - 1] != '$')
                return strstr(path, cut.path) != NULL;
        size--;
        return length >= size && strncmp(path + length - size, cut.path, size) == 0;
}

struct at {
        int fd;
        const char *name;
};

static bool is_the_one(const char *call, struct at from, struct at to)
{
        char path[2 * PATH_MAX] = "";

        calls++;
        if (strcmp(cut.call, "any") != 0 && strcmp(cut.call, call) != 0)
                return false;
        if (cut.path[0]) {
                add_path(path, from.fd, from.name);
                if (to.name)
                        add_path(path, to.fd, to.name);
                if (!path_matches(path))
                        return false;
        }
        return ++matches == cut.number;
}

static bool is_skipped(const char *call)
{
        const char *found = strstr(cut.not_done, call);
        char next = found ? found[strlen(call)] : 'x';

        return found && (next == '\0' || next == ' ');
}

/* With the turn: before the call, and after it. */
static bool enter(const char *call, struct at from, struct at to)
{
        bool hit;

        pthread_mutex_lock(&turn);
        hit = is_the_one(call, from, to);
        if (hit && !cut.after)
                cut_power();
        return hit;
}

static void leave(bool hit)
{
        int code = errno;

        if (hit)
                cut_power();
        pthread_mutex_unlock(&turn);
        errno = code;
}

#define NOWHERE ((struct at){ .fd = -1 })
#define AT(fd_, name_) ((struct at){ .fd = (fd_), .name = (name_) })

/* A call that is done by the C library's function of that name, between enter() and leave(). */
#define WRAP(type, call, parameters, arguments, from, to)          \
        type call parameters                                       \
        {                                                          \
                static type(*real) parameters;                     \
                bool hit = enter(#call, from, to);                 \
                type r = 0;                                        \
                                                                   \
                if (!real)                                         \
                        *(void **)&real = dlsym(RTLD_NEXT, #call); \
                if (!is_skipped(#call))                            \
                        r = real arguments;                        \
                leave(hit);                                        \
                return r;                                          \
        }

WRAP(int, mkdirat, (int fd, const char *name, mode_t mode), (fd, name, mode), AT(fd, name), NOWHERE)
WRAP(int, mknodat, (int fd, const char *name, mode_t mode, dev_t dev), (fd, name, mode, dev), AT(fd, name), NOWHERE)
WRAP(int, symlinkat, (const char *target, int fd, const char *name), (target, fd, name), AT(fd, name), NOWHERE)
WRAP(int, linkat, (int from, const char *old, int to, const char *name, int flags), (from, old, to, name, flags),
     AT(from, old), AT(to, name))
WRAP(int, unlinkat, (int fd, const char *name, int flags), (fd, name, flags), AT(fd, name), NOWHERE)
WRAP(int, renameat, (int from, const char *old, int to, const char *name), (from, old, to, name), AT(from, old),
     AT(to, name))
WRAP(int, renameat2, (int from, const char *old, int to, const char *name, unsigned int flags),
     (from, old, to, name, flags), AT(from, old), AT(to, name))
WRAP(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size), AT(fd, NULL), NOWHERE)
WRAP(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t offset), (fd, data, size, offset), AT(fd, NULL),
     NOWHERE)
WRAP(int, ftruncate64, (int fd, off64_t size), (fd, size), AT(fd, NULL), NOWHERE)
WRAP(int, fchmod, (int fd, mode_t mode), (fd, mode), AT(fd, NULL), NOWHERE)
WRAP(int, fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid), AT(fd, NULL), NOWHERE)
WRAP(int, futimens, (int fd, const struct timespec times[2]), (fd, times), AT(fd, NULL), NOWHERE)
WRAP(int, utimensat, (int fd, const char *name, const struct timespec times[2], int flags), (fd, name, times, flags),
     AT(fd, name), NOWHERE)
WRAP(int, fsetxattr, (int fd, const char *name, const void *value, size_t size, int flags),
     (fd, name, value, size, flags), AT(fd, NULL), NOWHERE)
WRAP(int, mount, (const char *what, const char *where, const char *type, unsigned long flags, const void *data),
     (what, where, type, flags, data), AT(-1, where), NOWHERE)
WRAP(int, umount, (const char *where), (where), AT(-1, where), NOWHERE)
WRAP(int, fsync, (int fd), (fd), AT(fd, NULL), NOWHERE)
WRAP(int, syncfs, (int fd), (fd), AT(fd, NULL), NOWHERE)

/* Not a macro's: it takes any number of arguments, and what it does depends on the second. */
int ioctl(int fd, unsigned long request, ...)
{
        static int (*real)(int fd, unsigned long request, ...);
        char call[32];
        void *argument;
        va_list rest;
        bool hit;
        int r;

        va_start(rest, request);
        argument = va_arg(rest, void *);
        va_end(rest);
        /* By the kind of it and its number: ioctl-94-23 is BTRFS_IOC_SNAP_CREATE_V2. */
        snprintf(call, sizeof(call), "ioctl-%02lx-%lu", _IOC_TYPE(request), _IOC_NR(request));
        if (!real)
                *(void **)&real = dlsym(RTLD_NEXT, "ioctl");
        hit = enter(call, AT(fd, NULL), NOWHERE);
        r = real(fd, request, argument);
        leave(hit);
        return r;
}
