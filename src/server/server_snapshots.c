/*
 * Snapshots that a bare rsync makes, which can neither link a tree nor rename one: it is sent the lists of the transfer
 * once more, into a directory of the snapshot's name, and told to link what is the same in `latest`. Whether that came
 * to its end is said by marks beside (local_marks.h), which everybody else goes by:
 *
 *      NAME.begun     ->     NAME/ is made     ->     NAME, or NAME.incomplete     ->     NAME.begun goes
 *
 * What has begun and has no other mark is what a run that was cut off has left: the next one removes it. What has no
 * mark at all is no snapshot, but for those that are there before the first mark: they get one.
 */
#include "server/server.h"

#include "base/err.h"
#include "base/log.h"
#include "base/path.h"
#include "base/report.h"
#include "local/local_marks.h"
#include "origin.h"
#include "progress.h"
#include "rotate/calendar.h"
#include "rotate/names.h"
#include "server/server_inventory.h"
#include "survey/survey.h"
#include "transfer/rsync/rsync_chore.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

enum { MARK_SIZE = NAMES_SIZE + 300 };

/* ---- chores ---- */

struct chore_step {
        enum rsync_chore chore;
        const char *path, *name;
};

static int chore_once(struct server *s, void *step, struct err *err)
{
        const struct chore_step *c = step;
        struct server_talk talk = { .arguments.destination = c->path };
        int r;

        rsync_chore_arguments(c->chore, &talk.arguments);
        r = server_open(s, &talk, err);
        return r < 0 ? r : rsync_chore(c->chore, &talk.push, c->name, err);
}

static int do_chore(struct server *s, enum rsync_chore chore, const char *name, struct err *err)
{
        _cleanup_(freep) char *path = server_path(s, NULL);

        if (!path)
                return err_oom(err);
        return server_persist(s, chore_once, &(struct chore_step){ .chore = chore, .path = path, .name = name }, err);
}

/* ---- marks ---- */

static const struct {
        enum server_mark mark;
        const char *ending;
} endings[] = {
        { SERVER_MARK_COMPLETE, "" },
        { SERVER_MARK_INCOMPLETE, LOCAL_MARKS_INCOMPLETE },
        { SERVER_MARK_BEGUN, SERVER_MARK_BEGUN_ENDING },
};

static void name_mark(const char *name, enum server_mark mark, char ret[MARK_SIZE])
{
        for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
                if (endings[i].mark == mark)
                        snprintf(ret, MARK_SIZE, "%s%s", name, endings[i].ending);
        }
}

static int set_mark(struct server *s, struct server_found *f, enum server_mark mark, struct err *err)
{
        char name[MARK_SIZE];
        int r;

        if (f->marks & mark)
                return 0;
        name_mark(f->name, mark, name);
        r = do_chore(s, RSYNC_CHORE_MARK, name, err);
        f->marks |= r == 0 ? mark : 0;
        return r;
}

/* Those of @marks that it has. */
static int drop_marks(struct server *s, struct server_found *f, unsigned marks, struct err *err)
{
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(endings) && r == 0; i++) {
                char name[MARK_SIZE];

                if (!(f->marks & marks & endings[i].mark))
                        continue;
                name_mark(f->name, endings[i].mark, name);
                r = do_chore(s, RSYNC_CHORE_UNMARK, name, err);
                f->marks &= r == 0 ? ~(unsigned)endings[i].mark : ~0U;
        }
        return r;
}

/* The tree, of which nothing says any more that it is one; then the mark that it was begun. */
static int remove_tree(struct server *s, struct server_found *f, struct err *err)
{
        int r = f->marks & SERVER_MARK_IS_THERE ? do_chore(s, RSYNC_CHORE_REMOVE, f->name, err) : 0;

        f->marks &= r == 0 ? ~(unsigned)SERVER_MARK_IS_THERE : ~0U;
        return r == 0 ? drop_marks(s, f, SERVER_MARK_BEGUN, err) : r;
}

/* One that was made before there were marks, or that was cut off, or of which but a mark is left. */
static int settle(struct server *s, struct server_found *f, struct err *err)
{
        if (!(f->marks & SERVER_MARK_IS_THERE))
                return drop_marks(s, f, SERVER_MARK_DONE | SERVER_MARK_BEGUN, err);
        if (f->marks & SERVER_MARK_DONE)
                return drop_marks(s, f, SERVER_MARK_BEGUN, err);
        if (f->marks & SERVER_MARK_BEGUN) {
                log_info("%s: removing what is left of the snapshot '%s', which was not completed", s->name, f->name);
                return remove_tree(s, f, err);
        }
        return s->inventory->is_adopting ? set_mark(s, f, SERVER_MARK_COMPLETE, err) : 0;
}

