/* Counters are atomic, since every worker counts; the rest is rare and behind one lock. */
#include "base/report.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/path.h"
#include "base/stop.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { PATH_SHOWN_MAX = 512 };

struct lack {
        uint64_t count;
        bool accepted;
        char first[PATH_SHOWN_MAX];
};

/* Counts of all kinds side by side. */
enum {
        ITEMS = REPORT_COUNTS,
        REMAINS,
        VANISHED,
        UNSTEADY,
        PARTIAL, /* more than 0: it is */
        LACKING,
        NUMBERS
};

struct report {
        struct report_config config;
        atomic_uint_least64_t own[NUMBERS], other[NUMBERS]; /* other: what another process has told */
        atomic_bool failed, leftovers;
        atomic_int failure_status;
        char failure[ERR_TEXT_MAX + ERR_HINT_MAX + 2];
        pthread_mutex_t lock; /* guards lacks and kept */
        struct lack lacks[REPORT_LACKS];
        struct report_item *kept;
        size_t kept_count;
};

int report_new(struct report **ret, const struct report_config *config, struct err *err)
{
        struct report *r = calloc(1, sizeof(*r));

        if (!r)
                return err_oom(err);
        r->config = *config;
        pthread_mutex_init(&r->lock, NULL);
        *ret = r;
        return 0;
}

static void forget(struct report *r)
{
        for (size_t i = 0; i < r->kept_count; i++) {
                free(r->kept[i].path);
                free(r->kept[i].text);
        }
        r->kept_count = 0;
}

struct report *report_free(struct report *r)
{
        if (!r)
                return NULL;
        forget(r);
        free(r->kept);
        pthread_mutex_destroy(&r->lock);
        free(r);
        return NULL;
}

static void add(struct report *r, unsigned which, uint64_t n)
{
        atomic_fetch_add_explicit(&r->own[which], n, memory_order_relaxed);
}

static uint64_t get(const struct report *r, unsigned which)
{
        return atomic_load_explicit(&r->own[which], memory_order_relaxed) +
               atomic_load_explicit(&r->other[which], memory_order_relaxed);
}

void report_add(struct report *r, enum report_count count, uint64_t n)
{
        add(r, count, n);
}

uint64_t report_get(const struct report *r, enum report_count count)
{
        return get(r, count);
}

void report_restart(struct report *r)
{
        static const unsigned seen[] = {
                REPORT_ENTRIES, REPORT_BYTES, REPORT_UNSETTLED, ITEMS, VANISHED, UNSTEADY, PARTIAL, LACKING,
        };

        for (size_t i = 0; i < ARRAY_SIZE(seen); i++)
                atomic_store(&r->own[seen[i]], 0);
        pthread_mutex_lock(&r->lock);
        for (size_t i = 0; i < REPORT_LACKS; i++)
                r->lacks[i].count = 0;
        forget(r);
        pthread_mutex_unlock(&r->lock);
}

/* What memory is short for is logged at least. */
static void keep(struct report *r, const struct err *err, bool remains)
{
        struct report_item item = { .code = err->code, .remains = remains };
        char path[ERR_PATH_MAX];

        pthread_mutex_lock(&r->lock);
        if (!r->kept)
                r->kept = calloc(r->config.keep_items, sizeof(*r->kept));
        if (r->kept && r->kept_count < r->config.keep_items) {
                item.path = strdup(err_path(err, path));
                item.text = strdup(err->text);
                if (item.path && item.text) {
                        r->kept[r->kept_count++] = item;
                } else {
                        free(item.path);
                        free(item.text);
                }
        }
        pthread_mutex_unlock(&r->lock);
}

void report_hear_item(struct report *r, struct err *err, bool remains)
{
        if (r->config.keep_items > 0)
                keep(r, err, remains);
        log_err_as(remains ? LOG_EVENT_REMAINS : LOG_EVENT_LOST, LOG_LEVEL_WARNING, err);
}

static void tell_item(struct report *r, struct err *err, bool remains)
{
        if (r->config.is_imagined) {
                err_drop(err, "what is imagined is not told");
        } else if (r->config.take_item) {
                r->config.take_item(r->config.context, err, remains);
                err_drop(err, "told elsewhere");
        } else {
                report_hear_item(r, err, remains);
        }
}

size_t report_kept(const struct report *r, const struct report_item **ret)
{
        *ret = r->kept;
        return r->kept_count;
}

void report_item(struct report *r, struct err *err)
{
        add(r, ITEMS, 1);
        report_mark_partial(r);
        tell_item(r, err, false);
}

uint64_t report_items(const struct report *r)
{
        return get(r, ITEMS);
}

