/*
 * The scheme comes from the command line or --config, else from the files of rotate-backups. Their section for this
 * directory protects in any case: its lists hold, and where it refuses, nothing is removed.
 */
#include "rotation.h"

#include "base/err.h"
#include "base/log.h"
#include "base/path.h"
#include "base/report.h"
#include "base/stop.h"
#include "destination.h"
#include "ioclass.h"
#include "options/options.h"
#include "outcome/outcome.h"
#include "rotate/foresee.h"
#include "rotate/scheme.h"
#include "rotate/schemefile.h"
#include "survey/survey.h"

#include <errno.h>
#include <stdio.h>

enum { SHOWN_MAX = 128 };

static int load(struct schemefile *ret, const struct destination *d, const struct options *o, struct err *err)
{
        const struct schemefile_places places = { .root = "", .home = getenv("HOME") };
        int r = schemefile_load(ret, d->parent, &places, err);

        if (r < 0)
                return r;
        if (o->scheme_given)
                ret->scheme = scheme_default;
        options_scheme(o, &ret->scheme);
        r = scheme_check(&ret->scheme, err);
        if (r < 0)
                schemefile_deinit(ret);
        return r;
}

int rotation_check(const struct destination *d, const struct options *o, struct err *err)
{
        struct schemefile file;
        int r = load(&file, d, o, err);

        if (r == 0)
                schemefile_deinit(&file);
        return r;
}

/* Newest last, as scheme_mark() leaves them. */
static int mark(const struct schemefile *file, const struct destination_snapshots *list, struct scheme_item **ret,
                struct err *err)
{
        struct scheme_item *items = calloc(list->count + 1, sizeof(*items));

        if (!items)
                return err_oom(err);
        for (size_t i = 0; i < list->count; i++) {
                const struct destination_snapshot *s = &list->items[i];

                items[i] = (struct scheme_item){
                        .name = s->name,
                        .time = s->time,
                        .complete = s->complete,
                        .own = s->own,
                        .ignored = !schemefile_selects(file, s->name),
                };
        }
        scheme_mark(&file->scheme, list->now, items, list->count);
        *ret = items;
        return 0;
}

static void tell_removed(enum log_level level, const char *name, const char *after)
{
        char field[SHOWN_MAX + 16], shown[SHOWN_MAX];
        const char *const more[] = { field, NULL };

        path_show(NULL, name, shown, sizeof(shown));
        snprintf(field, sizeof(field), "RSB_SNAPSHOT=%s", shown);
        log_event(level, &(struct log_fields){ .event = LOG_EVENT_SNAPSHOT_REMOVED, .more = more },
                  "removed snapshot '%s'%s", shown, after);
}

static void list_removed(const struct options *o, struct report *report, const char *name, bool is_whole)
{
        report_change_for(report, REPORT_VERB_REMOVED, name, NULL);
        if (!is_whole)
                tell_removed(LOG_LEVEL_WARNING, name, ", but not all of it: a later run removes the rest");
        /* The list says it too, but not to machines. */
        else if (!report_lists_changes(report) || (log_is_structured() && !o->dry_run))
                tell_removed(LOG_LEVEL_INFO, name, "");
}

/* How far it came nobody knows. */
static void blame_connection(const char *name, struct err *err)
{
        char context[SHOWN_MAX + 64], shown[SHOWN_MAX];

        path_show(NULL, name, shown, sizeof(shown));
        snprintf(context, sizeof(context), "while the snapshot '%s' was to be removed", shown);
        err_context(err, context);
}

/* Return 0 or a negative errno with @err filled; *@fate is known in any case. */
static int remove_one(struct destination *d, const struct options *o, struct report *report, const char *name,
                      enum outcome_fate *fate, struct err *err)
{
        uint64_t gone = report_get(report, REPORT_SNAPSHOTS_GONE);
        int r = stop_check(err);

        if (r == 0 && !o->dry_run)
                r = d->ops->remove(d, name, err);
        *fate = r == 0 || report_get(report, REPORT_SNAPSHOTS_GONE) > gone ? OUTCOME_REMOVED : OUTCOME_REMAINS;
        if (*fate == OUTCOME_REMOVED)
                list_removed(o, report, name, r == 0);
        else if (r == -ECONNRESET || r == -ETIMEDOUT)
                blame_connection(name, err);
        /* One that cannot go, for want of a right to or because it is in use, does not keep the others. */
        if (r < 0 && err->kind == ERR_ITEM) {
                report_remains(report, err);
                return 0;
        }
        return r;
}

