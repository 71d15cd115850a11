/* The table: as wide as what is in it, numbers to the right. */
#include "base/buf.h"
#include "base/path.h"
#include "progress.h"
#include "rotate/names.h"
#include "rotate/scheme.h"
#include "survey/survey.h"

#include <stdio.h>

enum { COLUMNS = 6, CELL_SIZE = SURVEY_RULE_SIZE, MINUTE_LENGTH = sizeof("YYYY-MM-DD HH:MM") - 1 };
enum column { COLUMN_NAME, COLUMN_AGE, COLUMN_ENTRIES, COLUMN_SIZE, COLUMN_ONLY, COLUMN_RULE };

/* ---- cells ---- */

static void print_age(int64_t seconds, char out[CELL_SIZE])
{
        char text[PROGRESS_TEXT_SIZE];

        snprintf(out, CELL_SIZE, "%s%s", seconds < 0 ? "in " : "",
                 progress_age(seconds < 0 ? -seconds : seconds, text));
}

static const char *reason_name(enum scheme_reason reason)
{
        switch (reason) {
        case SCHEME_NEWEST:
                return "newest";
        case SCHEME_NEWEST_COMPLETE:
                return "newest complete";
        case SCHEME_IGNORED:
                return "the include or exclude list";
        case SCHEME_FUTURE:
                return "its date, in the future";
        default:
                return scheme_frequency_name((enum scheme_frequency)reason);
        }
}

static void print_end(const struct foresee *f, char *out, size_t size)
{
        const char *first = f->may_be_replaced && f->end != FORESEE_NEXT ? "newest, then perhaps " : "";
        const char *name = f->end == FORESEE_GONE ? "" : reason_name(f->reason);
        char moment[NAMES_SIZE];

        switch (f->end) {
        case FORESEE_GONE:
                snprintf(out, size, "nothing: the next rotation removes it");
                break;
        case FORESEE_NEXT:
                snprintf(out, size, "%s, until the next one", name);
                break;
        case FORESEE_NEXT_COMPLETE:
                snprintf(out, size, "%s, until the next complete one", name);
                break;
        case FORESEE_MOMENT:
                snprintf(out, size, "%s%s until %.*s", first, name, MINUTE_LENGTH, names_format(f->time, moment));
                break;
        case FORESEE_NEVER:
                snprintf(out, size, "%s%s, for ever", first, name);
                break;
        case FORESEE_OPEN:
                snprintf(out, size, "%s", name);
                break;
        }
}

const char *survey_rule(const struct survey_item *item, char out[SURVEY_RULE_SIZE])
{
        int used = snprintf(out, SURVEY_RULE_SIZE, "%s", item->complete ? "" : "incomplete; ");

        print_end(&item->stays, out + used, SURVEY_RULE_SIZE - (size_t)used);
        return out;
}

struct table {
        const struct survey *survey;
        const char *(*show)(uint64_t bytes, char out[PROGRESS_TEXT_SIZE]);
        int widths[COLUMNS];
};

static const char *bound(const struct measure *m, bool is_freed)
{
        bool is_more = m->is_partial || (is_freed && m->frees_more);

        if (is_freed && m->frees_less)
                return is_more ? "~" : "<";
        return is_more ? ">" : "";
}

static void print_cell(const struct table *t, const struct survey_item *item, enum column column, char out[CELL_SIZE])
{
        const struct measure *m = &item->takes;
        const struct survey *s = t->survey;
        char text[PROGRESS_TEXT_SIZE];

        snprintf(out, CELL_SIZE, "-");
        switch (column) {
        case COLUMN_NAME:
                path_show(NULL, item->name, out, CELL_SIZE);
                break;
        case COLUMN_AGE:
                print_age(s->now - item->time, out);
                break;
        case COLUMN_ENTRIES:
                if (!s->unmeasured)
                        snprintf(out, CELL_SIZE, "%s%s", bound(m, false), progress_count(m->entries, text));
                break;
        case COLUMN_SIZE:
                if (!s->unmeasured)
                        snprintf(out, CELL_SIZE, "%s%s", bound(m, false), t->show(m->size_bytes, text));
                break;
        case COLUMN_ONLY:
                if (!s->unmeasured)
                        snprintf(out, CELL_SIZE, "%s%s", bound(m, true), t->show(m->freed_bytes, text));
                break;
        case COLUMN_RULE:
                if (!s->unrotated)
                        survey_rule(item, out);
                else if (!item->complete)
                        snprintf(out, CELL_SIZE, "incomplete");
                break;
        }
}