/* Before the first mark, which makes nothing of all that has none. */
static int begin_marks(struct server *s, struct err *err)
{
        struct server_inventory *v = s->inventory;
        char owner[MARK_SIZE];
        int r = 0;

        if (!v->has_marks && v->count > 0) {
                log_info("%s: marking the snapshots that are there already", s->name);
                r = do_chore(s, RSYNC_CHORE_MARK, SERVER_MARK_ADOPTING, err);
                v->is_adopting = r == 0;
        }
        if (r < 0 || v->has_owner)
                return r;
        snprintf(owner, sizeof(owner), SERVER_MARK_OF "%s", v->latest);
        r = do_chore(s, RSYNC_CHORE_MARK, owner, err);
        v->has_owner = v->has_marks = r == 0;
        return r;
}

/* What is known of the server is as it is left, unless something went wrong. */
static int forget(struct server *s, int r)
{
        if (r < 0)
                s->inventory = server_inventory_free(s->inventory);
        return r;
}

/* Look what is there, and put in order what others left. */
static int settle_all(struct server *s, struct err *err)
{
        int r = server_inventory_take(s, err);
        struct server_inventory *v = s->inventory;

        if (r < 0 || v->is_settled)
                return r;
        r = begin_marks(s, err);
        for (size_t i = 0; i < v->count && r == 0; i++)
                r = settle(s, &v->items[i], err);
        if (r == 0 && v->is_adopting) {
                r = do_chore(s, RSYNC_CHORE_UNMARK, SERVER_MARK_ADOPTING, err);
                v->is_adopting = r < 0;
        }
        v->is_settled = r == 0;
        return forget(s, r);
}

/* ---- making one ---- */

static int is_free(void *server, const char *name, struct err *err)
{
        const struct server_inventory *v = ((const struct server *)server)->inventory;

        (void)err;
        for (size_t i = 0; i < v->count; i++) {
                if (str_equal(v->items[i].name, name))
                        return 0;
        }
        return 1;
}

struct make_step {
        const char *path, *link;
        bool is_partial;
};

/* The contents and values that it asks for all the same are what differs in `latest`. */
static int make_once(struct server *s, void *step, struct err *err)
{
        const struct options *o = s->d.config->options;
        struct make_step *m = step;
        struct server_talk talk = { .arguments = { .incremental = true,
                                                   .one_file_system = !o->multi_fs,
                                                   .compress = o->link.compress == SETTINGS_COMPRESS_ALWAYS,
                                                   .link_destination = m->link,
                                                   .destination = m->path } };
        _cleanup_(origin_close) struct origin origin = ORIGIN_NONE;
        _cleanup_(report_freep) struct report *report = NULL;
        struct rsync_push_result result;
        int r = report_new(&report, &(struct report_config){ .is_imagined = true }, err);

        if (r == 0)
                r = origin_open(&origin, s->d.config, report, err);
        if (r == 0)
                r = server_open(s, &talk, err);
        if (r < 0)
                return r;
        talk.push.source = origin.source;
        talk.push.report = report;
        talk.push.replay = s->spool;
        r = rsync_push(&talk.push, &result, err);
        m->is_partial = result.is_partial || report_is_partial(report);
        return r;
}

static int make_tree(struct server *s, const char *name, struct make_step *m, struct err *err)
{
        _cleanup_(freep) char *path = server_path(s, name), *link = NULL;

        if (!path || asprintf(&link, "../%s", path_base(s->d.config->options->destination.path)) < 0)
                return err_oom(err);
        *m = (struct make_step){ .path = path, .link = link };
        return server_persist(s, make_once, m, err);
}

static void tell_partial(const struct server *s, const char *name)
{
        ERR_LOCAL(err);

        err_runf(&err, -EIO, "%s: the server could not put all of `latest` into the snapshot '%s'", s->name, name);
        report_lacking(s->d.config->report, &err);
}

static int make_found(struct server *s, struct server_found *f, struct err *err)
{
        struct report *report = s->d.config->report;
        struct make_step m;
        int r = set_mark(s, f, SERVER_MARK_BEGUN, err);

        if (r < 0)
                return r;
        progress_begin(s->d.config->progress, PROGRESS_SNAPSHOT, report_get(report, REPORT_ENTRIES));
        r = make_tree(s, f->name, &m, err);
        progress_end(s->d.config->progress);
        /* What the transfer has lost is told. */
        if (r == 0 && m.is_partial && !report_is_partial(report))
                tell_partial(s, f->name);
        f->marks |= SERVER_MARK_IS_THERE;
        if (r == 0)
                r = set_mark(s, f, report_is_partial(report) ? SERVER_MARK_INCOMPLETE : SERVER_MARK_COMPLETE, err);
        if (r == 0)
                r = drop_marks(s, f, SERVER_MARK_BEGUN, err);
        if (r < 0)
                return r;
        report_add(report, REPORT_SNAPSHOT, report_get(report, REPORT_ENTRIES));
        return 0;
}

