/* Nothing of this can make a backup worse: it comes when all is done. */
#include "publish.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "base/report.h"
#include "metrics.h"
#include "options.h"
#include "outcome.h"
#include "outcome_document.h"
#include "storage/history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { SHOWN_MAX = 4096 };

/* ---- files ---- */

/* A FIFO, a terminal, /dev/stdout: there it is, and nothing can be put in its place. */
static bool is_special(const char *file)
{
        struct stat st;

        return stat(file, &st) == 0 && !S_ISREG(st.st_mode);
}

static int write_special(const char *file, const struct buf *text)
{
        _cleanup_(fd_closep) int fd = open(file, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        /* It was opened without waiting for a reader; who reads may take his time. */
        if (fcntl(fd, F_SETFL, O_WRONLY) < 0)
                return -errno;
        return fd_write_full(fd, text->data, text->size);
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

int publish_file(const char *file, unsigned mode, const struct buf *text, struct err *err)
{
        int r;

        if (str_equal(file, "-"))
                r = fwrite(text->data, 1, text->size, stdout) == text->size ? 0 : -EIO;
        else
                r = is_special(file) ? write_special(file, text) : replace(file, mode, text);
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

int publish_check(const struct options *o, struct err *err)
{
        int r = check_file("--report", o->told.report, err);

        return r == 0 ? check_file("--metrics", o->told.metrics, err) : r;
}

/* ---- the outcome of a run ---- */

static int remember(const struct outcome *o, const char *destination, struct err *err)
{
        const struct report *r = o->report;
        const char *failure = report_failure_text(r);
        _cleanup_(freep) char *copy = *failure ? strdup(failure) : NULL;
        struct history_run run = {
                .begun = o->begun.tv_sec,
                .ended = o->ended.tv_sec,
                .status = o->status,
                .entries = report_get(r, REPORT_ENTRIES),
                .bytes = report_get(r, REPORT_BYTES),
                .copied_bytes = report_get(r, REPORT_COPIED_BYTES),
                .lost = report_items(r),
                .failure = copy,
        };

        snprintf(run.outcome, sizeof(run.outcome), "%s", outcome_word(o));
        snprintf(run.snapshot, sizeof(run.snapshot), "%s", o->snapshot);
        return history_record(destination, &run, err);
}

static int write_metrics(const struct outcome *o, const char *destination, struct err *err)
{
        _cleanup_(history_deinit) struct history h = { .destination = NULL };
        _cleanup_(buf_deinit) struct buf text = { .data = NULL };
        int r = history_load(&h, destination, err);

        if (r == 0 && metrics_write(&h, o, &text) < 0)
                r = err_oom(err);
        return r == 0 ? publish_file(o->options->told.metrics, PUBLISH_METRICS_MODE, &text, err) : r;
}

static int write_report(const struct outcome *o, struct err *err)
{
        _cleanup_(buf_deinit) struct buf text = { .data = NULL };

        if (outcome_document(o, &text) < 0)
                return err_oom(err);
        return publish_file(o->options->told.report, PUBLISH_REPORT_MODE, &text, err);
}

/* Rotation alone leaves no backup that was not there before, and what was refused touches nothing (SPEC). */
static bool is_worth_remembering(const struct outcome *o)
{
        return !o->options->dry_run && (o->options->backup || o->options->snapshot) && !report_is_refused(o->report);
}

int publish_outcome(const struct outcome *o)
{
        char destination[SHOWN_MAX];
        ERR_LOCAL(err);
        int r = 0;

        location_show(&o->options->destination, destination, sizeof(destination));
        if (is_worth_remembering(o) && remember(o, destination, &err) < 0)
                log_err(LOG_LEVEL_WARNING, &err);
        if (o->options->told.metrics && !o->options->dry_run)
                r = write_metrics(o, destination, &err);
        if (r < 0)
                log_err(LOG_LEVEL_ERROR, &err);
        if (o->options->told.report && write_report(o, &err) < 0) {
                r = err.code;
                log_err(LOG_LEVEL_ERROR, &err);
        }
        return r;
}
