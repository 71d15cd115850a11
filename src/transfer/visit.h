/* One directory of an update while a worker is in it: what the parts of the updater hand to each other. */
#pragma once

#include "base/buf.h"
#include "base/crew.h"
#include "base/listing.h"
#include "base/report.h"
#include "base/util.h"
#include "transfer/decide.h"
#include "transfer/put.h"
#include "transfer/source.h"

#include <time.h>

struct entry;
struct err;
struct links;
struct links_group;
struct update_config;

struct visit;
struct visit_task;

/* One update. */
struct update {
        const struct update_config *config;
        struct put_shared shared;
        struct links *links;
        dev_t to_dev;      /* nothing on another filesystem is ever touched */
        const char *below; /* the directory that all paths are below, when it is not the root; or NULL */

        /* A receiver has no crew: it is told of subdirectories here. As visit_add(). */
        int (*add)(struct visit *v, const struct crew_child *child, struct visit_task *task, struct err *err);
        void *context;
};

/* What a directory's task has to know. */
struct visit_task {
        bool remove;          /* all of it is to go */
        bool content_omitted; /* only what is in it */
        bool missing;         /* dry run: it is not there yet */
        unsigned why;         /* report_why bits of metadata that change, told when it is finished; 0 for none */
        mode_t mode;
        struct timespec mtime;
        char *former; /* the name under which it is shown, when it was moved aside; taken by visit_add(), or NULL */
};

/* For what a receiver has to wait, before an entry can be brought in line. */
enum visit_awaits {
        VISIT_AWAITS_NOTHING,
        VISIT_AWAITS_CONTENT,
        VISIT_AWAITS_HASH,   /* is the content equal? */
        VISIT_AWAITS_LEADER, /* of its group of hard links */
};

enum visit_content { VISIT_CONTENT_UNKNOWN, VISIT_CONTENT_EQUAL, VISIT_CONTENT_OTHER };

struct visit {
        struct update *update;
        struct crew_worker *worker; /* NULL in a receiver, which has none; */
        struct crew_dir *dir;       /* the same */
        const struct visit_task *task;
        struct source_dir from;
        struct put_dir to;
        struct buf path;    /* relative to the root, "" for the root */
        struct listing old; /* names in the destination */
        size_t next_old;
        bool may_remove; /* the source's list is complete */
        bool retyped;    /* what had the name of the current entry was a directory */

        /* Of the current entry, in a receiver alone. */
        bool is_repeated;           /* it was seen before, and had to wait */
        enum visit_content content; /* what is known of it */
        enum visit_awaits awaits;   /* set with RECONCILE_LATER, and what was decided until then: */
        struct decision decision;
        struct links_group *group; /* it leads this one, or */
        bool moves_group;          /* its inode takes the place of one that takes no more links */
};

int visit_init(struct visit *v, struct crew_worker *w, struct crew_dir *d, struct err *err);
void visit_deinit(struct visit *v);

/* Have a crew do @ops below @fds, beginning with @task (malloc'd, taken). As crew_run(). */
int visit_run_crew(struct update *u, const struct crew_ops *ops, const int fds[CREW_TREES], struct visit_task *task,
                   struct err *err);

/* Ask between entries whether to end, as crew_check(). */
int visit_check(struct visit *v, struct err *err);

/* What changes with the content of a directory is set last: @fd is it, or a negative errno. It is told if it was to be
 * told. Return 0 or a negative errno with @err filled. */
int visit_finish(struct visit *v, int fd, struct err *err);

/* Release what visit_add() made of a task. */
void visit_forget(void *task);

/* Add a subdirectory. Return 0 or a negative errno with @err filled. */
int visit_add(struct visit *v, const struct crew_child *child, struct visit_task task, struct err *err);

/* A line of the list of changes. */
void visit_tell(struct visit *v, enum report_verb verb, const struct entry *e, unsigned why);

/* An error of one entry is told and done with: return 0. Others go on to the caller. */
int visit_absorb(struct visit *v, int r, struct err *err);
