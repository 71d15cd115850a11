#include "base/buf.h"
#include "base/path.h"
#include "system/desktop.h"

static int put(struct buf *out, const char *text, size_t size)
{
        switch (*text) {
        case '<':
                return buf_puts(out, "&lt;");
        case '>':
                return buf_puts(out, "&gt;");
        case '&':
                return buf_puts(out, "&amp;");
        default:
                return (unsigned char)*text < ' ' || *text == 0x7f ? buf_putc(out, '?') : buf_append(out, text, size);
        }
}

int desktop_put_text(struct buf *out, const char *text)
{
        int r = 0;

        while (*text && r == 0) {
                size_t size = path_character(text);

                r = size > 0 ? put(out, text, size) : buf_putc(out, '?');
                text += size_max(size, 1);
        }
        return r;
}
