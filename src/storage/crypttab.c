/*
 * One pass over the lines, of which only the names are looked at; then the fields of the first line that has the one
 * that is asked for. Both dialects take the first, Debian passing over lines without a source.
 */
#include "storage/crypttab.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "storage/crypttab_options.h"
#include "storage/crypttab_values.h"

#include <fcntl.h>

enum { FILE_SIZE_MAX = 1024 * 1024, NAME_SIZE_MAX = 127, NAMES_SHOWN_MAX = 240 };

enum { FIELD_NAME, FIELD_SOURCE, FIELD_KEY, FIELD_OPTIONS, FIELDS };

struct line {
        struct {
                const char *text;
                size_t size;
        } fields[FIELDS];
        size_t count;
        unsigned number;
};

/* ---- lines ---- */

static const char *skip_blanks(const char *text, const char *end)
{
        while (text < end && char_is_blank(*text))
                text++;
        return text;
}

static const char *skip_field(const char *text, const char *end)
{
        while (text < end && !char_is_blank(*text))
                text++;
        return text;
}

/* The options are the rest of the line, as Debian has it: a time span may hold blanks. Comments end it all the same. */
static const char *skip_options(const char *text, const char *end)
{
        const char *stop = text;

        while (text < end && *text != '#') {
                stop = skip_field(text, end);
                text = skip_blanks(stop, end);
        }
        return stop;
}

static void split(struct line *line, const char *text, const char *end)
{
        line->count = 0;
        while (line->count < FIELDS) {
                const char *start = skip_blanks(text, end);

                if (start == end || *start == '#')
                        return;
                text = line->count == FIELD_OPTIONS ? skip_options(start, end) : skip_field(start, end);
                line->fields[line->count].text = start;
                line->fields[line->count++].size = (size_t)(text - start);
        }
}

/* ---- one entry ---- */

static bool field_is(const struct line *line, size_t field, const char *text)
{
        return line->count > field && line->fields[field].size == strlen(text) &&
               memcmp(line->fields[field].text, text, strlen(text)) == 0;
}

static bool field_is_none(const struct line *line, size_t field)
{
        return line->count <= field || field_is(line, field, "none") || field_is(line, field, "-");
}

static int decode(char **ret, const struct line *line, size_t field, const struct crypttab_place *place,
                  struct err *err)
{
        int r = crypttab_values_decode(ret, line->fields[field].text, line->fields[field].size, "");

        if (r == -ENOMEM)
                return err_oom(err);
        return r < 0 ? crypttab_values_refuse(err, place, "a field holds a NUL byte") : 0;
}

/* It becomes a file below /dev/mapper. */
static int check_name(const char *name, const struct crypttab_place *place, struct err *err)
{
        if (strlen(name) > NAME_SIZE_MAX)
                return crypttab_values_refuse(err, place, "the name is longer than %d bytes", NAME_SIZE_MAX);
        if (strchr(name, '/') || str_equal(name, ".") || str_equal(name, ".."))
                return crypttab_values_refuse(err, place, "'%s' is not a file name", place->name);
        return 0;
}

static int take_source(struct crypttab_entry *e, const struct line *line, const struct crypttab_place *place,
                       struct err *err)
{
        _cleanup_(freep) char *text = NULL;
        char shown[256];
        int r = decode(&text, line, FIELD_SOURCE, place, err);

        if (r < 0)
                return r;
        r = crypttab_values_device(&e->source, text);
        if (r == -ENOMEM)
                return err_oom(err);
        if (r == 0)
                return 0;
        path_show(NULL, text, shown, sizeof(shown));
        crypttab_values_refuse(err, place,
                               "the source device of '%s' is neither an absolute path nor UUID=, PARTUUID=, "
                               "LABEL= or PARTLABEL= with a value: '%s'",
                               place->name, shown);
        return err_hint(err, "a blank is written as \\040");
}

static bool is_random(const char *path)
{
        static const char *const devices[] = { "/dev/random", "/dev/urandom", "/dev/hwrng", "/dev/hw_random" };

        for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
                if (str_equal(path, devices[i]))
                        return true;
        }
        return false;
}

static int take_key(struct crypttab_entry *e, const struct line *line, const struct crypttab_place *place,
                    struct err *err)
{
        _cleanup_(freep) char *text = NULL;
        char shown[256];
        int r;

        if (field_is_none(line, FIELD_KEY))
                return 0;
        r = decode(&text, line, FIELD_KEY, place, err);
        if (r < 0)
                return r;
        r = crypttab_values_file(&e->key, text);
        if (r == -ENOMEM)
                return err_oom(err);
        if (r < 0) {
                path_show(NULL, text, shown, sizeof(shown));
                return crypttab_values_refuse(err, place, "the key file of '%s' is not an absolute path: '%s'",
                                              place->name, shown);
        }
        if (is_random(e->key.path))
                return crypttab_values_refuse(err, place, "'%s' has another key each time (%s) and cannot hold backups",
                                              place->name, e->key.path);
        return 0;
}

static int take_entry(struct crypttab_entry *e, const struct line *line, const struct crypttab_place *place,
                      struct err *err)
{
        int r = check_name(e->name, place, err);

        if (r == 0)
                r = take_source(e, line, place, err);
        if (r == 0 && !field_is_none(line, FIELD_OPTIONS))
                r = crypttab_options_parse(e, line->fields[FIELD_OPTIONS].text, line->fields[FIELD_OPTIONS].size, place,
                                           err);
        /* Behind the options: an argument for keyscript= need not be a path, and swap says more than /dev/urandom. */
        return r < 0 ? r : take_key(e, line, place, err);
}

/* ---- the right one ---- */

