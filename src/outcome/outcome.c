/* A record without a will of its own. */
#include "outcome/outcome.h"

#include "base/report.h"
#include "base/stop.h"
#include "progress.h"

#include <errno.h>

/* Both clocks: what it is called by, and what it is measured by. */
void outcome_begin(struct outcome *o)
{
        clock_gettime(CLOCK_REALTIME, &o->begun);
        o->duration_s = -progress_now();
}

void outcome_end(struct outcome *o)
{
        clock_gettime(CLOCK_REALTIME, &o->ended);
        o->duration_s += progress_now();
        o->status = report_exit_status(o->report);
}

void outcome_deinit(struct outcome *o)
{
        for (size_t i = 0; i < o->verdict_count; i++)
                free(o->verdicts[i].name);
        free(o->verdicts);
        o->verdicts = NULL;
        o->verdict_count = 0;
}

const char *outcome_step_name(enum outcome_step step)
{
        static const char *const names[OUTCOME_STEPS] = {
                [OUTCOME_PREPARE] = "prepare",   [OUTCOME_TRANSFER] = "transfer", [OUTCOME_SNAPSHOT] = "snapshot",
                [OUTCOME_ROTATION] = "rotation", [OUTCOME_RELEASE] = "release",
        };

        return names[step];
}

/* Rotation may come twice in a run: first to make room. */
static struct outcome_verdict *find(struct outcome *o, const char *name)
{
        for (size_t i = 0; i < o->verdict_count; i++) {
                if (str_equal(o->verdicts[i].name, name))
                        return &o->verdicts[i];
        }
        return NULL;
}

int outcome_judge(struct outcome *o, const char *name, unsigned reasons, enum outcome_fate fate)
{
        struct outcome_verdict *v = find(o, name), *more;

        if (!v) {
                more = reallocarray(o->verdicts, o->verdict_count + 1, sizeof(*more));
                if (!more)
                        return -ENOMEM;
                o->verdicts = more;
                v = &more[o->verdict_count];
                *v = (struct outcome_verdict){ .name = strdup(name) };
                if (!v->name)
                        return -ENOMEM;
                o->verdict_count++;
        }
        v->reasons = reasons;
        v->fate = fate;
        return 0;
}

size_t outcome_count(const struct outcome *o, enum outcome_fate fate)
{
        size_t n = 0;

        for (size_t i = 0; i < o->verdict_count; i++)
                n += o->verdicts[i].fate == fate;
        return n;
}

const char *outcome_word(const struct outcome *o)
{
        if (stop_signal() != 0)
                return "interrupted";
        if (report_is_refused(o->report))
                return "refused";
        if (report_has_failed(o->report))
                return "failed";
        if (o->is_skipped)
                return "skipped";
        return report_is_partial(o->report) || report_remains_count(o->report) > 0 ? "partial" : "complete";
}
