/*
 * bare copy|remove SOURCE TARGET THREADS: what the kernel alone takes. `copy` makes the directories and regular files
 * of SOURCE in TARGET with content, mode and mtime, and nothing else: no owners, attributes, hard links, symlinks, no
 * look at what is there, no order of directories' times; then a sync. `remove` unlinks all of TARGET, which must be
 * like SOURCE. What a program for backups does can only take longer. The list of directories is made beforehand, from
 * SOURCE.
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char **directories; /* relative to both roots, parents first */
static size_t count;
static atomic_size_t next;
static size_t root_length;
static int source_root, target_root;
static bool is_removal;

static int note_directory(const char *path, const struct stat *st, int kind, struct FTW *place)
{
        (void)st;
        (void)place;
        if (kind != FTW_D)
                return 0;
        directories = reallocarray(directories, count + 1, sizeof(*directories));
        directories[count++] = strdup(path[root_length] ? path + root_length + 1 : ".");
        return 0;
}

static void copy_file(int from, int to, const char *name)
{
        static _Thread_local char data[256 * 1024];
        int source = openat(from, name, O_RDONLY | O_NOFOLLOW), target;
        struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
        struct stat st;
        ssize_t n;

        if (source < 0 || fstat(source, &st) < 0)
                err(1, "%s", name);
        target = openat(to, name, O_WRONLY | O_CREAT | O_EXCL, st.st_mode & 07777);
        while ((n = read(source, data, sizeof(data))) > 0) {
                if (write(target, data, (size_t)n) != n)
                        err(1, "%s", name);
                if (n < (ssize_t)sizeof(data))
                        break;
        }
        times[1] = st.st_mtim;
        if (target < 0 || futimens(target, times) < 0)
                err(1, "%s", name);
        close(source);
        close(target);
}

static void visit(const char *path)
{
        int to = openat(target_root, path, O_RDONLY | O_DIRECTORY);
        int from = openat(is_removal ? target_root : source_root, path, O_RDONLY | O_DIRECTORY);
        DIR *dir = fdopendir(from);
        struct dirent *d;

        if (!dir || to < 0)
                err(1, "%s", path);
        while ((d = readdir(dir))) {
                if (is_removal && d->d_type != DT_DIR)
                        unlinkat(to, d->d_name, 0);
                else if (!is_removal && d->d_type == DT_REG)
                        copy_file(from, to, d->d_name);
        }
        closedir(dir);
        close(to);
}

static void *work(void *unused)
{
        for (size_t i; (i = atomic_fetch_add(&next, 1)) < count;)
                visit(directories[i]);
        return unused;
}

int main(int argc, char **argv)
{
        int threads = argc == 5 ? atoi(argv[4]) : 0;
        pthread_t ids[64];

        if (threads < 1 || threads > 64)
                errx(2, "usage: bare copy|remove SOURCE TARGET THREADS");
        is_removal = strcmp(argv[1], "remove") == 0;
        root_length = strlen(argv[2]);
        umask(0);
        if (nftw(argv[2], note_directory, 64, FTW_PHYS) < 0 || (!is_removal && mkdir(argv[3], 0755) < 0))
                err(1, "%s", argv[2]);
        source_root = open(argv[2], O_RDONLY | O_DIRECTORY);
        target_root = open(argv[3], O_RDONLY | O_DIRECTORY);
        for (size_t i = 1; i < count && !is_removal; i++)
                mkdirat(target_root, directories[i], 0755);
        for (int i = 0; i < threads; i++)
                pthread_create(&ids[i], NULL, work, NULL);
        for (int i = 0; i < threads; i++)
                pthread_join(ids[i], NULL);
        for (size_t i = count; is_removal && i-- > 1;)
                unlinkat(target_root, directories[i], AT_REMOVEDIR);
        if (is_removal)
                rmdir(argv[3]);
        else
                syncfs(target_root);
        return 0;
}