struct search {
        const char *file;
        const char *name;
        char *shown;        /* the name for people */
        struct line found;  /* without a number until there is one */
        unsigned broken;    /* the first line that has the name and nothing else, or 0 */
        struct buf others;  /* their names for people, as many as can be shown */
        unsigned not_shown; /* how many more there are */
};

static int note_other(struct search *s, const char *name)
{
        char shown[NAMES_SHOWN_MAX / 4];

        path_show(NULL, name, shown, sizeof(shown));
        if (s->others.size + strlen(shown) + 2 > NAMES_SHOWN_MAX) {
                s->not_shown++;
                return 0;
        }
        return buf_printf(&s->others, "%s%s", s->others.size > 0 ? ", " : "", shown);
}

static int look_at(struct search *s, const struct line *line)
{
        _cleanup_(freep) char *name = NULL;
        int r;

        if (line->count == 0)
                return 0;
        r = crypttab_values_decode(&name, line->fields[FIELD_NAME].text, line->fields[FIELD_NAME].size, "");
        if (r == -EINVAL)
                return 0; /* no name at all, so not the one */
        if (r < 0)
                return r;
        if (!str_equal(name, s->name))
                return note_other(s, name);
        if (line->count <= FIELD_SOURCE)
                s->broken = s->broken ? s->broken : line->number;
        else if (!s->found.number)
                s->found = *line;
        else
                log_warning("%s:%u: a further entry of the name '%s' is ignored; that of line %u is taken", s->file,
                            line->number, s->shown, s->found.number);
        return 0;
}

/* Return 0 or -ENOMEM. */
static int look_at_all(struct search *s, const char *text, size_t size)
{
        const char *end = text + size;
        struct line line = { .number = 0 };

        while (text < end) {
                const char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline ? newline : end;
                int r;

                line.number++;
                split(&line, text, stop);
                r = look_at(s, &line);
                if (r < 0)
                        return r;
                text = stop + (stop < end);
        }
        return 0;
}

static int nothing_found(const struct search *s, struct err *err)
{
        if (s->broken)
                return crypttab_values_refuse(err, &(struct crypttab_place){ s->file, s->broken, s->shown },
                                              "the entry '%s' has no source device", s->shown);
        err_usage(err, "there is no entry '%s' in '%s'", s->shown, s->file);
        if (s->others.size == 0)
                return err_hint(err, "it has no entries at all");
        if (s->not_shown > 0)
                return err_hint(err, "there are %s and %u more", s->others.data, s->not_shown);
        return err_hint(err, "there are %s", s->others.data);
}

static int make_entry(struct crypttab_entry **ret, const struct search *s, struct err *err)
{
        _cleanup_(crypttab_entry_freep) struct crypttab_entry *e = calloc(1, sizeof(*e));
        struct crypttab_place place = { s->file, s->found.number, s->shown };
        int r;

        if (!e)
                return err_oom(err);
        crypttab_options_init(e);
        e->name = strdup(s->name);
        if (!e->name)
                return err_oom(err);
        r = take_entry(e, &s->found, &place, err);
        if (r < 0)
                return r;
        *ret = TAKE(e);
        return 0;
}

static int find(struct crypttab_entry **ret, struct search *s, const char *text, size_t size, struct err *err)
{
        if (look_at_all(s, text, size) < 0)
                return err_oom(err);
        if (!s->found.number)
                return nothing_found(s, err);
        if (s->broken)
                log_warning("%s:%u: the entry '%s' has no source device; that of line %u is taken", s->file, s->broken,
                            s->shown, s->found.number);
        return make_entry(ret, s, err);
}

int crypttab_find_text(struct crypttab_entry **ret, const char *file, const char *text, size_t size, const char *name,
                       struct err *err)
{
        char shown[256];
        struct search s = { .file = file, .name = name, .shown = shown };
        int r;

        path_show(NULL, name, shown, sizeof(shown));
        r = find(ret, &s, text, size, err);
        buf_deinit(&s.others);
        return r;
}

/* ---- the file ---- */

static int cannot(const char *what, const char *file, int code, struct err *err)
{
        err_usage(err, "cannot %s '%s': %s", what, file, strerror(-code));
        if (code == -ENOENT)
                err_hint(err, "encrypted disks are described there, see crypttab(5)");
        return err->code = code;
}

int crypttab_find(struct crypttab_entry **ret, const char *file, const char *name, struct err *err)
{
        _cleanup_(buf_deinit) struct buf text = { .data = NULL };
        _cleanup_(fd_closep) int fd = open(file, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        ssize_t size;

        if (fd < 0)
                return cannot("open", file, -errno, err);
        if (buf_reserve(&text, FILE_SIZE_MAX + 1) < 0)
                return err_oom(err);
        size = fd_read_full(fd, text.data, FILE_SIZE_MAX + 1);
        if (size < 0)
                return cannot("read", file, (int)size, err);
        if (size > FILE_SIZE_MAX)
                return err_usage(err, "'%s' is no crypttab: it is larger than 1 MiB", file);
        return crypttab_find_text(ret, file, text.data, (size_t)size, name, err);
}

struct crypttab_entry *crypttab_entry_free(struct crypttab_entry *e)
{
        if (!e)
                return NULL;
        free(e->name);
        free(e->source);
        free(e->key.path);
        free(e->key.device);
        free(e->header.path);
        free(e->header.device);
        free(e->cipher);
        free(e->hash);
        for (size_t i = 0; i < e->tcrypt_keyfile_count; i++)
                free(e->tcrypt_keyfiles[i]);
        free(e->tcrypt_keyfiles);
        free(e);
        return NULL;
}
