/* A line of help, one of type, and the values, for each metric. */
#include "outcome/metrics.h"

#include "base/buf.h"
#include "base/report.h"
#include "options/options.h"
#include "outcome/outcome.h"
#include "storage/history.h"

#include <inttypes.h>

#define PREFIX "rsync_system_backup_"

struct metrics {
        struct buf *to;
        const char *destination;
        int r; /* the first failure is kept */
};

static void add(struct metrics *m, const char *text)
{
        if (m->r == 0)
                m->r = buf_puts(m->to, text);
}

/* As a label's value: bytes that are no UTF-8 were escaped before. */
static void add_quoted(struct metrics *m, const char *text)
{
        for (; *text && m->r == 0; text++) {
                if (*text == '\\' || *text == '"')
                        m->r = buf_putc(m->to, '\\');
                if (m->r == 0)
                        m->r = buf_putc(m->to, *text);
        }
}

static void describe(struct metrics *m, const char *name, const char *help)
{
        if (m->r == 0)
                m->r = buf_printf(m->to, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s gauge\n", name, help, name);
}

/* The name and labels of a value, up to the blank before it; @label may be NULL. */
static void begin_value(struct metrics *m, const char *name, const char *label, const char *value)
{
        add(m, PREFIX);
        add(m, name);
        add(m, "{destination=\"");
        add_quoted(m, m->destination);
        if (label && m->r == 0)
                m->r = buf_printf(m->to, "\",%s=\"%s", label, value);
        add(m, "\"} ");
}

static void add_number(struct metrics *m, const char *name, const char *label, const char *value, int64_t n)
{
        begin_value(m, name, label, value);
        if (m->r == 0)
                m->r = buf_printf(m->to, "%" PRId64 "\n", n);
}

static void add_seconds(struct metrics *m, const char *name, const char *label, const char *value, double seconds)
{
        begin_value(m, name, label, value);
        if (m->r == 0)
                m->r = buf_printf(m->to, "%.3f\n", seconds);
}

static void add_time(struct metrics *m, const struct history *h, enum history_which which, const char *name,
                     const char *help)
{
        if (!h->has[which])
                return;
        describe(m, name, help);
        add_number(m, name, NULL, NULL, h->runs[which].begun);
}

static void add_remembered(struct metrics *m, const struct history *h)
{
        add_time(m, h, HISTORY_COMPLETE, "last_complete_timestamp_seconds",
                 "When the last run began that left a complete backup.");
        add_time(m, h, HISTORY_STORED, "last_stored_timestamp_seconds",
                 "When the last run began that left a backup, be it that some files are missing from it.");
        add_time(
                m, h, HISTORY_SKIPPED, "skipped_timestamp_seconds",
                "When there was nothing to do last, a disk not being plugged in say; absent when the last run was none "
                "of these.");
        add_time(m, h, HISTORY_LAST, "last_run_timestamp_seconds", "When the last run began.");
}

static void add_last(struct metrics *m, const struct history_run *run)
{
        const struct {
                const char *name, *help;
                int64_t value;
        } values[] = {
                { "last_run_exit_status", "Its exit status: 0 complete, 23 some files are missing, others: failed.",
                  run->status },
                { "last_run_entries", "Entries of the source that it saw.", (int64_t)run->entries },
                { "last_run_source_bytes", "Size of the source's regular files.", (int64_t)run->bytes },
                { "last_run_copied_bytes", "Bytes that it copied.", (int64_t)run->copied_bytes },
                { "last_run_lost_entries", "Entries that could not be read or stored in full.", (int64_t)run->lost },
        };

        describe(m, "last_run_duration_seconds", "How long it took.");
        add_seconds(m, "last_run_duration_seconds", NULL, NULL, (double)run->duration_ms / 1000);
        for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
                describe(m, values[i].name, values[i].help);
                add_number(m, values[i].name, NULL, NULL, values[i].value);
        }
}

static void add_changes(struct metrics *m, const struct report *r)
{
        static const struct {
                const char *name;
                enum report_count count;
        } kinds[] = {
                { "new", REPORT_NEW },       { "changed", REPORT_CHANGED }, { "metadata", REPORT_METADATA },
                { "linked", REPORT_LINKED }, { "deleted", REPORT_DELETED },
        };

        describe(m, "last_run_changes", "Entries that it changed at the destination.");
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                add_number(m, "last_run_changes", "kind", kinds[i].name, (int64_t)report_get(r, kinds[i].count));
}

static void add_steps(struct metrics *m, const struct outcome *o)
{
        describe(m, "last_run_step_seconds", "How long each of its steps took.");
        for (unsigned i = 0; i < OUTCOME_STEPS; i++) {
                if (o->started[i])
                        add_seconds(m, "last_run_step_seconds", "step", outcome_step_name(i), o->seconds[i]);
        }
}

static void add_snapshots(struct metrics *m, const struct outcome *o)
{
        describe(m, "snapshots", "Snapshots that there are.");
        add_number(m, "snapshots", NULL, NULL,
                   (int64_t)(outcome_count(o, OUTCOME_PRESERVED) + outcome_count(o, OUTCOME_REMAINS)));
}

int metrics_write(const struct history *h, const struct outcome *o, struct buf *ret)
{
        struct metrics m = { .to = ret, .destination = h->destination };

        add_remembered(&m, h);
        if (h->has[HISTORY_LAST])
                add_last(&m, &h->runs[HISTORY_LAST]);
        /* Of the last run that is remembered, which one without a transfer is not. */
        if (o && o->options->backup && !o->is_skipped) {
                add_changes(&m, o->report);
                add_steps(&m, o);
        }
        if (o && o->done[OUTCOME_ROTATION])
                add_snapshots(&m, o);
        return m.r;
}
