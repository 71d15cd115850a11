/* Lines as in lines.h: "run NAME", and behind it what is about that run. */
#include "storage/history.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "storage/lines.h"
#include "storage/remembered.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

static const char version[] = "1";

static const char directory_name[] = "runs";

static const char *const which_names[HISTORY_RUNS] = {
        [HISTORY_LAST] = "last",          [HISTORY_COMPLETE] = "last-complete",
        [HISTORY_STORED] = "last-stored", [HISTORY_SKIPPED] = "skipped",
        [HISTORY_BEGUN] = "begun",
};

/* ---- the structure ---- */

static void run_deinit(struct history_run *run)
{
        free(run->failure);
        *run = (struct history_run){ .failure = NULL };
}

static void forget(struct history *h, enum history_which which)
{
        run_deinit(&h->runs[which]);
        h->has[which] = false;
}

void history_deinit(struct history *h)
{
        for (unsigned i = 0; i < HISTORY_RUNS; i++)
                run_deinit(&h->runs[i]);
        free(h->destination);
        *h = (struct history){ .destination = NULL };
}

static int keep(struct history *h, enum history_which which, const struct history_run *run)
{
        char *failure = run->failure ? strdup(run->failure) : NULL;

        if (run->failure && !failure)
                return -ENOMEM;
        forget(h, which);
        h->runs[which] = *run;
        h->runs[which].failure = failure;
        h->runs[which].process = which == HISTORY_BEGUN ? run->process : 0;
        h->has[which] = true;
        return 0;
}

int history_note(struct history *h, const struct history_run *run)
{
        bool complete = str_equal(run->outcome, "complete"), stored = complete || str_equal(run->outcome, "partial");
        int r;

        if (str_equal(run->outcome, "skipped"))
                return keep(h, HISTORY_SKIPPED, run);
        if (str_equal(run->outcome, "begun"))
                return keep(h, HISTORY_BEGUN, run);
        forget(h, HISTORY_SKIPPED);
        /* What has not come so far, since another one held the lock say, does not know how that one ends. */
        if (run->process != 0)
                forget(h, HISTORY_BEGUN);
        r = keep(h, HISTORY_LAST, run);
        if (r == 0 && complete)
                r = keep(h, HISTORY_COMPLETE, run);
        return r == 0 && stored ? keep(h, HISTORY_STORED, run) : r;
}

/* ---- reading ---- */

struct reading {
        struct history *history;
        struct history_run *run; /* the one that the lines are about; NULL before the first */
};

static int take_word(char *out, size_t size, const char *value)
{
        return snprintf(out, size, "%s", value) < (int)size ? 0 : -EBADMSG;
}

static int begin_run(struct reading *reading, const char *name)
{
        struct history *h = reading->history;

        for (unsigned i = 0; i < HISTORY_RUNS; i++) {
                if (h->has[i] || !str_equal(which_names[i], name))
                        continue;
                h->has[i] = true;
                reading->run = &h->runs[i];
                return 0;
        }
        return -EBADMSG;
}

static int take_text(char **ret, const char *value)
{
        if (*ret || !*value)
                return -EBADMSG;
        *ret = strdup(value);
        return *ret ? 0 : -ENOMEM;
}

static int take_status(int *ret, const char *value)
{
        uint64_t n;

        if (lines_count(&n, value) < 0 || n > UINT8_MAX)
                return -EBADMSG;
        *ret = (int)n;
        return 0;
}

static int take_line(void *context, const char *key, const char *value)
{
        struct reading *reading = context;
        struct history_run *run = reading->run;

        if (str_equal(key, "destination"))
                return take_text(&reading->history->destination, value);
        if (str_equal(key, "run"))
                return begin_run(reading, value);
        if (!run)
                return -EBADMSG;
        if (str_equal(key, "begun"))
                return lines_number(&run->begun, value);
        if (str_equal(key, "ended"))
                return lines_number(&run->ended, value);
        if (str_equal(key, "duration-ms"))
                return lines_count(&run->duration_ms, value);
        if (str_equal(key, "outcome"))
                return take_word(run->outcome, sizeof(run->outcome), value);
        if (str_equal(key, "exit-status"))
                return take_status(&run->status, value);
        if (str_equal(key, "snapshot"))
                return take_word(run->snapshot, sizeof(run->snapshot), value);
        if (str_equal(key, "entries"))
                return lines_count(&run->entries, value);
        if (str_equal(key, "bytes"))
                return lines_count(&run->bytes, value);
        if (str_equal(key, "copied-bytes"))
                return lines_count(&run->copied_bytes, value);
        if (str_equal(key, "process"))
                return lines_number(&run->process, value);
        if (str_equal(key, "lost"))
                return lines_count(&run->lost, value);
        return str_equal(key, "failure") ? take_text(&run->failure, value) : -EBADMSG;
}

int history_parse(struct history *ret, const char *text, size_t size)
{
        struct history h = { .destination = NULL };
        struct reading reading = { .history = &h };
        unsigned line;
        int r = lines_parse(text, size, version, take_line, &reading, &line);

        if (r == 0 && h.destination) {
                *ret = h;
                return 0;
        }
        history_deinit(&h);
        return r < 0 ? r : -EBADMSG;
}

/* ---- where it is ---- */