void report_lacking(struct report *r, struct err *err)
{
        add(r, LACKING, 1);
        report_mark_partial(r);
        tell_item(r, err, false);
}

uint64_t report_lacking_count(const struct report *r)
{
        return get(r, LACKING);
}

void report_remains(struct report *r, struct err *err)
{
        add(r, REMAINS, 1);
        tell_item(r, err, true);
}

uint64_t report_remains_count(const struct report *r)
{
        return get(r, REMAINS);
}

void report_vanished(struct report *r, const char *directory, const char *name)
{
        char shown[PATH_SHOWN_MAX];

        add(r, VANISHED, 1);
        path_show(directory, name, shown, sizeof(shown));
        log_debug("vanished while the backup ran: '%s'", shown);
}

uint64_t report_vanished_count(const struct report *r)
{
        return get(r, VANISHED);
}

void report_unsteady(struct report *r, const char *directory, const char *name)
{
        char shown[PATH_SHOWN_MAX];

        add(r, UNSTEADY, 1);
        path_show(directory, name, shown, sizeof(shown));
        log_warning("'%s' changed each time it was read; it is stored as it was read last", shown);
}

uint64_t report_unsteady_count(const struct report *r)
{
        return get(r, UNSTEADY);
}

void report_lack(struct report *r, enum report_lack lack, bool accepted, const char *directory, const char *name)
{
        struct lack *l = &r->lacks[lack];

        if (!accepted)
                report_mark_partial(r);
        pthread_mutex_lock(&r->lock);
        /* One that nobody accepted decides how they are told. */
        l->accepted = accepted && (l->count == 0 || l->accepted);
        if (l->count++ == 0)
                path_show(directory, *directory || *name ? name : ".", l->first, sizeof(l->first));
        pthread_mutex_unlock(&r->lock);
}

static const char *lack_text(enum report_lack lack)
{
        static const char *const texts[REPORT_LACKS] = {
                [REPORT_LACK_OWNER] = "owner or group",
                [REPORT_LACK_MODE] = "permissions",
                [REPORT_LACK_ACL] = "access control lists",
                [REPORT_LACK_XATTR_USER] = "extended attributes (user.*)",
                [REPORT_LACK_XATTR_SYSTEM] = "privileged extended attributes",
                [REPORT_LACK_TIME_RANGE] = "time of modification",
                [REPORT_LACK_SYMLINK] = "symbolic links",
                [REPORT_LACK_SPECIAL] = "devices, FIFOs or sockets",
                [REPORT_LACK_HARDLINK] = "hard links",
        };

        return texts[lack];
}

static void tell_lack(struct report *r, enum report_lack lack, const struct lack *l)
{
        ERR_LOCAL(err);

        err_runf(&err, -ENOTSUP, "%s could not be kept for %" PRIu64 " %s, the first is '%s'", lack_text(lack),
                 l->count, l->count == 1 ? "entry" : "entries", l->first);
        if (!l->accepted)
                report_lacking(r, &err);
        else if (r->config.is_imagined)
                err_drop(&err, "what is imagined is not told");
        else
                log_err(LOG_LEVEL_INFO, &err);
}

void report_lacks(struct report *r)
{
        struct lack lacks[REPORT_LACKS];

        pthread_mutex_lock(&r->lock);
        memcpy(lacks, r->lacks, sizeof(lacks));
        for (size_t i = 0; i < REPORT_LACKS; i++)
                r->lacks[i].count = 0;
        pthread_mutex_unlock(&r->lock);
        for (unsigned i = 0; i < REPORT_LACKS; i++) {
                if (lacks[i].count > 0)
                        tell_lack(r, (enum report_lack)i, &lacks[i]);
        }
}

static int append_reasons(struct buf *line, unsigned why)
{
        static const char *const names[] = { "size",   "mtime", "content", "mode",   "owner", "group",
                                             "xattrs", "acl",   "target",  "device", "links" };
        const char *separator = " (";
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(names) && r == 0; i++) {
                if (why & 1U << i) {
                        r = buf_printf(line, "%s%s", separator, names[i]);
                        separator = ", ";
                }
        }
        return r == 0 && why ? buf_putc(line, ')') : r;
}

static const char *verb_text(enum report_verb verb)
{
        static const char *const texts[] = {
                [REPORT_VERB_NEW] = "new",           [REPORT_VERB_CHANGED] = "changed",
                [REPORT_VERB_METADATA] = "metadata", [REPORT_VERB_LINKED] = "linked",
                [REPORT_VERB_TYPE] = "type",         [REPORT_VERB_DELETED] = "deleted",
                [REPORT_VERB_SNAPSHOT] = "snapshot", [REPORT_VERB_REMOVED] = "removed",
                [REPORT_VERB_KEPT] = "kept",
        };

        return texts[verb];
}

