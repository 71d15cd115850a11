/*
 * What this machine remembers of its runs to a destination: the last one, and the last ones that left a backup. On the
 * machine, so that it can be asked when the disk is away and the server asleep: a file for each destination in `runs`,
 * below where remembered.h says; docs/state-directory.md has the format.
 */
#pragma once

#include "base/util.h"

struct buf;
struct err;

struct history_run {
        int64_t begun, ended; /* seconds since 1970 */
        uint64_t duration_ms; /* by a clock that does not jump */
        int status;           /* exit status */
        char outcome[16];     /* one word, see outcome_word() */
        char snapshot[32];    /* that it made, or "" */
        uint64_t entries, bytes, copied_bytes, lost;
        char *failure;   /* what was told of it, or NULL */
        int64_t process; /* that has noted that it began, 0 for none; remembered of HISTORY_BEGUN */
};

enum history_which {
        HISTORY_LAST,     /* however it ended */
        HISTORY_COMPLETE, /* that left a complete backup */
        HISTORY_STORED,   /* that left one, be it that some files are missing from it */
        HISTORY_SKIPPED,  /* that had nothing to do, since a disk was not plugged in say: newer than the last one, or
                             none */
        HISTORY_BEGUN,    /* that began after all others, and has not ended: it is under way, or was killed */
        HISTORY_RUNS,     /* how many there are */
};

struct history {
        char *destination; /* as it is written, which the name of the file is made from */
        bool is_damaged;   /* what was remembered made no sense, and is forgotten */
        bool has[HISTORY_RUNS];
        struct history_run runs[HISTORY_RUNS];
};

/* Without a record nothing is remembered. Return 0, or a negative errno with @err (ERR_RUN) filled. */
int history_load(struct history *ret, const char *destination, struct err *err);

/* Parse @text of @size bytes. Return 0 or -EBADMSG (nothing is filled in), or -ENOMEM. */
int history_parse(struct history *ret, const char *text, size_t size);

/* Append it as history_parse() reads it. Return 0 or -ENOMEM. */
int history_write(const struct history *h, struct buf *ret);

/* Keep copies of @run as whatever it is, by its outcome. Return 0 or -ENOMEM. */
int history_note(struct history *h, const struct history_run *run);

/*
 * Add a run to what is remembered of @destination, durably, whoever else does the same at the time. Return 0, or a
 * negative errno with @err (ERR_RUN) filled.
 */
int history_record(const char *destination, const struct history_run *run, struct err *err);

void history_deinit(struct history *h);
