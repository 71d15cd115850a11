/* The same as survey_text.c says to people; docs/report.md describes it. */
#include "base/document.h"
#include "base/path.h"
#include "outcome/told.h"
#include "rotate/names.h"
#include "rotate/scheme.h"
#include "survey/survey.h"

#include <limits.h>

enum { NAME_SHOWN_MAX = 4 * NAME_MAX + 1 };

static void put_measure(struct document *d, const struct measure *m)
{
        document_count(d, "entries", m->entries);
        document_count(d, "bytes", m->size_bytes);
        document_count(d, "freed_bytes", m->freed_bytes);
        document_flag(d, "is_partial", m->is_partial);
        document_flag(d, "frees_less", m->frees_less);
        document_flag(d, "frees_more", m->frees_more);
}

/* As names are written, without a time zone. */
static void put_moment(struct document *d, const char *key, int64_t time)
{
        char text[NAMES_SIZE];

        document_text(d, key, names_format(time, text));
}

static void put_stay(struct document *d, const struct survey_item *item)
{
        static const char *const ends[] = {
                [FORESEE_GONE] = "removed",          [FORESEE_NEXT] = "until the next",
                [FORESEE_MOMENT] = "until a moment", [FORESEE_NEVER] = "never",
                [FORESEE_OPEN] = "as long as that",  [FORESEE_NEXT_COMPLETE] = "until the next complete",
        };

        document_text(d, "end", ends[item->stays.end]);
        document_text(d, "rule", item->stays.end == FORESEE_GONE ? NULL : scheme_reason_name(item->stays.reason));
        if (item->stays.end == FORESEE_MOMENT)
                put_moment(d, "until", item->stays.time);
        else
                document_text(d, "until", NULL);
}

static void put_item(struct document *d, const struct survey *s, const struct survey_item *item)
{
        char shown[NAME_SHOWN_MAX];

        path_show(NULL, item->name, shown, sizeof(shown));
        document_begin_object(d, NULL);
        document_text(d, "name", shown);
        document_number(d, "age_seconds", s->now - item->time);
        document_flag(d, "complete", item->complete);
        if (!s->unmeasured)
                put_measure(d, &item->takes);
        if (!s->unrotated)
                put_stay(d, item);
        document_end(d);
}

int survey_document(struct buf *out, const struct survey *s, const char *destination)
{
        struct document document, *d = &document;

        told_begin(d, out, "list");
        document_text(d, "destination", destination);
        document_flag(d, "is_busy", s->is_busy);
        document_text(d, "unmeasured", s->unmeasured);
        document_text(d, "unrotated", s->unrotated);
        document_begin_array(d, "snapshots");
        for (size_t i = 0; i < s->count; i++)
                put_item(d, s, &s->items[i]);
        document_end(d);
        if (s->has_total)
                document_count(d, "total_bytes", s->total_bytes);
        if (s->has_free)
                document_count(d, "free_bytes", s->free_bytes);
        return document_finish(d);
}
