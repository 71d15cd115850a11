/* One member after the other, in the order of docs/report.md. */
#include "outcome/outcome_document.h"

#include "base/document.h"
#include "base/err.h"
#include "base/path.h"
#include "base/report.h"
#include "base/stop.h"
#include "options/options.h"
#include "outcome/outcome.h"
#include "outcome/told.h"
#include "rotate/scheme.h"

enum { SHOWN_MAX = 4096 };

static void put_path(struct document *d, const char *key, const char *path)
{
        char shown[SHOWN_MAX];

        document_text(d, key, path ? path_show(NULL, path, shown, sizeof(shown)), shown : NULL);
}

static void put_job(struct document *d, const struct options *o)
{
        char destination[SHOWN_MAX];

        location_show(&o->destination, destination, sizeof(destination));
        put_path(d, "source", o->backup ? o->source : NULL);
        document_text(d, "destination", destination);
        put_path(d, "config", o->config);
        put_path(d, "section", o->section);
        document_begin_array(d, "actions");
        if (o->backup)
                document_text(d, NULL, "backup");
        if (o->snapshot)
                document_text(d, NULL, "snapshot");
        if (o->rotate)
                document_text(d, NULL, "rotate");
        document_end(d);
        document_flag(d, "dry_run", o->dry_run);
}

static void put_end(struct document *d, const struct outcome *o)
{
        const char *failure = report_failure_text(o->report);

        document_time(d, "begun", o->begun.tv_sec);
        document_time(d, "ended", o->ended.tv_sec);
        document_seconds(d, "seconds", o->duration_s);
        document_text(d, "outcome", outcome_word(o));
        document_number(d, "exit_status", o->status);
        if (stop_signal() != 0)
                document_number(d, "signal", stop_signal());
        else
                document_text(d, "signal", NULL);
        document_text(d, "failure", *failure ? failure : NULL);
        document_text(d, "skipped", o->is_skipped ? o->skipped : NULL);
}

static void put_steps(struct document *d, const struct outcome *o)
{
        document_begin_array(d, "steps");
        for (unsigned i = 0; i < OUTCOME_STEPS; i++) {
                if (!o->started[i])
                        continue;
                document_begin_object(d, NULL);
                document_text(d, "name", outcome_step_name(i));
                document_seconds(d, "seconds", o->seconds[i]);
                document_flag(d, "done", o->done[i]);
                document_end(d);
        }
        document_end(d);
}

static void put_counts(struct document *d, const struct report *r)
{
        static const struct {
                const char *key;
                enum report_count count;
        } counts[] = {
                { "source", REPORT_ENTRIES },   { "new", REPORT_NEW },
                { "changed", REPORT_CHANGED },   { "metadata", REPORT_METADATA },
                { "linked", REPORT_LINKED },     { "deleted", REPORT_DELETED },
                { "snapshot", REPORT_SNAPSHOT }, { "removed", REPORT_REMOVED },
        }, bytes[] = {
                { "source", REPORT_BYTES },      { "copied", REPORT_COPIED_BYTES },
                { "compared", REPORT_COMPARED_BYTES }, { "sent", REPORT_SENT_BYTES },
                { "received", REPORT_RECEIVED_BYTES },
        };

        document_begin_object(d, "entries");
        for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
                document_count(d, counts[i].key, report_get(r, counts[i].count));
        document_count(d, "lost", report_items(r));
        document_count(d, "remaining", report_remains_count(r));
        document_count(d, "vanished", report_vanished_count(r));
        document_count(d, "unsteady", report_unsteady_count(r));
        document_end(d);
        document_begin_object(d, "bytes");
        for (size_t i = 0; i < ARRAY_SIZE(bytes); i++)
                document_count(d, bytes[i].key, report_get(r, bytes[i].count));
        document_end(d);
}

static void put_errors(struct document *d, const struct report *r)
{
        const struct report_item *items;
        size_t count = report_kept(r, &items);

        document_begin_array(d, "errors");
        for (size_t i = 0; i < count; i++) {
                document_begin_object(d, NULL);
                document_text(d, "path", items[i].path[0] ? items[i].path : NULL);
                document_number(d, "errno", -items[i].code);
                document_text(d, "error", strerrorname_np(-items[i].code));
                document_text(d, "message", items[i].text);
                document_flag(d, "remains", items[i].remains);
                document_end(d);
        }
        document_end(d);
        document_count(d, "errors_left_out",
                       report_items(r) + report_lacking_count(r) + report_remains_count(r) - count);
}

static void put_reasons(struct document *d, unsigned reasons)
{
        document_begin_array(d, "reasons");
        for (unsigned i = 0; i < SCHEME_REASONS; i++) {
                if (reasons & 1U << i)
                        document_text(d, NULL, scheme_reason_name(i));
        }
        document_end(d);
}

static void put_rotation(struct document *d, const struct outcome *o)
{
        static const char *const fates[] = {
                [OUTCOME_PRESERVED] = "preserved", [OUTCOME_REMOVED] = "removed", [OUTCOME_REMAINS] = "remains"
        };

        document_begin_array(d, "rotation");
        for (size_t i = 0; i < o->verdict_count; i++) {
                const struct outcome_verdict *v = &o->verdicts[i];

                document_begin_object(d, NULL);
                document_text(d, "snapshot", v->name);
                document_text(d, "fate", fates[v->fate]);
                put_reasons(d, v->reasons);
                document_end(d);
        }
        document_end(d);
}

int outcome_document(const struct outcome *o, struct buf *ret)
{
        struct document document, *d = &document;

        told_begin(d, ret, "run");
        put_job(d, o->options);
        put_end(d, o);
        put_steps(d, o);
        put_counts(d, o->report);
        put_errors(d, o->report);
        document_text(d, "snapshot", *o->snapshot ? o->snapshot : NULL);
        put_rotation(d, o);
        return document_finish(d);
}
