/* Thin: src/system/ knows how each of them is talked to, this file when. */
#include "surroundings.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/report.h"
#include "notify.h"
#include "options/options.h"
#include "outcome/facts.h"
#include "progress.h"
#include "system/conditions.h"
#include "system/desktop.h"
#include "system/inhibit.h"
#include "system/power.h"
#include "system/service.h"

#include <stdio.h>

enum { STATUS_MAX = 400, SHOWN_MAX = 300 };

/* ---- is this the time for it? ---- */

static int check_conditions(struct outcome *outcome, struct err *err)
{
        const struct options *o = outcome->options;
        const struct conditions conditions = {
                .only_on_ac = o->only_on_ac,
                .min_battery_percent = o->min_battery_percent,
                .not_on_metered = o->not_on_metered && o->destination.kind != LOCATION_LOCAL,
        };
        char why[CONDITIONS_WHY_SIZE];
        int r = o->force_now ? 0 : conditions_check(&conditions, POWER_DIRECTORY, why, err);

        if (r != CONDITIONS_UNMET)
                return r;
        snprintf(outcome->skipped, sizeof(outcome->skipped), "%s", why);
        log_info("%s: the run is skipped; --force runs it anyway", why);
        return SURROUNDINGS_AGAINST;
}

int surroundings_begin(struct surroundings *s, struct outcome *outcome, struct err *err)
{
        const struct options *o = outcome->options;
        int r;

        *s = (struct surroundings){ .outcome = outcome, .sleep_fd = -1 };
        service_begin();
        r = check_conditions(outcome, err);
        if (r == 0 && !o->dry_run)
                s->sleep_fd = inhibit_sleep("a backup is being made");
        return r;
}

/* ---- people ---- */

static bool tells_people(const struct options *o)
{
        return !o->dry_run && !o->disable_notifications;
}

static void send_note(struct surroundings *s, int (*put)(struct notify_words *ret, const struct outcome *o))
{
        struct notify_words words;

        if (!tells_people(s->outcome->options) || put(&words, s->outcome) < 0)
                return;
        s->mail = desktop_send(&words.note, s->mail);
        notify_deinit(&words);
}

/* At a terminal one knows what one has just started; in a journal one looks for it. */
static void tell_machines(const struct outcome *o)
{
        char destination[SHOWN_MAX];
        struct facts facts;

        location_show(&o->options->destination, destination, sizeof(destination));
        facts_of_start(&facts, o);
        log_event(log_is_structured() ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG,
                  &(struct log_fields){ .event = LOG_EVENT_STARTED, .more = (const char *const *)facts.items },
                  "run to '%s' started", destination);
        facts_deinit(&facts);
}

void surroundings_start(struct surroundings *s)
{
        tell_machines(s->outcome);
        send_note(s, notify_started);
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

        log_step(outcome_step_name(step));
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
        log_step(NULL);
        s->sleep_fd = fd_close(s->sleep_fd);
        if (!o->is_skipped)
                send_note(s, notify_ended);
        desktop_await(s->mail);
        s->mail = NULL;
        service_end();
}
