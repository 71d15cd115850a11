/* Nothing of this can make a backup worse: it comes when all is done. */
#include "outcome/publish.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/report.h"
#include "base/stop.h"
#include "options/options.h"
#include "outcome/metrics.h"
#include "outcome/outcome.h"
#include "outcome/outcome_document.h"
#include "outcome/publish_spoils.h"
#include "storage/history.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>

enum { SHOWN_MAX = 4096, READER_PATIENCE_S = 30 };

/* ---- files ---- */

/* A FIFO, a terminal, /dev/stdout: there it is, and nothing can be put in its place. */
static bool is_special(const char *file)
{
        struct stat st;

        return stat(file, &st) == 0 && !S_ISREG(st.st_mode);
}

/* Who reads may take his time, but not all of it, and a signal ends it. */
static int write_special(const char *file, const struct buf *text, struct err *err)
{
        _cleanup_(fd_closep) int fd = open(file, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        size_t done = 0;

        if (fd < 0)
                return err_run(err, -errno, "write", file);
        while (done < text->size) {
                ssize_t n = write(fd, text->data + done, text->size - done);
                int r;

                if (n < 0 && errno != EAGAIN && errno != EINTR)
                        return err_run(err, -errno, "write", file);
                done += n > 0 ? (size_t)n : 0;
                r = n < 0 ? stop_wait_for(fd, POLLOUT, stop_deadline_us(READER_PATIENCE_S), err) : 0;
                if (r == STOP_WAIT_TIMED_OUT)
                        return err_run(err, -ETIMEDOUT, "write", file);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int replace(const char *file, unsigned mode, const struct buf *text)
{
        _cleanup_(buf_deinit) struct buf beside = { .data = NULL };
        _cleanup_(fd_closep) int fd = -1;
        int r;

        if (buf_printf(&beside, "%s.XXXXXX", file) < 0)
                return -ENOMEM;
        fd = mkostemp(beside.data, O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = fd_write_full(fd, text->data, text->size);
        if (r == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(beside.data, file) < 0))
                r = -errno;
        if (r < 0)
                (void)unlink(beside.data);
        return r;
}

/* Which error it was is not always known: then it is this one. */
static int fail_output(int code, struct err *err)
{
        bool is_known = code != -EIO;

        return err_runf(err, code, "cannot write to standard output%s%s", is_known ? ": " : "",
                        is_known ? strerror(-code) : "");
}

int publish_flush(struct err *err)
{
        int r = log_print_flush();

        return r < 0 ? fail_output(r, err) : 0;
}

static int write_output(const struct buf *text, struct err *err)
{
        int r = fwrite(text->data, 1, text->size, stdout) == text->size ? 0 : -errno, flushed = log_print_flush();

        return r < 0 ? fail_output(r, err) : flushed < 0 ? fail_output(flushed, err) : 0;
}

int publish_file(const char *file, unsigned mode, const struct buf *text, struct err *err)
{
        int r;

        if (str_equal(file, "-"))
                return write_output(text, err);
        if (is_special(file))
                return write_special(file, text, err);
        r = replace(file, mode, text);
        return r < 0 ? err_run(err, r, "write", file) : 0;
}

/* A file is replaced by a new one beside it, so that it is the directory that must be writable. */
static int check_place(const char *file, const char *directory)
{
        struct stat st;

        if (stat(file, &st) == 0 && S_ISDIR(st.st_mode))
                return -EISDIR;
        if (is_special(file))
                return faccessat(AT_FDCWD, file, W_OK, AT_EACCESS) < 0 ? -errno : 0;
        return faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

static int check_file(const char *option, const char *file, struct err *err)
{
        _cleanup_(freep) char *directory = file ? path_parent(file) : NULL;
        int r;

        if (!file || str_equal(file, "-"))
                return 0;
        if (!directory)
                return err_oom(err);
        r = check_place(file, directory);
        if (r == 0)
                return 0;
        err_run(err, r, "write", file);
        err->kind = ERR_USAGE;
        return err_context(err, option);
}

/* Where @file really is; NULL for standard output, what nothing is put in the place of, or when memory is short. */
static char *place_of(const char *file)
{
        _cleanup_(freep) char *absolute =
                file && !str_equal(file, "-") && !is_special(file) ? path_absolute(file) : NULL;
        _cleanup_(freep) char *directory = absolute ? path_parent(absolute) : NULL;
        _cleanup_(freep) char *resolved = directory ? path_resolve(directory) : NULL;

        return resolved ? path_join(resolved, path_base(absolute)) : NULL;
}

static int check_backup(const char *option, const char *file, const char *place, const struct options *o,
                        struct err *err)
{
        char shown[SHOWN_MAX];
        int r = place ? publish_spoils(place, &o->destination, err) : 0;

        if (r <= 0)
                return r;
        path_show(NULL, file, shown, sizeof(shown));
        return err_usage(err, "%s: '%s' would be in the backup", option, shown);
}

int publish_check(const struct options *o, struct err *err)
{
        const char *report = o->told.report, *metrics = o->told.metrics;
        _cleanup_(freep) char *first = place_of(report), *second = place_of(metrics);
        int r = check_file("--report", report, err);

        if (r == 0)
                r = check_file("--metrics", metrics, err);
        if (r == 0)
                r = check_backup("--report", report, first, o, err);
        if (r == 0)
                r = check_backup("--metrics", metrics, second, o, err);
        if (r == 0 && first && second && str_equal(first, second))
                return err_usage(err, "--report and --metrics are the same file: one would replace the other");
        return r;
}

/* ---- the outcome of a run ---- */

/* The texts are borrowed from @o. */
static struct history_run describe(const struct outcome *o)
{
        const struct report *r = o->report;
        bool is_skipped = o->is_skipped && !report_has_failed(r);
        struct history_run run = {
                .begun = o->begun.tv_sec,
                .ended = o->ended.tv_sec,
                .duration_ms = (uint64_t)(o->duration_s * 1000 + 0.5),
                .status = o->status,
                .entries = report_get(r, REPORT_ENTRIES),
                .bytes = report_get(r, REPORT_BYTES),
                .copied_bytes = report_get(r, REPORT_COPIED_BYTES),
                .lost = report_items(r),
                .process = o->done[OUTCOME_PREPARE] ? getpid() : 0,
        };

        run.failure = (char *)(is_skipped ? o->skipped : report_failure_text(r));
        if (!*run.failure)
                run.failure = NULL;
        snprintf(run.outcome, sizeof(run.outcome), "%s", outcome_word(o));
        snprintf(run.snapshot, sizeof(run.snapshot), "%s", o->snapshot);
        return run;
}

static int write_report(const struct outcome *o, struct err *err)
{
        _cleanup_(buf_deinit) struct buf text = { .data = NULL };

        if (!o->options->told.report)
                return 0;
        if (outcome_document(o, &text) < 0)
                return err_oom(err);
        return publish_file(o->options->told.report, PUBLISH_REPORT_MODE, &text, err);
}

/*
 * A run that transfers, or that an rsync daemon has started because one of its clients did. A snapshot alone is as old
 * as what it is made of, and what was refused touches nothing (SPEC).
 */
static bool is_worth_remembering(const struct outcome *o)
{
        return !o->options->dry_run && (o->options->backup || o->options->daemon != OPTIONS_DAEMON_NONE) &&
               !report_is_refused(o->report);
}

int publish_key(const struct options *o, char **ret, struct err *err)
{
        _cleanup_(freep) char *resolved =
                o->destination.kind == LOCATION_LOCAL ? path_resolve_missing(o->destination.path) : NULL;
        char shown[SHOWN_MAX];

        if (resolved)
                path_show(NULL, resolved, shown, sizeof(shown));
        else
                location_show(&o->destination, shown, sizeof(shown));
        *ret = strdup(shown);
        return *ret ? 0 : err_oom(err);
}

void publish_start(const struct outcome *o)
{
        struct history_run run = { .begun = o->begun.tv_sec, .process = getpid(), .outcome = "begun" };
        _cleanup_(freep) char *destination = NULL;
        ERR_LOCAL(err);

        if (is_worth_remembering(o) && publish_key(o->options, &destination, &err) == 0)
                (void)history_record(destination, &run, &err);
        if (err.kind != ERR_NONE)
                log_err(LOG_LEVEL_WARNING, &err);
}

/* What this machine will remember, this run included. */
static int write_metrics(const struct outcome *o, const char *destination, struct err *err)
{
        _cleanup_(history_deinit) struct history h = { .destination = NULL };
        _cleanup_(buf_deinit) struct buf text = { .data = NULL };
        const struct history_run run = describe(o);
        int r;

        if (!o->options->told.metrics || o->options->dry_run)
                return 0;
        r = history_load(&h, destination, err);
        if (r < 0)
                return r;
        if ((is_worth_remembering(o) && history_note(&h, &run) < 0) || metrics_write(&h, o, &text) < 0)
                return err_oom(err);
        return publish_file(o->options->told.metrics, PUBLISH_METRICS_MODE, &text, err);
}

/* What the run ends with is what is told from now on. */
static void fail(struct outcome *o, struct report *report, struct err *err)
{
        if (report_has_failed(report))
                log_err(LOG_LEVEL_ERROR, err);
        else
                report_failure(report, err);
        o->status = report_exit_status(report);
}

/* Metrics can be written twice, a report perhaps not, as where it is standard output. What is remembered comes last. */
void publish_outcome(struct outcome *o, struct report *report)
{
        _cleanup_(freep) char *destination = NULL;
        struct history_run run;
        ERR_LOCAL(err);

        if (publish_key(o->options, &destination, &err) < 0 || write_metrics(o, destination, &err) < 0)
                fail(o, report, &err);
        if (write_report(o, &err) < 0) {
                fail(o, report, &err);
                if (destination && write_metrics(o, destination, &err) < 0)
                        log_err(LOG_LEVEL_ERROR, &err);
        }
        run = describe(o);
        if (destination && is_worth_remembering(o) && history_record(destination, &run, &err) < 0)
                log_err(LOG_LEVEL_WARNING, &err);
}
