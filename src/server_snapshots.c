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
#include "server.h"

#include "base/err.h"
#include "base/log.h"
#include "base/path.h"
#include "base/report.h"
#include "base/stop.h"
#include "local_marks.h"
#include "origin.h"
#include "progress.h"
#include "rotate/calendar.h"
#include "rotate/names.h"
#include "survey.h"
#include "transfer/rsync/rsync_chore.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#define BEGUN ".begun"
/* Marks that are about no snapshot: not all that was there before has one yet; whose snapshots they are. */
#define ADOPTING ".adopting"
#define OF ".of."

enum { MARK_SIZE = NAMES_SIZE + 300 };

/* ---- what is there ---- */

/* What marks say of a name; bits. */
enum mark { MARK_BEGUN = 1 << 0, MARK_COMPLETE = 1 << 1, MARK_INCOMPLETE = 1 << 2, MARK_IS_THERE = 1 << 3 };

struct found {
        char *name; /* of a snapshot */
        int64_t time;
        unsigned marks;
};

struct inventory {
        struct found *items; /* malloc'd */
        size_t count, capacity;
        bool has_marks;     /* the directory of marks is there */
        bool is_adopting;   /* what has no mark was made before there were any */
        bool has_owner;     /* it is known that they are of `latest` */
        const char *latest; /* which is no snapshot */
};

static void inventory_deinit(struct inventory *v)
{
        for (size_t i = 0; i < v->count; i++)
                free(v->items[i].name);
        free(v->items);
        *v = (struct inventory){ .items = NULL };
}

/* There are few of them. NULL when memory is short. */
static struct found *find(struct inventory *v, const char *name, int64_t time)
{
        for (size_t i = 0; i < v->count; i++) {
                if (str_equal(v->items[i].name, name))
                        return &v->items[i];
        }
        if (v->count == v->capacity) {
                size_t capacity = size_max(v->capacity * 2, 64);
                struct found *items = reallocarray(v->items, capacity, sizeof(*items));

                if (!items)
                        return NULL;
                v->items = items;
                v->capacity = capacity;
        }
        v->items[v->count] = (struct found){ .name = strdup(name), .time = time };
        return v->items[v->count].name ? &v->items[v->count++] : NULL;
}

static int note(struct inventory *v, const char *name, unsigned mark, struct err *err)
{
        struct found *f;
        int64_t time;

        if (!names_parse(name, &time) || str_equal(name, v->latest))
                return 0;
        f = find(v, name, time);
        if (!f)
                return err_oom(err);
        f->marks |= mark;
        return 0;
}

/* A parent serves one destination. */
static int take_owner(struct inventory *v, const char *owner, struct err *err)
{
        char shown[MARK_SIZE];

        v->has_owner = true;
        if (str_equal(owner, v->latest))
                return 0;
        path_show(NULL, owner, shown, sizeof(shown));
        err_runf(err, -EEXIST, "the snapshots that lie beside the destination are of another one, '%s'", shown);
        return err_hint(err, "a directory of its own for each destination");
}

/* "NAME", "NAME.incomplete", "NAME.begun" */
static int take_mark(void *inventory, const char *mark, mode_t mode, uint64_t size, int64_t mtime, struct err *err)
{
        static const struct {
                const char *ending;
                unsigned mark;
        } endings[] = { { LOCAL_MARKS_INCOMPLETE, MARK_INCOMPLETE }, { BEGUN, MARK_BEGUN } };
        struct inventory *v = inventory;
        size_t length = strlen(mark);

        (void)mode, (void)size, (void)mtime;
        if (str_equal(mark, ADOPTING)) {
                v->is_adopting = true;
                return 0;
        }
        if (str_starts(mark, OF))
                return take_owner(v, mark + strlen(OF), err);
        for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
                _cleanup_(freep) char *name = NULL;
                size_t ending = strlen(endings[i].ending);

                if (length <= ending || !str_equal(mark + length - ending, endings[i].ending))
                        continue;
                name = str_copy(mark, length - ending);
                return name ? note(inventory, name, endings[i].mark, err) : err_oom(err);
        }
        return note(inventory, mark, MARK_COMPLETE, err);
}

