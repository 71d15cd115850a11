#include "local/local_marks.h"

#include "base/fd.h"
#include "local/local_place.h"
#include "rotate/names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

enum { NONE = -1, MARK_SIZE = NAME_MAX + 1 };

int local_marks_open(const struct local_place *p)
{
        int fd = p->state_fd < 0 ? -ENOENT : fd_open_at(p->state_fd, LOCAL_MARKS, O_DIRECTORY);

        return fd == -ENOENT ? NONE : fd;
}

static void name_mark(const char *name, bool complete, char ret[MARK_SIZE])
{
        snprintf(ret, MARK_SIZE, "%s%s", name, complete ? "" : LOCAL_MARKS_INCOMPLETE);
}

static bool exists(int marks, const char *name, bool complete)
{
        char mark[MARK_SIZE];
        struct stat st;

        name_mark(name, complete, mark);
        return fstatat(marks, mark, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

enum local_mark local_marks_look(int marks, const char *name)
{
        if (marks < 0)
                return LOCAL_MARK_COMPLETE;
        if (exists(marks, name, true))
                return LOCAL_MARK_COMPLETE;
        return exists(marks, name, false) ? LOCAL_MARK_INCOMPLETE : LOCAL_MARK_MISSING;
}

int local_marks_set(const struct local_place *p, const char *name, bool complete)
{
        _cleanup_(fd_closep) int marks = local_marks_open(p), fd = -1;
        char mark[MARK_SIZE];

        if (marks < 0)
                return marks == NONE ? 0 : marks;
        name_mark(name, complete, mark);
        fd = openat(marks, mark, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        return fd_sync_directory(marks);
}

void local_marks_drop(const struct local_place *p, const char *name)
{
        _cleanup_(fd_closep) int marks = local_marks_open(p);
        char mark[MARK_SIZE];

        for (int complete = 0; complete < 2 && marks >= 0; complete++) {
                name_mark(name, complete, mark);
                (void)unlinkat(marks, mark, 0);
        }
}

/* Of the mark @mark; false when it is about none: one that was begun, whose they are. */
static bool name_snapshot(const char *mark, char ret[MARK_SIZE])
{
        size_t length = strlen(mark), ending = strlen(LOCAL_MARKS_INCOMPLETE);
        int64_t time;

        snprintf(ret, MARK_SIZE, "%s", mark);
        if (length > ending && str_equal(mark + length - ending, LOCAL_MARKS_INCOMPLETE))
                ret[length - ending] = '\0';
        return names_parse(ret, &time);
}

void local_marks_sweep(const struct local_place *p)
{
        int fd = local_marks_open(p);
        DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        struct dirent *d;

        if (!dir)
                fd_close(fd);
        while (dir && (d = readdir(dir))) {
                char name[MARK_SIZE];
                struct stat st;

                if (name_snapshot(d->d_name, name) && fstatat(p->parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 &&
                    errno == ENOENT)
                        (void)unlinkat(dirfd(dir), d->d_name, 0);
        }
        if (dir)
                closedir(dir);
}
