/*
 * What snapshots there are and what they take, by a look that changes nothing and keeps nobody from anything: without
 * locks, so that a run may go on meanwhile.
 */
#include "local/local.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/listing.h"
#include "base/log.h"
#include "base/path.h"
#include "base/stop.h"
#include "local/local_checks.h"
#include "options/options.h"
#include "progress.h"
#include "rotate/measure.h"
#include "rotate/names.h"
#include "storage/lock.h"
#include "survey/survey.h"

#include <errno.h>
#include <sys/statvfs.h>

int local_look(struct local *l, struct err *err)
{
        int r = local_place_look(&l->place, l->d.config->fence, err);

        return r == 0 ? local_check_mounted(&l->place, l->d.config->options, err) : r;
}

/* ---- there is none ---- */

/* Are there snapshots in `latest` itself, so that its name was forgotten? */
static bool holds_snapshots(const struct local_place *p)
{
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        _cleanup_(listing_deinit) struct listing names = { .names = NULL };
        int64_t time;

        if (listing_read_unsorted(&names, p->latest_fd, &arena) < 0)
                return false;
        for (size_t i = 0; i < names.count; i++) {
                if (names_parse(names.names[i]->name, &time))
                        return true;
        }
        return false;
}

/* A wrong name must not look like an empty destination. */
static int check_is_one(const struct local_place *p, struct err *err)
{
        char shown[PATH_SHOWN];

        if (p->latest_fd == -ENOENT) {
                err_run(err, -ENOENT, "find the destination", p->path);
                return err_hint(err, "and there are no snapshots beside it");
        }
        if (p->latest_fd < 0 || !holds_snapshots(p))
                return 0;
        path_show(NULL, p->path, shown, sizeof(shown));
        err_runf(err, -ENOENT, "there are no snapshots beside '%s', but in it", shown);
        return err_hint(err, "DESTINATION is what they are made of: '%s/latest'?", shown);
}

/* What lies there was made of another one. */
static void warn_of_name(const struct local_place *p)
{
        char shown[PATH_SHOWN];

        path_show(NULL, p->path, shown, sizeof(shown));
        log_warning("there is no '%s'; this is what lies beside that name", shown);
}

/* ---- measuring ---- */

struct measuring_all {
        struct local *l;
        struct measuring *measuring;
        struct survey *survey;
};

static int measure(struct measuring_all *a, const char *name, struct measure *ret, struct err *err)
{
        const struct local_place *p = &a->l->place;
        _cleanup_(freep) char *shown = path_join(p->parent, name);
        const struct destination_config *c = a->l->d.config;

        if (!shown)
                return err_oom(err);
        return measure_tree(a->measuring,
                            &(struct measure_config){ .parent_fd = p->parent_fd,
                                                      .name = name,
                                                      .shown = shown,
                                                      .report = c->report,
                                                      .tick = progress_tick,
                                                      .tick_context = c->progress },
                            ret, err);
}

/* What a rotation removes meanwhile is left out. */
static int measure_snapshots(struct measuring_all *a, const struct destination_snapshots *list, struct err *err)
{
        struct measure m;
        int r = 0;

        for (size_t i = 0; i < list->count && r == 0; i++) {
                r = measure(a, list->items[i].name, &m, err);
                if (r == 0 && survey_add(a->survey, &list->items[i], &m) < 0)
                        r = err_oom(err);
                if (r == MEASURE_GONE)
                        r = 0;
                if (r == 0)
                        r = stop_check(err);
        }
        return r;
}

/* `latest` is measured for nothing but the sum. */
static int find_total(struct measuring_all *a, struct err *err)
{
        struct survey *s = a->survey;
        struct measure m;
        int r;

        if (a->l->place.latest_fd < 0 || !measuring_total(a->measuring, &s->total_bytes))
                return 0;
        r = measure(a, a->l->place.latest, &m, err);
        if (r == 0)
                s->has_total = measuring_total(a->measuring, &s->total_bytes);
        return r < 0 ? r : 0;
}

static void find_free(const struct local_place *p, struct survey *s)
{
        struct statvfs v;

        if (fstatvfs(p->parent_fd, &v) < 0)
                return;
        s->has_free = true;
        s->free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
}

static int measure_all(struct local *l, const struct destination_snapshots *list, struct survey *ret, struct err *err)
{
        _cleanup_(measuring_freep) struct measuring *measuring = NULL;
        struct progress *progress = l->d.config->progress;
        struct measuring_all all = { .l = l, .survey = ret };
        int r = measuring_new(&measuring, err);

        if (r < 0)
                return r;
        all.measuring = measuring;
        progress_begin(progress, PROGRESS_SURVEY, l->place.state.entries * (list->count + 1));
        r = measure_snapshots(&all, list, err);
        if (r == 0)
                r = find_total(&all, err);
        progress_end(progress);
        return r;
}

int local_survey(struct destination *d, struct survey *ret, struct err *err)
{
        struct local *l = local_of(d);
        struct destination_snapshots list;
        int r = d->ops->list(d, &list, err);

        *ret = (struct survey){ .items = NULL };
        if (r < 0)
                return r;
        ret->now = list.now;
        ret->is_busy = l->place.state_fd >= 0 && lock_is_held(l->place.state_fd, "lock");
        find_free(&l->place, ret);
        if (list.count > 0 && l->place.latest_fd == -ENOENT)
                warn_of_name(&l->place);
        r = list.count > 0 ? measure_all(l, &list, ret, err) : check_is_one(&l->place, err);
        destination_snapshots_deinit(&list);
        return r;
}
