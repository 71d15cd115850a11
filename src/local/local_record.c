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
enum { CLOCK_SLACK_SECONDS = 5, NANOSECONDS = 1000000000 };

static bool same(const char *recorded, const char *now)
{
        return str_equal(recorded ? recorded : "", now);
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

/* Before whatever may have happened. */
static const struct timespec beginning = { .tv_sec = INT64_MIN };

static bool is_beginning(struct timespec t)
{
        return timespec_compare(t, beginning) == 0;
}

static struct timespec minus(struct timespec a, struct timespec b)
{
        struct timespec t = { .tv_sec = a.tv_sec - b.tv_sec, .tv_nsec = a.tv_nsec - b.tv_nsec };

        if (t.tv_nsec < 0) {
                t.tv_sec--;
                t.tv_nsec += NANOSECONDS;
        }
        return t;
}

/* By the present clock: as long ago as the reference is, or as this boot when it is of another. */
static struct timespec count_back(const struct state *s, const struct local_origin *o)
{
        struct timespec then = { .tv_sec = 0 };

        if (same(s->boot, o->boot))
                then = s->uptime;
        if (timespec_compare(then, o->uptime) > 0)
                return beginning;
        return earlier(minus(o->now, minus(o->uptime, then)));
}

/*
 * By a clock that was put back, what changed after the reference may seem to have changed before. Other filters or
 * privileges do no harm: what they let in that was not there is new in `latest`, and what is there was equal to the
 * source at the time of reference.
 */
bool local_record_finds(const struct local *l, const struct local_origin *o, struct timespec *ret_reference)
{
        const struct state *s = &l->place.state;
        struct timespec counted;

        if (!s->has_reference || !same(s->machine, o->machine) || !same(s->source, o->path) ||
            !same(s->source_filesystem, o->filesystem) || !same(s->latest, l->place.latest))
                return false;
        *ret_reference = timespec_compare(s->reference, o->now) < 0 ? s->reference : beginning;
        if (!s->boot || !o->boot[0])
                return true;
        counted = count_back(s, o);
        if (timespec_compare(counted, *ret_reference) < 0)
                *ret_reference = counted;
        return true;
}

/* It is that of a transfer that begins now, by the clock of its source. */
static int move_reference(struct state *s, const struct local_origin *o)
{
        if (state_set(&s->boot, o->boot[0] ? o->boot : NULL) < 0)
                return -ENOMEM;
        s->has_reference = true;
        s->reference = earlier(o->now);
        s->uptime = o->uptime;
        return 0;
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
        bool stays = unsettled && local_record_finds(l, o, &s->reference);

        if (bind_reference(l, o) < 0 || (!stays && move_reference(s, o) < 0))
                return err_oom(err);
        s->running = unsettled && l->was_running;
        s->partial = report_is_partial(report);
        s->entries = report_get(report, REPORT_ENTRIES);
        s->bytes = report_get(report, REPORT_BYTES);
        return local_save_state(l, err);
}

int local_record_begin(struct local *l, const struct local_origin *o, bool dry_run, struct err *err)
{
        struct timespec reference;
        int r = local_await_room(l, err);

        if (r == 0)
                r = local_find_limits(l, err);
        if (r < 0)
                return r;
        if (l->place.state_is_lost)
                log_warning(STATE_DIRECTORY "/state is missing: all files are compared by content");
        else if (l->was_running)
                log_info("the last transfer was cut off: what it may have written is compared by content");
        if (local_record_finds(l, o, &reference) && is_beginning(reference))
                log_info("the clock was ahead in the last backup of this source, or is behind now: all files are "
                         "compared by content");
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
