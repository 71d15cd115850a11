/* The version grows when something changes its meaning, whatever type of document that is in. */
#include "outcome/told.h"

#include "base/document.h"
#include "version.h"

enum { VERSION = 1 };

void told_begin(struct document *d, struct buf *to, const char *type)
{
        document_begin(d, to);
        document_number(d, "version", VERSION);
        document_text(d, "program", "rsync-system-backup " PROGRAM_VERSION);
        document_text(d, "type", type);
}
