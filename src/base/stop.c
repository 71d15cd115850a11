/* One flag, set by the main thread when its signalfd has something to tell. Whatever else would end us without a chance
 * to clean up is a wish to end as well. */
#include "base/stop.h"

#include "base/err.h"
#include "base/fd.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/signalfd.h>
#include <time.h>

enum { NAP_MS = 200, BY_OURSELVES = -1 };

static int signal_fd = -1;
static atomic_int requested_by; /* a signal, or BY_OURSELVES */
static const char *_Atomic requested_for;
static _Thread_local bool is_main_thread;

int stop_init(struct err *err)
{
        static const int wanted[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2, SIGXCPU };
        struct sigaction action;
        sigset_t signals;

        sigemptyset(&signals);
        for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
                /* What our parent had us ignore stays ignored: nohup(1), or a background job of a plain shell. */
                if (sigaction(wanted[i], NULL, &action) < 0 || action.sa_handler != SIG_IGN)
                        sigaddset(&signals, wanted[i]);
        }
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
                return err_run(err, -errno, "block signals", NULL);
        signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
        if (signal_fd < 0)
                return err_run(err, -errno, "listen for signals", NULL);
        /* A reader that went away is reported by write(), not by death in the middle of a snapshot. */
        signal(SIGPIPE, SIG_IGN);
        /* Likewise a limit on the size of files: that is an error of one file. */
        signal(SIGXFSZ, SIG_IGN);
        is_main_thread = true;
        return 0;
}

void stop_deinit(void)
{
        signal_fd = fd_close(signal_fd);
}

int stop_fd(void)
{
        return signal_fd;
}

void stop_poll(void)
{
        struct signalfd_siginfo info;

        while (signal_fd >= 0 && read(signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
                int none = 0;

                atomic_compare_exchange_strong(&requested_by, &none, (int)info.ssi_signo);
        }
}

bool stop_requested(void)
{
        return atomic_load_explicit(&requested_by, memory_order_relaxed) != 0;
}

void stop_request(const char *who)
{
        int none = 0;

        /* Who reads that it is requested also reads for whom. */
        if (!stop_requested())
                atomic_store(&requested_for, who);
        atomic_compare_exchange_strong(&requested_by, &none, BY_OURSELVES);
}

int stop_signal(void)
{
        int by = atomic_load(&requested_by);

        return by == BY_OURSELVES ? 0 : by;
}

int stop_check(struct err *err)
{
        if (is_main_thread)
                stop_poll();
        if (!stop_requested())
                return 0;
        if (stop_signal() == 0)
                return err_runf(err, -ECANCELED, "stopped by %s", atomic_load(&requested_for));
        return err_runf(err, -ECANCELED, "stopped by signal %s", sigabbrev_np(stop_signal()));
}

/* ---- waiting ---- */

uint64_t stop_now_us(void)
{
        struct timespec now = { .tv_sec = 0 };

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t stop_deadline_us(unsigned timeout_s)
{
        return timeout_s > 0 ? stop_now_us() + (uint64_t)timeout_s * 1000000 : 0;
}

/* Rounded up, or it would be asked again and again in the last millisecond. */
int stop_left_ms(uint64_t deadline_us)
{
        uint64_t now = stop_now_us(), left;

        if (deadline_us == 0)
                return -1;
        left = deadline_us > now ? (deadline_us - now + 999) / 1000 : 0;
        return left < INT_MAX ? (int)left : INT_MAX;
}

int stop_wait_for(int fd, short events, uint64_t deadline_us, struct err *err)
{
        /* What arrived in the signalfd is for the main thread to take: others would only see it again and again. */
        struct pollfd watched[] = { { .fd = fd, .events = events },
                                    { .fd = is_main_thread ? signal_fd : -1, .events = POLLIN } };

        for (;;) {
                int left = stop_left_ms(deadline_us), r = stop_check(err), nap = left;

                if (r < 0)
                        return r;
                if (!is_main_thread && (left < 0 || left > NAP_MS))
                        nap = NAP_MS;
                if (poll(watched, ARRAY_SIZE(watched), nap) < 0 && errno != EINTR)
                        return err_run(err, -errno, "wait", NULL);
                r = stop_check(err);
                if (r < 0)
                        return r;
                if (watched[0].revents)
                        return STOP_WAIT_READY;
                if (left == 0)
                        return STOP_WAIT_TIMED_OUT;
        }
}

int stop_wait(int fd, uint64_t deadline_us, struct err *err)
{
        return stop_wait_for(fd, POLLIN, deadline_us, err);
}
