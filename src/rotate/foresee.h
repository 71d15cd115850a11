/*
 * How long the snapshots of a scheme will stay: for each the rule that keeps it longest, and until when.
 *
 * Pure, as rotate/scheme.h. What is still to come is not known, so that this is a promise: no rotation removes a
 * snapshot before the moment that is told, whatever backups there are until then. It is the earliest one: the first
 * rotation from then on removes it when each period from now on has a snapshot as early in it as can be. Where periods
 * stay without one, it stays longer.
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
        int64_t time;              /* of a FORESEE_MOMENT: the first at which a rotation may remove it, after `now` */
        /*
         * The newest, with prefer_recent: the next one takes its place in each period that the two share, so that it
         * may be gone before.
         */
        bool may_be_replaced;
};

/* For each of @items, as scheme_mark() left them with the same @scheme and @now. */
void foresee(const struct scheme *scheme, int64_t now, const struct scheme_item *items, size_t count,
             struct foresee *ret);
