/* One directory of an update while a worker is in it: what the parts of the updater hand to each other. */
#pragma once

#include "base/buf.h"
#include "base/crew.h"
#include "base/listing.h"
#include "base/report.h"
#include "base/util.h"
#include "transfer/put.h"
#include "transfer/source.h"

#include <time.h>

struct entry;
struct err;
struct links;
struct update_config;

/* One update. */
struct update {
        const struct update_config *config;
        struct put_shared shared;
        struct links *links;
        dev_t to_dev; /* nothing on another filesystem is ever touched */
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

struct visit {
        struct update *update;
        struct crew_worker *worker;
        struct crew_dir *dir;
        const struct visit_task *task;
        struct source_dir from;
        struct put_dir to;
        struct buf path;    /* relative to the root, "" for the root */
        struct listing old; /* names in the destination */
        size_t next_old;
        bool may_remove; /* the source's list is complete */
        bool retyped;    /* what had the name of the current entry was a directory */
};

int visit_init(struct visit *v, struct crew_worker *w, struct crew_dir *d, struct err *err);
void visit_deinit(struct visit *v);

/* Release what visit_add() made of a task. */
void visit_forget(void *task);

/* Add a subdirectory. Return 0 or a negative errno with @err filled. */
int visit_add(struct visit *v, const struct crew_child *child, struct visit_task task, struct err *err);

/* A line of the list of changes. */
void visit_tell(struct visit *v, enum report_verb verb, const struct entry *e, unsigned why);

/* An error of one entry is told and done with: return 0. Others go on to the caller. */
int visit_absorb(struct visit *v, int r, struct err *err);
