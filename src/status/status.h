/*
 * How backups to a destination stand, without doing anything about it (--status): what this machine remembers of its
 * runs, and the snapshots as far as they can be seen without unlocking, mounting or asking anybody.
 */
#pragma once

#include "base/err.h"
#include "base/util.h"
#include "destination.h"
#include "storage/history.h"

struct buf;
struct options;
struct report;

/* The exit statuses that Nagios and its kin expect of a check: https://nagios-plugins.org/doc/guidelines.html */
enum status_verdict { STATUS_OK, STATUS_WARNING, STATUS_CRITICAL, STATUS_UNKNOWN };

enum { STATUS_TEXT_SIZE = 256 };

struct status {
        const struct options *options; /* borrowed */
        char *destination;             /* as it is shown */
        struct history history;
        struct destination_snapshots snapshots;
        bool is_concluded;         /* no complete one is remembered: the newest complete snapshot tells */
        bool is_nowhere;           /* there are snapshots, but not what they should have been made of */
        bool are_seen;             /* the snapshots are; */
        char unseen[ERR_TEXT_MAX]; /* or why not */
        int64_t now;               /* seconds since 1970 */
        enum status_verdict verdict;
        char text[STATUS_TEXT_SIZE]; /* the verdict in words */
};

/* Find out, and print it. Return the exit status. */
int status_show(const struct options *o, struct report *report);

/* The exit status for what could not be found out, or told. */
int status_failure(const struct options *o);

/* ---- parts of it ---- */

/* List the snapshots of a local destination, if its disk is there. */
void status_look(struct status *s, struct report *report);

/* How old a local one of them is, in seconds; negative when it is dated in the future. Asks the time zone. */
int64_t status_age_s(const struct status *s, const struct destination_snapshot *snapshot);

/*
 * Judge by what is remembered: is the last complete backup at most @max_age_s old (0: any age)? An incomplete one is a
 * warning. Pure. @text is filled.
 */
enum status_verdict status_judge(const struct history *h, int64_t now, uint64_t max_age_s, char text[STATUS_TEXT_SIZE]);

/* Append the JSON document of --report. Return 0 or -ENOMEM. */
int status_document(const struct status *s, struct buf *ret);
