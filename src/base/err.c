/*
 * Errors are formatted where they arise, into fixed storage: recording one cannot fail, and what is recorded stays
 * readable when the path is longer than the storage, because the middle of the path is left out and not the reason.
 */
#define ERR_IMPLEMENTATION
#include "base/err.h"

#include "base/path.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static int fill(struct err *err, enum err_kind kind, int code)
{
        assert(code < 0);
        assert(err->kind == ERR_NONE);
        err->kind = kind;
        err->code = code;
        err->text[0] = err->hint[0] = '\0';
        err->path_at = err->path_size = 0;
        return code;
}

static int describe(struct err *err, enum err_kind kind, int code, const char *operation, const char *directory,
                    const char *name)
{
        char shown[ERR_PATH_MAX];
        int at;

        fill(err, kind, code);
        if (!directory && !name) {
                snprintf(err->text, sizeof(err->text), "cannot %s: %s", operation, strerror(-code));
                return code;
        }
        path_show(directory, name, shown, sizeof(shown));
        at = snprintf(err->text, sizeof(err->text), "cannot %s '", operation);
        assert(at > 0 && at + sizeof(shown) < sizeof(err->text));
        err->path_at = (unsigned short)at;
        err->path_size = (unsigned short)strlen(shown);
        snprintf(err->text + at, sizeof(err->text) - (size_t)at, "%s': %s", shown, strerror(-code));
        return code;
}

int err_item(struct err *err, int code, const char *operation, const char *path)
{
        return describe(err, ERR_ITEM, code, operation, NULL, path);
}

int err_run(struct err *err, int code, const char *operation, const char *path)
{
        return describe(err, ERR_RUN, code, operation, NULL, path);
}

int err_item_at(struct err *err, int code, const char *operation, const char *directory, const char *name)
{
        return describe(err, ERR_ITEM, code, operation, directory, name);
}

int err_run_at(struct err *err, int code, const char *operation, const char *directory, const char *name)
{
        return describe(err, ERR_RUN, code, operation, directory, name);
}

static bool ends_the_run(int code)
{
        switch (code) {
        case -ENOSPC:
        case -EDQUOT:
        case -EROFS:
        case -EIO:
        case -ENODEV:
        case -ENXIO:
        case -ENOTCONN:
        case -ESHUTDOWN:
        case -ETIMEDOUT:
        case -ENOMEM:
        case -EMFILE:
        case -ENFILE:
                return true;
        default:
                return false;
        }
}

int err_destination_at(struct err *err, int code, const char *operation, const char *directory, const char *name)
{
        describe(err, ends_the_run(code) ? ERR_RUN : ERR_ITEM, code, operation, directory, name);
        if (code == -EXDEV || code == -EBUSY)
                err_hint(err, "is something mounted there, or is it a btrfs subvolume?");
        return code;
}

int err_runf(struct err *err, int code, const char *format, ...)
{
        va_list arguments;

        fill(err, ERR_RUN, code);
        va_start(arguments, format);
        vsnprintf(err->text, sizeof(err->text), format, arguments);
        va_end(arguments);
        return code;
}

int err_usage(struct err *err, const char *format, ...)
{
        va_list arguments;

        fill(err, ERR_USAGE, -EINVAL);
        va_start(arguments, format);
        vsnprintf(err->text, sizeof(err->text), format, arguments);
        va_end(arguments);
        return -EINVAL;
}

int err_oom(struct err *err)
{
        return err_run(err, -ENOMEM, "go on", NULL);
}

int err_hint(struct err *err, const char *format, ...)
{
        va_list arguments;

        assert(err->kind != ERR_NONE);
        va_start(arguments, format);
        vsnprintf(err->hint, sizeof(err->hint), format, arguments);
        va_end(arguments);
        return err->code;
}

int err_context(struct err *err, const char *context)
{
        size_t size = strlen(context) + 2;
        char text[ERR_TEXT_MAX];

        assert(err->kind != ERR_NONE);
        memcpy(text, err->text, sizeof(text));
        /* Truncation is harmless here: the text is for people and stays terminated. */
        if (snprintf(err->text, sizeof(err->text), "%s: %s", context, text) < 0)
                memcpy(err->text, text, sizeof(text));
        if (err->path_at + size + err->path_size < sizeof(err->text))
                err->path_at = (unsigned short)(err->path_at + size);
        else
                err->path_at = err->path_size = 0;
        return err->code;
}

int err_move(struct err *to, struct err *from)
{
        assert(from->kind != ERR_NONE);
        assert(to->kind == ERR_NONE);
        *to = *from;
        err_clear(from);
        return to->code;
}

int err_replace(struct err *err, int code, const char *text)
{
        assert(err->kind != ERR_NONE);
        err_clear(err);
        return err_runf(err, code, "%s", text);
}

void err_drop(struct err *err, const char *why)
{
        (void)why;
        err_clear(err);
}

void err_clear(struct err *err)
{
        err->kind = ERR_NONE;
        err->code = 0;
        err->text[0] = err->hint[0] = '\0';
        err->path_at = err->path_size = 0;
}

const char *err_path(const struct err *err, char out[ERR_PATH_MAX])
{
        size_t size = size_min(err->path_size, ERR_PATH_MAX - 1);

        memcpy(out, err->text + err->path_at, size);
        out[size] = '\0';
        return out;
}

void err_check(struct err *err)
{
        assert(err->kind == ERR_NONE);
        (void)err;
}