/* ---- the table ---- */

static const char *const headers[COLUMNS] = { "snapshot", "age", "entries", "size", "only here", "kept by" };

struct row {
        char cells[COLUMNS][CELL_SIZE];
};

static int print_row(struct buf *out, const struct table *t, const struct row *row)
{
        int r = buf_printf(out, "%-*s", t->widths[COLUMN_NAME], row->cells[COLUMN_NAME]);

        for (size_t c = COLUMN_NAME + 1; c < COLUMN_RULE && r == 0; c++)
                r = buf_printf(out, "  %*s", t->widths[c], row->cells[c]);
        return r < 0 ? r : buf_printf(out, "  %s\n", row->cells[COLUMN_RULE]);
}

static void fill(const struct table *t, size_t i, struct row *ret)
{
        for (size_t c = 0; c < COLUMNS; c++)
                print_cell(t, &t->survey->items[i], (enum column)c, ret->cells[c]);
}

static void widen(struct table *t, const struct row *row)
{
        for (size_t c = 0; c < COLUMNS; c++)
                t->widths[c] = (int)size_max((size_t)t->widths[c], strlen(row->cells[c]));
}

static int print_rows(struct buf *out, struct table *t, bool is_terse)
{
        struct row header, row;
        int r = 0;

        for (size_t c = 0; c < COLUMNS; c++)
                snprintf(header.cells[c], CELL_SIZE, "%s", headers[c]);
        if (!is_terse)
                widen(t, &header);
        for (size_t i = 0; i < t->survey->count; i++) {
                fill(t, i, &row);
                widen(t, &row);
        }
        if (!is_terse)
                r = print_row(out, t, &header);
        for (size_t i = 0; i < t->survey->count && r == 0; i++) {
                fill(t, i, &row);
                r = print_row(out, t, &row);
        }
        return r;
}

/* ---- what is to be said of all together ---- */

static int print_total(struct buf *out, const struct table *t)
{
        const struct survey *s = t->survey;
        char text[PROGRESS_TEXT_SIZE];
        int r = buf_printf(out, "%s snapshot%s", progress_count(s->count, text), s->count == 1 ? "" : "s");

        if (r == 0 && s->has_total)
                r = buf_printf(out, "; with the latest backup %s on the disk", t->show(s->total_bytes, text));
        if (r == 0 && s->has_free)
                r = buf_printf(out, "; %s free", t->show(s->free_bytes, text));
        return r < 0 ? r : buf_puts(out, "\n");
}

/* What the marks before numbers mean. */
static int print_bounds(struct buf *out, const struct survey *s)
{
        bool is_partial = false, frees_less = false, frees_more = false, is_either = false;
        int r = 0;

        for (size_t i = 0; i < s->count; i++) {
                const struct measure *m = &s->items[i].takes;

                is_partial = is_partial || m->is_partial;
                frees_less = frees_less || m->frees_less;
                frees_more = frees_more || m->frees_more;
                is_either = is_either || (m->frees_less && (m->is_partial || m->frees_more));
        }
        if (is_partial)
                r = buf_puts(out, "> at least: not all of it could be looked at\n");
        if (r == 0 && frees_more)
                r = buf_puts(out, "> at least: what files of one snapshot share with each other is left out\n");
        if (r == 0 && frees_less)
                r = buf_puts(out, "< at most: what is compressed takes less\n");
        if (r == 0 && is_either)
                r = buf_puts(out, "~ both of that: it may be more or less\n");
        return r;
}

static int print_notes(struct buf *out, const struct survey *s)
{
        int r = s->unmeasured ? buf_printf(out, "no sizes are known: %s\n", s->unmeasured) : print_bounds(out, s);

        if (r == 0 && s->unrotated)
                r = buf_printf(out, "nothing is rotated: %s\n", s->unrotated);
        return r;
}

static const char *show_exactly(uint64_t bytes, char out[PROGRESS_TEXT_SIZE])
{
        return progress_count(bytes, out);
}

int survey_print(struct buf *out, const struct survey *s, int verbosity)
{
        struct table t = { .survey = s, .show = verbosity > 0 ? show_exactly : progress_bytes };
        int r = print_rows(out, &t, verbosity < 0);

        if (verbosity < 0)
                return r;
        r = r < 0 ? r : print_total(out, &t);
        return r < 0 ? r : print_notes(out, s);
}
