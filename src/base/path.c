/*
 * Names come from disks that others can write, and end on terminals and in logs. So whatever is shown goes through one
 * escaping function: valid UTF-8 that prints stays, all else becomes a backslash escape.
 */
#include "base/path.h"

#include "base/buf.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

enum { LINKS_MAX = 40 }; /* as many as the kernel follows */

/* Bytes of the valid UTF-8 sequence at @text that is safe to show, 0 if there is none. RFC 3629. */
static size_t utf8_length(const unsigned char *text)
{
        uint32_t code, least;
        size_t length, i;

        if (text[0] < 0x80)
                return 1;
        if (text[0] >= 0xc2 && text[0] < 0xe0)
                length = 2, code = text[0] & 0x1fU, least = 0x80;
        else if (text[0] >= 0xe0 && text[0] < 0xf0)
                length = 3, code = text[0] & 0x0fU, least = 0x800;
        else if (text[0] >= 0xf0 && text[0] < 0xf5)
                length = 4, code = text[0] & 0x07U, least = 0x10000;
        else
                return 0;
        for (i = 1; i < length; i++) {
                if ((text[i] & 0xc0) != 0x80)
                        return 0;
                code = code << 6 | (text[i] & 0x3fU);
        }
        if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
                return 0;
        /* C1 controls, and the marks that reorder text around them: a name must not hide what it is. */
        if (code < 0xa0 || (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
            (code >= 0x2066 && code <= 0x2069) || code == 0xfeff)
                return 0;
        return length;
}

size_t path_character(const char *text)
{
        return utf8_length((const unsigned char *)text);
}

static int escape_byte(struct buf *out, unsigned char c)
{
        static const char plain[] = "\a\b\t\n\v\f\r", letters[] = "abtnvfr";
        const char *found = c ? strchr(plain, c) : NULL;

        if (found)
                return buf_printf(out, "\\%c", letters[found - plain]);
        return buf_printf(out, "\\%03o", c);
}

static int escape_text(struct buf *out, const char *text)
{
        const unsigned char *p = (const unsigned char *)text;
        int r = 0;

        while (*p && r == 0) {
                size_t length = utf8_length(p);

                if (length == 0 || *p < 0x20 || *p == 0x7f) {
                        r = escape_byte(out, *p++);
                } else if (*p == '\\' || *p == '\'' || *p == '"') {
                        r = buf_printf(out, "\\%c", *p++);
                } else {
                        r = buf_append(out, p, length);
                        p += length;
                }
        }
        return r;
}

static bool needs_slash(const char *directory, const char *name)
{
        return directory && *directory && name && *name && directory[strlen(directory) - 1] != '/';
}

int path_escape(struct buf *out, const char *directory, const char *name)
{
        int r = directory ? escape_text(out, directory) : 0;

        if (r == 0 && needs_slash(directory, name))
                r = buf_putc(out, '/');
        if (r == 0 && name)
                r = escape_text(out, name);
        return r;
}

static bool continues_character(char c)
{
        return ((unsigned char)c & 0xc0) == 0x80;
}

void path_show(const char *directory, const char *name, char *out, size_t size)
{
        _cleanup_(buf_deinit) struct buf text = { .data = NULL };
        size_t head, tail;

        if (path_escape(&text, directory, name) < 0) {
                snprintf(out, size, "%s", "(no memory to show the path)");
                return;
        }
        if (!text.data || text.size < size) {
                snprintf(out, size, "%s", buf_text(&text));
                return;
        }
        /* Keep the beginning and the end; do not cut a character in two. */
        head = (size - 4) / 2;
        while (head > 0 && continues_character(text.data[head]))
                head--;
        tail = text.size - (size - 4 - head);
        while (tail < text.size && continues_character(text.data[tail]))
                tail++;
        snprintf(out, size, "%.*s...%s", (int)head, text.data, text.data + tail);
}

char *path_join(const char *directory, const char *name)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };

        if (buf_puts(&b, directory) < 0 || (needs_slash(directory, name) && buf_putc(&b, '/') < 0) ||
            buf_puts(&b, name) < 0)
                return NULL;
        return buf_take(&b);
}

/* Append the components of @path, each behind one slash, without "." */
static int append_components(struct buf *b, const char *path)
{
        while (*path) {
                size_t length = strcspn(path, "/");

                if (length > 0 && !(length == 1 && *path == '.')) {
                        if (buf_putc(b, '/') < 0 || buf_append(b, path, length) < 0)
                                return -ENOMEM;
                }
                path += length;
                path += strspn(path, "/");
        }
        return 0;
}

char *path_plain(const char *path)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };

        if (append_components(&b, path) < 0)
                return NULL;
        if (*path == '/')
                return b.size > 0 ? buf_take(&b) : strdup("/");
        return strdup(b.size > 0 ? b.data + 1 : "");
}

char *path_absolute(const char *path)
{
        _cleanup_(buf_deinit) struct buf b = { .data = NULL };
        _cleanup_(freep) char *cwd = NULL;

        if (*path != '/') {
                cwd = getcwd(NULL, 0);
                if (!cwd || append_components(&b, cwd) < 0)
                        return NULL;
        }
        if (append_components(&b, path) < 0 || (b.size == 0 && buf_putc(&b, '/') < 0))
                return NULL;
        return buf_take(&b);
}

const char *path_base(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

char *path_parent(const char *path)
{
        const char *slash = strrchr(path, '/');

        if (!slash)
                return strdup(".");
        if (slash == path)
                return strdup("/");
        return strndup(path, (size_t)(slash - path));
}

/* Where the symlink @path leads, which is in @directory; NULL when it is none. malloc'd. */
static char *read_link(const char *path, const char *directory)
{
        char target[PATH_MAX];
        ssize_t n = readlink(path, target, sizeof(target) - 1);

        if (n <= 0)
                return NULL;
        target[n] = '\0';
        return target[0] == '/' ? strdup(target) : path_join(directory, target);
}

/* @links: how many symlinks to nothing may still be followed. */
static char *resolve(const char *path, unsigned *links)
{
        _cleanup_(freep) char *above = NULL, *resolved = NULL, *whole = NULL, *target = NULL;
        char *real = realpath(path, NULL);

        if (real || str_equal(path, "/"))
                return real ? real : strdup(path);
        above = path_parent(path);
        resolved = above ? resolve(above, links) : NULL;
        whole = resolved ? path_join(resolved, path_base(path)) : NULL;
        target = whole && *links > 0 ? read_link(whole, resolved) : NULL;
        if (!target)
                return TAKE(whole);
        --*links;
        return resolve(target, links);
}

char *path_resolve(const char *path)
{
        unsigned links = 0;

        return resolve(path, &links);
}

char *path_resolve_missing(const char *path)
{
        unsigned links = LINKS_MAX;

        return resolve(path, &links);
}

const char *path_below(const char *path, const char *above)
{
        size_t length = str_equal(above, "/") ? 0 : strlen(above);

        if (strncmp(path, above, length) != 0 || (path[length] != '/' && path[length] != '\0'))
                return NULL;
        path += length;
        return path + strspn(path, "/");
}