/* Bytes that make no trouble in names stay; the others become %XX. Long ones end in a sum instead. */
static void name_file(const char *destination, char out[NAME_MAX + 1])
{
        enum { ROOM = 200, SUM_SIZE = 17 };
        size_t used = 0;
        uint64_t sum = UINT64_C(0xcbf29ce484222325); /* FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/ */

        for (const unsigned char *p = (const unsigned char *)destination; *p; p++) {
                sum = (sum ^ *p) * UINT64_C(0x100000001b3);
                if (used + 3 >= ROOM)
                        continue;
                if (isalnum(*p) || (*p != '\0' && strchr("@._-", *p) && used > 0))
                        out[used++] = (char)*p;
                else
                        used += (size_t)snprintf(out + used, 4, "%%%02X", *p);
        }
        if (used + 3 >= ROOM)
                used += (size_t)snprintf(out + used, SUM_SIZE + 1, "-%016" PRIx64, sum);
        out[used] = '\0';
}

static int fail(int r, const char *operation, struct err *err)
{
        _cleanup_(freep) char *directory = remembered_path(directory_name);

        if (!directory && r != -ENOMEM)
                return err_runf(err, r, "cannot %s a file: neither STATE_DIRECTORY, XDG_STATE_HOME nor HOME says where",
                                operation);
        return err_run(err, r, operation, directory);
}

/* What makes no sense, or is about another one, is no record. */
static int load(struct history *ret, int dirfd, const char *destination)
{
        _cleanup_(buf_deinit) struct buf text = { .data = NULL };
        _cleanup_(history_deinit) struct history h = { .destination = NULL };
        char name[NAME_MAX + 1];
        int r;

        name_file(destination, name);
        r = remembered_read(dirfd, name, &text);
        if (r == 0)
                r = history_parse(&h, buf_text(&text), text.size);
        if (r < 0 && r != -ENOENT && r != -EBADMSG)
                return r;
        if (r == 0 && str_equal(h.destination, destination)) {
                *ret = h;
                h = (struct history){ .destination = NULL };
                return 0;
        }
        *ret = (struct history){ .destination = strdup(destination), .is_damaged = r != -ENOENT };
        return ret->destination ? 0 : -ENOMEM;
}

int history_load(struct history *ret, const char *destination, struct err *err)
{
        _cleanup_(fd_closep) int dirfd = remembered_open(directory_name, false);
        int r = dirfd;

        if (dirfd >= 0) {
                r = load(ret, dirfd, destination);
        } else if (r == -ENOENT) {
                *ret = (struct history){ .destination = strdup(destination) };
                r = ret->destination ? 0 : -ENOMEM;
        }
        return r < 0 ? fail(r, "read what is remembered of runs in", err) : 0;
}

/* ---- writing ---- */

static int put_run(struct buf *b, const char *name, const struct history_run *run)
{
        int r = lines_put_text(b, "run", name);

        r = r < 0 ? r : lines_put_number(b, "begun", run->begun);
        r = r < 0 ? r : lines_put_number(b, "ended", run->ended);
        r = r < 0 ? r : lines_put_count(b, "duration-ms", run->duration_ms);
        r = r < 0 ? r : lines_put_text(b, "outcome", run->outcome);
        r = r < 0 ? r : lines_put_number(b, "exit-status", run->status);
        r = r < 0 ? r : lines_put_text(b, "snapshot", run->snapshot);
        r = r < 0 ? r : lines_put_count(b, "entries", run->entries);
        r = r < 0 ? r : lines_put_count(b, "bytes", run->bytes);
        r = r < 0 ? r : lines_put_count(b, "copied-bytes", run->copied_bytes);
        r = r < 0 ? r : lines_put_count(b, "lost", run->lost);
        if (r == 0 && run->process != 0)
                r = lines_put_number(b, "process", run->process);
        return r < 0 ? r : lines_put_text(b, "failure", run->failure);
}

int history_write(const struct history *h, struct buf *ret)
{
        int r = lines_begin(ret, version);

        r = r < 0 ? r : lines_put_text(ret, "destination", h->destination);
        for (unsigned i = 0; i < HISTORY_RUNS && r == 0; i++)
                r = h->has[i] ? put_run(ret, which_names[i], &h->runs[i]) : 0;
        return r < 0 ? r : lines_end(ret);
}

static int save(const struct history *h, int dirfd)
{
        _cleanup_(buf_deinit) struct buf text = { .data = NULL };
        char name[NAME_MAX + 1];
        int r = history_write(h, &text);

        name_file(h->destination, name);
        return r == 0 ? fd_replace_file_at(dirfd, name, text.data, text.size) : r;
}

int history_record(const char *destination, const struct history_run *run, struct err *err)
{
        _cleanup_(history_deinit) struct history h = { .destination = NULL };
        _cleanup_(fd_closep) int dirfd = remembered_open(directory_name, true);
        int r = dirfd < 0 ? dirfd : 0;

        /* Where it cannot be had, what another run writes at the same moment may be lost. */
        if (r == 0)
                (void)remembered_lock(dirfd);
        if (r == 0)
                r = load(&h, dirfd, destination);
        if (r == 0)
                r = history_note(&h, run);
        if (r == 0)
                r = save(&h, dirfd);
        if (dirfd >= 0)
                remembered_unlock(dirfd);
        return r < 0 ? fail(r, "remember this run in", err) : 0;
}
