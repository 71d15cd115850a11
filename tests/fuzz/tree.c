#include "tree.h"

#include "base/fd.h"
#include "base/temporary.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <xxhash.h>

enum { BIG = 80 * 1024, OLD = 1000 };

static char base[PATH_MAX];
static int base_fd = -1, outside_fd = -1;
static uint64_t outside_before;

static void must(bool is_so)
{
        if (!is_so)
                abort();
}

/* ---- making ---- */

static void set_time(int dirfd, const char *name)
{
        const struct timespec times[2] = { { .tv_sec = OLD }, { .tv_sec = OLD } };

        must(utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) == 0);
}

static void make_file(int dirfd, const char *name, const void *data, size_t size, mode_t mode)
{
        _cleanup_(fd_closep) int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

        must(fd >= 0 && fd_write_full(fd, data, size) == 0 && fchmod(fd, mode) == 0);
        set_time(dirfd, name);
}

static int make_directory(int dirfd, const char *name)
{
        int fd;

        must(mkdirat(dirfd, name, 0755) == 0);
        fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        must(fd >= 0);
        return fd;
}

static const void *big_content(void)
{
        static unsigned char data[BIG];
        uint32_t state = 1;

        for (size_t i = 0; data[1] == 0 && i < sizeof(data); i++) {
                state = state * 1664525 + 1013904223;
                data[i] = (unsigned char)(state >> 24 | 1);
        }
        return data;
}

static void make_below(int dirfd)
{
        _cleanup_(fd_closep) int sub = -1;

        make_file(dirfd, "a", "a", 1, 0644);
        make_file(dirfd, "b", "b", 1, 0600);
        sub = make_directory(dirfd, "sub");
        make_file(sub, "x", "x", 1, 0644);
        set_time(dirfd, "sub");
}

void tree_make(struct tree *t)
{
        _cleanup_(fd_closep) int dir = -1;

        t->base_fd = base_fd;
        t->partial_fd = make_directory(base_fd, "partial");
        t->to_fd = make_directory(base_fd, "to");
        dir = make_directory(t->to_fd, "dir");
        make_below(dir);
        set_time(t->to_fd, "dir");
        make_file(t->to_fd, "big", big_content(), BIG, 0644);
        make_file(t->to_fd, "file", "old", 3, 0644);
        make_file(t->to_fd, "power", "old", 3, 04755);
        make_file(t->to_fd, "hard1", "hard", 4, 0644);
        must(linkat(t->to_fd, "hard1", t->to_fd, "hard2", 0) == 0);
        must(mkfifoat(t->to_fd, "fifo", 0644) == 0);
        set_time(t->to_fd, "fifo");
        must(symlinkat("../outside", t->to_fd, "symlink") == 0);
        must(symlinkat("../outside/file", t->to_fd, "symlink2") == 0);
        set_time(t->to_fd, "symlink");
        must(mkdirat(t->to_fd, "void", 0755) == 0);
        set_time(t->to_fd, "void");
        set_time(t->to_fd, ".");
}

void tree_init(void)
{
        const char *above = getenv("TMPDIR");

        above = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : above ? above : "/tmp";
        snprintf(base, sizeof(base), "%s/rsync-system-backup-fuzz-XXXXXX", above);
        must(mkdtemp(base) != NULL);
        base_fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        must(base_fd >= 0);
        outside_fd = make_directory(base_fd, "outside");
        make_file(outside_fd, "file", "not yours", 9, 0644);
        make_file(outside_fd, "big", big_content(), BIG, 0644);
        make_below(outside_fd);
        outside_before = tree_fingerprint(base_fd);
}

/* ---- removing ---- */

static void empty(int dirfd)
{
        DIR *dir = fdopendir(dup(dirfd));

        must(dir != NULL);
        rewinddir(dir);
        for (struct dirent *d; (d = readdir(dir));) {
                int fd;

                if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
                        continue;
                if (unlinkat(dirfd, d->d_name, 0) == 0)
                        continue;
                (void)fchmodat(dirfd, d->d_name, 0700, 0);
                fd = openat(dirfd, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                must(fd >= 0);
                empty(fd);
                close(fd);
                must(unlinkat(dirfd, d->d_name, AT_REMOVEDIR) == 0);
        }
        closedir(dir);
}

void tree_remove(struct tree *t)
{
        (void)fchmod(t->to_fd, 0700);
        empty(t->to_fd);
        empty(t->partial_fd);
        close(t->to_fd);
        close(t->partial_fd);
        must(unlinkat(base_fd, "to", AT_REMOVEDIR) == 0 && unlinkat(base_fd, "partial", AT_REMOVEDIR) == 0);
}

/* ---- looking ---- */

struct facts {
        XXH64_hash_t name;
        uint64_t ino, mode, uid, gid, nlink, size, rdev;
        struct timespec mtime, ctime;
};

static void each(int dirfd, void (*see)(void *context, int dirfd, const char *name, const struct stat *st),
                 void *context)
{
        DIR *dir = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        struct stat st;

        must(dir != NULL);
        for (struct dirent *d; (d = readdir(dir));) {
                int fd;

                if (strcmp(d->d_name, "..") == 0)
                        continue;
                must(fstatat(dirfd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0);
                see(context, dirfd, d->d_name, &st);
                if (!S_ISDIR(st.st_mode) || strcmp(d->d_name, ".") == 0)
                        continue;
                fd = openat(dirfd, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (fd < 0)
                        continue;
                each(fd, see, context);
                close(fd);
        }
        closedir(dir);
}

/* The order does not matter. */
static void add(void *context, int dirfd, const char *name, const struct stat *st)
{
        struct facts f;

        (void)dirfd;
        memset(&f, 0, sizeof(f));
        f.name = XXH3_64bits(name, strlen(name));
        f.ino = st->st_ino;
        f.mode = st->st_mode;
        f.uid = st->st_uid;
        f.gid = st->st_gid;
        f.nlink = st->st_nlink;
        f.size = (uint64_t)st->st_size;
        f.rdev = st->st_rdev;
        f.mtime = st->st_mtim;
        f.ctime = st->st_ctim;
        *(uint64_t *)context += XXH3_64bits(&f, sizeof(f));
}

uint64_t tree_fingerprint(int dirfd)
{
        uint64_t sum = 0;

        if (dirfd == base_fd) /* which changes when the tree is made */
                dirfd = outside_fd;
        each(dirfd, add, &sum);
        return sum;
}

static void refuse_temporary(void *context, int dirfd, const char *name, const struct stat *st)
{
        (void)context;
        (void)dirfd;
        must(S_ISDIR(st->st_mode) || !temporary_is(name));
}

void tree_check(const struct tree *t)
{
        static const char *const beside[] = { ".", "..", "outside", "partial", "to" };
        DIR *dir = fdopendir(openat(base_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));

        must(dir != NULL);
        for (struct dirent *d; (d = readdir(dir));) {
                bool is_known = false;

                for (size_t i = 0; i < ARRAY_SIZE(beside); i++)
                        is_known = is_known || strcmp(d->d_name, beside[i]) == 0;
                must(is_known);
        }
        closedir(dir);
        must(tree_fingerprint(base_fd) == outside_before);
        each(t->to_fd, refuse_temporary, NULL);
}
