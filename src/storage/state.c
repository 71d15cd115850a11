/* Lines as in lines.h; what is there twice, or makes no sense, is damage. */
#include "storage/state.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "storage/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

enum { STATE_SIZE_MAX = 16 * 1024 * 1024, RESERVE_SIZE = 64 * 1024 };

static const char version[] = "1";
static const char file_name[] = "state";
static const char reserve_name[] = "reserve";

/* ---- the structure ---- */

void state_deinit(struct state *s)
{
        free(s->machine);
        free(s->source);
        free(s->source_filesystem);
        free(s->latest);
        free(s->boot);
        for (size_t i = 0; i < s->filesystem_count; i++)
                free(s->filesystems[i]);
        free(s->filesystems);
        for (size_t i = 0; i < s->outcome_count; i++)
                free(s->outcomes[i].name);
        free(s->outcomes);
        *s = (struct state){ .machine = NULL };
}

int state_set(char **field, const char *value)
{
        char *copy = value ? strdup(value) : NULL;

        if (value && !copy)
                return -ENOMEM;
        free(*field);
        *field = copy;
        return 0;
}

bool state_knows_filesystem(const struct state *s, const char *uuid)
{
        for (size_t i = 0; i < s->filesystem_count; i++) {
                if (str_equal(s->filesystems[i], uuid))
                        return true;
        }
        return false;
}

int state_add_filesystem(struct state *s, const char *uuid)
{
        char **list;

        if (state_knows_filesystem(s, uuid))
                return 0;
        list = reallocarray(s->filesystems, s->filesystem_count + 1, sizeof(*list));
        if (!list)
                return -ENOMEM;
        s->filesystems = list;
        list[s->filesystem_count] = strdup(uuid);
        if (!list[s->filesystem_count])
                return -ENOMEM;
        s->filesystem_count++;
        return 0;
}

static struct state_outcome *find_outcome(const struct state *s, const char *name)
{
        for (size_t i = 0; i < s->outcome_count; i++) {
                if (str_equal(s->outcomes[i].name, name))
                        return &s->outcomes[i];
        }
        return NULL;
}

bool state_is_complete(const struct state *s, const char *name)
{
        const struct state_outcome *o = find_outcome(s, name);

        return !o || o->complete;
}

int state_add_outcome(struct state *s, const char *name, bool complete)
{
        struct state_outcome *o = find_outcome(s, name), *list;
        char *copy;

        if (o) {
                o->complete = complete;
                return 0;
        }
        list = reallocarray(s->outcomes, s->outcome_count + 1, sizeof(*list));
        if (!list)
                return -ENOMEM;
        s->outcomes = list;
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        list[s->outcome_count++] = (struct state_outcome){ .name = copy, .complete = complete };
        return 0;
}

bool state_drop_outcome(struct state *s, const char *name)
{
        struct state_outcome *o = find_outcome(s, name);

        if (!o)
                return false;
        free(o->name);
        *o = s->outcomes[--s->outcome_count];
        return true;
}

/* ---- writing ---- */

static int put_time(struct buf *b, const char *key, struct timespec t)
{
        return buf_printf(b, "%s %jd.%09ld\n", key, (intmax_t)t.tv_sec, t.tv_nsec);
}

static int put_all(struct buf *b, const struct state *s)
{
        int r = lines_begin(b, version);

        r = r < 0 ? r : lines_put_text(b, "machine", s->machine);
        r = r < 0 ? r : lines_put_text(b, "source", s->source);
        r = r < 0 ? r : lines_put_text(b, "source-filesystem", s->source_filesystem);
        r = r < 0 ? r : lines_put_text(b, "latest", s->latest);
        if (r == 0 && s->has_reference)
                r = put_time(b, "reference", s->reference);
        if (r == 0 && s->boot)
                r = put_time(b, "reference-uptime", s->uptime);
        r = r < 0 ? r : lines_put_text(b, "reference-boot", s->boot);
        if (r == 0 && s->running)
                r = put_time(b, "running-since", s->running_since);
        r = r < 0 ? r : lines_put_text(b, "partial", s->partial ? "yes" : "no");
        r = r < 0 ? r : lines_put_count(b, "entries", s->entries);
        r = r < 0 ? r : lines_put_count(b, "bytes", s->bytes);
        for (size_t i = 0; i < s->filesystem_count && r == 0; i++)
                r = lines_put_text(b, "filesystem", s->filesystems[i]);
        for (size_t i = 0; i < s->outcome_count && r == 0; i++)
                r = lines_put_text(b, s->outcomes[i].complete ? "complete" : "incomplete", s->outcomes[i].name);
        return r < 0 ? r : lines_end(b);
}

void state_reserve(int dirfd)
{
        _cleanup_(fd_closep) int fd = -1;

        fd = openat(dirfd, reserve_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0 && posix_fallocate(fd, 0, RESERVE_SIZE) != 0)
                (void)unlinkat(dirfd, reserve_name, 0);
}

int state_save(const struct state *s, int dirfd, struct err *err)
{
        _cleanup_(buf_deinit) struct buf text = { .data = NULL };
        int r = put_all(&text, s);

        if (r == 0)
                r = fd_replace_file_at(dirfd, file_name, text.data, text.size);
        if (err_is_full(r) && unlinkat(dirfd, reserve_name, 0) == 0)
                r = fd_replace_file_at(dirfd, file_name, text.data, text.size);
        return r < 0 ? err_run(err, r, "record the state in", STATE_DIRECTORY "/state") : 0;
}

