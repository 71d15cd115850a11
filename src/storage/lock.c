/* The content (a process id) is for the message only: the lock is the kernel's, a file left behind means nothing. */
#include "storage/lock.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/mount.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

static int read_holder(int fd)
{
        char text[16] = "";
        char *end;
        long pid;

        if (fd_pread_full(fd, text, sizeof(text) - 1, 0) <= 0)
                return 0;
        pid = strtol(text, &end, 10);
        return pid > 0 && pid <= INT32_MAX && *end == '\n' ? (int)pid : 0;
}

static int fail_busy(int fd, struct err *err)
{
        int pid = read_holder(fd);

        if (pid > 0)
                err_runf(err, -EWOULDBLOCK, "another run on this destination is under way (process %d)", pid);
        else
                err_runf(err, -EWOULDBLOCK, "another run on this destination is under way");
        return err_hint(err, "wait for it to end");
}

static void write_holder(int fd)
{
        char text[16];
        int size = snprintf(text, sizeof(text), "%d\n", (int)getpid());

        /* A name that is missing or old makes a worse message and nothing else. */
        if (ftruncate(fd, 0) == 0)
                (void)fd_pwrite_full(fd, text, (size_t)size, 0);
}

int lock_open_file(int dirfd, const char *name, bool create)
{
        int flags = O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
        _cleanup_(fd_closep) int fd = -1;
        struct stat st;

        fd = openat(dirfd, name, flags | (create ? O_RDWR | O_CREAT : O_RDONLY), 0600);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        /* Another user's file could be locked by him for ever, or be linked to something that must not be written. */
        if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || (st.st_uid != geteuid() && st.st_uid != 0))
                return -EPERM;
        return TAKE_FD(fd);
}

int lock_take(int dirfd, const char *name, bool create, struct err *err)
{
        _cleanup_(fd_closep) int fd = lock_open_file(dirfd, name, create);

        if (fd == -ENOENT && !create)
                return TAKE_FD(fd);
        if (fd < 0)
                return err_run(err, fd, "open the lock file", name);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? fail_busy(fd, err) : err_run(err, -errno, "lock", name);
        if (create)
                write_holder(fd);
        return TAKE_FD(fd);
}

/* Is the line of a lock of flock(2) on that inode, and not of one who waits for it? See proc_locks(5). */
static bool is_of(char *line, dev_t device, ino_t ino)
{
        enum { KIND = 1, PLACE = 5, FIELDS = 6 };
        char *fields[FIELDS], *number;
        size_t n = 0;
        dev_t found;

        while (n < FIELDS && (fields[n] = strsep(&line, " \n")))
                n += *fields[n] != '\0';
        if (n < FIELDS || !str_equal(fields[KIND], "FLOCK"))
                return false;
        number = strrchr(fields[PLACE], ':');
        return number && mount_parse_device(&found, fields[PLACE], 16) && found == device &&
               strtoull(number + 1, NULL, 10) == ino;
}

bool lock_is_held(int dirfd, const char *name)
{
        _cleanup_(fd_closep) int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        _cleanup_(mount_deinit) struct mount mount = { .line = NULL };
        _cleanup_(freep) char *line = NULL;
        bool found = false;
        size_t size = 0;
        struct stat st;
        FILE *locks;

        if (fd < 0 || fstat(fd, &st) < 0)
                return false;
        locks = fopen("/proc/locks", "re");
        if (!locks)
                return false;
        /* On btrfs files have another device than their filesystem. */
        if (mount_find(&mount, fd))
                st.st_dev = mount.device;
        while (!found && getline(&line, &size, locks) > 0)
                found = is_of(line, st.st_dev, st.st_ino);
        fclose(locks);
        return found;
}

/* FNV-1a, 64 bit (http://www.isthe.com/chongo/tech/comp/fnv): a file name for any key. */
static uint64_t hash(const char *text)
{
        uint64_t h = 0xcbf29ce484222325ULL;

        for (; *text; text++)
                h = (h ^ (unsigned char)*text) * 0x100000001b3ULL;
        return h;
}

void lock_name(char out[LOCK_NAME_SIZE], const char *kind, const char *key, const char *suffix)
{
        snprintf(out, LOCK_NAME_SIZE, "%s-%016" PRIx64 "%s", kind, hash(key), suffix);
}

int lock_open_runtime_directory(void)
{
        const char *above = geteuid() == 0 ? "/run" : getenv("XDG_RUNTIME_DIR");
        _cleanup_(fd_closep) int parent = -1, fd = -1;
        struct stat st;

        if (!above || !*above)
                return -ENOENT;
        parent = open(above, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (parent < 0)
                return -errno;
        if (mkdirat(parent, "rsync-system-backup", 0700) < 0 && errno != EEXIST)
                return -errno;
        fd = fd_open_at(parent, "rsync-system-backup", O_DIRECTORY);
        if (fd < 0)
                return TAKE_FD(fd);
        if (fstat(fd, &st) < 0)
                return -errno;
        return st.st_uid == geteuid() && (st.st_mode & 022) == 0 ? TAKE_FD(fd) : -EPERM;
}

int lock_take_machine(const char *key, struct err *err)
{
        _cleanup_(fd_closep) int dirfd = lock_open_runtime_directory();
        char name[LOCK_NAME_SIZE];

        /* No place that is ours alone: the lock beside the destination must do. */
        if (dirfd < 0)
                return -1;
        lock_name(name, "destination", key, ".lock");
        return lock_take(dirfd, name, true, err);
}