static int take_name(void *inventory, const char *name, mode_t mode, uint64_t size, int64_t mtime, struct err *err)
{
        (void)size, (void)mtime;
        return S_ISDIR(mode) ? note(inventory, name, MARK_IS_THERE, err) : 0;
}

/* Marks first: what is made meanwhile by others has none of our names. */
static int take_inventory(struct server *s, struct inventory *ret, struct err *err)
{
        _cleanup_(freep) char *marks = server_path(s, RSYNC_CHORE_MARKS), *parent = server_path(s, NULL);
        int r;

        *ret = (struct inventory){ .latest = path_base(s->d.config->options->destination.path) };
        if (!marks || !parent)
                return err_oom(err);
        r = server_list_directory(s, marks, take_mark, ret, err);
        ret->has_marks = r == 0;
        if (r == -ENOENT) {
                err_drop(err, "there are no marks yet");
                r = 0;
        }
        if (r == 0)
                r = server_list_directory(s, parent, take_name, ret, err);
        if (r == -ENOENT) {
                err_drop(err, "nothing is there yet");
                r = 0;
        }
        return r;
}

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

/* @ending: of a mark. */
static int do_chore(struct server *s, enum rsync_chore chore, const char *name, const char *ending, struct err *err)
{
        _cleanup_(freep) char *path = server_path(s, NULL);
        char mark[MARK_SIZE];

        if (!path)
                return err_oom(err);
        snprintf(mark, sizeof(mark), "%s%s", name, ending);
        return server_persist(s, chore_once, &(struct chore_step){ .chore = chore, .path = path, .name = mark }, err);
}

/* The tree, of which nothing says any more that it is one; then the mark that it was begun, if there is one. */
static int remove_tree(struct server *s, const struct found *f, struct err *err)
{
        int r = do_chore(s, RSYNC_CHORE_REMOVE, f->name, "", err);

        return r == 0 && f->marks & MARK_BEGUN ? do_chore(s, RSYNC_CHORE_UNMARK, f->name, BEGUN, err) : r;
}

/* One that was made before there were marks, or that was cut off. */
static int settle(struct server *s, const struct inventory *v, const struct found *f, struct err *err)
{
        const unsigned done = MARK_COMPLETE | MARK_INCOMPLETE;

        if (f->marks & MARK_BEGUN && f->marks & done)
                return do_chore(s, RSYNC_CHORE_UNMARK, f->name, BEGUN, err);
        if (f->marks & MARK_BEGUN) {
                log_info("%s: removing what is left of the snapshot '%s', which was not completed", s->name, f->name);
                return remove_tree(s, f, err);
        }
        return v->is_adopting && f->marks == MARK_IS_THERE ? do_chore(s, RSYNC_CHORE_MARK, f->name, "", err) : 0;
}

/* Before the first mark, which makes nothing of all that has none. */
static int begin_marks(struct server *s, struct inventory *v, struct err *err)
{
        int r = 0;

        if (!v->has_marks && v->count > 0) {
                log_info("%s: marking the snapshots that are there already", s->name);
                r = do_chore(s, RSYNC_CHORE_MARK, ADOPTING, "", err);
                v->is_adopting = r == 0;
        }
        return r == 0 && !v->has_owner ? do_chore(s, RSYNC_CHORE_MARK, OF, v->latest, err) : r;
}

static int settle_all(struct server *s, struct inventory *v, struct err *err)
{
        int r = begin_marks(s, v, err);

        for (size_t i = 0; i < v->count && r == 0; i++)
                r = settle(s, v, &v->items[i], err);
        if (r == 0 && v->is_adopting)
                r = do_chore(s, RSYNC_CHORE_UNMARK, ADOPTING, "", err);
        s->marks_are_settled = r == 0;
        return r;
}

/* ---- making one ---- */