static int make(struct server *s, const char *name, struct err *err)
{
        struct server_found *f;
        int64_t time;

        if (!names_parse(name, &time))
                return err_runf(err, -ERANGE, "the clock shows a date that no snapshot can be named by");
        f = server_inventory_find(s->inventory, name, time);
        return f ? forget(s, make_found(s, f, err)) : err_oom(err);
}

void server_do_without(const struct server *s, const char *why)
{
        ERR_LOCAL(err);

        err_runf(&err, -ENOTSUP, "%s: %s; the transfer alone is done, and no snapshot is taken", s->name, why);
        report_lacking(s->d.config->report, &err);
}

/* What the server does not let us do is no failure of the transfer. */
static int do_without(struct server *s, struct err *err)
{
        char why[ERR_TEXT_MAX];
        size_t prefix = strlen(s->name) + 2;

        if (err->code != -ENOTSUP)
                return err->code;
        snprintf(why, sizeof(why), "%s", strlen(err->text) > prefix ? err->text + prefix : err->text);
        err_drop(err, "the transfer alone is done");
        server_do_without(s, why);
        s->d.transfers_only = true;
        return 0;
}

int server_snapshot(struct destination *d, struct err *err)
{
        struct server *s = server_of(d);
        char name[NAMES_SIZE];
        int r = d->config->options->dry_run ? server_inventory_take(s, err) : settle_all(s, err);

        if (r == 0)
                r = destination_name_snapshot(name, is_free, s, err);
        if (r == 0 && !d->config->options->dry_run)
                r = make(s, name, err);
        if (r < 0)
                return do_without(s, err);
        snprintf(d->made, sizeof(d->made), "%s", name);
        report_change_for(d->config->report, REPORT_VERB_SNAPSHOT, name, NULL);
        return 0;
}

/* ---- listing and removing ---- */

static bool is_snapshot(const struct server_inventory *v, const struct server_found *f)
{
        return f->marks & SERVER_MARK_IS_THERE && (!v->has_marks || f->marks & SERVER_MARK_DONE);
}

static int list(const struct destination *d, const struct server_inventory *v, struct destination_snapshots *ret)
{
        int r = 0;

        for (size_t i = 0; i < v->count && r == 0; i++) {
                const struct server_found *f = &v->items[i];
                struct destination_snapshot one = { .name = f->name,
                                                    .time = f->time,
                                                    .complete = !(f->marks & SERVER_MARK_INCOMPLETE),
                                                    .own = str_equal(f->name, d->made) };

                if (is_snapshot(v, f))
                        r = destination_snapshots_add(ret, &one);
        }
        if (r == 0 && d->config->options->dry_run && d->made[0])
                r = destination_snapshots_imagine(ret, d->made);
        return r;
}

int server_list(struct destination *d, struct destination_snapshots *ret, struct err *err)
{
        struct server *s = server_of(d);
        int r = server_inventory_take(s, err);

        *ret = (struct destination_snapshots){ .items = NULL };
        if (r == 0 && list(d, s->inventory, ret) < 0)
                r = err_oom(err);
        if (r < 0)
                destination_snapshots_deinit(ret);
        if (!calendar_local(time(NULL), &ret->now))
                ret->now = INT64_MAX;
        return r;
}

int server_survey(struct destination *d, struct survey *ret, struct err *err)
{
        struct destination_snapshots list;
        int r = server_list(d, &list, err);

        *ret = (struct survey){ .unmeasured = "rsync's protocol does not tell of links and blocks" };
        if (r < 0)
                return r;
        ret->now = list.now;
        for (size_t i = 0; i < list.count && r == 0; i++)
                r = survey_add(ret, &list.items[i], &(struct measure){ .entries = 0 });
        destination_snapshots_deinit(&list);
        return r < 0 ? err_oom(err) : 0;
}

/*
 * It is no snapshot any more before the first file of it is gone. Where there is not even room for the mark that says
 * so, the other mark makes room.
 */
static int remove_found(struct server *s, struct server_found *f, struct err *err)
{
        int r = set_mark(s, f, SERVER_MARK_BEGUN, err);
        bool is_full = err_is_full(r);

        if (is_full) {
                err_drop(err, "there will be room");
                r = 0;
        }
        if (r == 0)
                r = drop_marks(s, f, SERVER_MARK_DONE, err);
        if (r == 0 && is_full)
                r = set_mark(s, f, SERVER_MARK_BEGUN, err);
        if (r < 0)
                return r;
        report_add(s->d.config->report, REPORT_SNAPSHOTS_GONE, 1);
        return remove_tree(s, f, err);
}

int server_remove(struct destination *d, const char *name, struct err *err)
{
        struct server *s = server_of(d);
        struct server_found *f;
        int64_t time;
        int r = settle_all(s, err);

        if (r < 0 || !names_parse(name, &time))
                return r;
        f = server_inventory_find(s->inventory, name, time);
        return f ? forget(s, remove_found(s, f, err)) : err_oom(err);
}
