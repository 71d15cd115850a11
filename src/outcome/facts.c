/* One line for each field. */
#include "outcome/facts.h"

#include "base/path.h"
#include "base/report.h"
#include "options/options.h"
#include "outcome/outcome.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static _printf_(2, 3) void add(struct facts *f, const char *format, ...)
{
        va_list arguments;
        char *text;
        int r;

        if (f->count == FACTS_MAX)
                return;
        va_start(arguments, format);
        r = vasprintf(&text, format, arguments);
        va_end(arguments);
        if (r >= 0)
                f->items[f->count++] = text;
}

void facts_of_start(struct facts *ret, const struct outcome *o)
{
        char destination[PATH_SHOWN];

        *ret = (struct facts){ .count = 0 };
        location_show(&o->options->destination, destination, sizeof(destination));
        if (o->options->backup)
                add(ret, "RSB_SOURCE=%s", o->options->source);
        add(ret, "RSB_DESTINATION=%s", destination);
}

static void add_counts(struct facts *f, const struct report *report)
{
        static const struct {
                enum report_count count;
                const char *name;
        } counts[] = {
                { REPORT_ENTRIES, "ENTRIES" },   { REPORT_BYTES, "BYTES" },
                { REPORT_NEW, "NEW" },           { REPORT_CHANGED, "CHANGED" },
                { REPORT_METADATA, "METADATA" }, { REPORT_LINKED, "LINKED" },
                { REPORT_DELETED, "DELETED" },   { REPORT_COPIED_BYTES, "COPIED_BYTES" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
                add(f, "RSB_%s=%" PRIu64, counts[i].name, report_get(report, counts[i].count));
        add(f, "RSB_VANISHED=%" PRIu64, report_vanished_count(report));
        add(f, "RSB_LOST=%" PRIu64, report_items(report));
        add(f, "RSB_REMAINS=%" PRIu64, report_remains_count(report));
}

/* RSB_TRANSFER_SECONDS and so on, of what was done. */
static void add_times(struct facts *f, const struct outcome *o)
{
        add(f, "RSB_SECONDS=%.3f", o->duration_s);
        for (int step = 0; step < OUTCOME_STEPS; step++) {
                char name[32];
                size_t i;

                if (o->seconds[step] <= 0)
                        continue;
                snprintf(name, sizeof(name), "%s", outcome_step_name((enum outcome_step)step));
                for (i = 0; name[i]; i++)
                        name[i] = (char)toupper((unsigned char)name[i]);
                add(f, "RSB_%s_SECONDS=%.3f", name, o->seconds[step]);
        }
}

void facts_of_end(struct facts *ret, const struct outcome *o)
{
        facts_of_start(ret, o);
        add(ret, "RSB_OUTCOME=%s", outcome_word(o));
        add(ret, "RSB_STATUS=%d", o->status);
        if (*report_failure_text(o->report))
                add(ret, "RSB_REASON=%s", report_failure_text(o->report));
        add_times(ret, o);
        if (o->done[OUTCOME_TRANSFER])
                add_counts(ret, o->report);
        if (o->snapshot[0])
                add(ret, "RSB_SNAPSHOT=%s", o->snapshot);
        if (o->done[OUTCOME_ROTATION]) {
                add(ret, "RSB_SNAPSHOTS_REMOVED=%zu", outcome_count(o, OUTCOME_REMOVED));
                add(ret, "RSB_SNAPSHOTS_PRESERVED=%zu", outcome_count(o, OUTCOME_PRESERVED));
        }
}

void facts_deinit(struct facts *f)
{
        for (size_t i = 0; i < f->count; i++)
                free(f->items[i]);
        f->count = 0;
}
