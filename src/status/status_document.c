/* The same as for people; docs/report.md describes it. */
#include "base/document.h"
#include "options/options.h"
#include "outcome/told.h"
#include "status/status.h"

static void put_run(struct document *d, const struct status *s, const char *key, enum history_which which)
{
        const struct history_run *run = &s->history.runs[which];

        if (!s->history.has[which]) {
                document_text(d, key, NULL);
                return;
        }
        document_begin_object(d, key);
        document_time(d, "begun", run->begun);
        document_time(d, "ended", run->ended);
        document_seconds(d, "seconds", (double)run->duration_ms / 1000);
        document_number(d, "age_seconds", s->now - run->begun);
        document_text(d, "outcome", run->outcome);
        document_number(d, "exit_status", run->status);
        document_text(d, "snapshot", run->snapshot[0] ? run->snapshot : NULL);
        document_count(d, "entries", run->entries);
        document_count(d, "bytes", run->bytes);
        document_count(d, "copied_bytes", run->copied_bytes);
        document_count(d, "lost", run->lost);
        document_text(d, "failure", run->failure);
        document_end(d);
}

static void put_begun(struct document *d, const struct status *s)
{
        const struct history_run *run = &s->history.runs[HISTORY_BEGUN];

        if (!s->history.has[HISTORY_BEGUN]) {
                document_text(d, "not_ended", NULL);
                return;
        }
        document_begin_object(d, "not_ended");
        document_time(d, "begun", run->begun);
        document_number(d, "age_seconds", s->now - run->begun);
        document_number(d, "process", run->process);
        document_end(d);
}

static void put_snapshots(struct document *d, const struct status *s)
{
        if (!s->are_seen) {
                document_text(d, "snapshots", NULL);
                document_text(d, "snapshots_unseen", s->unseen);
                return;
        }
        document_begin_array(d, "snapshots");
        for (size_t i = 0; i < s->snapshots.count; i++) {
                document_begin_object(d, NULL);
                document_text(d, "name", s->snapshots.items[i].name);
                document_number(d, "age_seconds", status_age_s(s, &s->snapshots.items[i]));
                document_flag(d, "complete", s->snapshots.items[i].complete);
                document_end(d);
        }
        document_end(d);
        document_text(d, "snapshots_unseen", NULL);
}

int status_document(const struct status *s, struct buf *ret)
{
        static const char *const verdicts[] = { "ok", "warning", "critical", "unknown" };
        struct document document, *d = &document;

        told_begin(d, ret, "status");
        document_text(d, "destination", s->destination);
        document_time(d, "now", s->now);
        document_text(d, "verdict", verdicts[s->verdict]);
        document_text(d, "text", s->text);
        if (s->options->told.max_age_s > 0)
                document_count(d, "max_age_seconds", s->options->told.max_age_s);
        else
                document_text(d, "max_age_seconds", NULL);
        put_run(d, s, "last_run", HISTORY_LAST);
        put_run(d, s, "last_backup", HISTORY_STORED);
        put_run(d, s, "last_complete", HISTORY_COMPLETE);
        put_run(d, s, "skipped", HISTORY_SKIPPED);
        put_begun(d, s);
        document_flag(d, "is_concluded", s->is_concluded);
        put_snapshots(d, s);
        return document_finish(d);
}
