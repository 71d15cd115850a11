/* What all documents of --report begin with. */
#pragma once

struct buf;
struct document;

/* Begin a document in @to: its version, the program, and its @type (docs/report.md). */
void told_begin(struct document *d, struct buf *to, const char *type);
