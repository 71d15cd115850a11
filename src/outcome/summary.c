/* Numbers of the report and of the outcome, put into the handful of lines that a good night leaves in a log. */
#include "outcome/summary.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/path.h"
#include "base/report.h"
#include "base/stop.h"
#include "options/options.h"
#include "outcome/facts.h"
#include "outcome/outcome.h"
#include "progress.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* "3 new, 1 deleted": what there was of each. */
static void describe_changes(const struct report *report, struct buf *text)
{
        static const struct {
                enum report_count count;
                const char *name;
        } kinds[] = {
                { REPORT_NEW, "new" },       { REPORT_CHANGED, "changed" }, { REPORT_METADATA, "metadata only" },
                { REPORT_LINKED, "linked" }, { REPORT_DELETED, "deleted" },
        };
        char number[PROGRESS_TEXT_SIZE];
        uint64_t n;

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                n = report_get(report, kinds[i].count);
                if (n > 0)
                        (void)buf_printf(text, "%s%s %s", text->size ? ", " : "", progress_count(n, number),
                                         kinds[i].name);
        }
        if (text->size == 0)
                (void)buf_puts(text, "none");
        n = report_vanished_count(report);
        if (n > 0)
                (void)buf_printf(text, "; %s vanished meanwhile", progress_count(n, number));
        n = report_unsteady_count(report);
        if (n > 0)
                (void)buf_printf(text, "; %s kept changing", progress_count(n, number));
}

void summary_transfer(const struct outcome *o)
{
        _cleanup_(buf_deinit) struct buf changes = { .data = NULL };
        char entries[PROGRESS_TEXT_SIZE], size[PROGRESS_TEXT_SIZE], copied[PROGRESS_TEXT_SIZE],
                time[PROGRESS_TEXT_SIZE];

        describe_changes(o->report, &changes);
        log_info("transfer: %s, %s; %s %s in %s", progress_entries(report_get(o->report, REPORT_ENTRIES), entries),
                 progress_bytes(report_get(o->report, REPORT_BYTES), size),
                 progress_bytes(report_get(o->report, REPORT_COPIED_BYTES), copied),
                 o->options->dry_run ? "to be copied, found out" : "copied",
                 progress_duration(o->seconds[OUTCOME_TRANSFER], time));
        log_info("changes: %s", buf_text(&changes));
}

/* Those that the filesystem makes are not counted. */
void summary_snapshot(const struct outcome *o)
{
        uint64_t entries = report_get(o->report, REPORT_SNAPSHOT);
        char count[PROGRESS_TEXT_SIZE], time[PROGRESS_TEXT_SIZE], name[sizeof(o->snapshot) + 16];
        const char *const more[] = { name, NULL };
        const struct log_fields fields = { .event = LOG_EVENT_SNAPSHOT_MADE, .more = more };

        snprintf(name, sizeof(name), "RSB_SNAPSHOT=%s", o->snapshot);
        progress_duration(o->seconds[OUTCOME_SNAPSHOT], time);
        if (entries > 0)
                log_event(LOG_LEVEL_INFO, &fields, "snapshot: '%s', %s in %s", o->snapshot,
                          progress_entries(entries, count), time);
        else
                log_event(LOG_LEVEL_INFO, &fields, "snapshot: '%s', by the filesystem, in %s", o->snapshot, time);
}

void summary_rotation(const struct outcome *o)
{
        char time[PROGRESS_TEXT_SIZE], removed[PROGRESS_TEXT_SIZE], preserved[PROGRESS_TEXT_SIZE];
        size_t gone = outcome_count(o, OUTCOME_REMOVED);

        log_info("rotation: %s %s %s, %s preserved in %s", progress_count(gone, removed),
                 gone == 1 ? "snapshot" : "snapshots", o->options->dry_run ? "would be removed" : "removed",
                 progress_count(outcome_count(o, OUTCOME_PRESERVED), preserved),
                 progress_duration(o->seconds[OUTCOME_ROTATION], time));
}

enum { LINE_MAX_SIZE = 256 };

