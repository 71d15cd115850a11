/* A summary of a few words, which some desktops show alone, and a body of one or two sentences. */
#include "notify.h"

#include "base/buf.h"
#include "base/report.h"
#include "base/stop.h"
#include "options/options.h"
#include "outcome/outcome.h"
#include "progress.h"

#include <stdio.h>

enum { SHOWN_MAX = 256, WORD_MAX = 64 };

/* What is done, as the first word of a summary. */
static const char *what(const struct options *o)
{
        if (o->backup)
                return "Backup";
        return o->snapshot ? "Snapshot" : "Rotation of snapshots";
}

/* "SOURCE to DESTINATION", as much of it as there is. */
static int put_way(struct buf *out, const struct options *o)
{
        char destination[SHOWN_MAX];
        int r = 0;

        location_show(&o->destination, destination, sizeof(destination));
        if (o->backup) {
                r = desktop_put_text(out, o->source);
                if (r == 0)
                        r = buf_puts(out, " to ");
        }
        return r == 0 ? desktop_put_text(out, destination) : r;
}

/* Hand over, or give back what there is. */
static int finish(struct notify_words *ret, char *summary, struct buf *body, enum desktop_urgency urgency,
                  const char *icon)
{
        *ret = (struct notify_words){ .summary = summary, .body = buf_take(body) };
        ret->note =
                (struct desktop_note){ .summary = ret->summary, .body = ret->body, .icon = icon, .urgency = urgency };
        if (ret->summary && ret->body)
                return 0;
        notify_deinit(ret);
        return -ENOMEM;
}

static char *summarize(const struct options *o, const char *how)
{
        char text[WORD_MAX];

        snprintf(text, sizeof(text), "%s %s", what(o), how);
        return strdup(text);
}

void notify_deinit(struct notify_words *w)
{
        free(w->summary);
        free(w->body);
        *w = (struct notify_words){ .summary = NULL };
}

int notify_started(struct notify_words *ret, const struct outcome *o)
{
        _cleanup_(buf_deinit) struct buf body = { .data = NULL };

        if (put_way(&body, o->options) < 0)
                return -ENOMEM;
        return finish(ret, summarize(o->options, "started"), &body, DESKTOP_LOW, "drive-harddisk");
}

/* ---- the end ---- */

static int put_transfer(struct buf *out, const struct outcome *o)
{
        uint64_t changes = report_get(o->report, REPORT_NEW) + report_get(o->report, REPORT_CHANGED) +
                           report_get(o->report, REPORT_METADATA) + report_get(o->report, REPORT_LINKED) +
                           report_get(o->report, REPORT_DELETED);
        char entries[PROGRESS_TEXT_SIZE], changed[PROGRESS_TEXT_SIZE], copied[PROGRESS_TEXT_SIZE];

        if (!o->done[OUTCOME_TRANSFER])
                return 0;
        return buf_printf(out, " %s of %s changed, %s copied.", progress_count(changes, changed),
                          progress_entries(report_get(o->report, REPORT_ENTRIES), entries),
                          progress_bytes(report_get(o->report, REPORT_COPIED_BYTES), copied));
}

static int put_snapshots(struct buf *out, const struct outcome *o)
{
        size_t removed = outcome_count(o, OUTCOME_REMOVED);
        int r = o->snapshot[0] ? buf_printf(out, " Snapshot '%s' was made.", o->snapshot) : 0;

        if (r == 0 && removed > 0)
                r = buf_printf(out, " %zu old %s removed.", removed, removed == 1 ? "snapshot was" : "snapshots were");
        return r;
}

static int put_lost(struct buf *out, const struct outcome *o)
{
        uint64_t lost = report_items(o->report), remains = report_remains_count(o->report);
        char number[PROGRESS_TEXT_SIZE];
        int r = 0;

        if (lost > 0)
                r = buf_printf(out, " %s could not be read or stored in full.", progress_entries(lost, number));
        else if (report_is_partial(o->report))
                r = buf_puts(out, " Some of it could not be stored in full.");
        if (r == 0 && remains > 0)
                r = buf_printf(out, " %s could not be removed.", progress_entries(remains, number));
        return r;
}

static int put_end(struct buf *out, const struct outcome *o)
{
        char time[PROGRESS_TEXT_SIZE];
        int r = put_way(out, o->options);

        if (r == 0)
                r = buf_printf(out, " in %s.", progress_duration(o->duration_s, time));
        if (r == 0)
                r = put_lost(out, o);
        if (r == 0)
                r = put_transfer(out, o);
        return r == 0 ? put_snapshots(out, o) : r;
}

static int put_failure(struct buf *out, const struct outcome *o)
{
        int r = put_way(out, o->options);

        if (r == 0)
                r = buf_puts(out, ": ");
        return r == 0 ? desktop_put_text(out, report_failure_text(o->report)) : r;
}

int notify_ended(struct notify_words *ret, const struct outcome *o)
{
        _cleanup_(buf_deinit) struct buf body = { .data = NULL };
        bool was_stopped = stop_signal() != 0, failed = report_has_failed(o->report);
        bool lacks = report_is_partial(o->report) || report_remains_count(o->report) > 0;

        if ((failed || was_stopped ? put_failure(&body, o) : put_end(&body, o)) < 0)
                return -ENOMEM;
        if (was_stopped)
                return finish(ret, summarize(o->options, "interrupted"), &body, DESKTOP_NORMAL, "dialog-warning");
        if (failed)
                return finish(ret, summarize(o->options, "failed"), &body, DESKTOP_CRITICAL, "dialog-error");
        if (lacks)
                return finish(ret, summarize(o->options, "incomplete"), &body, DESKTOP_NORMAL, "dialog-warning");
        return finish(ret, summarize(o->options, "complete"), &body, DESKTOP_LOW, "drive-harddisk");
}
