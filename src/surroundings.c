/* Thin: src/system/ knows how each of them is talked to, this file when. */
#include "surroundings.h"

#include "base/report.h"
#include "progress.h"
#include "system/service.h"

#include <stdio.h>

enum { STATUS_MAX = 400 };

void surroundings_begin(struct surroundings *s, const struct outcome *outcome)
{
        *s = (struct surroundings){ .outcome = outcome };
        service_begin();
}

/* ---- how far it is ---- */

/* From a signal to end until we are killed there is little time, unless we ask for it; these are what takes long then.
 */
static bool lasts(int step)
{
        return step == PROGRESS_SYNC || step == PROGRESS_REMOVE;
}

static void begin_step(void *context, int step, uint64_t expected)
{
        struct surroundings *s = context;
        char text[STATUS_MAX];

        (void)expected;
        service_lasts(s->is_ending || lasts(step));
        if (step < 0)
                return;
        progress_describe(s->progress, text, sizeof(text));
        service_status(text, true);
}

static void tick(void *context)
{
        struct surroundings *s = context;
        char text[STATUS_MAX];

        progress_describe(s->progress, text, sizeof(text));
        service_status(text, false);
}

void surroundings_follow(struct surroundings *s, struct progress *progress)
{
        s->progress = progress;
        /* Who is not heard costs nothing: with a listener what takes long is done on another thread. */
        if (service_is_heard())
                progress_listen(progress,
                                &(struct progress_listener){ .step = begin_step, .tick = tick, .context = s });
}

void surroundings_step(struct surroundings *s, enum outcome_step step)
{
        static const char *const words[OUTCOME_STEPS] = {
                [OUTCOME_PREPARE] = "preparing the destination",
                [OUTCOME_TRANSFER] = "transfer",
                [OUTCOME_SNAPSHOT] = "snapshot",
                [OUTCOME_ROTATION] = "rotation",
                [OUTCOME_RELEASE] = "giving the destination back",
        };

        service_status(words[step], true);
        if (step != OUTCOME_RELEASE)
                return;
        s->is_ending = true;
        service_lasts(true);
        service_stopping();
}

void surroundings_end(struct surroundings *s)
{
        const struct outcome *o = s->outcome;
        char text[STATUS_MAX], time[PROGRESS_TEXT_SIZE];

        snprintf(text, sizeof(text), "%s after %s%s%s", outcome_word(o), progress_duration(o->duration_s, time),
                 report_has_failed(o->report) ? ": " : "", report_failure_text(o->report));
        service_status(text, true);
        service_end();
}