/* The moment as a name that is free. */
static int find_name(const struct inventory *v, char ret[NAMES_SIZE], struct err *err)
{
        for (;;) {
                const struct timespec pause = { .tv_nsec = 50000000 };
                bool is_free = true;
                int64_t now;
                int r;

                if (!calendar_local(time(NULL), &now))
                        return err_runf(err, -ERANGE, "the clock shows a date that no snapshot can be named by");
                names_format(now, ret);
                for (size_t i = 0; i < v->count && is_free; i++)
                        is_free = !str_equal(v->items[i].name, ret);
                if (is_free)
                        return 0;
                r = stop_check(err);
                if (r < 0)
                        return r;
                nanosleep(&pause, NULL);
        }
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

static int make(struct server *s, const char *name, struct err *err)
{
        struct report *report = s->d.config->report;
        struct make_step m;
        int r = do_chore(s, RSYNC_CHORE_MARK, name, BEGUN, err);

        if (r < 0)
                return r;
        progress_begin(s->d.config->progress, PROGRESS_SNAPSHOT, report_get(report, REPORT_ENTRIES));
        r = make_tree(s, name, &m, err);
        progress_end(s->d.config->progress);
        if (r == 0 && m.is_partial)
                report_mark_partial(report);
        if (r == 0)
                r = do_chore(s, RSYNC_CHORE_MARK, name, report_is_partial(report) ? LOCAL_MARKS_INCOMPLETE : "", err);
        if (r == 0)
                r = do_chore(s, RSYNC_CHORE_UNMARK, name, BEGUN, err);
        if (r < 0)
                return r;
        report_add(report, REPORT_SNAPSHOT, report_get(report, REPORT_ENTRIES));
        return 0;
}

void server_do_without(const struct server *s, const char *why)
{
        log_warning("%s: %s; the transfer alone is done, and no snapshot is taken", s->name, why);
        report_mark_partial(s->d.config->report);
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
        _cleanup_(inventory_deinit) struct inventory v = { .items = NULL };
        char name[NAMES_SIZE];
        int r = take_inventory(s, &v, err);

        if (r == 0 && !d->config->options->dry_run)
                r = settle_all(s, &v, err);
        if (r == 0)
                r = find_name(&v, name, err);
        if (r == 0 && !d->config->options->dry_run)
                r = make(s, name, err);
        if (r < 0)
                return do_without(s, err);
        snprintf(d->made, sizeof(d->made), "%s", name);
        report_change_for(d->config->report, REPORT_VERB_SNAPSHOT, name, NULL);
        return 0;
}

/* ---- listing and removing ---- */

static bool is_snapshot(const struct inventory *v, const struct found *f)
{
        return f->marks & MARK_IS_THERE && (!v->has_marks || f->marks & (MARK_COMPLETE | MARK_INCOMPLETE));
}

int server_list(struct destination *d, struct destination_snapshots *ret, struct err *err)
{
        _cleanup_(inventory_deinit) struct inventory v = { .items = NULL };
        int r = take_inventory(server_of(d), &v, err);

        *ret = (struct destination_snapshots){ .items = NULL };
        for (size_t i = 0; i < v.count && r == 0; i++) {
                const struct found *f = &v.items[i];
                struct destination_snapshot one = { .name = f->name,
                                                    .time = f->time,
                                                    .complete = !(f->marks & MARK_INCOMPLETE),
                                                    .own = str_equal(f->name, d->made) };

                if (is_snapshot(&v, f) && destination_snapshots_add(ret, &one) < 0)
                        r = err_oom(err);
        }
        if (r == 0 && d->config->options->dry_run && d->made[0] && destination_snapshots_imagine(ret, d->made) < 0)
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

static int settle_before(struct server *s, struct err *err)
{
        _cleanup_(inventory_deinit) struct inventory v = { .items = NULL };
        int r = s->marks_are_settled ? 0 : take_inventory(s, &v, err);

        return r == 0 && !s->marks_are_settled ? settle_all(s, &v, err) : r;
}

/* It is no snapshot any more before the first file of it is gone. */
int server_remove(struct destination *d, const char *name, struct err *err)
{
        struct server *s = server_of(d);
        int r = settle_before(s, err);

        if (r == 0)
                r = do_chore(s, RSYNC_CHORE_MARK, name, BEGUN, err);
        if (r == 0)
                r = do_chore(s, RSYNC_CHORE_UNMARK, name, "", err);
        if (r == 0)
                r = do_chore(s, RSYNC_CHORE_UNMARK, name, LOCAL_MARKS_INCOMPLETE, err);
        if (r == 0)
                r = do_chore(s, RSYNC_CHORE_REMOVE, name, "", err);
        return r == 0 ? do_chore(s, RSYNC_CHORE_UNMARK, name, BEGUN, err) : r;
}
