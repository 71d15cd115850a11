/*
 * What happened during a run: the only place that counts, logs errors of single entries, and knows whether the run was
 * complete. The exit status comes from here alone. May be used from any thread.
 */
#pragma once

#include "base/util.h"

struct err;
struct report;

enum report_count {
        REPORT_ENTRIES,        /* of the source, directories included */
        REPORT_BYTES,          /* size of its regular files; one with several names counts once */
        REPORT_NEW,            /* entries made */
        REPORT_CHANGED,        /* entries whose content was replaced, or that are of another type now */
        REPORT_METADATA,       /* entries whose metadata alone changed */
        REPORT_LINKED,         /* names that became hard links of another */
        REPORT_DELETED,        /* entries removed from the destination */
        REPORT_COPIED_BYTES,   /* read from files of the source into new ones; in a dry run they would be */
        REPORT_COMPARED_BYTES, /* read from the source to compare content */
        REPORT_SNAPSHOT,       /* entries of the new snapshot; none when the filesystem made it */
        REPORT_REMOVED,        /* entries of removed snapshots */
        REPORT_UNSETTLED,      /* entries of the destination that could not be compared with the source */
        REPORT_SENT_BYTES,     /* over the connection to where the backup goes; */
        REPORT_RECEIVED_BYTES, /* from there */
        REPORT_SURVEYED,       /* entries of snapshots that were looked at, to tell what they take */
        REPORT_SNAPSHOTS_GONE, /* that are none any more, though not all of them may be gone yet */
        REPORT_COUNTS
};

/* What a destination may be unable to hold. Reported once per kind, with the number of entries. */
enum report_lack {
        REPORT_LACK_OWNER,
        REPORT_LACK_MODE,
        REPORT_LACK_ACL,
        REPORT_LACK_XATTR_USER,
        REPORT_LACK_XATTR_SYSTEM,
        REPORT_LACK_TIME_RANGE,
        REPORT_LACK_SYMLINK,
        REPORT_LACK_SPECIAL,
        REPORT_LACK_HARDLINK,
        REPORT_LACKS
};

/* Why an entry differs; bits. */
enum report_why {
        REPORT_WHY_SIZE = 1 << 0,
        REPORT_WHY_MTIME = 1 << 1,
        REPORT_WHY_CONTENT = 1 << 2,
        REPORT_WHY_MODE = 1 << 3,
        REPORT_WHY_OWNER = 1 << 4,
        REPORT_WHY_GROUP = 1 << 5,
        REPORT_WHY_XATTRS = 1 << 6,
        REPORT_WHY_ACL = 1 << 7,
        REPORT_WHY_TARGET = 1 << 8,
        REPORT_WHY_DEVICE = 1 << 9,
        REPORT_WHY_LINKS = 1 << 10,
};

enum report_verb {
        REPORT_VERB_NEW,
        REPORT_VERB_CHANGED,
        REPORT_VERB_METADATA,
        REPORT_VERB_LINKED,
        REPORT_VERB_TYPE,
        REPORT_VERB_DELETED,
        REPORT_VERB_SNAPSHOT,
        REPORT_VERB_REMOVED,
        REPORT_VERB_KEPT,
};

/* A line of the list of changes. */
struct report_line {
        enum report_verb verb;
        const char *directory; /* may be NULL */
        const char *name;
        bool is_directory;
        unsigned why;        /* report_why bits; */
        const char *reasons; /* or these in words; NULL for none */
};

struct report_config {
        bool list_changes; /* a line for each changed path, on standard output */
        bool list_reasons; /* and why */
        bool is_imagined;  /* what happens is counted, and told to nobody */

        size_t keep_items; /* so many of the entries that are lost, or remain, are kept for report_kept() */

        /* Where lines go instead of standard output, and errors of entries instead of the log; called from any thread.
         * NULL: they are printed, and logged.
         */
        void (*take_line)(void *context, const struct report_line *line);
        void (*take_item)(void *context, const struct err *item, bool remains);
        void *context;
};

int report_new(struct report **ret, const struct report_config *config, struct err *err);
struct report *report_free(struct report *r);
DEFINE_FREEP(struct report, report_free)

void report_add(struct report *r, enum report_count count, uint64_t n);
uint64_t report_get(const struct report *r, enum report_count count);
/*
 * The transfer goes through everything from the beginning (once more): what was found about single entries is
 * forgotten, since it is found again where it still holds. What was done stays counted, and who has it done once more
 * sees to it that it is not counted twice; bytes that are copied again are. Another process (see below) tells by itself
 * that its counts begin anew.
 */
