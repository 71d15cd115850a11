/* The gate makes "am I the last one?" and what follows from it one step; nobody but its holder locks `users` alone. */
#include "storage/share.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/stop.h"
#include "storage/lock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>

enum { GATE_POLL_MS = 100 };

void share_init(struct share *s)
{
        *s = (struct share){ .gate_fd = -1, .users_fd = -1 };
}

void share_deinit(struct share *s)
{
        fd_close(s->users_fd);
        fd_close(s->gate_fd);
        share_init(s);
}

/* There is no waiting for a lock and a signalfd at once, and whoever is at the gate is soon through. */
static int wait_at_gate(const struct share *s, bool may_stop, struct err *err)
{
        bool told = false;
        int r;

        while (flock(s->gate_fd, LOCK_EX | LOCK_NB) < 0) {
                struct pollfd signals = { .fd = stop_fd(), .events = POLLIN };

                if (errno != EWOULDBLOCK && errno != EINTR)
                        return err_run(err, -errno, "lock the disk's record", NULL);
                if (!told)
                        log_info("waiting for another run that unlocks, mounts or gives back the same disk");
                told = true;
                (void)poll(&signals, may_stop ? 1 : 0, GATE_POLL_MS);
                r = may_stop ? stop_check(err) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_note(struct share *s, struct err *err)
{
        ssize_t n = fd_pread_full(s->users_fd, s->note, sizeof(s->note) - 1, 0);

        if (n < 0)
                return err_run(err, (int)n, "read the disk's record", NULL);
        s->note[n] = '\0';
        return 0;
}

int share_join(struct share *s, const char *kind, const char *key, struct err *err)
{
        _cleanup_(fd_closep) int dirfd = lock_open_runtime_directory();
        char name[LOCK_NAME_SIZE];
        int r;

        if (dirfd < 0)
                return 0;
        lock_name(name, kind, key, ".gate");
        s->gate_fd = lock_open_file(dirfd, name, true);
        if (s->gate_fd < 0)
                return err_run(err, s->gate_fd, "open the lock file", name);
        r = wait_at_gate(s, true, err);
        if (r < 0)
                return r;
        lock_name(name, kind, key, ".users");
        s->users_fd = lock_open_file(dirfd, name, true);
        if (s->users_fd < 0)
                return err_run(err, s->users_fd, "open the lock file", name);
        if (flock(s->users_fd, LOCK_SH | LOCK_NB) < 0)
                return err_run(err, -errno, "lock", name);
        return read_note(s, err);
}

int share_write_note(struct share *s, const char *note, struct err *err)
{
        int r = 0;

        snprintf(s->note, sizeof(s->note), "%s", note);
        if (s->users_fd < 0)
                return 0;
        if (ftruncate(s->users_fd, 0) < 0)
                r = -errno;
        if (r == 0)
                r = fd_pwrite_full(s->users_fd, s->note, strlen(s->note), 0);
        return r < 0 ? err_run(err, r, "write the disk's record", NULL) : 0;
}

void share_open_gate(struct share *s)
{
        if (s->gate_fd >= 0)
                (void)flock(s->gate_fd, LOCK_UN);
}

int share_leave(struct share *s, struct err *err)
{
        int r;

        if (s->gate_fd < 0 || s->users_fd < 0)
                return 1;
        r = wait_at_gate(s, false, err);
        if (r < 0)
                return r;
        if (flock(s->users_fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? 0 : err_run(err, -errno, "lock the disk's record", NULL);
        r = read_note(s, err);
        return r < 0 ? r : 1;
}
