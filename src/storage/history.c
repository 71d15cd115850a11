/*
 * JSON by json-c (https://json-c.github.io/json-c/), which puts up with everything that it is given; what is not of the
 * type that it should be counts as absent. A failure's text may hold bytes that are no UTF-8; it is escaped where it is
 * made (path_show()), so that it holds none.
 */
#include "storage/history.h"

#include "base/buf.h"
#include "base/document.h"
#include "base/err.h"
#include "base/fd.h"
#include "storage/remembered.h"

#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>

enum { VERSION = 1 };

static const char directory_name[] = "runs";
static const char suffix[] = ".json";

static const char *const which_names[HISTORY_RUNS] = {
        [HISTORY_LAST] = "last",
        [HISTORY_COMPLETE] = "last_complete",
        [HISTORY_STORED] = "last_stored",
        [HISTORY_SKIPPED] = "skipped",
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
        h->has[which] = true;
        return 0;
}

int history_note(struct history *h, const struct history_run *run)
{
        bool complete = str_equal(run->outcome, "complete"), stored = complete || str_equal(run->outcome, "partial");
        int r;

        if (str_equal(run->outcome, "skipped"))
                return keep(h, HISTORY_SKIPPED, run);
        forget(h, HISTORY_SKIPPED);
        r = keep(h, HISTORY_LAST, run);
        if (r == 0 && complete)
                r = keep(h, HISTORY_COMPLETE, run);
        return r == 0 && stored ? keep(h, HISTORY_STORED, run) : r;
}

/* ---- reading ---- */

static int64_t get_number(const json_object *run, const char *key)
{
        const json_object *value = json_object_object_get(run, key);

        return json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : 0;
}

static uint64_t get_count(const json_object *run, const char *key)
{
        int64_t n = get_number(run, key);

        return n > 0 ? (uint64_t)n : 0;
}

static const char *get_text(const json_object *run, const char *key)
{
        json_object *value = json_object_object_get(run, key);

        return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
}

static int get_run(struct history *h, enum history_which which, const json_object *run)
{
        const char *failure = get_text(run, "failure");
        char copy[ERR_TEXT_MAX + ERR_HINT_MAX];
        struct history_run r = {
                .begun = get_number(run, "begun"),
                .ended = get_number(run, "ended"),
                .status = (int)get_number(run, "exit_status"),
                .entries = get_count(run, "entries"),
                .bytes = get_count(run, "bytes"),
                .copied_bytes = get_count(run, "copied_bytes"),
                .lost = get_count(run, "lost"),
                .failure = *failure ? copy : NULL,
        };

        snprintf(copy, sizeof(copy), "%s", failure);
        snprintf(r.outcome, sizeof(r.outcome), "%s", get_text(run, "outcome"));
        snprintf(r.snapshot, sizeof(r.snapshot), "%s", get_text(run, "snapshot"));
        return keep(h, which, &r);
}

static int get_all(struct history *h, const json_object *all)
{
        const char *destination = get_text(all, "destination");
        int r = 0;

        if (get_number(all, "version") != VERSION || !*destination)
                return -EBADMSG;
        h->destination = strdup(destination);
        if (!h->destination)
                return -ENOMEM;
        for (unsigned i = 0; i < HISTORY_RUNS && r == 0; i++) {
                const json_object *run = json_object_object_get(all, which_names[i]);

                if (json_object_is_type(run, json_type_object))
                        r = get_run(h, i, run);
        }
        return r;
}

int history_parse(struct history *ret, const char *text, size_t size)
{
        struct history h = { .destination = NULL };
        json_tokener *tokener = json_tokener_new();
        json_object *all;
        int r = -EBADMSG;

        if (!tokener)
                return -ENOMEM;
        all = size < INT_MAX ? json_tokener_parse_ex(tokener, text, (int)size) : NULL;
        if (json_object_is_type(all, json_type_object))
                r = get_all(&h, all);
        json_object_put(all);
        json_tokener_free(tokener);
        if (r == 0)
                *ret = h;
        else
                history_deinit(&h);
        return r;
}

/* ---- where it is ---- */

/* Bytes that make no trouble in names stay; the others become %XX. Long ones end in a sum instead. */
static int name_file(const char *destination, char out[NAME_MAX + 1])
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
        return snprintf(out + used, NAME_MAX + 1 - used, "%s", suffix) < 0 ? -EINVAL : 0;
}

static int fail(int r, const char *operation, struct err *err)
{
        _cleanup_(freep) char *directory = remembered_path(directory_name);

        return err_run(err, r, operation, directory);
}

/* What makes no sense, or is about another one, is no record. */
static int load(struct history *ret, int dirfd, const char *destination)
{
        _cleanup_(buf_deinit) struct buf text = { .data = NULL };
        _cleanup_(history_deinit) struct history h = { .destination = NULL };
        char name[NAME_MAX + 1];
        int r = name_file(destination, name);

        if (r == 0)
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
        *ret = (struct history){ .destination = strdup(destination) };
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

static void put_run(struct document *d, const char *key, const struct history_run *run)
{
        document_begin_object(d, key);
        document_number(d, "begun", run->begun);
        document_number(d, "ended", run->ended);
        document_text(d, "outcome", run->outcome);
        document_number(d, "exit_status", run->status);
        document_text(d, "snapshot", run->snapshot);
        document_count(d, "entries", run->entries);
        document_count(d, "bytes", run->bytes);
        document_count(d, "copied_bytes", run->copied_bytes);
        document_count(d, "lost", run->lost);
        if (run->failure)
                document_text(d, "failure", run->failure);
        document_end(d);
}

static int write_text(const struct history *h, struct buf *text)
{
        _cleanup_(document_freep) struct document *d = document_new();

        document_number(d, "version", VERSION);
        document_text(d, "destination", h->destination);
        for (unsigned i = 0; i < HISTORY_RUNS; i++) {
                if (h->has[i])
                        put_run(d, which_names[i], &h->runs[i]);
        }
        return document_write(d, text);
}

static int save(const struct history *h, int dirfd)
{
        _cleanup_(buf_deinit) struct buf text = { .data = NULL };
        char name[NAME_MAX + 1];
        int r = name_file(h->destination, name);

        if (r == 0)
                r = write_text(h, &text);
        return r == 0 ? remembered_replace(dirfd, name, &text) : r;
}

int history_record(const char *destination, const struct history_run *run, struct err *err)
{
        _cleanup_(history_deinit) struct history h = { .destination = NULL };
        _cleanup_(fd_closep) int dirfd = remembered_open(directory_name, true);
        int r = dirfd < 0 ? dirfd : 0;

        /* Held until the directory is closed. */
        if (r == 0 && flock(dirfd, LOCK_EX) < 0)
                r = -errno;
        if (r == 0)
                r = load(&h, dirfd, destination);
        if (r == 0)
                r = history_note(&h, run);
        if (r == 0)
                r = save(&h, dirfd);
        return r < 0 ? fail(r, "remember this run in", err) : 0;
}
