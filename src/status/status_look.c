/* As --list looks at a destination, but nothing is opened for it. */
#include "base/err.h"
#include "base/report.h"
#include "destination.h"
#include "options/options.h"
#include "progress.h"
#include "status/status.h"

#include <stdio.h>

static int list(const struct destination_config *config, struct destination_snapshots *ret, struct err *err)
{
        struct destination *d;
        ERR_LOCAL(end);
        int r = destination_local_new(&d, config, err);

        if (r < 0)
                return r;
        r = d->ops->prepare(d, err);
        if (r == 0)
                r = d->ops->list(d, ret, err);
        if (d->ops->release(d, &end) < 0)
                err_drop(&end, "nothing was opened");
        destination_free(d);
        return r;
}

static int look(struct status *s, struct report *report, struct err *err)
{
        struct options options = *s->options;
        struct destination_config config = { .options = &options, .report = report };
        int r;

        options.task = OPTIONS_LIST;
        options.dry_run = true;
        options.mount = options.crypto = NULL;
        if (progress_new(&config.progress, report) < 0)
                return err_oom(err);
        r = list(&config, &s->snapshots, err);
        progress_free(config.progress);
        return r;
}

/*
 * Where other machines send their backups nothing is remembered of runs: then the newest complete snapshot tells of the
 * one that made it.
 */
static void conclude(struct status *s)
{
        const struct destination_snapshot *newest = NULL;
        struct history *h = &s->history;
        struct history_run run = { .outcome = "complete" };

        for (size_t i = 0; i < s->snapshots.count; i++) {
                const struct destination_snapshot *item = &s->snapshots.items[i];

                if (item->complete && (!newest || item->time > newest->time))
                        newest = item;
        }
        if (!newest || h->has[HISTORY_LAST])
                return;
        run.begun = run.ended = s->now - (s->snapshots.now - newest->time);
        snprintf(run.snapshot, sizeof(run.snapshot), "%s", newest->name);
        h->runs[HISTORY_COMPLETE] = h->runs[HISTORY_STORED] = run;
        h->has[HISTORY_COMPLETE] = h->has[HISTORY_STORED] = true;
        s->is_concluded = true;
}

void status_look(struct status *s, struct report *report)
{
        ERR_LOCAL(err);
        int r;

        if (s->options->destination.kind != LOCATION_LOCAL) {
                snprintf(s->unseen, sizeof(s->unseen), "on another machine, which --list asks");
                return;
        }
        r = look(s, report, &err);
        s->are_seen = r == 0 && s->snapshots.count > 0;
        if (s->are_seen) {
                conclude(s);
                return;
        }
        snprintf(s->unseen, sizeof(s->unseen), "%s", r < 0 ? err.text : "none can be seen now");
        err_drop(&err, "it is told");
}