static void list(struct report *r, const struct report_line *l)
{
        _cleanup_(buf_deinit) struct buf line = { .data = NULL };

        if (!r->config.list_changes)
                return;
        if (r->config.take_line) {
                r->config.take_line(r->config.context, l);
                return;
        }
        if (buf_printf(&line, "%-8s ", verb_text(l->verb)) < 0 || path_escape(&line, l->directory, l->name) < 0 ||
            (l->is_directory && buf_putc(&line, '/') < 0) ||
            (r->config.list_reasons && append_reasons(&line, l->why) < 0) ||
            (l->reasons && buf_printf(&line, " (%s)", l->reasons) < 0))
                return;
        (void)log_print(line.data);
}

void report_change(struct report *r, enum report_verb verb, const char *directory, const char *name, bool is_directory,
                   unsigned why)
{
        list(r, &(struct report_line){
                        .verb = verb, .directory = directory, .name = name, .is_directory = is_directory, .why = why });
}

void report_change_for(struct report *r, enum report_verb verb, const char *name, const char *reasons)
{
        list(r, &(struct report_line){ .verb = verb, .name = name, .reasons = reasons });
}

bool report_lists_changes(const struct report *r)
{
        return r->config.list_changes;
}

void report_failure(struct report *r, struct err *err)
{
        atomic_store(&r->failed, true);
        atomic_store(&r->failure_status, err->kind == ERR_USAGE ? ERR_USAGE_STATUS : 1);
        if (!r->failure[0])
                snprintf(r->failure, sizeof(r->failure), "%s%s%s", err->text, err->hint[0] ? "; " : "", err->hint);
        if (err->code == -ECANCELED && stop_requested())
                log_err(LOG_LEVEL_WARNING, err);
        else
                log_err_as(LOG_EVENT_ERROR, LOG_LEVEL_ERROR, err);
}

const char *report_failure_text(const struct report *r)
{
        return r->failure;
}

void report_mark_partial(struct report *r)
{
        atomic_store(&r->own[PARTIAL], 1);
}

void report_mark_leftovers(struct report *r)
{
        atomic_store(&r->leftovers, true);
}

/* ---- two processes ---- */

bool report_number_exists(uint64_t number)
{
        return number < REPORT_COUNTS || (number >= REPORT_NUMBER_ITEMS && number < REPORT_NUMBERS_END);
}

static unsigned place_of(unsigned number)
{
        static const unsigned places[] = {
                [REPORT_NUMBER_ITEMS - REPORT_NUMBER_ITEMS] = ITEMS,
                [REPORT_NUMBER_REMAINS - REPORT_NUMBER_ITEMS] = REMAINS,
                [REPORT_NUMBER_VANISHED - REPORT_NUMBER_ITEMS] = VANISHED,
                [REPORT_NUMBER_UNSTEADY - REPORT_NUMBER_ITEMS] = UNSTEADY,
                [REPORT_NUMBER_PARTIAL - REPORT_NUMBER_ITEMS] = PARTIAL,
                [REPORT_NUMBER_LACKING - REPORT_NUMBER_ITEMS] = LACKING,
        };

        assert(report_number_exists(number));
        return number < REPORT_COUNTS ? number : places[number - REPORT_NUMBER_ITEMS];
}

uint64_t report_tell(const struct report *r, unsigned number)
{
        return atomic_load(&r->own[place_of(number)]);
}

void report_hear(struct report *r, unsigned number, uint64_t n)
{
        atomic_store(&r->other[place_of(number)], n);
}

void report_hear_end(struct report *r)
{
        for (unsigned i = 0; i < NUMBERS; i++)
                add(r, i, atomic_exchange(&r->other[i], 0));
}

/* ---- the outcome ---- */

bool report_is_partial(const struct report *r)
{
        return get(r, PARTIAL) > 0;
}

bool report_has_leftovers(const struct report *r)
{
        return atomic_load(&r->leftovers);
}

bool report_has_failed(const struct report *r)
{
        return atomic_load(&r->failed);
}

bool report_is_refused(const struct report *r)
{
        return report_has_failed(r) && atomic_load(&r->failure_status) == ERR_USAGE_STATUS;
}

int report_exit_status(const struct report *r)
{
        if (stop_signal() != 0)
                return 128 + stop_signal();
        if (report_has_failed(r))
                return atomic_load(&r->failure_status);
        return report_is_partial(r) || report_remains_count(r) > 0 ? 23 : 0;
}