/* For machines with all that is known. */
static _printf_(4, 5) void say_end(const struct outcome *o, enum log_level level, enum log_event event,
                                   const char *format, ...)
{
        char text[LINE_MAX_SIZE];
        struct facts facts;
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        facts_of_end(&facts, o);
        log_event(level, &(struct log_fields){ .event = event, .more = (const char *const *)facts.items }, "%s", text);
        facts_deinit(&facts);
}

/* The last line of a run. */
void summary_end(const struct outcome *o)
{
        const char *what = o->options->dry_run ? "dry run" : o->options->backup ? "backup" : "run";
        char time[PROGRESS_TEXT_SIZE], items[PROGRESS_TEXT_SIZE];

        progress_duration(o->duration_s, time);
        if (stop_signal() != 0)
                say_end(o, LOG_LEVEL_ERROR, LOG_EVENT_FAILED, "%s ended by signal %s after %s", what,
                        sigabbrev_np(stop_signal()), time);
        else if (report_has_failed(o->report))
                say_end(o, LOG_LEVEL_ERROR, LOG_EVENT_FAILED, "%s failed after %s", what, time);
        else if (o->is_skipped)
                say_end(o, LOG_LEVEL_INFO, LOG_EVENT_SKIPPED, "nothing was done");
        else if (report_items(o->report) > 0)
                say_end(o, LOG_LEVEL_WARNING, LOG_EVENT_INCOMPLETE,
                        "%s done in %s, but incomplete: %s could not be read or stored in full", what, time,
                        progress_entries(report_items(o->report), items));
        else if (report_is_partial(o->report))
                say_end(o, LOG_LEVEL_WARNING, LOG_EVENT_INCOMPLETE,
                        "%s done in %s, but incomplete: see the warnings above", what, time);
        else if (report_remains_count(o->report) > 0)
                say_end(o, LOG_LEVEL_WARNING, LOG_EVENT_INCOMPLETE, "%s complete in %s, but %s could not be removed",
                        what, time, progress_entries(report_remains_count(o->report), items));
        else
                say_end(o, LOG_LEVEL_INFO, LOG_EVENT_ENDED, "%s complete in %s", what, time);
}

static bool is_first(const struct outcome *o)
{
        const struct options *options = o->options;

        /* A disk that was opened for the run is closed again, and what lies elsewhere is looked at there. */
        return options->attended && options->verbosity >= 0 && !options->dry_run && options->backup &&
               options->destination.kind == LOCATION_LOCAL && !options->mount && !options->crypto && *o->snapshot &&
               o->status == EXIT_SUCCESS && o->done[OUTCOME_ROTATION] && outcome_count(o, OUTCOME_PRESERVED) == 1 &&
               outcome_count(o, OUTCOME_REMOVED) == 0 && outcome_count(o, OUTCOME_REMAINS) == 0;
}

/* Append @text as a shell takes it for itself. Return 0, or -EINVAL where that would upset a terminal, or -ENOMEM. */
static int quote(struct buf *out, const char *text)
{
        int r = 0;

        for (; *text && r == 0; text++) {
                if ((unsigned char)*text < ' ' || *text == 0x7f)
                        return -EINVAL;
                r = *text == '\'' ? buf_puts(out, "'\\''") : buf_putc(out, *text);
        }
        return r;
}

void summary_first(const struct outcome *o)
{
        _cleanup_(freep) char *parent = is_first(o) ? path_parent(o->options->destination.path) : NULL;
        _cleanup_(buf_deinit) struct buf place = { .data = NULL };

        if (!parent || quote(&place, parent) < 0 || buf_printf(&place, "/%s", o->snapshot) < 0)
                return;
        /* For this moment and this person: it has no business in the journal. */
        fprintf(stderr,
                "\nThis first backup is a copy, plain as the files are:  ls '%s'\n"
                "To get one of them back:  cp -a '%s/NAME' .\n"
                "The next run copies what has changed. How to have that done every night:  man rsync-system-backup\n",
                buf_text(&place), buf_text(&place));
}
