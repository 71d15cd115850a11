/* Once a run has ended: this machine remembers it, and machines are told, by --report and --metrics. */
#pragma once

struct buf;
struct err;
struct options;
struct outcome;

/* Can the files be written? Asked before anything is touched. Return 0, or a negative errno with @err (ERR_USAGE). */
int publish_check(const struct options *o, struct err *err);

/* After outcome_end(). What fails is logged; return 0, or a negative errno if something that was asked for is not told.
 */
int publish_outcome(const struct outcome *o);

enum {
        PUBLISH_REPORT_MODE = 0600, /* it has the names of everybody's files in it */
        PUBLISH_METRICS_MODE = 0644,
};

/*
 * Write @text to @file, which is replaced as a whole where it is a regular file or none, with mode @mode; "-" is
 * standard output. Return 0 or a negative errno with @err (ERR_RUN) filled.
 */
int publish_file(const char *file, unsigned mode, const struct buf *text, struct err *err);
