/* The JSON document of --report: docs/report.md and docs/report.schema.json describe it. */
#pragma once

struct buf;
struct outcome;

/* So many entries that were lost, or remain, are named; the others are counted. */
enum { OUTCOME_DOCUMENT_ITEMS = 1000 };

/* Append it, after outcome_end(). Return 0 or -ENOMEM. */
int outcome_document(const struct outcome *o, struct buf *ret);
