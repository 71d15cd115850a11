/*
 * How long the snapshots of a scheme will stay: for each the rule that keeps it longest, and until when.
 *
 * Pure, as rotate/scheme.h. What is still to come is not known: a strict scheme has a moment after which a rule keeps a
 * snapshot no more whatever comes, a relaxed one counts snapshots that are not there yet, of which it is assumed that
 * there will be one in each period from now on.
 */
#pragma once

#include "base/util.h"
#include "rotate/scheme.h"

/* From what is gone soonest to what stays longest. */
enum foresee_end {
        FORESEE_GONE,          /* nothing preserves it: the next rotation removes it */
        FORESEE_NEXT,          /* until there is another snapshot */
        FORESEE_NEXT_COMPLETE, /* until there is another complete one */
        FORESEE_MOMENT,        /* until `time` */
        FORESEE_NEVER,         /* for ever */
        FORESEE_OPEN,          /* it takes no part, and stays as long as that is so: dated in the future, or ignored */
};

struct foresee {
        enum foresee_end end;
        enum scheme_reason reason; /* the rule that keeps it longest; of a FORESEE_GONE nothing */
        /*
         * The rotation after the first snapshot that is younger than this removes it at the latest, be it the regular
         * one or the last of many. It may be gone before where several snapshots share a period.
         */
        int64_t time;
        /* The newest, with prefer_recent: the next one takes its place in each period that the two share. */
        bool may_be_replaced;
};

/* For each of @items, as scheme_mark() left them with the same @scheme and @now. */
void foresee(const struct scheme *scheme, int64_t now, const struct scheme_item *items, size_t count,
             struct foresee *ret);
