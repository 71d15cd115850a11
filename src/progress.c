/*
 * Each tick reads the report's counters. What is left is estimated from entries, with the number that the last run saw:
 * not before some seconds have passed, since the first directories say little.
 */
#include "progress.h"

#include "base/log.h"
#include "base/report.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>

enum { ESTIMATE_AFTER = 5, COLUMNS_MAX = 400, LEFT_SIZE = 64, MOVED_SIZE = 96 };

struct progress {
        const struct report *report;
        enum progress_step step;
        uint64_t expected;
        double started;
        uint64_t entries_before, bytes_before; /* counters when the step began */
        struct progress_listener listener;
};

double progress_now(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int progress_new(struct progress **ret, const struct report *report)
{
        struct progress *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        p->report = report;
        *ret = p;
        return 0;
}

struct progress *progress_free(struct progress *p)
{
        free(p);
        return NULL;
}

static uint64_t entries(const struct progress *p)
{
        static const enum report_count counts[] = {
                [PROGRESS_TRANSFER] = REPORT_ENTRIES,
                [PROGRESS_SNAPSHOT] = REPORT_SNAPSHOT,
                [PROGRESS_REMOVE] = REPORT_REMOVED,
                [PROGRESS_SYNC] = REPORT_ENTRIES,
                [PROGRESS_SURVEY] = REPORT_SURVEYED,
        };

        return report_get(p->report, counts[p->step]) - p->entries_before;
}

static uint64_t bytes(const struct progress *p)
{
        return report_get(p->report, REPORT_COPIED_BYTES) + report_get(p->report, REPORT_COMPARED_BYTES) -
               p->bytes_before;
}

void progress_begin(struct progress *p, enum progress_step step, uint64_t expected)
{
        p->step = step;
        p->expected = expected;
        p->started = progress_now();
        p->entries_before = p->bytes_before = 0;
        p->entries_before = entries(p);
        p->bytes_before = bytes(p);
        if (p->listener.step)
                p->listener.step(p->listener.context, (int)step, expected);
        progress_tick(p);
}

static size_t terminal_columns(void)
{
        struct winsize size;

        if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
                return 80;
        return size_min(size.ws_col, COLUMNS_MAX);
}

/* " (45 %)", and ", 0:12 left" once that can be told. */
static void estimate(const struct progress *p, double elapsed, uint64_t done, char percent[PROGRESS_TEXT_SIZE],
                     char left[LEFT_SIZE])
{
        char duration[PROGRESS_TEXT_SIZE];
        double part;

        *percent = *left = '\0';
        if (p->expected == 0 || done >= p->expected)
                return;
        part = (double)done / (double)p->expected;
        snprintf(percent, PROGRESS_TEXT_SIZE, " (%.0f %%)", part * 100);
        if (elapsed >= ESTIMATE_AFTER && part >= 0.01)
                snprintf(left, LEFT_SIZE, ", %s left", progress_duration(elapsed * (1 - part) / part, duration));
}

/* ", 1.2 GiB at 80.0 MiB/s", when anything was read at all. */
static void describe_bytes(uint64_t moved, double elapsed, char out[MOVED_SIZE])
{
        char amount[PROGRESS_TEXT_SIZE], rate[PROGRESS_TEXT_SIZE];

        *out = '\0';
        if (moved > 0 && elapsed > 0)
                snprintf(out, MOVED_SIZE, ", %s at %s/s", progress_bytes(moved, amount),
                         progress_bytes((uint64_t)((double)moved / elapsed), rate));
}

void progress_describe(const struct progress *p, char *out, size_t size)
{
        static const char *const names[] = {
                [PROGRESS_TRANSFER] = "transfer",
                [PROGRESS_SNAPSHOT] = "snapshot",
                [PROGRESS_REMOVE] = "removing what is not preserved",
                [PROGRESS_SURVEY] = "measuring snapshots",
        };
        char count[PROGRESS_TEXT_SIZE], percent[PROGRESS_TEXT_SIZE], left[LEFT_SIZE], moved[MOVED_SIZE] = "";
        double elapsed = progress_now() - p->started;
        uint64_t done = entries(p);

        if (p->step == PROGRESS_SYNC) {
                snprintf(out, size, "waiting for the disk to have written everything");
                return;
        }
        estimate(p, elapsed, done, percent, left);
        if (p->step == PROGRESS_TRANSFER)
                describe_bytes(bytes(p), elapsed, moved);
        snprintf(out, size, "%s: %s%s%s%s", names[p->step], progress_entries(done, count), percent, moved, left);
}

void progress_tick(void *progress)
{
        const struct progress *p = progress;
        char line[COLUMNS_MAX + 1];

        if (p->listener.tick)
                p->listener.tick(p->listener.context);
        progress_describe(p, line, sizeof(line));
        /* The last column stays free: some terminals go to the next line after writing it. */
        line[terminal_columns() - 1] = '\0';
        log_status(line);
}

void progress_end(struct progress *p)
{
        p->expected = 0;
        log_status(NULL);
        if (p->listener.step)
                p->listener.step(p->listener.context, -1, 0);
}

void progress_listen(struct progress *p, const struct progress_listener *listener)
{
        p->listener = *listener;
}

/* ---- beside the main thread ---- */

struct errand {
        int (*work)(void *context);
        void *context;
        int result;
};

static void *do_errand(void *errand)
{
        struct errand *e = errand;

        e->result = e->work(e->context);
        return NULL;
}

int progress_during(struct progress *p, int (*work)(void *context), void *context)
{
        enum { NAP_NS = 200000000, NS = 1000000000 };
        struct errand e = { .work = work, .context = context };
        struct timespec until;
        pthread_t thread;
        int r;

        if (!p->listener.tick)
                return work(context);
        if (pthread_create(&thread, NULL, do_errand, &e) != 0)
                return work(context);
        do {
                progress_tick(p);
                clock_gettime(CLOCK_REALTIME, &until);
                until.tv_nsec += NAP_NS;
                until.tv_sec += until.tv_nsec / NS;
                until.tv_nsec %= NS;
                r = pthread_timedjoin_np(thread, NULL, &until);
        } while (r == ETIMEDOUT);
        return e.result;
}

const char *progress_count(uint64_t n, char out[PROGRESS_TEXT_SIZE])
{
        char digits[PROGRESS_TEXT_SIZE], *to = out;
        int length = snprintf(digits, sizeof(digits), "%" PRIu64, n);

        for (int i = 0; i < length; i++) {
                if (i > 0 && (length - i) % 3 == 0)
                        *to++ = ',';
                *to++ = digits[i];
        }
        *to = '\0';
        return out;
}

const char *progress_entries(uint64_t n, char out[PROGRESS_TEXT_SIZE])
{
        size_t length = strlen(progress_count(n, out));

        snprintf(out + length, PROGRESS_TEXT_SIZE - length, "%s", n == 1 ? " entry" : " entries");
        return out;
}

const char *progress_bytes(uint64_t amount, char out[PROGRESS_TEXT_SIZE])
{
        static const char units[] = "KMGTPE";
        double value = (double)amount / 1024;
        size_t unit = 0;

        if (amount < 1024) {
                snprintf(out, PROGRESS_TEXT_SIZE, "%" PRIu64 " %s", amount, amount == 1 ? "byte" : "bytes");
                return out;
        }
        for (; value >= 999.95 && unit + 2 < sizeof(units); unit++)
                value /= 1024;
        snprintf(out, PROGRESS_TEXT_SIZE, "%.1f %ciB", value, units[unit]);
        return out;
}

const char *progress_duration(double seconds, char out[PROGRESS_TEXT_SIZE])
{
        unsigned long whole = (unsigned long)(seconds + 0.5);

        /* What would round to "10.0 s" is 10 s. */
        if (seconds < 9.95)
                snprintf(out, PROGRESS_TEXT_SIZE, "%.1f s", seconds);
        else if (whole < 60)
                snprintf(out, PROGRESS_TEXT_SIZE, "%lu s", whole);
        else if (whole < 3600)
                snprintf(out, PROGRESS_TEXT_SIZE, "%lu:%02lu", whole / 60, whole % 60);
        else
                snprintf(out, PROGRESS_TEXT_SIZE, "%lu:%02lu:%02lu", whole / 3600, whole / 60 % 60, whole % 60);
        return out;
}

const char *progress_age(int64_t seconds, char out[PROGRESS_TEXT_SIZE])
{
        static const struct {
                const char *name;
                int64_t seconds, from;
        } units[] = {
                { "year", 31557600, 63115200 },
                { "month", 2629800, 5259600 },
                { "week", 604800, 1209600 },
                { "day", 86400, 172800 },
                { "hour", 3600, 3600 },
                { "minute", 60, 60 },
                { "second", 1, 0 },
        };
        size_t i = 0;
        int64_t n;

        seconds = seconds > 0 ? seconds : 0;
        while (seconds < units[i].from)
                i++;
        n = seconds / units[i].seconds;
        snprintf(out, PROGRESS_TEXT_SIZE, "%" PRId64 " %s%s", n, units[i].name, n == 1 ? "" : "s");
        return out;
}