static void warn_of_clock(const struct scheme_item *item)
{
        if (item->reasons & 1U << SCHEME_FUTURE)
                log_warning("snapshot '%s' is dated in the future: it is preserved, and nothing is measured by it",
                            item->name);
        if (item->doubted)
                log_warning("snapshot '%s' is more than a year younger than the one before it: is the clock right? the "
                            "next rotation measures by it, and may remove what is older",
                            item->name);
}

/* Tell, and do it unless it is preserved. */
static int carry_out(struct destination *d, const struct scheme_item *item, struct outcome *outcome,
                     struct report *report, struct err *err)
{
        enum outcome_fate fate = OUTCOME_PRESERVED;
        char verdict[SCHEME_VERDICT_SIZE];
        int r = 0;

        scheme_verdict(item->reasons, verdict);
        log_debug("snapshot %s %s", item->name, verdict);
        warn_of_clock(item);
        if (item->reasons != 0)
                report_change_for(report, REPORT_VERB_KEPT, item->name, strchr(verdict, ' ') + 1);
        else
                r = remove_one(d, outcome->options, report, item->name, &fate, err);
        /* What ended the run may have left it its name, or come before. */
        if (r < 0 && fate == OUTCOME_REMAINS)
                return r;
        if (outcome_judge(outcome, item->name, item->reasons, fate) < 0 && r == 0)
                return err_oom(err);
        return r;
}

static enum settings_ionice file_says(const struct schemefile *file)
{
        if (!file->ionice)
                return SETTINGS_IONICE_UNSET;
        if (str_equal(file->ionice, "idle"))
                return SETTINGS_IDLE;
        return str_equal(file->ionice, "realtime") ? SETTINGS_REALTIME : SETTINGS_BEST_EFFORT;
}

static int rotate(struct destination *d, struct outcome *outcome, struct report *report, const struct schemefile *file,
                  struct err *err)
{
        struct destination_snapshots list;
        struct scheme_item *items = NULL;
        int r = d->ops->list(d, &list, err);

        if (r < 0)
                return r;
        r = mark(file, &list, &items, err);
        if (r == 0) {
                int before = ioclass_lower(outcome->options->ionice, file_says(file));

                for (size_t i = 0; i < list.count && r == 0; i++)
                        r = carry_out(d, &items[i], outcome, report, err);
                ioclass_restore(before);
                free(items);
        }
        destination_snapshots_deinit(&list);
        return r;
}

/* ---- what would be ---- */

static int foresee_all(const struct schemefile *file, struct survey *s, struct err *err)
{
        struct scheme_item *items = calloc(s->count + 1, sizeof(*items));
        struct foresee *stays = calloc(s->count + 1, sizeof(*stays));

        for (size_t i = 0; items && stays && i < s->count; i++)
                items[i] = (struct scheme_item){ .name = s->items[i].name,
                                                 .time = s->items[i].time,
                                                 .complete = s->items[i].complete,
                                                 .ignored = !schemefile_selects(file, s->items[i].name) };
        if (items && stays) {
                scheme_mark(&file->scheme, s->now, items, s->count);
                foresee(&file->scheme, s->now, items, s->count, stays);
        }
        /* Both are in one order. */
        for (size_t i = 0; items && stays && i < s->count; i++) {
                s->items[i].reasons = items[i].reasons;
                s->items[i].stays = stays[i];
        }
        free(items);
        free(stays);
        return items && stays ? 0 : err_oom(err);
}

int rotation_foresee(const struct destination *d, const struct options *o, struct survey *s, struct err *err)
{
        struct schemefile file;
        int r;

        if (d->keeps_all) {
                s->unrotated = strdup(
                        "over this connection no snapshot can be removed; the server knows how it is done there");
                return s->unrotated ? 0 : err_oom(err);
        }
        r = load(&file, d, o, err);
        if (r < 0)
                return r;
        if (file.refusal)
                s->unrotated = TAKE(file.refusal);
        else
                r = foresee_all(&file, s, err);
        schemefile_deinit(&file);
        return r;
}

/* ---- what is done ---- */

int rotation_run(struct destination *d, struct outcome *outcome, struct report *report, struct err *err)
{
        struct schemefile file;
        int r = load(&file, d, outcome->options, err);

        /* It was right when rotation_check() looked. By now the run has touched something, which no wrong usage does.
         */
        if (r < 0 && err->kind == ERR_USAGE)
                err->kind = ERR_RUN;
        if (r < 0)
                return r;
        if (file.refusal) {
                log_warning("nothing is rotated: %s", file.refusal);
                r = ROTATION_REFUSED;
        } else {
                r = rotate(d, outcome, report, &file, err);
        }
        schemefile_deinit(&file);
        return r;
}