/* ---- reading ---- */

static int parse_text(char **field, const char *value)
{
        if (*field || !*value)
                return -EBADMSG;
        return state_set(field, value);
}

/* Which of the values that have no mark of their own for being absent were there. */
struct seen {
        bool uptime, partial, entries, bytes;
};

struct reading {
        struct state *state;
        struct seen seen;
};

static int parse_number(bool *has, uint64_t *ret, const char *value)
{
        if (*has)
                return -EBADMSG;
        *has = true;
        return lines_count(ret, value);
}

static int parse_bool(bool *has, bool *ret, const char *value)
{
        if (*has)
                return -EBADMSG;
        *has = true;
        *ret = str_equal(value, "yes");
        return *ret || str_equal(value, "no") ? 0 : -EBADMSG;
}

/* SECONDS.NNNNNNNNN */
static int parse_time(bool *has, struct timespec *ret, const char *value)
{
        uint64_t nsec;
        long long sec;
        char *end;

        if (*has || !((*value >= '0' && *value <= '9') || *value == '-'))
                return -EBADMSG;
        errno = 0;
        sec = strtoll(value, &end, 10);
        if (errno || *end != '.' || strlen(end + 1) != 9 || lines_count(&nsec, end + 1) < 0)
                return -EBADMSG;
        *ret = (struct timespec){ .tv_sec = sec, .tv_nsec = (long)nsec };
        *has = true;
        return 0;
}

static int parse_uptime(bool *has, struct timespec *ret, const char *value)
{
        int r = parse_time(has, ret, value);

        return r == 0 && ret->tv_sec < 0 ? -EBADMSG : r;
}

static int parse_filesystem(struct state *s, const char *value)
{
        return !*value || state_knows_filesystem(s, value) ? -EBADMSG : state_add_filesystem(s, value);
}

static int parse_outcome(struct state *s, const char *value, bool complete)
{
        return !*value || find_outcome(s, value) ? -EBADMSG : state_add_outcome(s, value, complete);
}

static int parse_key(void *context, const char *key, const char *value)
{
        struct reading *reading = context;
        struct state *s = reading->state;
        struct seen *seen = &reading->seen;

        if (str_equal(key, "machine"))
                return parse_text(&s->machine, value);
        if (str_equal(key, "source"))
                return parse_text(&s->source, value);
        if (str_equal(key, "source-filesystem"))
                return parse_text(&s->source_filesystem, value);
        if (str_equal(key, "latest"))
                return parse_text(&s->latest, value);
        if (str_equal(key, "reference"))
                return parse_time(&s->has_reference, &s->reference, value);
        if (str_equal(key, "reference-uptime"))
                return parse_uptime(&seen->uptime, &s->uptime, value);
        if (str_equal(key, "reference-boot"))
                return parse_text(&s->boot, value);
        if (str_equal(key, "running-since"))
                return parse_time(&s->running, &s->running_since, value);
        if (str_equal(key, "partial"))
                return parse_bool(&seen->partial, &s->partial, value);
        if (str_equal(key, "entries"))
                return parse_number(&seen->entries, &s->entries, value);
        if (str_equal(key, "bytes"))
                return parse_number(&seen->bytes, &s->bytes, value);
        if (str_equal(key, "filesystem"))
                return parse_filesystem(s, value);
        if (str_equal(key, "complete") || str_equal(key, "incomplete"))
                return parse_outcome(s, value, str_equal(key, "complete"));
        return -EBADMSG;
}

int state_parse(struct state *ret, const char *text, size_t size, struct err *err)
{
        struct reading reading = { .state = ret };
        unsigned line;
        int r;

        *ret = (struct state){ .machine = NULL };
        r = lines_parse(text, size, version, parse_key, &reading, &line);
        if (r == 0)
                return 0;
        state_deinit(ret);
        if (r == -ENOMEM)
                return err_oom(err);
        return err_runf(err, -EBADMSG, STATE_DIRECTORY "/state is damaged at line %u", line);
}

static int read_file(int fd, struct buf *text)
{
        ssize_t n;

        if (buf_reserve(text, STATE_SIZE_MAX) < 0)
                return -ENOMEM;
        n = fd_read_full(fd, text->data, STATE_SIZE_MAX);
        if (n < 0)
                return (int)n;
        text->size = (size_t)n;
        return n == STATE_SIZE_MAX ? -EFBIG : 0;
}

int state_load(struct state *ret, int dirfd, struct err *err)
{
        _cleanup_(buf_deinit) struct buf text = { .data = NULL };
        _cleanup_(fd_closep) int fd = fd_open_file_at(dirfd, file_name);
        struct stat st;
        int r;

        *ret = (struct state){ .machine = NULL };
        if (fd == -ENOENT)
                return 0;
        r = fd < 0 ? fd : fstat(fd, &st) < 0 ? -errno : 0;
        /* Of ours, it would be a regular file. */
        if (r == -ENXIO || r == -EISDIR || (r == 0 && st.st_uid != geteuid() && st.st_uid != 0))
                return err_runf(err, -EBADMSG, STATE_DIRECTORY "/state was made by somebody else");
        if (r == 0)
                r = read_file(fd, &text);
        return r < 0 ? err_run(err, r, "read", STATE_DIRECTORY "/state")
                     : state_parse(ret, buf_text(&text), text.size, err);
}
