/* What is good is a complete backup that is young enough; all else is worse in steps. */
#include "progress.h"
#include "status/status.h"

#include <stdio.h>

static enum status_verdict judge_without_complete(const struct history *h, const char *age, bool is_recent,
                                                  char text[STATUS_TEXT_SIZE])
{
        if (h->has[HISTORY_STORED]) {
                snprintf(text, STATUS_TEXT_SIZE, "the last backup is incomplete, and %s old", age);
                return is_recent ? STATUS_WARNING : STATUS_CRITICAL;
        }
        if (h->has[HISTORY_LAST]) {
                snprintf(text, STATUS_TEXT_SIZE, "no backup was completed yet, the last run %s",
                         str_equal(h->runs[HISTORY_LAST].outcome, "interrupted") ? "was interrupted" : "failed");
                return STATUS_CRITICAL;
        }
        snprintf(text, STATUS_TEXT_SIZE, "this machine remembers no backup to this destination");
        return STATUS_UNKNOWN;
}

enum status_verdict status_judge(const struct history *h, int64_t now, uint64_t max_age_s, char text[STATUS_TEXT_SIZE])
{
        int64_t complete = now - h->runs[HISTORY_COMPLETE].begun, stored = now - h->runs[HISTORY_STORED].begun;
        int64_t most = max_age_s > 0 && max_age_s < INT64_MAX ? (int64_t)max_age_s : INT64_MAX;
        char age[PROGRESS_TEXT_SIZE], limit[PROGRESS_TEXT_SIZE];

        if (!h->has[HISTORY_COMPLETE])
                return judge_without_complete(h, progress_age(stored, age), stored <= most, text);
        if (complete < 0) {
                snprintf(text, STATUS_TEXT_SIZE, "the last complete backup is dated in the future: a clock was wrong");
                return STATUS_UNKNOWN;
        }
        progress_age(complete, age);
        if (complete <= most) {
                snprintf(text, STATUS_TEXT_SIZE, "the last complete backup is %s old", age);
                return STATUS_OK;
        }
        snprintf(text, STATUS_TEXT_SIZE, "the last complete backup is %s old, more than %s%s", age,
                 progress_age(most, limit), stored <= most ? "; a later one is incomplete" : "");
        return stored <= most ? STATUS_WARNING : STATUS_CRITICAL;
}
