/*
 * libinih is fed through its stream interface: the reader below hands out one line a call, so it knows the line number
 * that the handler needs, and sees lines longer than libinih's buffer, which that library would take for two.
 */
#include "base/ini.h"

#include "base/err.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

struct reading {
        const char *name;
        const char *rest; /* unread text */
        unsigned line;
        char *section; /* libinih keeps the first 49 bytes only, and a directory may be longer */
        ini_visitor handler;
        void *context;
        struct err *err;
        int result;
        bool in_value; /* an indented line continues the value above */
};

/* What libinih skips before a line. */
static size_t count_blanks(const char *line, size_t length, unsigned number)
{
        static const char mark[] = "\xef\xbb\xbf";
        size_t skip = number == 1 && str_starts(line, mark) ? strlen(mark) : 0;

        while (skip < length && char_is_blank(line[skip]))
                skip++;
        return skip;
}

/* Blanks, and perhaps a comment. */
static bool holds_nothing(const char *text, const char *end)
{
        while (text < end && char_is_blank(*text))
                text++;
        return text == end || *text == ';' || *text == '#';
}

/*
 * Remember the whole name when @line, without its end, opens a section by libinih's rules. What is wrong with it is
 * told here, before what stands below is taken for a part of the section above. Return 0 or a negative errno with err
 * filled.
 */
static int note_section(struct reading *r, const char *line, size_t length)
{
        size_t skip = count_blanks(line, length, r->line);
        const char *end = memchr(line, ']', length);

        if (skip >= length || line[skip] != '[' || (skip > 0 && r->in_value))
                return 0;
        if (!end)
                return err_usage(r->err, "%s:%u: a '[' without its ']'", r->name, r->line);
        /* libinih would ignore it. */
        if (!holds_nothing(end + 1, line + length))
                return err_usage(r->err, "%s:%u: something stands behind the ']' of a section", r->name, r->line);
        free(r->section);
        r->section = strndup(line + skip + 1, (size_t)(end - line) - skip - 1);
        r->in_value = false;
        if (!r->section)
                return err_oom(r->err);
        return r->handler(r->context, &(struct ini_item){ .file = r->name, .line = r->line, .section = r->section },
                          r->err);
}

/* libinih's reader: like fgets(), one line into @line of @size bytes. */
static char *next_line(char *line, int size, void *stream)
{
        struct reading *r = stream;
        size_t length = strcspn(r->rest, "\n");

        if (!*r->rest || r->result < 0)
                return NULL;
        r->line++;
        if (length + 2 > (size_t)size) {
                r->result = err_usage(r->err, "%s:%u: the line is longer than %d bytes", r->name, r->line, size - 2);
                return NULL;
        }
        r->result = note_section(r, r->rest, length);
        if (r->result < 0)
                return NULL;
        memcpy(line, r->rest, length);
        line[length] = '\n';
        line[length + 1] = '\0';
        r->rest += length + (r->rest[length] == '\n');
        return line;
}

static int take_item(void *user, const char *section, const char *key, const char *value)
{
        struct reading *r = user;
        struct ini_item item = { .file = r->name,
                                 .line = r->line,
                                 .section = r->section ? r->section : section,
                                 .key = key,
                                 .value = value ? value : "" };

        r->in_value = true;
        if (r->result == 0)
                r->result = r->handler(r->context, &item, r->err);
        return r->result == 0;
}

int ini_read_text(const char *name, const char *text, ini_visitor handler, void *context, struct err *err)
{
        struct reading r = { .name = name, .rest = text, .handler = handler, .context = context, .err = err };
        int line = ini_parse_stream(next_line, &r, take_item, &r);

        free(r.section);
        if (r.result < 0)
                return r.result;
        if (line < 0)
                return err_oom(err);
        if (line > 0)
                return err_usage(err, "%s:%d: neither a [section] nor 'key = value'", name, line);
        return 0;
}

/* A FIFO that nobody writes to is an empty file, not one to wait for; that of a shell's <(...) has its writer. */
static int open_file(const char *file)
{
        int fd = open(file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

        if (fd >= 0 && fcntl(fd, F_SETFL, O_RDONLY) < 0) {
                int code = errno;

                fd_close(fd);
                errno = code;
                return -1;
        }
        return fd;
}

static int read_whole(const char *file, char **ret, struct err *err)
{
        enum { FILE_MAX = 1 << 20 };
        _cleanup_(freep) char *text = malloc(FILE_MAX + 1);
        _cleanup_(fd_closep) int fd = -1;
        ssize_t size;
        int code;

        if (!text)
                return err_oom(err);
        fd = open_file(file);
        if (fd < 0) {
                code = -errno;
                err_usage(err, "cannot open configuration file '%s': %s", file, strerror(-code));
                return err->code = code;
        }
        size = fd_read_full(fd, text, FILE_MAX + 1);
        if (size < 0)
                return err_usage(err, "cannot read configuration file '%s': %s", file, strerror((int)-size));
        if (size > FILE_MAX || memchr(text, '\0', (size_t)size))
                return err_usage(err, "'%s' is not a configuration file: it is too large or holds NUL bytes", file);
        text[size] = '\0';
        *ret = TAKE(text);
        return 0;
}

int ini_read_file(const char *file, ini_visitor handler, void *context, struct err *err)
{
        _cleanup_(freep) char *text = NULL;
        int r = read_whole(file, &text, err);

        return r < 0 ? r : ini_read_text(file, text, handler, context, err);
}

int ini_error(struct err *err, const struct ini_item *item, const char *format, ...)
{
        char message[ERR_TEXT_MAX / 2];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(message, sizeof(message), format, arguments);
        va_end(arguments);
        return err_usage(err, "%s:%u: %s: %s", item->file, item->line, item->key, message);
}

int ini_bool(const char *value, bool *ret)
{
        static const char *const yes[] = { "yes", "true", "on", "1" }, *const no[] = { "no", "false", "off", "0" };

        for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
                if (strcasecmp(value, yes[i]) == 0 || strcasecmp(value, no[i]) == 0) {
                        *ret = strcasecmp(value, yes[i]) == 0;
                        return 0;
                }
        }
        return -EINVAL;
}
