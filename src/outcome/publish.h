/* Once a run has ended: this machine remembers it, and machines are told, by --report and --metrics. */
#pragma once

struct buf;
struct err;
struct options;
struct outcome;
struct report;

/* Can the files be written, without harm to the backup or to each other? Asked before anything is touched. Return 0, or
 * a negative errno with @err (ERR_USAGE). */
int publish_check(const struct options *o, struct err *err);

/*
 * What the runs to a destination are remembered by: as it is shown, a local one without symlinks as far as it is there.
 * malloc'd. Return 0 or -ENOMEM with @err filled.
 */
int publish_key(const struct options *o, char **ret, struct err *err);

/* The run is about to change something: should it be killed, that is known. What fails is logged. */
void publish_start(const struct outcome *o);

/*
 * After outcome_end(). Where something that was asked for cannot be told, the run has failed: that is logged, put into
 * @report, which is that of @o, and into the status of @o, and told wherever it can be.
 */
void publish_outcome(struct outcome *o, struct report *report);

enum {
        PUBLISH_REPORT_MODE = 0600, /* it has the names of everybody's files in it */
        PUBLISH_METRICS_MODE = 0644,
};

/*
 * Write @text to @file, which is replaced as a whole where it is a regular file or none, with mode @mode; "-" is
 * standard output. Return 0 or a negative errno with @err (ERR_RUN) filled.
 */
int publish_file(const char *file, unsigned mode, const struct buf *text, struct err *err);

/* What did not arrive on standard output was not told. Return 0, or a negative errno with @err (ERR_RUN) filled. */
int publish_flush(struct err *err);
