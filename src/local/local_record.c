/* Two clocks: the source's, by which a file may have changed since, and the destination's, by which it was written. */
#include "local/local_record.h"

#include "base/arena.h"
#include "base/entry.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/listing.h"
#include "base/log.h"
#include "base/report.h"
#include "local/local.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* Clocks of the machine and of the filesystem may differ by the length of a tick, and more over a network. */
enum { CLOCK_SLACK_SECONDS = 5 };

static bool same(const char *recorded, const char *now)
{
        return str_equal(recorded ? recorded : "", now);
}

/*
 * A clock that was put back makes every reference from before worthless. Other filters or privileges do not: what they
 * let in that was not there is new in `latest`, and what is there was equal to the source at the time of reference.
 */
bool local_record_holds(const struct local *l, const struct local_origin *o)
{
        const struct state *s = &l->place.state;

        return s->has_reference && timespec_compare(s->reference, o->now) < 0 && same(s->machine, o->machine) &&
               same(s->source, o->path) && same(s->source_filesystem, o->filesystem) &&
               same(s->latest, l->place.latest);
}

static int bind_reference(struct local *l, const struct local_origin *o)
{
        struct state *s = &l->place.state;

        if (state_set(&s->machine, o->machine) < 0 || state_set(&s->source, o->path) < 0 ||
            state_set(&s->source_filesystem, o->filesystem[0] ? o->filesystem : NULL) < 0 ||
            state_set(&s->latest, l->place.latest) < 0)
                return -ENOMEM;
        return 0;
}

static struct timespec earlier(struct timespec t)
{
        t.tv_sec -= CLOCK_SLACK_SECONDS;
        return t;
}

/* Now, by the machine's clock or by the one of the destination's filesystem, whichever is behind. */
static struct timespec destination_now(const struct local *l)
{
        struct timespec now = { .tv_sec = 0 };
        struct stat st;

        (void)clock_gettime(CLOCK_REALTIME, &now);
        if (l->place.lock < 0 || futimens(l->place.lock, NULL) < 0 || fstat(l->place.lock, &st) < 0)
                return now;
        return timespec_compare(st.st_mtim, now) < 0 ? st.st_mtim : now;
}

static int record_start(struct local *l, struct err *err)
{
        struct state *s = &l->place.state;
        struct timespec started;

        /* From now on the parent is this destination's, even if the first transfer is cut off. */
        if (!same(s->latest, l->place.latest)) {
                s->has_reference = false;
                if (state_set(&s->latest, l->place.latest) < 0)
                        return err_oom(err);
        }
        /*
         * What an earlier run may have written half is suspect until a transfer is complete. Should its clock have been
         * ahead, so is what this one writes.
         */
        started = earlier(destination_now(l));
        if (l->place.state_is_lost) {
                s->running = true;
                s->running_since = (struct timespec){ .tv_sec = 0 };
        }
        if (!s->running || timespec_compare(s->running_since, started) > 0)
                s->running_since = started;
        s->running = true;
        return local_save_state(l, err);
}

/*
 * What is in `latest` and could not be compared is as old as before, so a reference that held stays where it is: else a
 * change of such a file that hides behind its old mtime would never be found. And what a run that was cut off may have
 * written half stays suspect.
 */
static int record_end(struct local *l, const struct local_origin *o, struct err *err)
{
        const struct report *report = l->d.config->report;
        struct state *s = &l->place.state;
        bool unsettled = report_get(report, REPORT_UNSETTLED) > 0;
        bool stays = unsettled && local_record_holds(l, o);

        if (bind_reference(l, o) < 0)
                return err_oom(err);
        s->running = unsettled && l->was_running;
        s->has_reference = true;
        if (!stays)
                s->reference = earlier(o->now);
        s->partial = report_is_partial(report);
        s->entries = report_get(report, REPORT_ENTRIES);
        s->bytes = report_get(report, REPORT_BYTES);
        return local_save_state(l, err);
}

int local_record_begin(struct local *l, bool dry_run, struct err *err)
{
        int r = local_await_room(l, err);

        if (r == 0)
                r = local_find_limits(l, err);
        if (r < 0)
                return r;
        if (l->place.state_is_lost)
                log_warning(STATE_DIRECTORY "/state is missing: all files are compared by content");
        else if (l->was_running)
                log_info("the last transfer was cut off: what it may have written is compared by content");
        local_tell_room(l);
        return dry_run ? 0 : record_start(l, err);
}

/* What a transfer over a connection that broke has kept of large files (local_receive.c): all is complete now. */
static void drop_pieces(const struct local *l)
{
        _cleanup_(fd_closep) int fd = fd_open_at(l->place.state_fd, LOCAL_PIECES, O_DIRECTORY);
        _cleanup_(arena_deinit) struct arena arena = { .chunk = NULL };
        struct listing names = { .names = NULL };

        if (fd < 0)
                return;
        if (listing_read_unsorted(&names, fd, &arena) == 0) {
                for (size_t i = 0; i < names.count; i++)
                        (void)unlinkat(fd, names.names[i]->name, 0);
        }
        listing_deinit(&names);
        (void)unlinkat(l->place.state_fd, LOCAL_PIECES, AT_REMOVEDIR);
}

int local_record_end(struct local *l, const struct local_origin *o, struct err *err)
{
        int r = local_sync(l, err);

        /* Nobody knows what of it arrived: should this be tried again, all of it must be compared. */
        if (r < 0)
                l->was_running = true;
        if (r == 0)
                drop_pieces(l);
        return r < 0 ? r : record_end(l, o, err);
}