void report_restart(struct report *r);

/* One entry is lost or incomplete: log it, count it, mark the run partial, empty @err (which is of kind ERR_ITEM). */
void report_item(struct report *r, struct err *err);
uint64_t report_items(const struct report *r);

/*
 * Something is missing from the backup, or may be, that is told of no single entry: log and keep it, mark the run
 * partial, empty @err.
 */
void report_lacking(struct report *r, struct err *err);
uint64_t report_lacking_count(const struct report *r);

/*
 * Something that should be gone could not be removed, which takes nothing from the backup: log and count it, empty
 * @err. The exit status tells.
 */
void report_remains(struct report *r, struct err *err);
uint64_t report_remains_count(const struct report *r);

/* One of these that another process has counted, and tells: log and keep it, empty @err. */
void report_hear_item(struct report *r, struct err *err, bool remains);

/* What report_config.keep_items kept. */
struct report_item {
        char *path; /* as it is shown, or "" */
        char *text; /* with the path in it */
        int code;   /* negative errno */
        bool remains;
};

/* Those of this run so far, the first ones, borrowed until the next call that reports one. Return how many. */
size_t report_kept(const struct report *r, const struct report_item **ret);

/* A file that went away while the run went on: normal, counted, not an error. @directory is NULL or "" for the root. */
void report_vanished(struct report *r, const char *directory, const char *name);
uint64_t report_vanished_count(const struct report *r);

/* A file that changed every time it was read; it is stored as it was read last. */
void report_unsteady(struct report *r, const char *directory, const char *name);
uint64_t report_unsteady_count(const struct report *r);

/* The destination cannot hold this of an entry; @accepted when the user asked for it to be so (--no-sudo). */
void report_lack(struct report *r, enum report_lack lack, bool accepted, const char *directory, const char *name);
/* Tell of each kind of lack met since the last call: it is logged if it was accepted, else see report_lacking(). */
void report_lacks(struct report *r);

/* A line of the list of changes; @why are report_why bits. @directory may be NULL. */
void report_change(struct report *r, enum report_verb verb, const char *directory, const char *name, bool is_directory,
                   unsigned why);
/* The same with reasons in words; @reasons may be NULL. */
void report_change_for(struct report *r, enum report_verb verb, const char *name, const char *reasons);

/* Does anybody read the list of changes? */
bool report_lists_changes(const struct report *r);

/* The run as a whole failed, in kind ERR_RUN or ERR_USAGE (an ERR_ITEM counts as ERR_RUN): log and empty @err. */
void report_failure(struct report *r, struct err *err);
/* What report_failure() was told first, hint included, in one line; "" when nothing was. Borrowed. */
const char *report_failure_text(const struct report *r);

/* For reasons that are told elsewhere, or later. */
void report_mark_partial(struct report *r);

/* A temporary of ours is in `latest` and could not be removed: no snapshot is to have it. */
void report_mark_leftovers(struct report *r);

/*
 * A run in two processes, each with a report of its own: one tells the numbers of its report, the other hears them, and
 * from then on they are part of what it knows. They are the same for both, below REPORT_COUNTS an enum report_count.
 */
enum report_number {
        REPORT_NUMBER_ITEMS = 100,
        REPORT_NUMBER_REMAINS,
        REPORT_NUMBER_VANISHED,
        REPORT_NUMBER_UNSTEADY,
        REPORT_NUMBER_PARTIAL, /* 0 or 1 */
        REPORT_NUMBER_LACKING,
        REPORT_NUMBERS_END,
};
bool report_number_exists(uint64_t number);

/* How many are there of our own? */
uint64_t report_tell(const struct report *r, unsigned number);
/* So many are there in the other report now. */
void report_hear(struct report *r, unsigned number, uint64_t n);
/* The other process has ended: what it told stays, and another one begins anew. */
void report_hear_end(struct report *r);

/* Are files missing from this backup? */
bool report_is_partial(const struct report *r);
bool report_has_leftovers(const struct report *r);
bool report_has_failed(const struct report *r);
/* Was it wrong usage or configuration, so that nothing was touched? */
bool report_is_refused(const struct report *r);

/* SPEC "Exit status": 0, 1, 2, 23, or 128+N after a signal. */
int report_exit_status(const struct report *r);
